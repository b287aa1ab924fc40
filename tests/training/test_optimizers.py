"""Optimizers follow their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.core.errors import UsageError
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES, adam, adamw, cosine, sgd

GRADIENTS = [0.5, -2.0, 1.0]


def path(optimizer: object, weight: float = 1.0) -> list[float]:
    """The weight after each step along the gradients."""
    variable, found = tf.Variable(weight, dtype=tf.float32), []
    optimizer.build([variable])
    for gradient in GRADIENTS:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        found.append(float(variable))
    return found


def adam_path(rate: float, weight: float = 1.0, decay: float = 0.0) -> list[float]:
    """The weights under the formula of Adam in double precision."""
    m = v = 0.0
    found = []
    for t, gradient in enumerate(GRADIENTS, 1):
        weight -= decay * rate * weight
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        weight -= rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 1e-7)
        found.append(weight)
    return found


def test_adam_follows_its_formula() -> None:
    assert path(adam(0.1)) == pytest.approx(adam_path(0.1), rel=1e-5)


def test_adamw_also_decays_the_weight() -> None:
    assert path(adamw(0.1, weight_decay=0.5)) == pytest.approx(adam_path(0.1, decay=0.5), rel=1e-5)


def test_sgd_adds_momentum() -> None:
    velocity, weight, expected = 0.0, 1.0, []
    for gradient in GRADIENTS:
        velocity = 0.5 * velocity - 0.1 * gradient
        weight += velocity
        expected.append(weight)
    assert path(sgd(0.1, momentum=0.5)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_a_schedule_starts_at_the_learning_rate(name: str) -> None:
    assert float(SCHEDULES[name](0.1, 10)(tf.constant(0))) == pytest.approx(0.1)


def test_cosine_is_half_way_at_half_of_the_steps() -> None:
    rates = [float(cosine(0.1, 100)(tf.constant(step))) for step in (0, 25, 50, 100)]
    np.testing.assert_allclose(rates, [0.1, 0.05 * (1 + math.sqrt(0.5)), 0.05, 0.0], atol=1e-8)


@pytest.mark.parametrize("member", ["adam:beta_1=1", "sgd:momentum=-0.1", "adamw:weight_decay=-1"])
def test_refuses_settings_out_of_their_limits(member: str) -> None:
    with pytest.raises(UsageError, match=member.partition(":")[2].partition("=")[0]):
        OPTIMIZERS.member(member)


def test_cosine_refuses_a_floor_above_the_rate() -> None:
    with pytest.raises(UsageError, match="floor"):
        SCHEDULES.member("cosine:floor=1.5")
