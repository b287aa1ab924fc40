"""The metrics of the epochs of a run: a line of JSON with a checksum for each.

The checkpoint holds the same lines, and the file is written together with it. `parse` refuses a text in which a line
is missing or changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, final

import pydantic

from tfp_vae.core import files as storage
from tfp_vae.runs.folder.records import Positive, Record

__all__ = ["parse", "text"]


@final
class _Line(Record):
    """A line: the means of one epoch, in nats per example."""

    epoch: Positive
    step: Positive
    elbo: pydantic.FiniteFloat
    distortion: pydantic.FiniteFloat
    rate: pydantic.FiniteFloat
    validation_elbo: float
    validation_distortion: float
    validation_rate: float
    validation_bound: float
    learning_rate: pydantic.FiniteFloat
    seconds: pydantic.FiniteFloat


def text(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of the file. A value that is not finite becomes null, with the reason under a second key.

    Args:
      lines: the metrics of epochs 1, 2, and so on.
    """
    return "".join(f"{storage.json_text(storage.seal(line))}\n" for line in lines)


def parse(content: str) -> list[dict[str, Any]]:
    """Return the metrics of epochs 1, 2, and so on. It is the inverse of `text`.

    Raises:
      ValueError: a line is not a JSON object, is out of order, or has a wrong checksum, key or value.
    """
    values = [json.loads(line) for line in content.splitlines()]
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise ValueError(f"line {number} is not a JSON object")
    lines = [_Line.model_validate(storage.unseal(value)).model_dump() for value in values]
    if [line["epoch"] for line in lines] != list(range(1, len(lines) + 1)):
        raise ValueError("the epochs are not in order")
    return lines
