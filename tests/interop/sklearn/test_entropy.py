"""The mean of log p(x) on a Gaussian mixture, whose entropy is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from tfp_vae.interop.sklearn import VAE


class Mixture(NamedTuple):
    """A mixture of Normals in two dimensions."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Return independent draws, [count, 2]."""
        draw = np.random.default_rng(seed)
        chosen = draw.choice(len(self.weights), count, p=self.weights)
        factors = np.linalg.cholesky(self.covariances)[chosen]
        return self.means[chosen] + np.einsum("nij,nj->ni", factors, draw.normal(size=(count, 2)))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Return the true log p(x), [N]."""
        parts = zip(self.weights, self.means, self.covariances, strict=True)
        return logsumexp([np.log(w) + multivariate_normal(m, c).logpdf(x) for w, m, c in parts], axis=0)


GROUPS = Mixture(
    np.array([0.6, 0.4]),
    np.array([[-1.2, 0.0], [1.2, 0.5]]),
    np.array([[[1.0, 0.5], [0.5, 0.8]], [[0.6, -0.3], [-0.3, 1.0]]]),
)
"""Two groups that overlap, with correlations of opposite signs."""

APART = Mixture(
    np.array([0.4, 0.35, 0.25]),
    np.array([[-6.0, 0.0], [6.0, -1.0], [0.0, 7.0]]),
    np.array([[[1.0, 0.5], [0.5, 0.8]], [[0.6, -0.3], [-0.3, 1.0]], [[1.2, 0.0], [0.0, 0.5]]]),
)
"""Three groups that lie far apart."""

TRAINED, SCORED = 10_000, 1_000


def error(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.slow
def test_mean_of_scores_is_minus_the_entropy_within_its_error() -> None:
    """With the defaults. The true density cannot be exceeded, and the paired difference from it has a small error."""
    model = VAE(random_state=0).fit(GROUPS.sample(TRAINED, 1))
    x = GROUPS.sample(SCORED, 2)
    scores, truth = model.score_samples(x), GROUPS.log_prob(GROUPS.sample(1_000_000, 3))
    assert abs(scores.mean() - truth.mean()) < 2 * np.hypot(error(scores), error(truth))
    difference = scores - GROUPS.log_prob(x)
    assert -0.05 < difference.mean() < 2 * error(difference)


@pytest.mark.slow
def test_groups_that_lie_far_apart_get_a_mixture_as_prior() -> None:
    """A single Normal as the prior falls 0.225 +- 0.007 nats short on these rows."""
    model = VAE(random_state=0).fit(APART.sample(5_000, 1))
    x = APART.sample(SCORED, 2)
    scores, truth = model.score_samples(x), APART.log_prob(APART.sample(1_000_000, 3))
    assert abs(scores.mean() - truth.mean()) < 2 * np.hypot(error(scores), error(truth))
    difference = scores - APART.log_prob(x)
    assert -0.1 < difference.mean() < 2 * error(difference)
