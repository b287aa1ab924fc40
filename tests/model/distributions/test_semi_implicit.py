"""Semi-implicit distributions against a Gaussian mixing distribution, whose marginal is known."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy import stats

from tests.helpers.mixing import MARGINAL, SCALE, gaussian


def test_samples_follow_the_marginal() -> None:
    z = gaussian(4, batch=4_000).sample(1, seed=(0, 1)).numpy().ravel()
    assert stats.kstest(z, MARGINAL.cdf).pvalue > 0.01


def test_density_is_that_of_the_mixture_that_was_sampled() -> None:
    q = gaussian(5, batch=3)
    z = q.sample(7, seed=(0, 2))
    locs = q.mixing(5, tf.constant([0, 2])).loc.numpy()  # [5, 3, 1]
    each = stats.norm(locs, SCALE).pdf(z.numpy()[:, np.newaxis])[..., 0]
    np.testing.assert_allclose(q.log_prob(z), np.log(each.mean(axis=1)), rtol=1e-10)


def test_more_components_approach_the_density_of_the_marginal() -> None:
    q, grid = gaussian(4_000), np.linspace(-2, 2, 9)[:, np.newaxis, np.newaxis]
    q.sample(1, seed=(0, 3))
    np.testing.assert_allclose(q.log_prob(grid)[:, 0], MARGINAL.logpdf(grid[:, 0, 0]), atol=0.1)
