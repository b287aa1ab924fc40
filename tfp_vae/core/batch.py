"""A batch: the values of some examples, their observed cells and their context."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor

__all__ = ["Batch", "as_batch", "batch_rows", "batch_values", "check_context", "has_class", "map_batch", "plain_values"]

NO_NUMBERS = frozenset("OSUMm")
"""NumPy's letters for types of objects, texts and times."""


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
    if isinstance(x, Batch):
        return x
    is_nested = isinstance(x, list | tuple) or hasattr(x, "to_numpy")  # numbers in lists, or in a DataFrame
    return Batch(np.asarray(x) if is_nested else x)


def map_batch(function: Callable[[Array], Array], batch: Batch) -> Batch:
    """Return a batch with a function applied to each of its parts that is there."""
    return Batch(*(None if part is None else function(part) for part in batch))


def batch_rows(batch: Batch, rows: slice | np.ndarray) -> Batch:
    """Return some of the examples of a batch. Any NumPy index of the first axis selects them."""
    return map_batch(lambda part: part[rows], batch)


def check_context(context: Array | None, size: int, what: str, count: int | None = None) -> Array | None:
    """Return the context of examples, float32, or None for a model without one: [B, C] if B is known.

    Args:
      context: the conditioning variables: [B, C], or [C] if they are the same for all examples.
      size: C, the number of values that the model takes. 0 if it takes none.
      what: the name of the part, for the error.
      count: B, if it is known. One context for all examples is then repeated.

    Raises:
      UsageError: the model takes no context, or it needs one.
      DataError: the context has another shape, or values that are not finite.
    """
    if not size:
        if context is not None:
            raise UsageError(f"{what} does not support `context`. Pass a batch without it.")
        return None
    if context is None:
        raise UsageError(
            f"{what} needs the context of a conditional model, {size} numbers for each example. Pass "
            "`Batch(x, context=y)`, or condition the model first with `vae.given(y)`."
        )
    if tf.is_symbolic_tensor(context):
        return context
    try:
        values = np.asarray(context, np.float32)
    except (TypeError, ValueError):
        raise DataError(
            subject="context", expected="numbers", found=f"other values in a {type(context).__name__}"
        ) from None
    shapes = [(size,)] if count is None else [(count, size), (size,)]
    if values.shape not in shapes and not (count is None and values.ndim == 2 and values.shape[1] == size):
        wanted = f"({'B' if count is None else count}, {size})"
        raise DataError(f"`context` must have the shape {wanted}, found {values.shape}.")
    if not np.isfinite(values).all():
        raise DataError(
            "`context` must be finite, but values are missing or infinite. Fill them in, or drop those rows."
        )
    return values if count is None or values.ndim == 2 else np.broadcast_to(values, (count, size))


def plain_values(batch: Batch, what: str) -> Array:
    """Return the values of a batch for a part of the model that supports neither missing cells nor context.

    Args:
      batch: the examples.
      what: the part's name, for the error.

    Raises:
      UsageError: the batch has missing cells or context, or its values are not an array.
      DataError: the values are not numbers.
    """
    for name in ("observed", "context"):
        if getattr(batch, name) is not None:
            raise UsageError(f"{what} does not support `{name}`. Pass a batch without it.")
    check_array(batch.x)
    return batch.x


def check_array(x: object) -> None:
    """Raise an error if x is not an array, a tensor or a list of numbers.

    Raises:
      UsageError: x is something else, such as a data set.
      DataError: the values are not numbers.
    """
    if isinstance(getattr(x, "dtype", None), tf.DType):
        return
    name = "None" if x is None else type(x).__name__
    if not hasattr(x, "__array__") and not isinstance(x, list | tuple):
        remedy = "For a data set, pass the values of a split, such as `data.test.x`."
        raise UsageError(subject="x", expected="an array of examples", found=name, remedy=remedy)
    if np.asarray(x).dtype.kind in NO_NUMBERS:
        remedy = "Load a table with words with `tv.data.load`, and pass the values of a split."
        raise DataError(subject="x", expected="numbers", found=f"other values in the {name}", remedy=remedy)


def batch_values(batch: Batch, what: str, *, missing: bool) -> Array:
    """Return the values of a batch, with NaN in place of each cell that was not observed.

    The value of such a cell is dropped here, so it cannot influence a result. NaN in x is a missing cell, too.

    Args:
      batch: the examples.
      what: the name of the part, for the error.
      missing: whether the part supports missing cells.

    Raises:
      UsageError: the batch has context, or missing cells that the part does not support, its values are not an array,
        or the mask is not of type bool.
      DataError: the values are not numbers, or the mask has another shape.
    """
    if batch.observed is None or not missing:
        return plain_values(batch, what)
    x, observed = plain_values(batch._replace(observed=None), what), batch.observed
    observed = observed if tf.is_tensor(observed) else np.asarray(observed)
    if tf.as_dtype(observed.dtype) != tf.bool:
        raise UsageError(f"`observed` must have the type bool, found {tf.as_dtype(observed.dtype).name}.")
    if tf.is_symbolic_tensor(x) or tf.is_symbolic_tensor(observed):
        return tf.where(observed, x, tf.constant(np.nan, x.dtype))
    x, observed = np.asarray(x), np.asarray(observed)
    if x.shape != observed.shape:
        raise DataError(f"`observed` must have the shape {x.shape} of the values, found {observed.shape}.")
    return np.where(observed, x, np.asarray(np.nan, x.dtype if x.dtype.kind == "f" else np.float32))


@check_keywords
def has_class(context: Array) -> Tensor:
    """Return whether y is known, bool [B], for contexts [B, C]. Zeros mean that it is unknown."""
    return tf.reduce_any(tf.not_equal(context, 0), axis=-1)
