"""The ELBO with weights for the parts of the rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.gradients import examples, linear_model
from tfp_vae.core.errors import UsageError
from tfp_vae.objectives import ELBO, OBJECTIVES, TotalCorrelation, Weighted
from tfp_vae.objectives.total_correlation import Parts, log_weights_of


def test_with_weights_of_one_it_is_the_elbo() -> None:
    vae, x = linear_model(0.4), examples()
    found = TotalCorrelation(50, mc_samples=3, beta=1.0).bound(vae, x, seed=(0, 1))
    for a, b in zip(found, ELBO(mc_samples=3).bound(vae, x, seed=(0, 1)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_weights_of_two_are_a_rate_of_twice_the_weight_on_average() -> None:
    """The parts add up to log q(z|x) - log p(z), whatever the estimate of q(z)."""
    vae, x = linear_model(0.4), np.repeat(examples(), 200, axis=0)
    found = TotalCorrelation(50, alpha=2.0, beta=2.0, gamma=2.0).bound(vae, x, seed=(0, 1)).value.numpy()
    expected = Weighted(ELBO(), beta=2.0).bound(vae, x, seed=(0, 1)).value.numpy()
    difference = found - expected
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))


def test_estimate_of_the_aggregate_posterior_is_unbiased_over_batches() -> None:
    """All batches of 3 out of 5 examples that contain the first one, at a sample of its posterior."""
    densities = np.random.default_rng(3).uniform(size=5)
    batches = [[0, *rest] for rest in itertools.combinations(range(1, 5), 2)]
    weights = np.exp(log_weights_of(tf.constant(3), 5, tf.zeros([], tf.float64)))[0]
    np.testing.assert_allclose(np.mean([weights @ densities[batch] for batch in batches]), densities.mean())


@pytest.mark.parametrize("count", [None, 1, 7, 1_000])
def test_weights_add_up_to_one(count: int | None) -> None:
    weights = np.exp(log_weights_of(tf.constant(4), count, tf.zeros([], tf.float64)))
    if count != 1:
        np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(np.diag(weights), 1 / (count or 4))


def test_parts_of_a_whole_data_set_are_those_of_the_decomposition() -> None:
    vae, x = linear_model(0.4), np.random.default_rng(4).normal(size=(1_500, 3))
    q = vae.encoder(x)
    z = q.sample(1, seed=(0, 6))
    parts = Parts.of(q, vae.prior(), z, log_weights_of(tf.constant(len(x)), None, z))
    exact = tv.evaluation.decomposition(vae, x, seed=(0, 7), execution="graph")
    names = ("mutual_information", "total_correlation", "dimension_kl")
    for part, name in zip(parts, names, strict=True):
        error = 2 * getattr(exact, f"{name}_se")
        assert abs(float(tf.reduce_mean(part)) - getattr(exact, name)) < 3 * error


def test_training_sets_the_number_of_examples() -> None:
    assert OBJECTIVES.resolve("total-correlation:beta=3", examples=40) == TotalCorrelation(40, beta=3.0)
    assert "examples" not in OBJECTIVES.info("total-correlation").defaults


def test_refuses_posteriors_whose_dimensions_depend_on_each_other() -> None:
    with pytest.raises(UsageError, match=r"TotalCorrelation needs a posterior .* found RealNVP"):
        TotalCorrelation().loss(builders.model("real-nvp"), builders.data("bernoulli"), seed=(0, 0))
