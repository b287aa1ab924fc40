"""Every network of the table."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.densities import copy_values
from tfp_vae.model.networks import NETWORKS


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize(("input_shape", "size"), [((4, 4, 1), 3), ((3,), 16)], ids=["down", "up"])
def test_works_in_float64(name: str, input_shape: tuple[int, ...], size: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, *input_shape))
    single, double = (
        builders.network(name, input_shape, size, (4, 4, 1), seed=1, dtype=dtype) for dtype in ("float32", "float64")
    )
    copy_values(single, double)
    assert {variable.dtype for variable in double.variables} == {tf.float64}
    found = double(x)
    assert found.dtype == tf.float64
    np.testing.assert_allclose(found, single(x.astype(np.float32)), rtol=1e-4, atol=1e-5)
    assert np.abs(found - np.float64(np.float32(found))).max() > 0  # no layer rounds to float32
