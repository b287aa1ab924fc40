"""The input of a network of x: its values, their logarithms, or the features of a table's columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tfp_vae.core.batch import Batch, as_batch, batch_values
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.likelihoods import Columns

__all__ = ["ENCODER_INPUTS", "Input", "check_input", "network_input"]

Input: TypeAlias = str | Columns
"""A name from `ENCODER_INPUTS`, or the likelihood of a table, whose `features` a network then takes."""

ENCODER_INPUTS: dict[str, Callable[[Array], Array]] = {
    "values": lambda x: x,
    "log1p": lambda x: tf.math.log1p(tf.nn.relu(x)),
}
"""Inputs of an encoder's network: the values of x, or log(1 + x) for counts, which can be very large."""


@check_keywords
def check_input(sees: Input) -> Input:
    """Return the input of a network, or raise UsageError if it is unknown."""
    if not isinstance(sees, Columns) and sees not in ENCODER_INPUTS:
        raise UsageError(f"sees: expected one of {', '.join(ENCODER_INPUTS)}, or `Columns`, found {sees!r}.")
    return sees


@check_keywords
def network_input(x: Batch | Array, sees: Input, what: str) -> Tensor:
    """Return what a network takes for examples x, [B, ...].

    Args:
      x: [B, *event_shape], or a batch without context.
      sees: the network's input.
      what: the part of the model that uses the network, for the message.

    Raises:
      UsageError: the batch has missing cells, but the network does not see `Columns`.
    """
    values = batch_values(as_batch(x), what, missing=isinstance(sees, Columns))
    return sees.features(values) if isinstance(sees, Columns) else ENCODER_INPUTS[sees](values)
