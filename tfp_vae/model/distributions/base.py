"""Shapes of distributions that may be partly unknown while TensorFlow traces a function."""

from __future__ import annotations

from tfp_vae.core.types import Tensor, TensorShape

__all__ = ["axis_sizes"]


def axis_sizes(known: TensorShape, dynamic: Tensor) -> list[int | Tensor]:
    """Return the size of each axis: an int if it is known, else a scalar tensor.

    Args:
      known: the static shape, of known rank.
      dynamic: the same shape as a tensor.
    """
    return [dynamic[i] if size is None else size for i, size in enumerate(known)]
