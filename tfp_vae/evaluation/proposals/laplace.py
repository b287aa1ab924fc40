"""Refinement outside the posterior's family: Student-t distributions at the modes of p(z|x)."""

from __future__ import annotations

import math
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, NamedTuple, final

import numpy as np
import pydantic

from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import from_each, standard_normal, threefry_noise
from tfp_vae.core.registry import record
from tfp_vae.core.seeds import fold_each
from tfp_vae.core.types import Seed, Tensor
from tfp_vae.evaluation.proposals.base import Joint, Proposal, Refinement, even_uniform
from tfp_vae.model.posteriors import MEAN_SAMPLES

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["Laplace"]

Starts = Annotated[int, pydantic.Field(ge=1, le=MEAN_SAMPLES + 1)]
Degrees = Annotated[int, pydantic.Field(ge=1, le=1_000)]

MOST_DIMENSIONS = 200
"""Largest D, because the curvature of each example has D^2 values and costs D products."""

TOLERANCE = 1e-3
"""A search ends if its next step promises to raise log p(x, z) by fewer nats than this."""

RISE, SHORTER, SHORTEST = 1e-4, 0.3, 1e-4
"""Share of the promised rise that a step must reach, the factor of a step that misses it, and the smallest step."""

LEAST_BEND, DAMPED = 0.2, 0.8
"""Powell's constants: the least share of the expected curvature that an update accepts as it is."""

PIVOT = 1e-4
"""Smallest pivot of a scaled curvature. Smaller ones are rounding, or p(z|x) is not concave there."""

SMALLEST = 1e-20
"""Every curvature counts as at least this large, so that a flat one can be inverted."""

EVEN_SHARE = 0.2
"""Share of the samples that is divided evenly among the modes. The rest follows their estimated evidence."""


@final
@record
class Laplace(Refinement):
    """Student-t distributions at modes of p(z|x), with the curvature of log p(x, z) there.

    A quasi-Newton search (BFGS) climbs log p(x, z) from the mean of the encoder's q(z|x) and from samples of it. At
    each end, the precision matrix P is minus the Hessian of log p(x, z), by exact products with D vectors. Samples are
    z = mode + P^(-1/2) t, where t is a standard Student-t vector. Its tails are wider than those of a Normal.

    If the searches find several modes, the proposal is a mixture of one Student-t for each. The shares of 80% of the
    samples follow Laplace's approximation of the evidence around each mode, and the rest is divided evenly. Every
    sample is weighted by the density of the whole mixture, so the mean weight is an unbiased estimate of p(x).

    The cost for each example and start is about that of T + 2 D gradients of the decoder, where T is the number of
    steps of the search, often about 10. Every posterior and every prior with a differentiable density works. D is at
    most 200. If log p(x, z) has kinks, as with ReLUs, the curvature is that of the smooth piece at the mode.

    A mode that no search finds stays hidden, and then the estimate is too low without any sign of it. The refinement
    `mixture` samples from q(z|x) too.

    ```python
    settings = {"iw_samples": 20, "seed": (0, 3), "execution": "graph"}
    tv.evaluation.estimate(vae, x[:4], refine="laplace:starts=1", **settings).ess  # [4]
    ```

    Args:
      starts: number of searches.
      steps: most steps of each search.
      degrees: degrees of freedom of the Student-t distributions. Few give wide tails.

    References:
      Nocedal and Wright (2006), Numerical optimization, procedures 3.1 and 18.2, and section 3.4.
      Tierney and Kadane (1986), Accurate approximations for posterior moments and marginal densities.
    """

    starts: Starts = field(default=2, kw_only=True)
    steps: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = field(default=200, kw_only=True)
    degrees: Degrees = field(default=5, kw_only=True)

    @property
    def effort(self) -> str:
        """The number of searches."""
        return f"{self.starts:,} search{'es' * (self.starts > 1)}"

    def check(self, vae: VAE) -> None:
        """Raise an error if z is discrete or has too many dimensions, or if the model has no second derivatives.

        Raises:
          UsageError: `refine=laplace` does not suit the model.
        """
        check_curvature(vae, "laplace")

    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return modes [B, S, D], factors of precisions and their inverses [B, S, D, D], and log shares [B, S]."""
        with threefry_noise():
            z, _ = joint.vae.encoder.posterior.draw_each(params, MEAN_SAMPLES, fold_each(seed, places))
        mean, variance = tf.nn.moments(z, axes=[0])
        starts = tf.concat([mean[tf.newaxis], z[: self.starts - 1]], axis=0)
        modes, value = highest_points(joint, starts, variance, self.steps)
        precision = joint.curvature(modes)
        finite = tf.reduce_all(tf.math.is_finite(precision), axis=[-2, -1], keepdims=True)
        lower = factor(tf.where(finite, precision, tf.linalg.diag(1 / variance)))
        inverse = tf.linalg.triangular_solve(lower, tf.eye(mean.shape[-1], dtype=mean.dtype))
        height = value - tf.reduce_sum(tf.math.log(tf.linalg.diag_part(lower)), axis=-1)
        height = tf.where(tf.math.is_finite(height), height, height.dtype.min / 2)
        shares = (1 - EVEN_SHARE) * tf.nn.softmax(height, axis=0) + EVEN_SHARE / self.starts
        parts = modes, lower, tf.linalg.matrix_transpose(inverse), tf.math.log(shares)
        return tuple(tf.transpose(part, [1, 0, *range(2, part.shape.rank)]) for part in parts)

    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return n samples of the mixture for each example, [n, B, D], and its log-densities there, [n, B]."""
        del joint
        modes, _, spread, log_shares = proposal
        size = modes.shape[-1]
        with from_each(seeds):
            noise = standard_normal([n, modes.shape[0], size + self.degrees], (0, 0), modes.dtype)
        radius = tf.reduce_mean(noise[..., size:] ** 2, axis=-1, keepdims=True)
        moved = modes + tf.einsum("bsij,nbj->nbsi", spread, noise[..., :size] / tf.sqrt(radius))
        limits = tf.cumsum(tf.exp(log_shares), axis=-1)[:, :-1]
        u = even_uniform(n, seeds, modes.dtype)[..., tf.newaxis]  # [n, B, 1]
        chosen = tf.one_hot(tf.reduce_sum(tf.cast(u >= limits, tf.int32), axis=-1), self.starts, dtype=modes.dtype)
        z = tf.reduce_sum(chosen[..., tf.newaxis] * moved, axis=2)
        return z, self.log_prob(proposal, z)

    def log_prob(self, proposal: Proposal, z: Tensor) -> Tensor:
        """Return the log-density of the mixture, [n, B], for z [n, B, D]."""
        modes, lower, _, log_shares = proposal
        size, degrees = modes.shape[-1], self.degrees
        away = tf.einsum("bsji,nbsj->nbsi", lower, z[:, :, tf.newaxis] - modes)
        constant = math.lgamma((degrees + size) / 2) - math.lgamma(degrees / 2) - size / 2 * math.log(degrees * math.pi)
        scale = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(lower)), axis=-1)
        tails = (degrees + size) / 2 * tf.math.log1p(tf.reduce_sum(away**2, axis=-1) / degrees)
        return tf.reduce_logsumexp(log_shares + constant + scale - tails, axis=-1)


def check_curvature(vae: VAE, name: str) -> None:
    """Raise an error if log p(x, z) of a model has no curvature, or one that is too large.

    Args:
      vae: the model.
      name: the refinement that needs the curvature, as in `REFINEMENTS`.

    Raises:
      UsageError: z is discrete or has too many dimensions, or a part of the model has no second derivative.
    """
    latent = vae.encoder.posterior.latent
    remedy = "Leave `refine` out." if latent.discrete else "Use `refine=local`."
    if latent.discrete or latent.size > MOST_DIMENSIONS:
        raise UsageError(
            f"`refine={name}` needs a continuous z of at most {MOST_DIMENSIONS} dimensions, but z is {latent}. {remedy}"
        )
    z = tf.zeros([1, 1, latent.size], vae.dtype)
    try:
        context = tf.zeros([1, vae.context_size]) if vae.context_size else None
        Joint(vae, Batch(tf.zeros([1, *vae.decoder.likelihood.event_shape]), context=context), 1).bend(z, z)
    except LookupError as error:
        raise UsageError(
            f"`refine={name}` needs second derivatives, but a part of the model has none. {remedy}"
        ) from error


class Climb(NamedTuple):
    """The state of S searches for each of B examples.

    z: the highest points so far, [S, B, D].
    value, slope: log p(x, z) and its gradient there, [S, B] and [S, B, D].
    inverse: estimates of the inverse of minus the Hessian, [S, B, D, D].
    size: factor of the next step, [S, B].
    moves: number of successful steps, [S, B]. The first one stays in place.
    active: whether the search goes on, [S, B].
    """

    z: Tensor
    value: Tensor
    slope: Tensor
    inverse: Tensor
    size: Tensor
    moves: Tensor
    active: Tensor

    @classmethod
    def start(cls, z: Tensor, variance: Tensor) -> Climb:
        """Return searches at z [S, B, D] that expect the given variance of p(z|x), [B, D].

        Their first step stays in place, and only evaluates log p(x, z).
        """
        inverse = tf.repeat(tf.linalg.diag(variance)[tf.newaxis], z.shape[0], axis=0)
        unknown = tf.fill(tf.shape(z)[:-1], z.dtype.as_numpy_dtype(-math.inf))
        ones, none = tf.ones_like(unknown), tf.zeros_like(unknown, tf.int32)
        return cls(z, unknown, tf.zeros_like(z), inverse, ones, none, tf.ones_like(unknown, tf.bool))

    def climb(self, joint: Joint) -> Climb:
        """Return the state after one step of each search, which shortens the step if it does not rise enough."""
        direction = tf.linalg.matvec(self.inverse, self.slope)
        promise = tf.reduce_sum(direction * self.slope, axis=-1)
        active = self.active & ((promise > 2 * TOLERANCE) | (self.moves < 2)) & (self.size > SHORTEST)
        step = tf.where(active, self.size, 0)[..., tf.newaxis] * direction
        value, slope = joint.value_and_slope(self.z + step)
        rounding = 8 * np.finfo(value.dtype.as_numpy_dtype).eps * tf.abs(self.value)
        rises = active & (value >= self.value + RISE * self.size * promise - rounding)  # false for NaN
        rises &= tf.math.is_finite(value) & tf.reduce_all(tf.math.is_finite(slope), axis=-1)
        inverse = update(self.inverse, step, self.slope, slope, self.size, first=self.moves == 1)
        bends = (rises & (promise > 0))[..., tf.newaxis, tf.newaxis]
        return Climb(
            z=tf.where(rises[..., tf.newaxis], self.z + step, self.z),
            value=tf.where(rises, value, self.value),
            slope=tf.where(rises[..., tf.newaxis], slope, self.slope),
            inverse=tf.where(bends, inverse, self.inverse),
            size=tf.where(rises, tf.ones_like(value), SHORTER * self.size),
            moves=self.moves + tf.cast(rises, tf.int32),
            active=active,
        )


def update(inverse: Tensor, step: Tensor, before: Tensor, after: Tensor, size: Tensor, first: Tensor) -> Tensor:
    """Return the estimate of the inverse curvature after a step, by the formula of BFGS with Powell's damping.

    Damping keeps the estimate positive definite where log p(x, z) is not concave. It needs no product with the
    curvature B, because the step is size B^-1 times the gradient before.

    Args:
      inverse: the estimate before the step, [..., D, D].
      step: the change of z, [..., D].
      before, after: gradients at both ends, [..., D].
      size: factor of the step, [...].
      first: whether this is the first step, [...]. It also scales the estimate as a whole and is damped only if the
        slope grows, because an encoder that is too sure or too unsure gives an estimate far from the curvature.
    """
    along = size[..., tf.newaxis] * before  # B step
    expected = tf.reduce_sum(step * along, axis=-1, keepdims=True)
    bend = tf.reduce_sum(step * (before - after), axis=-1, keepdims=True)
    least = tf.where(first[..., tf.newaxis], tf.zeros_like(expected), LEAST_BEND * expected)
    share = tf.where(bend <= least, DAMPED * expected / (expected - bend), 1.0)
    change = share * (before - after) + (1 - share) * along
    bend = tf.reduce_sum(step * change, axis=-1, keepdims=True)
    scaled, product = step / bend, tf.linalg.matvec(inverse, change)
    whole = tf.where(first[..., tf.newaxis], bend / tf.reduce_sum(change * product, axis=-1, keepdims=True), 1.0)
    inverse, product = whole[..., tf.newaxis] * inverse, whole * product
    cross = scaled[..., tf.newaxis] * product[..., tf.newaxis, :]
    weight = tf.reduce_sum(change * product, axis=-1, keepdims=True)
    squares = scaled[..., tf.newaxis] * (weight * scaled + step)[..., tf.newaxis, :]
    return inverse - cross - tf.linalg.matrix_transpose(cross) + squares


def highest_points(joint: Joint, z: Tensor, variance: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return the ends of searches for maxima of log p(x, z), [S, B, D], and log p(x, z) there, [S, B].

    Args:
      joint: log p(x, z) of the examples.
      z: the first points, [S, B, D].
      variance: the expected variance of p(z|x), which sets the first step, [B, D].
      steps: most steps of each search. The loop ends with the last search of the batch.
    """
    loop = tf.constant(0), Climb.start(z, variance)
    _, climb = tf.while_loop(
        lambda t, climb: (t <= steps) & tf.reduce_any(climb.active),
        lambda t, climb: (t + 1, climb.climb(joint)),
        loop,
        parallel_iterations=1,
    )
    return climb.z, climb.value


def factor(matrix: Tensor) -> Tensor:
    """Return a lower triangular L with L L^T = A for symmetric matrices A, [..., D, D].

    If A is not positive definite, L L^T exceeds A on the diagonal. The pivots are at least `PIVOT`, after both sides
    are divided by the square roots of the diagonal, and the entries of L stay bounded (Gill, Murray and Wright). It
    neither fails nor returns NaN, unlike Cholesky's factor.
    """
    size = matrix.shape[-1]
    largest = tf.maximum(tf.reduce_max(tf.abs(matrix), axis=-1), SMALLEST)
    scale = tf.sqrt(tf.maximum(tf.abs(tf.linalg.diag_part(matrix)), 1e-6 * largest))
    rest = (matrix + tf.linalg.matrix_transpose(matrix)) / 2 / scale[..., tf.newaxis] / scale[..., tf.newaxis, :]
    outside = tf.reduce_max(tf.abs(tf.linalg.set_diag(rest, tf.zeros_like(scale))), axis=[-2, -1])
    bound = tf.maximum(tf.ones_like(outside), outside / max(1, size))[..., tf.newaxis]

    def eliminate(j: Tensor, rest: Tensor, lower: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        here = tf.one_hot(j, size, dtype=rest.dtype)
        column = tf.linalg.matvec(rest, here)
        below = column * tf.cast(tf.range(size) > j, rest.dtype)
        own = tf.reduce_sum(column * here, axis=-1, keepdims=True)
        largest = tf.reduce_max(below**2, axis=-1, keepdims=True)
        root = tf.sqrt(tf.maximum(tf.maximum(tf.abs(own), largest / bound), PIVOT))
        entries = below / root
        rest -= entries[..., tf.newaxis] * entries[..., tf.newaxis, :]
        return j + 1, rest, lower + (entries + root * here)[..., tf.newaxis] * here

    loop = tf.constant(0), rest, tf.zeros_like(rest)
    *_, lower = tf.while_loop(lambda j, *_: j < size, eliminate, loop, parallel_iterations=1)
    return scale[..., tf.newaxis] * lower
