"""The examples of a command: a split of the run's own data, or a new file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.display import plural, spare_name
from tfp_vae.core.errors import UsageError
from tfp_vae.data.condition import given_context
from tfp_vae.data.dataset import SPLITS, Split
from tfp_vae.data.readers.tables import COMMAS, TextFormat
from tfp_vae.runs.examples import held_out_view, read_examples, view
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import Run

from . import console, options


class Examples(NamedTuple):
    """Examples with their indices in the split or the file, and their names."""

    split: Split
    places: np.ndarray
    origin: dict[str, Any]
    form: TextFormat = COMMAS
    """The marks in their source, if it is a table of text."""

    drawn: bool = False
    """Whether the examples are new and their values were binarized at random or have noise."""

    @property
    def name(self) -> str:
        """A name for output files. New files never get the name of a split."""
        split = self.origin["split"]
        return str(split) if split else f"data-{self._stem}"

    @property
    def _stem(self) -> str:
        return str(Path(self.origin["data"]).expanduser().resolve().stem or "data")

    @property
    def title(self) -> str:
        """The title in pictures."""
        split = self.origin["split"]
        many = plural(len(self.split), f"{split} example" if split else "example")
        return many if split else f"{many} of {self._stem}"

    def columns(self, results: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Return columns that identify each example, and then its results.

        The first columns are its index, and its source row, line, name, label and ids if known. An id column keeps its
        name in the table, with underscores if another column here has that name.

        Args:
          results: further columns, or arrays for a file of named arrays.
        """
        split = self.split
        given = {"row": split.source_rows(), "line": split.lines, "name": split.names, "label": split.y}
        known = {"example": self.places, **{key: column for key, column in given.items() if column is not None}}
        results = results or {}
        taken = known.keys() | results.keys()
        ids = {spare_name(name, taken | (split.ids.keys() - {name})): column for name, column in split.ids.items()}
        return {**known, **ids, **results}


example_options = options.options(
    options.option(
        "--data",
        group=options.DATA,
        metavar="PATH",
        type=options.DATA_PLACE,
        help="File or folder of new examples, instead of a split.",
    ),
    options.option(
        "--split",
        group=options.DATA,
        type=options.Choice(SPLITS),
        help="Split of the run's own data.  [default: test]",
    ),
    options.data_dir_option,
    options.option(
        "--max-examples",
        group=options.DATA,
        type=options.Whole(1),
        help="Use this many examples, evenly spread.  [default: all]",
    ),
)


def select_examples(
    run: Run,
    data: str | None,
    split: str | None,
    data_dir: str | None,
    max_examples: int | None = None,
    context: np.ndarray | None = None,
) -> Examples:
    """Return the requested examples, read, scaled, and binarized or dequantized like the run's own data.

    Args:
      run: the run.
      data, split, data_dir, max_examples: the values of the options.
      context: the context [C] of all examples of a conditional run. By default each has its own.
    """
    if data is not None and split is not None:
        raise UsageError("--data and --split were both given. Keep one.")
    config, split = run.config(), split or (None if data else "test")
    if split is not None:
        examples, drawn = held_out_view(config, reload(config, data_dir, console.DownloadProgress()), split), False
        examples = examples if context is None else given_context(examples, context)
    else:
        examples, drawn = view(config, read_examples(config, str(data), context))
    places = np.arange(len(examples))
    if max_examples is not None and max_examples < len(examples):
        places = np.linspace(0, len(examples) - 1, max_examples).astype(int)  # because some files are sorted by class
        examples = examples[places]
    origin, form = {"dataset": config.data.dataset, "data": data, "split": split}, config.data.form
    return Examples(examples, places, origin, examples.form if data else form, drawn)
