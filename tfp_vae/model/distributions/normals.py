"""Multivariate Normals as TFP has them, but for their noise, which is drawn as fast as the rest of a step is taken.

TFP's own draw by its generators, of which XLA on a CPU vectorizes none; these ask `noise`, which knows how it is run.
As they are subclasses, TFP's closed-form KL between multivariate Normals is found for them too; densities are TFP's
unchanged.
"""

from __future__ import annotations

from typing import Any, final

from tfp_vae.core.lazy import tfd
from tfp_vae.core.noise import standard_normal

__all__ = ["MultivariateNormalDiag", "MultivariateNormalLinearOperator", "MultivariateNormalTriL"]


@final
class _Noise(tfd.Sample):
    """D independent N(0, 1), batch [...], event [D], drawn by `noise.standard_normal`.

    Sampling and density are asked for together by `sample_and_log_prob`, of which TFP's `Sample` has a version that
    draws by its own generator; here it draws by ours.
    """

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        sizes = (
            *_sizes(self.batch_shape, self.batch_shape_tensor()),
            *_sizes(self.event_shape, self.event_shape_tensor()),
        )
        return standard_normal([n, *sizes], seed, self.dtype)

    def _sample_and_log_prob(self, sample_shape: Any, seed: Any, **kwargs: Any) -> tuple[Any, Any]:
        z = self.sample(sample_shape, seed=seed, **kwargs)
        return z, self.log_prob(z)


def _sizes(known: Any, dynamic: Any) -> list[Any]:
    """Return the sizes of axes, as numbers where they are known."""
    return [dynamic[i] if size is None else size for i, size in enumerate(known)]


def _drawn_fast(base: Any) -> Any:
    return _Noise(base.distribution, base.sample_shape)


@final
class MultivariateNormalDiag(tfd.MultivariateNormalDiag):
    """N(loc, diag(scale^2)): see `tfd.MultivariateNormalDiag`."""

    @property
    def distribution(self) -> Any:
        """The standard Normals that are scaled and shifted."""
        return _drawn_fast(super().distribution)


@final
class MultivariateNormalTriL(tfd.MultivariateNormalTriL):
    """N(loc, L L^T), L lower triangular: see `tfd.MultivariateNormalTriL`."""

    @property
    def distribution(self) -> Any:
        """The standard Normals that L takes to z - loc."""
        return _drawn_fast(super().distribution)


@final
class MultivariateNormalLinearOperator(tfd.MultivariateNormalLinearOperator):
    """N(loc, A A^T), A a linear operator: see `tfd.MultivariateNormalLinearOperator`."""

    @property
    def distribution(self) -> Any:
        """The standard Normals that A takes to z - loc."""
        return _drawn_fast(super().distribution)
