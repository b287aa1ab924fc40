"""Annealed importance sampling: log p(x) without the encoder, from below and, on simulated data, from above.

`annealed_log_likelihood` gives the lower bound of given examples; `sandwich` both bounds, of examples that the model
itself makes. Both run chains of z along a path of temperatures, forwards or back; pilot chains find the step sizes
first. Gradients of log p(x|z) and of log p(z) are all they need: any prior serves, and the encoder is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, choose, compile_function
from tfp_vae.core.lazy import tf, tfp
from tfp_vae.core.seeds import Seed, fold
from tfp_vae.evaluation.diagnostics import log_mean_error
from tfp_vae.evaluation.importance import DECODED_VALUES, Progress, cut
from tfp_vae.model.vae import VAE

__all__ = ["Annealed", "Sandwich", "annealed_log_likelihood", "sandwich", "temperatures", "transitions"]

LEAPFROG_STEPS = 10
ACCEPTED = 0.65
"""The share of proposals that the step size aims at (Neal, 2011)."""

PILOT_CHAINS, EXAMPLES_AT_ONCE = 4, 50
FIRST_STEP_SIZE, FASTER, SLOWER = 0.1, 1.02, 0.98
TRANSITIONS_PER_CALL = 10_000
"""About how many transitions one compiled call makes, so that progress moves and an interrupt is heard."""


class Annealed(NamedTuple):
    """What annealing finds for each example; nats.

    log_likelihood: log of the mean weight of the chains, [N].
    error: its Monte Carlo standard error, from the chains' weights, [N].
    accepted: the share of proposals accepted, [N].
    """

    log_likelihood: np.ndarray
    error: np.ndarray
    accepted: np.ndarray


class Sandwich(NamedTuple):
    """Bounds on log p(x) of simulated examples, from chains run both ways; nats.

    x: the examples, [N, *event_shape].
    lower: in expectation at most log p(x), [N].
    upper: in expectation at least log p(x), [N].
    """

    x: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """The upper bound less the lower, [N]: in expectation at least the error of either.

        log p(x) cancels in it, so that its spread over the examples is that of the chains alone: the standard error of
        its mean covers those of both bounds' means.
        """
        return np.asarray(self.upper - self.lower)


def temperatures(steps: int, sharpness: float = 4.0) -> np.ndarray:
    """Return the inverse temperatures 0 = b_0 < ... < b_T = 1 along a sigmoid, [T + 1]: slow at both ends.

    b_t is the sigmoid of a line from -sharpness to sharpness, shifted and stretched to begin at 0 and end at 1: where b
    is near 0 a small change moves the target much.

    Args:
      steps: T, from 1 on.
      sharpness: half the length of that line; towards 0 the b_t are evenly spaced.

    References:
      Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of decoder-based generative models.
    """
    line = 1 / (1 + np.exp(-sharpness * np.linspace(-1, 1, steps + 1)))
    return np.asarray((line - line[0]) / (line[-1] - line[0]))


def annealed_log_likelihood(
    vae: VAE,
    x: Any,
    *,
    steps: int,
    chains: int = 16,
    seed: Seed,
    batch_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda transitions: None,
) -> Annealed:
    """Return a stochastic lower bound on log p(x) from annealed importance sampling, in nats.

    Chains of z begin at the prior and pass through p(z) p(x|z)^b for b from 0 to 1, a transition of Hamiltonian Monte
    Carlo (10 leapfrog steps) at each; log w = sum_t (b_t - b_{t-1}) log p(x|z_{t-1}). The mean weight is an unbiased
    estimate of p(x), so that its log is below log p(x) in expectation, and exceeds it by b nats with probability under
    exp(-b). The encoder plays no part: a bad one does no harm.

    The size of a leapfrog step is found for each temperature and example by chains of their own, which then are thrown
    away: given the sizes, the chains that count are ordinary ones, and the bound holds.

    Costs 11 gradients and a density of the decoder for each step of C + 4 chains. Biased low by about half the variance
    of log w over chains, where that is small; twice the steps about halve it, where the chains mix.

    ```python
    from tfp_vae.evaluation import annealing

    found = annealing.annealed_log_likelihood(vae, x[:2], steps=2, chains=2, seed=(0, 5), execution="graph")
    found.log_likelihood, found.error, found.accepted  # [2] each; in earnest, take hundreds of steps
    ```

    Args:
      vae: the model.
      x: examples as the likelihood takes them, [N, *event_shape].
      steps: T, the temperatures after the first.
      chains: C, for each example.
      seed: a stateless seed, two integers.
      batch_size: examples at once, part of what the seed means; by default 50, fewer of large ones.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: told of the number of transitions just made, pilot chains included; see `transitions`.

    Returns:
      `Annealed`, arrays [N].

    Raises:
      UsageError: no step, or fewer than two chains, from whose weights the error is told.

    References:
      Neal (2001), Annealed importance sampling.
      Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of decoder-based generative models.
    """
    annealer = _Annealer(vae, steps, chains, choose(vae, execution), progress)
    at_once = batch_size or _fitting_batch(vae, chains)
    parts = [annealer.below(x[start:end], fold(seed, start)) for start, end in cut(len(x), at_once)]
    return _joined(parts)


def sandwich(
    vae: VAE,
    *,
    examples: int,
    steps: int,
    chains: int = 16,
    seed: Seed,
    batch_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda transitions: None,
) -> Sandwich:
    """Return bounds from below and from above on log p(x) of examples drawn from the model itself.

    Bidirectional Monte Carlo: z ~ p(z), x ~ p(x|z) makes z an exact draw from p(z|x), from which chains run back to
    the prior; the mean of their weights' inverses is an unbiased estimate of 1 / p(x). The gap of the two bounds is in
    expectation at least the error of each, on data as the model makes them.

    Costs twice what `annealed_log_likelihood` does, but for the pilot chains. The bounds hold for examples of the
    model; of real data, to which the model may fit worse, they say nothing certain.

    Args:
      vae: the model.
      examples: N, how many to draw.
      steps: T, the temperatures after the first.
      chains: C, for each example.
      seed: a stateless seed, two integers; decides the examples too.
      batch_size: examples at once, part of what the seed means; by default 50, fewer of large ones.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: told of the number of transitions just made.

    Returns:
      `Sandwich`, N examples and their bounds.

    Raises:
      UsageError: no step, or fewer than two chains.

    References:
      Grosse, Ghahramani and Adams (2015), Sandwiching the marginal likelihood using bidirectional Monte Carlo.
    """
    annealer = _Annealer(vae, steps, chains, choose(vae, execution), progress)
    parts = []
    for start, end in cut(examples, batch_size or _fitting_batch(vae, chains)):
        x, z = _simulated(vae, end - start, fold(seed, 0, start))
        parts.append((x.numpy(), *annealer.both(x, z, fold(seed, 1, start))))
    xs, lower, upper = zip(*parts, strict=True)
    return Sandwich(np.concatenate(xs), _joined(lower).log_likelihood, np.concatenate(upper))


def transitions(examples: int, steps: int, chains: int, *, both_ways: bool = False) -> int:
    """Return how many transitions annealing makes: of the pilot chains, and of those that count.

    Args:
      examples: N.
      steps: T.
      chains: C, for each example.
      both_ways: as `sandwich` runs them, and not `annealed_log_likelihood`.
    """
    return examples * steps * (PILOT_CHAINS + chains * (2 if both_ways else 1))


def _simulated(vae: VAE, n: int, seed: Seed) -> tuple[Any, Any]:
    z = vae.prior().sample(n, seed=fold(seed, 0))
    return vae.decoder(z).sample(seed=fold(seed, 1)), z


def _fitting_batch(vae: VAE, chains: int) -> int:
    """Return how many examples are annealed at once: 50, or as many as keep the decoder's output within bounds."""
    return max(1, min(EXAMPLES_AT_ONCE, DECODED_VALUES // (4 * chains * vae.decoder.likelihood.params_size)))


def _joined(parts: Sequence[Annealed]) -> Annealed:
    return Annealed(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Path(NamedTuple):
    """The stages of a chain: at each the weight grows by gain log p(x|z), then z moves at inverse temperature beta."""

    gains: np.ndarray  # [T]
    betas: np.ndarray  # [T]
    sizes: np.ndarray  # of the leapfrog steps, [T, B]

    def reversed(self) -> _Path:
        """Return the way back, whose last move, at the prior, no weight sees."""
        back = np.append(np.arange(len(self.betas) - 2, -1, -1), 0)
        betas = np.append(self.betas[back[:-1]], 0.0)
        return _Path(self.gains[::-1], betas, self.sizes[back])


class _Chains(NamedTuple):
    """Chains on their way."""

    z: Any  # [C, B, D]
    log_w: Any  # [C, B]
    accepted: Any  # how many of their moves so far, [C, B]
    sizes: Any  # of the leapfrog steps, [T, B]


def _kept(sizes: Any, t: Any, accepted: Any) -> Any:
    del t, accepted
    return sizes


def _adapted(sizes: Any, t: Any, accepted: Any) -> Any:
    """Return the sizes with the next stage's after this one's: larger if enough of the chains were accepted.

    Multiplied by 1.02 or 0.98: the pilot chains' acceptance settles near 0.65. A chain that adapts by its own past is
    no longer a Markov chain that keeps its target, so these are thrown away.

    References:
      Neal (2011), MCMC using Hamiltonian dynamics.
    """
    enough = tf.reduce_mean(accepted, axis=0) > ACCEPTED
    following = sizes[t] * tf.where(enough, tf.cast(FASTER, sizes.dtype), SLOWER)
    return tf.tensor_scatter_nd_update(sizes, [[tf.minimum(t + 1, sizes.shape[0] - 1)]], [following])


@final
class _Annealer:
    """Runs chains for one batch after another, some stages in each compiled call."""

    def __init__(self, vae: VAE, steps: int, chains: int, execution: str, progress: Progress) -> None:
        if steps < 1 or chains < 2:
            raise UsageError(f"expected at least one annealing step and two chains, found {steps} and {chains}.")
        self._vae, self._count, self._progress = vae, chains, progress
        self._betas = temperatures(steps)
        self._pilot = compile_function(lambda *given: self._advanced(_adapted, *given), execution)
        self._advance = compile_function(lambda *given: self._advanced(_kept, *given), execution)

    def below(self, x: Any, seed: Seed) -> Annealed:
        """Return the bound from below, of examples x [B, ...]."""
        return self._below(x, self._path(x, fold(seed, 0)), fold(seed, 1))

    def both(self, x: Any, z: Any, seed: Seed) -> tuple[Annealed, np.ndarray]:
        """Return the bounds from below and above, of examples x [B, ...] with a draw z [B, D] from each p(z|x).

        The chains back share their exact start, so that their weights are not independent.
        """
        path = self._path(x, fold(seed, 0))
        starts = tf.repeat(z[tf.newaxis], self._count, axis=0)
        above = self._run(self._advance, x, starts, path.reversed(), fold(seed, 2))
        return self._below(x, path, fold(seed, 1)), -_log_mean(-_log_weights(above))

    def _below(self, x: Any, path: _Path, seed: Seed) -> Annealed:
        return _annealed(self._run(self._advance, x, self._from_prior(self._count, x, seed), path, seed))

    def _path(self, x: Any, seed: Seed) -> _Path:
        """Return the stages from prior to posterior, with step sizes that some chains of their own find."""
        z = self._from_prior(PILOT_CHAINS, x, seed)
        sizes = np.full([len(self._betas) - 1, len(x)], FIRST_STEP_SIZE)
        path = _Path(np.diff(self._betas), self._betas[1:], sizes)
        return path._replace(sizes=self._run(self._pilot, x, z, path, seed).sizes.numpy())

    def _from_prior(self, chains: int, x: Any, seed: Seed) -> Any:
        return self._vae.prior().sample([chains, len(x)], seed=fold(seed, 0))

    def _run(self, advance: Callable[..., Any], x: Any, z: Any, path: _Path, seed: Seed) -> _Chains:
        """Take the chains z [C, B, D] along the path."""
        gains, betas, sizes = (tf.constant(table, z.dtype) for table in path)
        chains = _Chains(z, tf.zeros(z.shape[:2], z.dtype), tf.zeros(z.shape[:2], z.dtype), sizes)
        width = z.shape[0] * z.shape[1]
        for first, last in cut(len(path.betas), max(1, TRANSITIONS_PER_CALL // width)):
            chains = advance(x, fold(seed, 1), gains, betas, tf.constant(first), tf.constant(last), chains)
            self._progress((last - first) * width)
        return _Chains(*chains)

    def _advanced(
        self, adapt: Callable[..., Any], x: Any, seed: Any, gains: Any, betas: Any, first: Any, last: Any, chains: Any
    ) -> Any:
        prior = self._vae.prior()

        def stage(t: Any, chains: _Chains) -> tuple[Any, _Chains]:
            log_w = chains.log_w + gains[t] * self._vae.decoder(chains.z).log_prob(x)
            z, accepted = self._moved(x, chains.z, prior, betas[t], chains.sizes[t], fold(seed, t))
            return t + 1, _Chains(z, log_w, chains.accepted + accepted, adapt(chains.sizes, t, accepted))

        return tf.while_loop(lambda t, chains: t < last, stage, (first, _Chains(*chains)), parallel_iterations=1)[1]

    def _moved(self, x: Any, z: Any, prior: Any, beta: Any, size: Any, seed: Any) -> tuple[Any, Any]:
        """Return z [C, B, D] after a transition that keeps p(z) p(x|z)^beta, and whether it was accepted, [C, B]."""

        def log_target(z: Any) -> Any:
            return prior.log_prob(z) + beta * self._vae.decoder(z).log_prob(x)

        kernel = tfp.mcmc.HamiltonianMonteCarlo(log_target, size[:, tf.newaxis], LEAPFROG_STEPS)
        z, results = kernel.one_step(z, kernel.bootstrap_results(z), seed=seed)
        return z, tf.cast(results.is_accepted, z.dtype)


def _annealed(chains: _Chains) -> Annealed:
    log_w = _log_weights(chains)
    total, total_squares = np.logaddexp.reduce(log_w, axis=0), np.logaddexp.reduce(2 * log_w, axis=0)
    return Annealed(
        log_likelihood=_log_mean(log_w),
        error=log_mean_error(np.exp(2 * total - total_squares), len(log_w)),
        accepted=chains.accepted.numpy().mean(axis=0) / chains.sizes.shape[0],
    )


def _log_weights(chains: _Chains) -> np.ndarray:
    return np.asarray(chains.log_w.numpy(), np.float64)


def _log_mean(log_w: np.ndarray) -> np.ndarray:
    """Return the log of the mean over the chains of weights [C, B]: [B]."""
    return np.asarray(np.logaddexp.reduce(log_w, axis=0) - math.log(len(log_w)))
