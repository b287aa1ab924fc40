"""The interface of likelihoods, and the maps between outputs of a network and parameters."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.core.registry import record
from tfp_vae.core.supports import REAL, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import (
    SCALE_FLOOR,
    ElementwiseLikelihood,
    inverse_softplus,
    logit,
    positive,
    stack_params,
)


@final
@record
class UnitNormal(ElementwiseLikelihood):
    """The smallest likelihood that a user may write."""

    discrete: ClassVar[bool] = False
    event_shape: tuple[int, ...]

    @property
    def support(self) -> Support:
        return REAL

    @property
    def per_element(self) -> int:
        return 1

    def elementwise(self, params: Tensor) -> Distribution:
        return tfp.distributions.Normal(params[..., 0], 1.0)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        return stack_params(mean)


def test_a_new_likelihood_needs_four_members() -> None:
    family = UnitNormal((2, 3))
    mean = np.arange(6.0).reshape(2, 3)
    p = family(tf.constant(family.initial_params(mean)))
    np.testing.assert_array_equal(p.mean(), mean)
    np.testing.assert_allclose(p.log_prob(mean), -3 * np.log(2 * np.pi), rtol=1e-6)
    assert family.params_size == 6
    assert family.learned == ()
    assert family.unbounded_at == REAL
    assert family.settings_from({"a": 1}, mean) == {"a": 1}


@pytest.mark.parametrize("missing", ["support", "per_element", "elementwise", "initial"])
def test_a_likelihood_without_a_member_raises_an_error(missing: str) -> None:
    needed = ElementwiseLikelihood.__abstractmethods__ - {missing}
    members = {name: member for name, member in vars(UnitNormal).items() if name in needed}
    partial = type("Partial", (ElementwiseLikelihood,), members)
    with pytest.raises(TypeError, match=missing):
        partial()


@pytest.mark.parametrize("value", [1e-6, 0.1, 1.0, 30.0, 800.0, 1e6])
def test_inverse_softplus_inverts_softplus(value: float) -> None:
    assert np.logaddexp(0, inverse_softplus(value)) == pytest.approx(value, rel=1e-9)


def test_positive_is_at_least_its_floor() -> None:
    s = tf.constant([-200.0, -1.0, 0.0, 300.0])
    np.testing.assert_allclose(positive(s), SCALE_FLOOR + np.logaddexp(0, s), rtol=1e-6)
    assert (positive(s, 0.5) >= 0.5).numpy().all()


def test_positive_inverts_to_about_the_value() -> None:
    value = np.array([0.3, 2.0])
    np.testing.assert_allclose(positive(tf.constant(inverse_softplus(value))) - SCALE_FLOOR, value, rtol=1e-6)


def test_logit_is_clipped_at_the_ends() -> None:
    np.testing.assert_allclose(logit(np.array([0.25, 0.5])), [-np.log(3), 0], atol=1e-12)
    np.testing.assert_allclose(logit(np.array([0.0, 1.0])), [-np.log(999), np.log(999)])


def test_stack_params_broadcasts_constants() -> None:
    np.testing.assert_array_equal(stack_params(np.array([1.0, 2.0]), 5.0), [[1, 5], [2, 5]])
