"""The seed of dropout: a context that turns dropout layers on, for a training step."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Seed

__all__ = ["DROPPING", "dropping"]

DROPPING: contextvars.ContextVar[Seed | None] = contextvars.ContextVar("dropping", default=None)
"""The seed of the current context, or None if dropout layers are off."""


@check_keywords
@contextlib.contextmanager
def dropping(seed: Seed) -> Iterator[None]:
    """Turn dropout layers on within this block, with random masks from `seed`.

    Elsewhere, dropout layers return their input. Training opens this context in each step, with a seed of that step.
    Validation and evaluation do not, so they use all units. It is a context and not an argument because dropout layers
    may be deep inside a network of any type.

    Args:
      seed: a stateless seed, two integers. Within one block, calling a network twice drops the same units.
    """
    token = DROPPING.set(seed)
    try:
        yield
    finally:
        DROPPING.reset(token)
