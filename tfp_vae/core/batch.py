"""A batch: the values of some examples, their observed cells and their context."""

from __future__ import annotations

from typing import NamedTuple

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array

__all__ = ["Batch", "as_batch", "plain_values"]


@check_keywords
class Batch(NamedTuple):
    """B examples: values, which of them were observed, and conditioning variables.

    x: values, [B, *event_shape].
    observed: bool, [B, *event_shape], true where a cell was observed. None if every cell was.
    context: conditioning variables, [B, C]. None if the model does not condition on any.
    """

    x: Array
    observed: Array | None = None
    context: Array | None = None


def as_batch(x: Batch | Array) -> Batch:
    """Return x itself if it is a batch, else a batch of fully observed values x [B, *event_shape]."""
    return x if isinstance(x, Batch) else Batch(x)


def plain_values(batch: Batch, what: str) -> Array:
    """Return the values of a batch for a part of the model that supports neither missing cells nor context.

    Args:
      batch: the examples.
      what: the part's name, for the error.

    Raises:
      UsageError: the batch has missing cells or context.
    """
    for name in ("observed", "context"):
        if getattr(batch, name) is not None:
            raise UsageError(f"{what} does not support `{name}`. Pass a batch without it.")
    return batch.x
