"""`python -m benchmarks.mixed.synthetic`: train on half of Adult, draw synthetic rows, and learn from them.

The synthetic rows come from `tfp-vae train` and `tfp-vae sample`, as users call them. The results of each seed are kept
in a file, so an interrupted run goes on from there.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, final

import click
import numpy as np
from pandas import DataFrame, read_csv
from pandas.api.types import is_numeric_dtype

from benchmarks.commands import PROGRAM, run_command
from benchmarks.document import Estimate, markdown_table, write_between
from benchmarks.harness import ROOT
from benchmarks.mixed import utility
from benchmarks.mixed.tables import read
from benchmarks.options import data_dir_option, document_option, out_option, selection_option
from tfp_vae.core.files import write_bytes
from tfp_vae.runs.tables.fidelity import compare_rows, share_of_copies

__all__ = ["BEGIN", "END", "Halves", "Made", "markdown", "measure", "summarize", "synthesize"]

BEGIN, END = "<!-- synthetic rows -->\n", "<!-- end of synthetic rows -->\n"

HALVES = 20
"""The seed of the halves, which all seeds of training share. `RECIPES` were chosen on the training half alone."""

NEARLY_UNIQUE = "3-pos"
"""The weight of a row in the census. Rows that differ only in it look like copies to a reader."""

SPLITS = "0.9,0.1,0"
"""The shares of training rows, validation rows and test rows of the training half."""

RECIPES = {
    "defaults": "",
    "warm-up": "--kl-warmup-epochs 20 --lr-schedule cosine --epochs 60",
    "tighter bound": "--objective iwae:mc_samples=5 --hidden 256,256 --lr-schedule cosine --epochs 60",
}
"""The options of `tfp-vae train` by name, chosen on held-out rows of the training half."""


@final
class Halves(NamedTuple):
    """A table in two random halves.

    train: the rows for training. The model and the classifiers on real rows get all of them.
    test: the other rows.
    """

    train: DataFrame
    test: DataFrame

    @classmethod
    def of(cls, folder: Path) -> Halves:
        """Return the halves of Adult, with whole numbers as such.

        Args:
          folder: a folder with a subfolder `adult`.
        """
        table = read(folder, "adult")
        rows = table.frame(table.values)
        whole = {name: "int64" for name in rows if is_numeric_dtype(rows[name]) and not (rows[name] % 1).any()}
        order = np.random.default_rng(HALVES).permutation(len(rows))
        parts = np.split(order, [len(rows) // 2])
        return cls(*(rows.astype(whole).iloc[part].reset_index(drop=True) for part in parts))


@final
class Made(NamedTuple):
    """Synthetic rows, with the CPU time of training and of sampling in seconds."""

    rows: DataFrame
    train_seconds: float
    sample_seconds: float


def synthesize(real: DataFrame, options: Sequence[str], seed: int) -> Made:
    """Return as many synthetic rows as real ones, from the commands.

    Args:
      real: the rows for training. The command holds out a tenth of them for validation, and none for tests.
      options: more options of `tfp-vae train`.
      seed: of training and of sampling.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, run, out = (str(folder / part) for part in ("real.csv", "run", "synthetic.csv"))
        real.to_csv(data, index=False)
        train = ("train", "--dataset", data, "--run-dir", run, "--split-fractions", SPLITS, "--no-plots", *options)
        sample = ("sample", "--run", run, "--n", str(len(real)), "--out", out)
        used = [run_command((*PROGRAM, *command, "--seed", str(seed))) for command in (train, sample)]
        return Made(read_csv(out).astype(real.dtypes), *(each.cpu_seconds for each in used))


def measure(halves: Halves, options: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the results of one seed: the usefulness of the rows, how they differ from real ones, copies and times.

    Args:
      halves: the table.
      options, seed: see `synthesize`.
    """
    made = synthesize(halves.train, options, seed)
    tables = halves.train, made.rows, halves.test
    codes = [encode(rows, halves.train) for rows in (made.rows, *halves)]
    words = np.array([not is_numeric_dtype(halves.train[name]) for name in halves.train])
    found = compare_rows(*codes, words=words, seed=seed)
    others = [np.delete(rows, halves.train.columns.get_loc(NEARLY_UNIQUE), axis=1) for rows in codes]
    return {
        "targets": {
            target: {name: utility.compare(*tables, rule, name, seed)._asdict() for name in utility.CLASSIFIERS}
            for target, rule in utility.TARGETS.items()
        },
        "copies": {
            "all columns": [found.copies, found.real_copies],
            f"without column {NEARLY_UNIQUE}": [share_of_copies(rows, others[1]) for rows in (others[0], others[2])],
        },
        "auroc": found.auroc,
        "cpu_seconds": {"train": made.train_seconds, "sample": made.sample_seconds},
    }


def encode(rows: DataFrame, like: DataFrame) -> np.ndarray:
    """Return rows as numbers [N, C], with the index of each word among the words of another table."""
    return np.stack(
        [
            rows[name].to_numpy(np.float64)
            if is_numeric_dtype(like[name])
            else code_words(rows[name].to_numpy(object), sorted(like[name].dropna().unique()))
            for name in like
        ],
        axis=1,
    )


def code_words(cells: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Return the index of each word [N], and NaN for a missing cell."""
    places = {word: float(place) for place, word in enumerate(words)}
    return np.array([places.get(cell, math.nan) for cell in cells])


Seeds: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The results of `measure` by seed."""


def summarize(results: Seeds, target: str, classifier: str) -> tuple[utility.Usefulness, float]:
    """Return the mean usefulness over the seeds, and the spread of its loss.

    The error combines that over the test rows, which all seeds share, with that of the mean over the seeds.
    """
    rows = [utility.Usefulness(**found["targets"][target][classifier]) for found in results.values()]
    spread = float(np.std([row.loss for row in rows], ddof=1)) if len(rows) > 1 else 0.0
    variance = np.mean([row.error**2 for row in rows]) + spread**2 / len(rows)
    real, synthetic = (float(np.mean(column)) for column in list(zip(*rows, strict=True))[:2])
    return utility.Usefulness(real, synthetic, math.sqrt(variance)), spread


def auroc_table(results: Seeds) -> str:
    """Return the AUROC of the classifiers in points."""
    rows = []
    for target, by_name in next(iter(results.values()))["targets"].items():
        for i, name in enumerate(by_name):
            mean, spread = summarize(results, target, name)
            values = f"{100 * mean.real:.1f}", f"{100 * mean.synthetic:.1f}"
            loss = Estimate(100 * mean.loss, 100 * mean.error).text(1)
            rows.append(["" if i else target, name, *values, loss, f"{100 * spread:.1f}" if len(results) > 1 else ""])
    return markdown_table(["target", "classifier", "real rows", "synthetic rows", "loss", "spread over seeds"], rows)


def difference_table(results: Mapping[str, Seeds]) -> str:
    """Return for each recipe the shares of copies, the AUROC against real rows, and the CPU time."""

    def mean(seeds: Seeds, *keys: str | int) -> float:
        values: list[Any] = list(seeds.values())
        for key in keys:
            values = [value[key] for value in values]
        return float(np.mean(values))

    places = list(next(iter(next(iter(results.values())).values()))["copies"])
    pairs = [(name, place) for name in places for place in (0, 1)]
    rows = [
        [
            recipe,
            str(len(seeds)),
            *(f"{100 * mean(seeds, 'copies', name, place):.2f}%" for name, place in pairs),
            f"{mean(seeds, 'auroc'):.2f}",
            *(f"{mean(seeds, 'cpu_seconds', name):.0f}" for name in ("train", "sample")),
        ]
        for recipe, seeds in results.items()
    ]
    copies = [f"{('copies', 'real copies')[place]}, {name}" for name, place in pairs]
    return markdown_table(["options", "seeds", *copies, "AUROC", "train, CPU s", "sample, CPU s"], rows)


def markdown(results: Mapping[str, Seeds]) -> str:
    """Return the tables of the AUROC for each recipe, and the table of the differences."""
    found = {recipe: seeds for recipe, seeds in results.items() if seeds}
    parts = [
        part
        for recipe, seeds in found.items()
        for part in (f"**{recipe}**: `{f'tfp-vae train {RECIPES[recipe]}'.strip()}`", auroc_table(seeds))
    ]
    return "\n" + "\n\n".join([*parts, "**Copies and differences**", difference_table(found)]) + "\n\n"


@click.command()
@data_dir_option("HI-VAE's tables")
@selection_option("--recipe", "recipes", RECIPES, "Options of train")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Seeds of training and sampling.")
@out_option("synthetic.json", "Seeds")
@document_option
def main(data_dir: Path, recipes: tuple[str, ...], seeds: int, out: Path, into_document: bool) -> None:
    """Compare classifiers that learn from synthetic rows of Adult with those that learn from real rows."""
    results: dict[str, dict[str, Any]] = json.loads(out.read_text()) if out.exists() else {}
    halves = Halves.of(data_dir)
    for recipe in recipes or RECIPES:
        found = results.setdefault(recipe, {})
        for seed in map(str, range(seeds)):
            if seed not in found:
                found[seed] = measure(halves, RECIPES[recipe].split(), int(seed))
                write_bytes(out, json.dumps(results, indent=1).encode())
                click.echo(f"{recipe}: finished seed {seed}", err=True)
    text = markdown(results)
    click.echo(text)
    if into_document:
        write_between(ROOT / "docs" / "benchmarks.md", BEGIN, END, text)


if __name__ == "__main__":
    main()
