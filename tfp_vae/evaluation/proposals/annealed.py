"""Refinement by annealing: samples of `laplace` that Hamiltonian Monte Carlo carries towards p(z|x)."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, NamedTuple, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import from_each, standard_normal, threefry
from tfp_vae.core.registry import record
from tfp_vae.core.types import Seed, Tensor
from tfp_vae.evaluation.proposals.base import Joint, Proposal, Refinement
from tfp_vae.evaluation.proposals.laplace import Degrees, Laplace, Starts, check_curvature, factor

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["AnnealedLaplace"]

OTHER_KEY = 0x3D1E7A59
"""Separates the seeds of the momenta from the seed of the samples that they move."""

NEVER = 1e30
"""Minus the logarithm of a weight of zero. It is finite, so that sums of logarithms are numbers."""

LEAPFROG_STEPS = 3

MANY_DIMENSIONS = 50
"""For more dimensions, steps are shorter, because the error of a leapfrog step grows with their number."""


@final
@record
class AnnealedLaplace(Refinement):
    """Samples of `laplace` that annealed importance sampling carries towards p(z|x).

    A chain starts at a sample z_0 of the proposal q of `laplace`. For t = 1, ..., T - 1, it makes a transition that
    keeps q(z)^(1 - t/T) p(x, z)^(t/T). The transition is one of Hamiltonian Monte Carlo with 3 leapfrog steps and a
    Metropolis test. The weight of a chain has the mean p(x), for any T and any step size:

        log w = 1/T sum_t (log p(x, z_t) - log q(z_t)),  t = 0, ..., T - 1.

    The log-density of its sample z_{T-1}, as `draw_each` returns it, is log p(x, z_{T-1}) - log w. So the weights are
    even if neighbouring targets overlap, although q and p(z|x) may not.

    Momenta have the scales of the curvature that `laplace` finds, averaged over its modes. So one step size suits all
    dimensions and examples. It is fixed, because chains that adapt to their own past do not keep their targets.

    The cost for each sample is about that of 3 T gradients of the decoder, and that of fitting is that of `laplace`.
    The limits are those of `laplace` too: a mode that no search finds may stay hidden.

    ```python
    settings = {"iw_samples": 20, "seed": (0, 3), "execution": "graph"}
    tv.evaluation.estimate(vae, x[:4], refine="annealed:steps=3", **settings).ess  # [4]
    ```

    Args:
      steps: T, number of temperatures.
      step_size: length of a leapfrog step, in standard deviations of p(z|x) by its curvature. If D exceeds 50, it is
        multiplied by (50 / D)^(1/4).
      starts: number of searches, see `Laplace`.
      degrees: degrees of freedom of the Student-t distributions, see `Laplace`.

    References:
      Neal (2001), Annealed importance sampling.
      Neal (2011), MCMC using Hamiltonian dynamics.
    """

    steps: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = field(default=10, kw_only=True)
    step_size: Annotated[float, pydantic.Field(gt=0, le=2, allow_inf_nan=False)] = field(default=0.4, kw_only=True)
    starts: Starts = field(default=2, kw_only=True)
    degrees: Degrees = field(default=5, kw_only=True)

    @property
    def laplace(self) -> Laplace:
        """The proposal of the first sample of each chain."""
        return Laplace(starts=self.starts, degrees=self.degrees)

    @property
    def effort(self) -> str:
        """The number of steps."""
        return f"{self.steps:,} step{'s' * (self.steps > 1)}"

    @property
    def passes(self) -> int:
        """The passes of the decoder for each sample. A gradient counts as three of them."""
        return 3 * (1 + LEAPFROG_STEPS * (self.steps - 1))

    def check(self, vae: VAE) -> None:
        """Raise an error if the proposal of `laplace` does not suit the model.

        Raises:
          UsageError: z is discrete or has too many dimensions, or the model has no second derivatives.
        """
        check_curvature(vae, "annealed")

    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return the proposal of `laplace`, and the scales of the momenta, [B, D, D]."""
        modes, lower, spread, log_shares = self.laplace.fit(joint, params, seed, places)
        precision = tf.matmul(lower, lower, transpose_b=True)
        mean = tf.einsum("bs,bsij->bij", tf.exp(log_shares), precision)
        inverse = tf.linalg.triangular_solve(factor(mean), tf.eye(mean.shape[-1], dtype=mean.dtype))
        return modes, lower, spread, log_shares, tf.linalg.matrix_transpose(inverse)

    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ends of n chains for each example, [n, B, D], and log p(x, z) - log w there, [n, B]."""
        *start, scales = proposal
        z, _ = self.laplace.draw_each(joint, tuple(start), n, seeds)
        size = self.step_size * min(1, MANY_DIMENSIONS / z.shape[-1]) ** 0.25
        words = threefry(tf.bitwise.bitwise_xor(seeds, OTHER_KEY), self.steps)  # [B, T] each
        step_seeds = tf.bitcast(tf.stack(words, axis=-1), tf.int32)

        def at(z: Tensor) -> Point:
            with tf.GradientTape() as tape:
                tape.watch(z)
                log_q = self.laplace.log_prob(tuple(start), z)
            return Point(z, *joint.value_and_slope(z), log_q, tape.gradient(log_q, z))

        def move(t: Tensor, point: Point, log_w: Tensor) -> tuple[Tensor, Point, Tensor]:
            beta = tf.cast(t, z.dtype) / self.steps
            with from_each(step_seeds[:, t]):
                noise = standard_normal([*z.shape[:-1], z.shape[-1] + 2], (0, 0), z.dtype)
            momentum, exponential = noise[..., 2:], tf.reduce_sum(noise[..., :2] ** 2, axis=-1) / 2  # minus log uniform

            def leap(i: Tensor, point: Point, momentum: Tensor) -> tuple[Tensor, Point, Tensor]:
                momentum += size / 2 * tf.einsum("bji,nbj->nbi", scales, point.force(beta))
                point = at(point.z + tf.einsum("bij,nbj->nbi", scales, size * momentum))
                return i + 1, point, momentum + size / 2 * tf.einsum("bji,nbj->nbi", scales, point.force(beta))

            loop = tf.constant(0), point, momentum
            _, end, after = tf.while_loop(lambda i, *_: i < LEAPFROG_STEPS, leap, loop, parallel_iterations=1)
            gain = end.height(beta) - point.height(beta) + tf.reduce_sum(momentum**2 - after**2, axis=-1) / 2
            point = end.where(gain > -exponential, point)  # false for NaN
            return t + 1, point, log_w + point.log_ratio / self.steps

        first = at(z)
        loop = tf.constant(1), first, first.log_ratio / self.steps
        _, last, log_w = tf.while_loop(lambda t, *_: t < self.steps, move, loop, parallel_iterations=1)
        return last.z, tf.where(tf.math.is_finite(log_w), last.log_joint - log_w, NEVER)


class Point(NamedTuple):
    """The places z of n chains for each of B examples, [n, B, D], with both ends of the path there.

    log_joint, joint_slope: log p(x, z) and its gradient, [n, B] and [n, B, D].
    log_start, start_slope: log q(z) and its gradient, [n, B] and [n, B, D].
    """

    z: Tensor
    log_joint: Tensor
    joint_slope: Tensor
    log_start: Tensor
    start_slope: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """The difference of log p(x, z) and log q(z)."""
        return self.log_joint - self.log_start

    def height(self, beta: Tensor) -> Tensor:
        """Return the logarithm of the target at an inverse temperature."""
        return beta * self.log_joint + (1 - beta) * self.log_start

    def force(self, beta: Tensor) -> Tensor:
        """Return the gradient of the logarithm of the target."""
        return beta * self.joint_slope + (1 - beta) * self.start_slope

    def where(self, chosen: Tensor, other: Point) -> Point:
        """Return this point for the chosen chains, bool [n, B], and another one for the rest."""
        wide = chosen[..., tf.newaxis]
        pairs = zip(self, other, strict=True)
        return Point(*(tf.where(chosen if a.shape.rank == 2 else wide, a, b) for a, b in pairs))
