"""Student's t with a constant number of degrees of freedom, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_vae.model.distributions.student import StudentT


@pytest.mark.parametrize("df", [1.5, 5.0, 100.0, 1_000.0])
def test_density_is_that_of_scipy_also_far_out(df: float) -> None:
    x = np.concatenate([np.linspace(-4, 4, 9), [-1e6, 1e20]])
    p = StudentT(tf.constant(df, tf.float64), tf.constant(0.7, tf.float64), tf.constant(0.2, tf.float64))
    np.testing.assert_allclose(p.log_prob(x), scipy.stats.t.logpdf(x, df, 0.7, 0.2), rtol=1e-10)


def test_a_compiled_density_has_few_operations() -> None:
    spec = tf.TensorSpec([None, 4])
    graph = (
        tf.function(lambda x: StudentT(tf.constant(5.0), x, tf.exp(x)).log_prob(x)).get_concrete_function(spec).graph
    )
    assert len(graph.get_operations()) < 100
