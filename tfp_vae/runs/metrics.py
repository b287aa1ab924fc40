"""The metrics of a run: one line of JSON per epoch, each with its checksum.

The checkpoint after an epoch writes its line. `parsed` refuses a file with a missing or changed line.
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
    """The mean metrics of one epoch, in nats per example."""

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
    """Return the content of the file.

    Args:
      lines: the metrics of epochs 1, 2, and so on.
    """
    return "".join(f"{storage.json_text(storage.seal(line))}\n" for line in lines)


def parsed(content: str) -> list[dict[str, Any]]:
    """Return the lines of a file's text, for epochs 1, 2, and so on.

    Raises:
      ValueError: a line is out of order, is not a JSON object, or has a wrong checksum, wrong keys or wrong values.
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
