"""Refinement of q(z|x) within its family: the parameters themselves are optimized for each example."""

from __future__ import annotations

import math
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, cast, final

import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import threefry, threefry_noise
from tfp_vae.core.registry import Positive, record
from tfp_vae.core.seeds import fold_each
from tfp_vae.core.types import Seed, Tensor
from tfp_vae.evaluation.proposals.base import EncoderPosterior, Joint, Proposal, Refinement

if TYPE_CHECKING:
    from tfp_vae.model.posteriors import NormalMixture
    from tfp_vae.model.vae import VAE

__all__ = ["Local"]

Steps = Annotated[int, pydantic.Field(ge=1, le=1_000_000)]
Samples = Annotated[int, pydantic.Field(ge=1, le=10_000)]

MOMENTUM, MEMORY = 0.9, 0.99
"""Shares of the old averages of gradients and squared gradients that Adam keeps in each step."""

DAMPING = 1e-3
"""Gradients far below this many nats per unit count as rounding. Without it, Adam would magnify them to full steps."""

CHECKS = 5
"""Number of times that the bound is compared with the best so far."""

CLEARLY = 3
"""A bound counts as worse if it is lower by more than this many standard errors."""

SLOWER = 0.25
"""Factor of the learning rate of an example whose bound became worse."""

COMMON_SAMPLES = 100
"""Samples of the bound before the first step and after the last one, with the same noise for both."""


@final
@record
class Local(Refinement):
    """The member of the posterior's own family that maximizes the ELBO of each example.

    Adam maximizes E_q[log p(x, z) - log q(z)] over the parameters of q, starting from those that the encoder returns.
    The decoder and the prior stay fixed. Each step draws new samples, and the learning rate falls to zero along a
    cosine. With enough steps, a family that contains p(z|x) becomes exact. The difference between the two bounds is the
    amortization gap: the loss from using one encoder for all examples.

    If the bound of an example becomes clearly worse or is not finite, its parameters return to the best so far, and its
    learning rate falls to a quarter. The encoder's q(z|x) is kept if it is better in the end.

    The cost for each example is about that of 2 S steps + 200 passes of the decoder. Every family whose samples are
    differentiable works. For a mixture of K Normals, S samples of each component do, at K times the cost. The gradient
    of a Normal family holds log q fixed, so its variance vanishes at the optimum.

    ```python
    refined = tv.evaluation.estimate(vae, x[:4], iw_samples=20, seed=(0, 3), refine="local:steps=5", execution="graph")
    refined.refined_elbo - refined.elbo  # [4], nats: the amortization gap
    ```

    Args:
      steps: number of gradient steps.
      samples: S, samples of z in each step.
      learning_rate: the first step size of Adam, in units of the parameters.

    References:
      Cremer, Li and Duvenaud (2018), Inference suboptimality in variational autoencoders.
      Roeder, Wu and Duvenaud (2017), Sticking the landing: simple, lower-variance gradient estimators for variational
        inference.
    """

    within_family: ClassVar[bool] = True

    steps: Steps = field(default=50, kw_only=True)
    samples: Samples = field(default=8, kw_only=True)
    learning_rate: Positive = field(default=0.1, kw_only=True)

    @property
    def effort(self) -> str:
        """The number of steps."""
        return f"{self.steps:,} steps"

    @property
    def sampler(self) -> EncoderPosterior:
        """The encoder's family, because its samples of any parameters are those of the refined ones."""
        return EncoderPosterior()

    def check(self, vae: VAE) -> None:
        """Raise an error if samples of the posterior are not differentiable.

        Raises:
          UsageError: the posterior is not reparameterized.
        """
        posterior = vae.encoder.posterior
        if not (posterior.capabilities.reparameterized or posterior.capabilities.mixture):
            raise UsageError(
                f"`refine=local` needs a posterior with differentiable samples, but {type(posterior).__name__} is not "
                "reparameterized. Leave `refine` out."
            )

    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return the refined parameters, [B, P]."""
        words = threefry(fold_each(seed, places), self.steps + 1)  # [B, steps + 1] each
        seeds = tf.bitcast(tf.stack(words, axis=-1), tf.int32)

        def turn(i: Tensor, found: Tensor, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
            """Estimate the bound, and search in the first turn only. Two calls would compile the same code twice."""
            log_w = log_weights(joint, found, seeds[:, self.steps])
            after = tf.reduce_mean(log_w, axis=0)
            found = self.search(joint, Search.start(found, log_w), seeds, self.steps * (1 - i))
            return i + 1, found, tf.where(i == 0, after, before), after

        with threefry_noise():
            unknown = tf.zeros_like(params[:, 0])
            loop = tf.constant(0), params, unknown, unknown
            _, found, before, after = tf.while_loop(lambda i, *_: i < 2, turn, loop, parallel_iterations=1)
        better = (after > before) | (tf.math.is_finite(after) & ~tf.math.is_finite(before))
        return (tf.where(better[:, tf.newaxis], found, params),)

    def search(self, joint: Joint, start: Search, seeds: Tensor, steps: Tensor) -> Tensor:
        """Return the parameters after as many steps, [B, P]. Step t draws from seeds[:, t]."""
        length = math.ceil(self.steps / CHECKS)

        def step(t: Tensor, search: Search) -> tuple[Tensor, Search]:
            log_w, gradient = self.weights_and_gradient(joint, search.params, seeds[:, t])
            search, dtype = search.observe(log_w), gradient.dtype
            share = (1 + tf.cos(math.pi * tf.cast(t, dtype) / self.steps)) / 2
            search = search.ascend(gradient, self.learning_rate * share, tf.cast(t + 1, dtype))
            return t + 1, search.settle((t + 1) % length == 0)

        loop = tf.constant(0), start
        _, search = tf.while_loop(lambda t, search: t < steps, step, loop, parallel_iterations=1)
        return search.settle(tf.constant(self.steps % length != 0)).params

    def weights_and_gradient(self, joint: Joint, params: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(x, z) - log q(z) of samples, [S, B], and the gradient of their mean in params, [B, P]."""
        posterior = joint.vae.encoder.posterior
        if posterior.capabilities.mixture:
            return self.weights_and_gradient_by_component(joint, params, seeds)
        with tf.GradientTape() as tape:
            tape.watch(params)
            z, log_q = posterior.draw_each(params, self.samples, seeds)
        fixed = tf.stop_gradient(z)
        log_joint, slope = joint.value_and_slope(fixed)
        log_w = log_joint - log_q
        if not posterior.capabilities.normal:
            along = [slope / self.samples, tf.fill(tf.shape(log_q), tf.cast(-1 / self.samples, log_q.dtype))]
            return log_w, tape.gradient([z, log_q], params, along, unconnected_gradients="zero")
        with tf.GradientTape() as inner:
            inner.watch(fixed)
            log_q = posterior(tf.stop_gradient(params)).log_prob(fixed)
        slope -= inner.gradient(log_q, fixed)
        return log_w, tape.gradient(z, params, slope / self.samples, unconnected_gradients="zero")

    def weights_and_gradient_by_component(self, joint: Joint, params: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for a mixture of K components, each of which is sampled S times.

        An average over the components, weighted by their probabilities, replaces each of the S values.
        """
        posterior = cast("NormalMixture", joint.vae.encoder.posterior)
        with tf.GradientTape() as tape:
            tape.watch(params)
            z, log_q, log_shares = posterior.draw_components(params, self.samples, seeds)
            shares = tf.exp(log_shares)
        log_joint, slope = joint.value_and_slope(tf.stop_gradient(z))
        log_w = log_joint - log_q  # [S K, B]
        along = [slope * shares[..., tf.newaxis], -shares, log_w]
        gradient = tape.gradient([z, log_q, shares], params, along, unconnected_gradients="zero")
        by_component = tf.reshape(shares * log_w, [self.samples, posterior.components, -1])
        return self.samples * tf.reduce_sum(by_component, axis=1), gradient

    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples of the refined q(z) and their densities, see `Posterior.draw_each`."""
        return self.sampler.draw_each(joint, proposal, n, seeds)


class Search(NamedTuple):
    """The state of Adam for each of B examples, and the best parameters that it found.

    params, best: [B, P].
    momentum, squares: running averages of gradients and of their squares, [B, P].
    rate: factor of the learning rate, [B, 1].
    level, level_error: the bound at `best` and its standard error, [B].
    total, squared_error: sum of the bounds since the last check, and of their squared standard errors, [B].
    count: number of bounds since the last check, [].
    """

    params: Tensor
    best: Tensor
    momentum: Tensor
    squares: Tensor
    rate: Tensor
    level: Tensor
    level_error: Tensor
    total: Tensor
    squared_error: Tensor
    count: Tensor

    @classmethod
    def start(cls, params: Tensor, log_w: Tensor) -> Search:
        """Return the state at the parameters of the encoder, [B, P], with log p(x, z) - log q(z) of samples, [S, B]."""
        zeros, ones, nothing = tf.zeros_like(params), tf.ones_like(params[:, :1]), tf.zeros_like(params[:, 0])
        level, variance = tf.nn.moments(log_w, axes=[0])
        error, count = tf.sqrt(variance / log_w.shape[0]), tf.zeros([], params.dtype)
        return cls(params, params, zeros, zeros, ones, level, error, nothing, nothing, count)

    def observe(self, log_w: Tensor) -> Search:
        """Return the state with the samples [S, B] of one step added."""
        value, variance = tf.nn.moments(log_w, axes=[0])
        total, squared_error = self.total + value, self.squared_error + variance / log_w.shape[0]
        return self._replace(total=total, squared_error=squared_error, count=self.count + 1)

    def ascend(self, gradient: Tensor, size: Tensor, t: Tensor) -> Search:
        """Return the state after step t = 1, 2, ... of Adam. An example without a finite gradient stays in place."""
        sound = tf.reduce_all(tf.math.is_finite(gradient), axis=-1, keepdims=True)
        gradient = tf.where(sound, gradient, tf.zeros_like(gradient))
        momentum = MOMENTUM * self.momentum + (1 - MOMENTUM) * gradient
        squares = MEMORY * self.squares + (1 - MEMORY) * gradient**2
        scale = tf.sqrt(squares / (1 - MEMORY**t)) + DAMPING
        moved = self.params + size * self.rate * momentum / (1 - MOMENTUM**t) / scale
        return self._replace(params=tf.where(sound, moved, self.params), momentum=momentum, squares=squares)

    def settle(self, now: Tensor) -> Search:
        """Return the state after a comparison with the best parameters, or the same state if it is not time yet."""
        count = tf.maximum(self.count, 1)
        value, error = self.total / count, tf.sqrt(self.squared_error) / count
        sound = value >= self.level - CLEARLY * (self.level_error + error)  # false for NaN
        back = (now & ~(sound | (tf.math.is_finite(value) & ~tf.math.is_finite(self.level))))[:, tf.newaxis]
        params = tf.where(back, self.best, self.params)
        forward = now & ~back[:, 0]
        return Search(
            params=params,
            best=tf.where(now, params, self.best),
            momentum=tf.where(back, tf.zeros_like(params), self.momentum),
            squares=self.squares,
            rate=tf.where(back, SLOWER * self.rate, self.rate),
            level=tf.where(forward, value, self.level),
            level_error=tf.where(forward, error, self.level_error),
            total=tf.where(now, tf.zeros_like(value), self.total),
            squared_error=tf.where(now, tf.zeros_like(value), self.squared_error),
            count=tf.where(now, tf.zeros_like(count), self.count),
        )


def log_weights(joint: Joint, params: Tensor, seeds: Tensor) -> Tensor:
    """Return log p(x, z) - log q(z) of samples of q with parameters [B, P], [S, B].

    They are more than those of a step, because a search that starts from too high a level rejects all its steps.
    """
    z, log_q = joint.vae.encoder.posterior.draw_each(params, COMMON_SAMPLES, seeds)
    return joint.log_prob(z) - log_q
