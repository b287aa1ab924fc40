"""Uniform, learned and autoregressive priors over a discrete z, against enumeration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.codes import KINDS, N, assert_frequencies, every_z
from tests.helpers.densities import stir
from tfp_vae.model.distributions.codes import codes_of
from tfp_vae.model.posteriors import Bernoulli, Categorical
from tfp_vae.model.priors import Autoregressive, Learned, Uniform

each_kind = pytest.mark.parametrize("kind", list(KINDS))


class TestPriors:
    """Uniform, learned and autoregressive priors."""

    @each_kind
    @pytest.mark.parametrize("name", builders.CODE_PRIORS)
    def test_probabilities_add_up_to_one_and_samples_follow_them(self, name: str, kind: str) -> None:
        dimensions, codes = KINDS[kind]
        posterior = Bernoulli(dimensions) if codes == 1 else Categorical(dimensions, codes=codes)
        prior = builders.prior(name, dimensions, dtype="float64", q=posterior)
        stir(prior.learned, np.random.default_rng(0))
        z, p = every_z(dimensions, codes), prior()
        mass = np.exp(p.log_prob(z))
        assert mass.sum() == pytest.approx(1, rel=1e-9)
        samples = p.sample(N, seed=(5, 6)).numpy()
        assert_frequencies((samples[:, np.newaxis] == z).all(axis=-1).astype(float), mass)

    def test_uniform_gives_each_code_the_same_probability(self) -> None:
        np.testing.assert_allclose(
            Uniform(2, 4)().log_prob(every_z(2, 4).astype(np.float32)), -2 * np.log(4), rtol=1e-6
        )
        np.testing.assert_allclose(Uniform(3)().log_prob(every_z(3, 1).astype(np.float32)), -3 * np.log(2), rtol=1e-6)

    def test_temperature_divides_the_logits(self) -> None:
        prior = Learned(2)
        prior.learned[0].assign([1.0, -2.0])
        np.testing.assert_allclose(prior(0.5).mean(), 1 / (1 + np.exp([-2.0, 4.0])), rtol=1e-6)

    @pytest.mark.parametrize("codes", [1, 4])
    def test_autoregressive_dimensions_depend_on_earlier_ones_only(self, codes: int) -> None:
        (network,) = Autoregressive(3, codes, hidden=8, dtype="float64").learned
        z = tf.constant(np.random.default_rng(0).normal(size=(1, 3 * codes)))
        with tf.GradientTape() as tape:
            tape.watch(z)
            outputs = network(z)
        slope = np.abs(tape.jacobian(outputs, z)).reshape(3, codes, 3, codes).sum(axis=(1, 3))
        np.testing.assert_array_equal(slope > 0, np.tri(3, k=-1) > 0)


@pytest.mark.parametrize("make", [Uniform, Learned])
def test_rate_is_zero_where_posterior_and_prior_agree(make: Callable[..., Uniform | Learned]) -> None:
    q = codes_of(tf.zeros([5, 8]), 4)
    np.testing.assert_allclose(q.kl_divergence(make(2, 4)()), np.zeros(5), atol=1e-6)
