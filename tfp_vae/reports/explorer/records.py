"""The content of `explorer.json` of a run: examples, decodings and walks as a page shows them."""

from __future__ import annotations

from typing import Annotated, final

import pydantic

from tfp_vae.core.registry import check_keywords
from tfp_vae.runs import run as runs
from tfp_vae.runs.folder.records import Count, Line, Positive, Record
from tfp_vae.runs.run import Run

__all__ = ["Atlas", "Class", "Explorer", "Points", "Sheet", "Walked", "read_explorer", "write_explorer"]

EXPLORER = "explorer.json"
"""The file of a run."""

Numbers = list[pydantic.FiniteFloat]
Pair = Annotated[list[pydantic.FiniteFloat], pydantic.Field(min_length=2, max_length=2)]
Picture = Annotated[str, pydantic.Field(pattern=r"^data:image/png;base64,[A-Za-z0-9+/=]*$")]


@final
class Sheet(Record):
    """Examples as a page shows them: tiles of a picture, numbers of a series, or texts of a table's cells.

    sprite, width, height, columns: the picture as a URI, the size of a tile and the number of tiles in a row.
    series: the values of each example.
    cells: the texts of each example.
    """

    sprite: Picture | None = None
    width: Count = 0
    height: Count = 0
    columns: Count = 0
    series: list[Numbers] | None = None
    cells: list[list[Line]] | None = None


@final
class Class(Record):
    """A class of test examples, and its colour."""

    name: Line
    color: Annotated[str, pydantic.Field(pattern="^#[0-9A-Fa-f]{6}$")]


@final
class Points(Record):
    """Test examples: their names, the index of their class in `classes` or None, log p(x) in nats, and how they look.

    x, y: where they lie on the map, if there is one.
    """

    names: list[Line]
    labels: list[Count] | None
    log_px: list[float | None]
    sheet: Sheet
    x: Numbers
    y: Numbers


@final
class Atlas(Record):
    """Decoded examples on a grid that covers the test examples.

    heading: what the axes are.
    axes: the names of the two axes.
    low, high: the places of the outermost decodings along the two axes.
    rows, columns: the size of the grid. The first example belongs to the lowest corner, and columns come first.
    sheet: the decoded examples.
    """

    heading: Line
    axes: Annotated[list[Line], pydantic.Field(min_length=2, max_length=2)]
    low: Pair
    high: Pair
    rows: Positive
    columns: Positive
    sheet: Sheet


@final
class Walked(Record):
    """Decoded examples along dimensions of z: the name of each walk, the quantile and the value of z at each step."""

    names: list[Line]
    levels: list[Line]
    z: list[Numbers]
    sheet: Sheet


@final
class Explorer(Record):
    """What a report can explore.

    about: the weights and the seed.
    split: the test examples and the importance samples for log p(x), in words.
    note: what decodings have in common, or empty.
    features: the names of the cells.
    classes: the classes of the examples.
    points: test examples.
    map: decoded examples around them. None if z is discrete.
    walks: decoded examples along dimensions, from three of them on.
    """

    about: Line
    split: Line
    note: Line
    features: list[Line]
    classes: list[Class]
    points: Points
    map: Atlas | None
    walks: Walked | None


@check_keywords
def write_explorer(run: Run, explorer: Explorer) -> None:
    """Write what a report can explore into a run.

    Raises:
      DiskError: the write failed. The old file is unchanged.
    """
    run.write(EXPLORER, explorer.model_dump())


@check_keywords
def read_explorer(run: Run) -> Explorer | None:
    """Return what the report of a run can explore. None if there is no such file, or one older than the checkpoint.

    Raises:
      RunError: the file is damaged.
    """
    path, checkpoint = run.path(EXPLORER), run.path(runs.CHECKPOINT)
    if checkpoint.exists() and path.exists() and path.stat().st_mtime < checkpoint.stat().st_mtime:
        return None
    return run.files.read_record(EXPLORER, Explorer, "Delete the file, and write the report again.")
