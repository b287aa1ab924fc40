"""The metrics of a run: a line of JSON for each epoch, each under its checksum.

A line is written whole, by the checkpoint that knows of its epoch; `parsed` refuses a file in which one is missing or
changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import pydantic

from tfp_vae.core import files as storage

__all__ = ["parsed", "text"]


_Finite = Annotated[float, pydantic.Field(allow_inf_nan=False)]


class _Line(pydantic.BaseModel):
    """A line: one epoch's means, in nats per example."""

    model_config = pydantic.ConfigDict(extra="forbid")
    epoch: pydantic.PositiveInt
    step: pydantic.PositiveInt
    elbo: _Finite
    distortion: _Finite
    rate: _Finite
    validation_elbo: float
    validation_distortion: float
    validation_rate: float
    learning_rate: _Finite
    seconds: _Finite


def text(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the file's text.

    Args:
      lines: epochs 1, 2, and so on.
    """
    return "".join(f"{storage.json_text(storage.seal(line))}\n" for line in lines)


def parsed(content: str) -> list[dict[str, Any]]:
    """Return the lines of a file's text, epochs 1, 2, and so on.

    Raises:
      ValueError: a line that is no object of JSON, whose checksum, keys or values are wrong, or that is out of order.
    """
    lines = [_parsed_line(line) for line in content.splitlines()]
    if [line["epoch"] for line in lines] != list(range(1, len(lines) + 1)):
        raise ValueError("the epochs are not 1, 2, and so on")
    return lines


def _parsed_line(line: str) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(f"a line is not a JSON object but {type(value).__name__}")
    return _Line.model_validate(storage.restore_non_finite(storage.unseal(value))).model_dump()
