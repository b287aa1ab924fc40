"""The interface of variational families over z."""

from __future__ import annotations

import abc
from typing import ClassVar, final

from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import from_each
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.model.latent import Capabilities, Latent

__all__ = ["SCALE_FLOOR", "NormalNoisePosterior", "Posterior"]

SCALE_FLOOR = 1e-4
"""Smallest scale of the Normals in q(z|x)."""


@check_keywords
class Posterior(abc.ABC):
    """A variational family: a value that turns an encoder's output into q(z|x).

    A new family is a frozen dataclass with `params_size` and `__call__`, and an entry in `POSTERIORS`. Settings outside
    their limits raise `UsageError`, which is a ValueError.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    """Properties of q(z|x). A family that is reparameterized has to declare it."""

    latent_dim: int

    @property
    def latent(self) -> Latent:
        """The space of z, R^D."""
        return Latent.vector(self.latent_dim)

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """P, the number of values that the encoder's network returns for each example."""

    @property
    def learned(self) -> tuple[object, ...]:
        """Modules and variables that the family learns in addition to the network.

        They are created once and belong to this value. Encoders that are given the same value therefore share them. To
        learn separate weights, give each encoder a value of its own.
        """
        return ()

    @abc.abstractmethod
    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, P]."""

    def mean(self, params: Array, *, seed: Seed) -> Tensor:
        """Return E_q[z|x], [B, D], in closed form or as an average of samples.

        Args:
          params: output of the encoder's network, [B, P].
          seed: a stateless seed, two integers. Families with a closed-form mean ignore it.
        """
        del seed
        return self(params).mean()

    def typical(self, params: Array, *, seed: Seed) -> Tensor:
        """Return one z for each example that reconstructions decode, [B, D]: E_q[z|x], or a discrete z.

        Args:
          params: output of the encoder's network, [B, P].
          seed: as for `mean`.
        """
        return self.mean(params, seed=seed)

    def draw_each(self, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor]:
        """Return n samples of z for each example, [n, B, D], and their log q(z|x), [n, B].

        Each example has its own seed, so its samples do not depend on the rest of its batch. Evaluation uses this
        method because its results must not depend on the batch size.

        This version visits one example at a time, so it works for every family. `NormalNoisePosterior` samples all
        examples at once.

        Args:
          params: output of the encoder's network, [B, P].
          n: number of samples per example.
          seeds: one stateless seed per example, [B, 2].
        """

        def draw_one(example: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            row, seed = example
            q = self(row[tf.newaxis])
            z = q.sample(n, seed=seed)  # [n, 1, D]
            return z[:, 0], q.log_prob(z)[:, 0]

        z, log_q = tf.map_fn(draw_one, (params, seeds), fn_output_signature=(params.dtype, params.dtype))
        return tf.transpose(z, [1, 0, 2]), tf.transpose(log_q)


@check_keywords
class NormalNoisePosterior(Posterior):
    """A family whose only random numbers are the noise of a multivariate Normal from `model.distributions.normals`.

    Such a family samples all examples in one call, because `noise.from_each` gives every example noise from its own
    seed. A family with other random numbers, for example a choice of component, must subclass `Posterior`.
    """

    @final
    def draw_each(self, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor]:
        """Return the same samples and densities as `Posterior.draw_each`, for all examples at once."""
        return draw_at_once(self, params, n, seeds)


def draw_at_once(posterior: Posterior, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor]:
    """Return samples and densities as `Posterior.draw_each`, if all random numbers come from `core.noise`."""
    with from_each(seeds):
        q = posterior(params)
        z = q.sample(n, seed=(0, 0))
        return z, q.log_prob(z)
