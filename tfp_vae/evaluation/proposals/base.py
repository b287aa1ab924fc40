"""The interface of refinements: proposals for importance sampling that are fitted to each example.

The encoder returns q(z|x) in one pass, so for some examples it is far from p(z|x). A `Refinement` spends more time on
each example. A proposal is fitted first and sampled afterwards with other seeds, so the mean weight stays an unbiased
estimate of p(x). No weight of the model changes.

References:
  Cremer, Li and Duvenaud (2018), Inference suboptimality in variational autoencoders.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeAlias, final

import numpy as np

from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import ThreefryGenerator
from tfp_vae.core.registry import check_keywords, record
from tfp_vae.core.types import Array, DType, Seed, Tensor
from tfp_vae.model.latent import NO_DENSITY

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["EncoderPosterior", "Joint", "Proposal", "Refinement", "even_uniform", "in_chunks", "require_density"]

Proposal: TypeAlias = "tuple[Tensor, ...]"
"""A fitted proposal: tensors whose first axis is the batch."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""The multiples of this number, modulo 1, are spread evenly over [0, 1)."""

OTHER_KEY = 0x5BF03635
"""Separates the seed that chooses components from the seed of the noise."""


def in_chunks(function: Callable[[Tensor], tuple[Tensor, Tensor]], z: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Return function(z) for z [S, B, D], computed for `chunk` samples at a time.

    Args:
      function: returns two tensors of the type of z, [S, B, ...], in which a sample does not affect the others.
      z: the samples.
      chunk: samples at once, which saves memory and changes rounding only.
    """
    count = z.shape[0]
    chunks = math.ceil(count / chunk)
    padded = tf.pad(z, [[0, chunks * chunk - count], [0, 0], [0, 0]])
    pieces = tf.reshape(padded, [chunks, chunk, *z.shape[1:]])
    first, second = (
        tf.reshape(part, [chunks * chunk, *part.shape[2:]])[:count]
        for part in tf.map_fn(
            tf.autograph.experimental.do_not_convert(function), pieces, fn_output_signature=(z.dtype, z.dtype)
        )
    )
    return first, second


def require_density(vae: VAE) -> None:
    """Raise UsageError if the posterior of a model has no density, so importance weights are not defined."""
    if vae.encoder.posterior.capabilities.implicit:
        raise UsageError(NO_DENSITY)


def even_uniform(n: int, seeds: Tensor, dtype: DType) -> Tensor:
    """Return n numbers for each of seeds [B, 2], spread evenly over [0, 1) from a random start, [n, B].

    Each number alone is uniform. They choose the components of mixtures, where they vary less than independent ones.
    """
    start = ThreefryGenerator().uniform([1], tf.bitwise.bitwise_xor(seeds, OTHER_KEY), dtype)[:, 0]
    spread = tf.constant((np.arange(n) * GOLDEN) % 1, dtype)
    return tf.math.floormod(start + spread[:, tf.newaxis], 1)


@final
@check_keywords
class Joint:
    """log p(x, z) of a batch of examples as a function of z, in nats.

    Args:
      vae: the model.
      x: the examples, [B, *event_shape] of any type, or a batch of them with their context.
      chunk: samples of each example decoded at once.
      rows: fewest values of z that are decoded at once. If the samples are fewer, zeros are added.
    """

    def __init__(self, vae: VAE, x: Array | Batch, chunk: int, rows: int = 1) -> None:
        self.vae, values = vae.condition(x)
        self._prior, self._chunk, self._rows = self.vae.prior(), chunk, rows
        self._x = tf.cast(values, self._prior.dtype)

    def _log_px(self, z: Tensor) -> Tensor:
        """Return log p(x|z). A bijector may cache values of x, which must not leave the loop that computes them."""
        return self.vae.decoder(z).log_prob(tf.identity(self._x))

    def _chunk_of(self, samples: int) -> int:
        """Return how many of the samples are decoded at once."""
        return max(min(self._chunk, samples), math.ceil(self._rows / int(self._x.shape[0])))

    def terms(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(x|z) and log p(z), [S, B] each, for z [S, B, D]."""
        return in_chunks(lambda z: (self._log_px(z), self._prior.log_prob(z)), z, self._chunk_of(z.shape[0]))

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(x|z) + log p(z), [S, B], for z [S, B, D]."""
        log_px, log_pz = self.terms(z)
        return log_px + log_pz

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(x, z), [S, B], and its gradient with respect to z, [S, B, D]."""

        def differentiate(z: Tensor) -> tuple[Tensor, Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(z)
                value = self._log_px(z) + self._prior.log_prob(z)
            return value, tape.gradient(value, z)

        chunk = self._chunk_of(z.shape[0])
        return differentiate(z) if chunk == z.shape[0] else in_chunks(differentiate, z, chunk)

    def bend(self, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return minus the product of the Hessian of log p(x, z) with v, for z and v [S, B, D], and log p(x, z).

        Raises:
          LookupError: a part of the model has no second derivative.
        """
        with tf.GradientTape() as outer:
            outer.watch(z)
            with tf.GradientTape() as inner:
                inner.watch(z)
                value = self._log_px(z) + self._prior.log_prob(z)
            along = tf.reduce_sum(inner.gradient(value, z) * v)
        return -outer.gradient(along, z, unconnected_gradients="zero"), value

    def curvature(self, z: Tensor) -> Tensor:
        """Return minus the Hessian of log p(x, z) in z, [S, B, D, D], for z [S, B, D].

        Raises:
          LookupError: a part of the model has no second derivative.
        """
        samples, batch, size = z.shape
        axes = tf.tile(tf.eye(size, dtype=z.dtype)[:, tf.newaxis], [samples, batch, 1])  # [S D, B, D]
        pairs = tf.concat([tf.repeat(z, size, axis=0), axes], axis=-1)
        products, _ = in_chunks(
            lambda pair: self.bend(*tf.split(pair, 2, axis=-1)), pairs, self._chunk_of(samples * size)
        )
        return tf.transpose(tf.reshape(products, [samples, size, batch, size]), [0, 2, 1, 3])


@check_keywords
class Refinement(abc.ABC):
    """A way to fit a proposal to each example, from what the encoder returns for it.

    A new one is a frozen dataclass with `fit` and `draw_each`, and an entry in `REFINEMENTS`. Both methods run in
    compiled functions. The proposal of an example depends only on the example, the seed and its place, not on the rest
    of its batch.

    within_family: whether the proposal is a member of the posterior's own family, so that its ELBO splits the gap
      between log p(x) and the encoder's ELBO, see `evaluation.gaps`.
    """

    within_family: ClassVar[bool] = False

    @property
    def effort(self) -> str:
        """The work for each example in a few words, such as `50 steps`, or nothing."""
        return ""

    @property
    def pilot_samples(self) -> int:
        """The number of samples of the encoder's q(z|x) that decide which examples are refined. 0 refines all."""
        return 0

    def is_needed(self, reach: np.ndarray, iw_samples: int) -> np.ndarray:
        """Return whether to refine each example, bool [N], given the pilot's intervals.

        Args:
          reach: the distance from the pilot's estimate to the farther end of its interval, in nats, [N]. NaN if it is
            unknown.
          iw_samples: K.
        """
        del iw_samples
        return np.ones(len(reach), bool)

    @property
    def sampler(self) -> Refinement:
        """The refinement whose `draw_each` takes the samples. Equal samplers are compiled once."""
        return self

    @property
    def passes(self) -> int:
        """The approximate number of passes of the decoder that a sample takes, which limits the samples in one call."""
        return 1

    def check(self, vae: VAE) -> None:
        """Raise an error if this refinement cannot work with the families of a model.

        Raises:
          UsageError: a family lacks something that this refinement needs.
        """
        del vae

    @abc.abstractmethod
    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return the proposals of a batch.

        Args:
          joint: log p(x, z) of the examples.
          params: parameters of the encoder's q(z|x), [B, P].
          seed: a stateless seed, of fitting alone.
          places: select the random numbers of each example, [B].
        """

    @abc.abstractmethod
    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return n samples of z for each example, [n, B, D], and their log-densities under the proposal, [n, B].

        Args:
          joint: log p(x, z) of the examples.
          proposal: from `fit`.
          n: number of samples per example.
          seeds: one stateless seed per example, [B, 2].
        """


@final
@record
class EncoderPosterior(Refinement):
    """The encoder's own q(z|x), without any refinement."""

    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return the parameters of q(z|x) as they are."""
        del joint, seed, places
        return (params,)

    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples of q(z|x) and their densities, see `Posterior.draw_each`."""
        (params,) = proposal
        return joint.vae.encoder.posterior.draw_each(params, n, seeds)
