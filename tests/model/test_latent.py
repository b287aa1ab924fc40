"""The space of z, and the capabilities that families declare."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers import builders
from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Distribution
from tfp_vae.model.latent import ACTIVE_VARIANCE, Capabilities, Latent, active_dimensions
from tfp_vae.model.posteriors import Posterior
from tfp_vae.model.priors import Prior

tfd = tfp.distributions
MEMBERS = [
    *(f"posterior {name}" for name in builders.CONTINUOUS_POSTERIORS),
    *(f"prior {name}" for name in builders.CONTINUOUS_PRIORS),
]


def family_and_distribution(member: str) -> tuple[Posterior | Prior, Distribution]:
    """Return a family over R^3 and a distribution of it."""
    kind, _, name = member.partition(" ")
    if kind == "posterior":
        family = builders.posterior(name, 3)
        return family, family(tf.random.stateless_normal([2, family.params_size], (0, 1)))
    family = builders.prior(name, 3, builders.model().encoder)
    return family, family()


class TestLatent:
    """Latent(event_shape, blocks, discrete)."""

    def test_vector_has_one_block(self) -> None:
        assert Latent.vector(3) == Latent((3,), (3,), discrete=False)

    @pytest.mark.parametrize(("event_shape", "size"), [((3,), 3), ((4, 4, 2), 32)])
    def test_size_is_the_number_of_values(self, event_shape: tuple[int, ...], size: int) -> None:
        assert Latent(event_shape, (size,)).size == size

    @pytest.mark.parametrize("blocks", [(), (2,), (2, 2)])
    def test_blocks_must_add_up_to_the_size(self, blocks: tuple[int, ...]) -> None:
        with pytest.raises(UsageError):
            Latent((3,), blocks)

    def test_one_hot_vectors_are_the_dimensions(self) -> None:
        assert (Latent.one_hots(3, 4).size, Latent.one_hots(3, 4).dimensions) == (12, 3)
        assert (Latent.bits(3).size, Latent.bits(3).dimensions) == (3, 3)
        assert str(Latent.one_hots(3, 4)) == "3x4 discrete"
        with pytest.raises(UsageError, match="divide 4"):
            Latent((4,), (4,), discrete=True, codes=3)

    def test_spaces_differ_in_blocks_and_kind(self) -> None:
        spaces = {Latent((4,), (4,)), Latent((4,), (3, 1)), Latent((4,), (4,), discrete=True), Latent((2, 2), (4,))}
        assert len(spaces) == 4
        assert {str(space) for space in spaces} == {
            "4 continuous",
            "4 continuous in 2 blocks",
            "4 discrete",
            "2x2 continuous",
        }


class TestCapabilities:
    """Every family declares exactly the properties that it has."""

    @pytest.mark.parametrize("member", MEMBERS)
    def test_latent_matches_the_samples(self, member: str) -> None:
        family, distribution = family_and_distribution(member)
        assert family.latent.event_shape == tuple(distribution.event_shape)
        assert not family.latent.discrete

    @pytest.mark.parametrize("member", MEMBERS)
    def test_reparameterized_is_declared_exactly_if_tfp_agrees(self, member: str) -> None:
        family, distribution = family_and_distribution(member)
        is_reparameterized = distribution.reparameterization_type == tfd.FULLY_REPARAMETERIZED
        assert family.capabilities.reparameterized == is_reparameterized

    @pytest.mark.parametrize("posterior", builders.CONTINUOUS_POSTERIORS)
    @pytest.mark.parametrize("prior", builders.CONTINUOUS_PRIORS)
    def test_closed_form_kl_is_declared_exactly_if_tfp_has_one(self, posterior: str, prior: str) -> None:
        (q_family, q), (p_family, p) = (
            family_and_distribution(f"{kind} {name}") for kind, name in (("posterior", posterior), ("prior", prior))
        )
        if q_family.capabilities.closed_form_kl(p_family.capabilities):
            assert q.kl_divergence(p).shape == [2]
        else:
            with pytest.raises(NotImplementedError):
                q.kl_divergence(p)

    @pytest.mark.parametrize("posterior", builders.CONTINUOUS_POSTERIORS)
    def test_diagonal_is_declared_exactly_if_the_covariance_is(self, posterior: str) -> None:
        family, q = family_and_distribution(f"posterior {posterior}")
        if not family.capabilities.normal:
            assert not family.capabilities.diagonal
            with pytest.raises(NotImplementedError):
                q.covariance()
            return
        other = q.covariance().numpy() * (1 - tf.eye(3).numpy())
        assert family.capabilities.diagonal == (abs(other).max() < 1e-6)

    @pytest.mark.parametrize("prior", builders.CONTINUOUS_PRIORS)
    def test_standard_is_declared_exactly_if_the_density_is(self, prior: str, rng: np.random.Generator) -> None:
        family, _ = family_and_distribution(f"prior {prior}")
        learned = [getattr(each, "trainable_variables", (each,)) for each in family.learned]
        for variable in (each for variables in learned for each in variables):
            variable.assign_add(0.1 * tf.ones_like(variable))  # because a learned prior may begin as N(0, I)
        z = tf.constant(rng.normal(size=(20, 3)), tf.float32)
        gap = abs(family().log_prob(z) - tfd.MultivariateNormalDiag(tf.zeros(3)).log_prob(z)).numpy().max()
        assert family.capabilities.standard == (gap < 1e-6)

    def test_a_family_that_declares_nothing_has_no_capability(self) -> None:
        assert not any(Capabilities())
        assert not Capabilities().closed_form_kl(Capabilities(normal=True))
        assert not Capabilities(normal=True).separable_kl(Capabilities(normal=True, diagonal=True))


class TestKlMethods:
    """Which KL two families have."""

    @pytest.mark.parametrize("normal", [False, True])
    @pytest.mark.parametrize("other", [False, True])
    def test_closed_form_needs_two_normals(self, normal: bool, other: bool) -> None:
        assert Capabilities(normal=normal).closed_form_kl(Capabilities(normal=other)) == (normal and other)

    @pytest.mark.parametrize("diagonal", [False, True])
    @pytest.mark.parametrize("other", [False, True])
    def test_sum_over_dimensions_needs_two_diagonal_normals(self, diagonal: bool, other: bool) -> None:
        found = Capabilities(diagonal=diagonal).separable_kl(Capabilities(diagonal=other))
        assert found == (diagonal and other)

    def test_codes_have_both(self) -> None:
        assert Capabilities(codes=True).closed_form_kl(Capabilities(codes=True))
        assert Capabilities(codes=True).separable_kl(Capabilities(codes=True))
        assert not Capabilities(codes=True).closed_form_kl(Capabilities(normal=True))

    def test_separable_kl_adds_up_to_the_whole(self) -> None:
        (_, q), (_, p) = (
            family_and_distribution(name) for name in ("posterior diagonal-normal", "prior standard-normal")
        )
        each = tfd.Normal(q.mean(), q.stddev()).kl_divergence(tfd.Normal(p.mean(), p.stddev()))
        np.testing.assert_allclose(tf.reduce_sum(each, axis=-1), q.kl_divergence(p), rtol=1e-5)


def test_a_dimension_is_active_if_its_means_vary_more_than_they_err() -> None:
    spread = np.sqrt(ACTIVE_VARIANCE) * np.array([0.0, 0.99, 1.01, 1.5])
    means = np.array([[-1.0], [1.0]]) * spread
    assert active_dimensions(means).tolist() == [False, False, True, True]
    assert active_dimensions(means, np.full(4, ACTIVE_VARIANCE)).tolist() == [False, False, False, True]


def test_codes_are_positions_in_one_hot_vectors_or_bits() -> None:
    rng = np.random.default_rng(0)
    codes, bits = rng.integers(0, 4, (5, 2, 3)), rng.integers(0, 2, (5, 3))
    assert (Latent.one_hots(3, 4).as_codes(np.eye(4)[codes].reshape(5, 2, 12)) == codes).all()
    assert (Latent.bits(3).as_codes(0.2 + 0.6 * bits) == bits).all()
