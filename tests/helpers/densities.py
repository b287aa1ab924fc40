"""Densities in float64, and quadrature over z."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.core.types import Array, Distribution


def softplus(s: Array) -> np.ndarray:
    """Return log(1 + exp(s)) in float64."""
    return np.logaddexp(0, np.asarray(s, np.float64))


def stir(learned: object, generator: np.random.Generator) -> None:
    """Move the variables of a family away from their initial values."""
    holder = tf.Module()
    holder.learned = learned
    for variable in holder.trainable_variables:
        noise = 0.3 * generator.normal(size=variable.shape)
        variable.assign_add(noise.astype(np.float32))


def copy_values(learned: object, target: object) -> None:
    """Give the variables of a family to another family of another type, whose initial values are other numbers."""
    holders = tf.Module(), tf.Module()
    holders[0].learned, holders[1].learned = learned, target
    for variable, other in zip(*(holder.trainable_variables for holder in holders), strict=True):
        other.assign(tf.cast(variable, other.dtype))


def density(q: Distribution, z: np.ndarray) -> np.ndarray:
    """Return the densities at z [N, D] of a distribution with batch [] or [1], in float64."""
    wide = z if q.batch_shape.rank == 0 else z[:, np.newaxis]
    return np.exp(np.ravel(q.log_prob(tf.constant(wide, tf.float32))).astype(np.float64))


def quadrature_points(q: Distribution, d: int) -> tuple[np.ndarray, float]:
    """Return a grid [N, D] that covers nearly all of q, and the volume of its cells, for D of 1 or 2."""
    samples = q.sample(4_000, seed=(1, 1)).numpy().reshape(-1, d)
    low, high = samples.min(axis=0), samples.max(axis=0)
    margin = 0.6 * (high - low)
    axes = [np.linspace(a - m, b + m, {1: 20_001, 2: 701}[d]) for a, b, m in zip(low, high, margin, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    return points, float(np.prod([axis[1] - axis[0] for axis in axes]))


def check_density_against_samples(q: Distribution, d: int) -> None:
    """Check that a distribution over R^D integrates to 1 and has the moments of its samples, for D of 1 or 2."""
    points, cell = quadrature_points(q, d)
    mass = density(q, points) * cell
    assert abs(mass.sum() - 1) < 2e-3
    samples = q.sample(20_000, seed=(2, 2)).numpy().reshape(-1, d)
    for statistic in (lambda z: z[:, 0], lambda z: np.cos(z).sum(axis=1), lambda z: z[:, -1] ** 2):
        found, expected = statistic(samples), np.sum(mass * statistic(points))
        assert abs(found.mean() - expected) < 4.5 * found.std() / np.sqrt(len(found)) + 3e-3 * (1 + abs(expected))


def check_seeds(p: Distribution) -> None:
    """Check that a distribution draws from every seed that TFP takes, and repeats its draws."""
    for seed in (None, 1, tfp.util.SeedStream(3, "salt"), [0, 1], tf.constant([0, 1])):
        assert np.isfinite(p.sample(3, seed=seed)).all()
    assert (p.sample().numpy() != p.sample().numpy()).all()
    tf.random.set_seed(5)
    first = p.sample(3, seed=1)
    tf.random.set_seed(5)
    np.testing.assert_array_equal(first, p.sample(3, seed=1))
