"""Annealed importance sampling: bounds on log p(x) that do not use the encoder.

`annealed_log_likelihood` returns a lower bound for given examples. `sandwich` returns a lower and an upper bound for
examples that it samples from the model. Both move chains of z along a path of temperatures between prior and posterior,
and pilot chains find the step sizes first. They need gradients of log p(x|z) and log p(z) only, so they work with every
prior.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import numpy as np

from tfp_vae.core.batch import Batch, batch_rows, check_context, map_batch
from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.lazy import tf, tfp
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.evaluation.diagnostics import group_error
from tfp_vae.evaluation.effort.blocks import NO_BLOCKS, Blocks, in_batches
from tfp_vae.evaluation.importance import DECODED_VALUES, Progress, slices
from tfp_vae.model.compilation import compile_for
from tfp_vae.model.vae import VAE, sample_prior

__all__ = ["Annealed", "Sandwich", "annealed_log_likelihood", "sandwich", "temperatures", "transitions"]

LEAPFROG_STEPS = 10
ACCEPTED = 0.65
"""Share of accepted proposals at which pilot chains aim (Neal, 2011)."""

PILOT_CHAINS = 4
EXAMPLES_AT_ONCE = 50

FIRST_STEP_SIZE, FASTER, SLOWER = 0.1, 1.02, 0.98
"""The first step size of pilot chains, and the factors by which they change it."""

TRANSITIONS_PER_CALL = 10_000
"""Approximate number of transitions in one compiled call. Progress and interrupts wait for its end."""


@check_keywords
class Annealed(NamedTuple):
    """The result of annealing for each of N examples.

    log_likelihood: logarithm of the mean weight of the chains, nats [N].
    error: its Monte Carlo standard error, from leaving out one chain at a time, nats [N].
    accepted: share of accepted proposals, [N].
    """

    log_likelihood: np.ndarray
    error: np.ndarray
    accepted: np.ndarray


@check_keywords
class Sandwich(NamedTuple):
    """Bounds on log p(x) of N simulated examples, from chains in both directions.

    x: the examples, [N, *event_shape].
    lower: in expectation at most log p(x), nats [N].
    upper: in expectation at least log p(x), nats [N].
    """

    x: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """The upper minus the lower bound, [N]. Its expectation is at least the error of either bound.

        log p(x) cancels in the gap, so its spread over examples comes from the chains alone. The standard error of its
        mean therefore covers the errors of both mean bounds.
        """
        return np.asarray(self.upper - self.lower)


def temperatures(steps: int, sharpness: float = 4.0) -> np.ndarray:
    """Return the inverse temperatures 0 = b_0 < ... < b_T = 1 along a sigmoid, [T + 1].

    They are dense at both ends. Near b = 0 a small change moves the target far.

    Args:
      steps: T, at least 1.
      sharpness: the sigmoid is evaluated from -sharpness to sharpness, then shifted and scaled to [0, 1]. Values near 0
        give evenly spaced temperatures.

    References:
      Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of decoder-based generative models.
    """
    line = 1 / (1 + np.exp(-sharpness * np.linspace(-1, 1, steps + 1)))
    return np.asarray((line - line[0]) / (line[-1] - line[0]))


@check_keywords
def annealed_log_likelihood(
    vae: VAE,
    x: Array | Batch,
    *,
    steps: int,
    chains: int = 16,
    seed: Seed,
    batch_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda transitions: None,
    blocks: Blocks = NO_BLOCKS,
) -> Annealed:
    """Return a stochastic lower bound on log p(x) from annealed importance sampling, in nats.

    log w = sum_t (b_t - b_{t-1}) log p(x|z_{t-1}),  z_t ~ a transition that keeps p(z) p(x|z)^b_t.

    Chains of z start at the prior. Each transition is a step of Hamiltonian Monte Carlo with 10 leapfrog steps. The
    mean weight is an unbiased estimate of p(x), so its logarithm is at most log p(x) in expectation. It exceeds
    log p(x) by b nats with probability below exp(-b). A poor encoder does no harm, because the chains do not use it.

    Pilot chains find a leapfrog size for each temperature and example, and are then discarded. Given these sizes, the
    remaining chains are ordinary Markov chains, so the bound holds.

    The cost is 11 gradients and one density of the decoder per step of C + 4 chains. The bias is about half of the
    variance of log w over chains if that is small. If the chains mix, twice the steps about halve it.

    ```python
    from tfp_vae.evaluation import annealing

    bound = annealing.annealed_log_likelihood(vae, x[:2], steps=2, chains=2, seed=(0, 5), execution="graph")
    bound.log_likelihood, bound.error, bound.accepted  # [2] each. Use hundreds of steps for a real estimate.
    ```

    Args:
      vae: the model.
      x: examples in the support of the likelihood, [N, *event_shape], or a batch of them with their context.
      steps: T, the number of temperatures after the first.
      chains: C, chains per example.
      seed: a stateless seed, two integers.
      batch_size: examples at once. It changes the draws. The default is 50, or fewer if examples are large.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: called with the number of transitions just made, including those of pilot chains, see `transitions`.
      blocks: keeps finished batches, so that the same call continues after an interrupt.

    Raises:
      UsageError: no step, no example, or fewer than two chains. The error is estimated from the spread over chains.
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.

    References:
      Neal (2001), Annealed importance sampling.
      Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of decoder-based generative models.
    """
    batch = map_batch(np.asarray, vae.batch(x, "Annealing"))
    annealer = _Annealer(vae, steps, chains, batch_size, choose(vae, execution), progress)
    columns = in_batches(
        len(batch.x),
        annealer.batch_size,
        lambda rows: annealer.lower_bound(batch_rows(batch, rows), fold(seed, rows.start)),
        lambda done: progress(transitions(done, steps, chains)),
        blocks,
        f"annealing, {annealer.batch_size} at once",  # the size of batches changes the draws
    )
    return Annealed(*columns)


@check_keywords
def sandwich(
    vae: VAE,
    *,
    examples: int,
    steps: int,
    chains: int = 16,
    seed: Seed,
    context: Array | None = None,
    batch_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda transitions: None,
    blocks: Blocks = NO_BLOCKS,
) -> Sandwich:
    """Return a lower and an upper bound on log p(x) for examples sampled from the model itself.

    Bidirectional Monte Carlo: after z ~ p(z), x ~ p(x|z), the value z is an exact sample of p(z|x). Chains run from it
    back to the prior, and the mean of their inverse weights is an unbiased estimate of 1 / p(x). The gap between the
    bounds is in expectation at least the error of each.

    The cost is about twice that of `annealed_log_likelihood`. The bounds hold for examples from the model. They say
    nothing certain about real data, which the model may fit worse.

    Args:
      vae: the model.
      examples: N, the number of examples to sample.
      steps: T, the number of temperatures after the first.
      chains: C, chains per example and direction.
      seed: a stateless seed, two integers. It also decides the examples.
      context: the context of each example of a conditional model, [N, C].
      batch_size: examples at once. It changes the draws. The default is 50, or fewer if examples are large.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: called with the number of transitions just made.
      blocks: keeps finished batches, so that the same call continues after an interrupt.

    Raises:
      UsageError: no step, no example, or fewer than two chains.

    References:
      Grosse, Ghahramani and Adams (2015), Sandwiching the marginal likelihood using bidirectional Monte Carlo.
    """
    annealer = _Annealer(vae, steps, chains, batch_size, choose(vae, execution), progress)
    context = check_context(context, vae.context_size, "Annealing", examples)

    def both_bounds(rows: slice) -> Sandwich:
        y = None if context is None else context[rows]
        model = vae if y is None else vae.given(y)
        z = sample_prior(model.prior(), [], rows.stop - rows.start, fold(seed, 0, rows.start, 0))
        x = model.decoder(z).sample(seed=fold(seed, 0, rows.start, 1))
        return annealer.both_bounds(Batch(x, context=y), z, fold(seed, 1, rows.start))

    columns = in_batches(
        examples,
        annealer.batch_size,
        both_bounds,
        lambda done: progress(transitions(done, steps, chains, both_ways=True)),
        blocks,
        f"both ways, {annealer.batch_size} at once",
    )
    return Sandwich(*columns)


def transitions(examples: int, steps: int, chains: int, *, both_ways: bool = False) -> int:
    """Return the number of transitions that annealing makes, including those of pilot chains.

    Args:
      examples: N.
      steps: T.
      chains: C, for each example.
      both_ways: whether chains run in both directions, as in `sandwich`.
    """
    return examples * steps * (PILOT_CHAINS + chains * (2 if both_ways else 1))


class _Path(NamedTuple):
    """The stages of a chain. At each, the weight grows by gain log p(x|z), then z moves at inverse temperature beta."""

    gains: np.ndarray  # [T]
    betas: np.ndarray  # [T]
    sizes: np.ndarray  # of leapfrog steps, [T, B]

    def reverse(self) -> _Path:
        """Return the way back. Its last move, at the prior, does not change the weight."""
        back = np.append(np.arange(len(self.betas) - 2, -1, -1), 0)
        betas = np.append(self.betas[back[:-1]], 0.0)
        return _Path(self.gains[::-1], betas, self.sizes[back])


class _Chains(NamedTuple):
    """The state of C chains for each of B examples."""

    z: Tensor  # [C, B, D]
    log_w: Tensor  # [C, B]
    accepted: Tensor  # number of accepted moves, [C, B]
    sizes: Tensor  # of leapfrog steps, [T, B]


@final
class _Annealer:
    """Runs chains for one batch after another, some stages in each compiled call."""

    def __init__(
        self, vae: VAE, steps: int, chains: int, batch_size: int | None, execution: str, progress: Progress
    ) -> None:
        if vae.prior.latent.discrete:
            raise UsageError("Annealing moves z along gradients, so it needs a continuous z. Leave `ais_steps` out.")
        if steps < 1 or chains < 2:
            raise UsageError(
                f"Annealing needs at least one annealing step and two chains per example, found {steps} and {chains}."
            )
        self._vae, self._count, self._progress = vae, chains, progress
        self._betas = temperatures(steps)
        fitting = DECODED_VALUES // (4 * chains * vae.decoder.density_size)
        self.batch_size = batch_size or max(1, min(EXAMPLES_AT_ONCE, fitting))
        self._pilot = compile_for(vae, run_stages, True, execution=execution)
        self._advance = compile_for(vae, run_stages, False, execution=execution)

    def lower_bound(self, batch: Batch, seed: Seed) -> Annealed:
        """Return the lower bound for B examples."""
        return self._lower_bound(batch, self._find_path(batch, fold(seed, 0)), fold(seed, 1))

    def both_bounds(self, batch: Batch, z: Tensor, seed: Seed) -> Sandwich:
        """Return both bounds for B examples with one sample z [B, D] of each p(z|x).

        The chains back share their exact start, so their weights are not independent.
        """
        path = self._find_path(batch, fold(seed, 0))
        starts = tf.repeat(z[tf.newaxis], self._count, axis=0)
        back = self._run(batch, starts, path.reverse(), fold(seed, 2))
        inverse_weights = -np.asarray(back.log_w, np.float64)
        upper = -(np.logaddexp.reduce(inverse_weights, axis=0) - math.log(self._count))
        return Sandwich(np.asarray(batch.x), self._lower_bound(batch, path, fold(seed, 1)).log_likelihood, upper)

    def _lower_bound(self, batch: Batch, path: _Path, seed: Seed) -> Annealed:
        chains = self._run(batch, self._sample_prior(self._count, batch, seed), path, seed)
        log_w = np.asarray(chains.log_w, np.float64)
        return Annealed(
            log_likelihood=np.logaddexp.reduce(log_w, axis=0) - math.log(self._count),
            error=group_error(log_w, np.ones(self._count)),
            accepted=np.asarray(chains.accepted).mean(axis=0) / len(path.betas),
        )

    def _find_path(self, batch: Batch, seed: Seed) -> _Path:
        """Return the stages from prior to posterior, with step sizes found by pilot chains."""
        sizes = np.full([len(self._betas) - 1, len(batch.x)], FIRST_STEP_SIZE)
        path = _Path(np.diff(self._betas), self._betas[1:], sizes)
        chains = self._run(batch, self._sample_prior(PILOT_CHAINS, batch, seed), path, seed, pilot=True)
        return path._replace(sizes=np.asarray(chains.sizes))

    def _sample_prior(self, chains: int, batch: Batch, seed: Seed) -> Tensor:
        model, x = self._vae.condition(batch)
        return sample_prior(model.prior(), [chains], len(x), fold(seed, 0))

    def _run(self, batch: Batch, z: Tensor, path: _Path, seed: Seed, *, pilot: bool = False) -> _Chains:
        """Move chains z [C, B, D] along the path."""
        gains, betas, sizes = (tf.constant(table, z.dtype) for table in path)
        chains = _Chains(z, tf.zeros(z.shape[:2], z.dtype), tf.zeros(z.shape[:2], z.dtype), sizes)
        advance = self._pilot if pilot else self._advance
        width = z.shape[0] * z.shape[1]
        for part in slices(len(path.betas), max(1, TRANSITIONS_PER_CALL // width)):
            limits = tf.constant(part.start), tf.constant(part.stop)
            examples = batch._replace(x=tf.cast(batch.x, z.dtype))
            chains = _Chains(*advance(examples, fold(seed, 1), gains, betas, *limits, chains))
            self._progress((part.stop - part.start) * width)
        return chains


def run_stages(
    vae: VAE,
    pilot: bool,
    batch: Batch,
    seed: Seed,
    gains: Tensor,
    betas: Tensor,
    first: Tensor,
    last: Tensor,
    chains: _Chains,
) -> _Chains:
    """Return the chains after stages `first` to `last` of a path. Pilot chains adapt their step sizes."""
    vae, x = vae.condition(batch)
    prior = vae.prior()

    def stage(t: Tensor, chains: _Chains) -> tuple[Tensor, _Chains]:
        log_w = chains.log_w + gains[t] * vae.decoder(chains.z).log_prob(tf.identity(x))
        z, accepted = move(vae, x, chains.z, prior, betas[t], chains.sizes[t], fold(seed, t))
        sizes = adapt(chains.sizes, t, accepted) if pilot else chains.sizes
        return t + 1, _Chains(z, log_w, chains.accepted + accepted, sizes)

    end = tf.while_loop(lambda t, chains: t < last, stage, (first, _Chains(*chains)), parallel_iterations=1)
    return _Chains(*end[1])


def move(
    vae: VAE, x: Tensor, z: Tensor, prior: Distribution, beta: Tensor, size: Tensor, seed: Seed
) -> tuple[Tensor, Tensor]:
    """Return z [C, B, D] after a transition that keeps p(z) p(x|z)^beta, and 1 where it was accepted, [C, B]."""

    def log_target(z: Tensor) -> Tensor:
        return prior.log_prob(z) + beta * vae.decoder(z).log_prob(tf.identity(x))  # no cached values leave a loop

    kernel = tfp.mcmc.HamiltonianMonteCarlo(log_target, size[:, tf.newaxis], LEAPFROG_STEPS)
    z, results = kernel.one_step(z, kernel.bootstrap_results(z), seed=seed)
    return z, tf.cast(results.is_accepted, z.dtype)


def adapt(sizes: Tensor, t: Tensor, accepted: Tensor) -> Tensor:
    """Return the sizes, with that of stage t + 1 larger than that of t if enough chains accepted their move.

    The acceptance of pilot chains settles near 0.65. A chain that adapts to its own past no longer keeps its
    target, so pilot chains are discarded.

    References:
      Neal (2011), MCMC using Hamiltonian dynamics.
    """
    enough = tf.reduce_mean(accepted, axis=0) > ACCEPTED
    following = sizes[t] * tf.where(enough, tf.cast(FASTER, sizes.dtype), SLOWER)
    return tf.tensor_scatter_nd_update(sizes, [[tf.minimum(t + 1, sizes.shape[0] - 1)]], [following])
