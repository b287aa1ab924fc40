"""`python -m benchmarks.likelihood`: how accurate estimates of log p(x) are, and how long they take.

Eight models are trained on their first use. The results of each part and model are kept in a file, so an interrupted
run goes on from there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, final

import click
import numpy as np

from benchmarks.harness import ROOT
from benchmarks.likelihood import calibration, comparison, cost, document
from benchmarks.likelihood.cases import CASES, EXAMPLES, MNIST, Case
from tfp_vae import VAE
from tfp_vae.core.seeds import Purpose, seed_for

CASE_NAMES = [case.name for case in CASES]

Results: TypeAlias = "dict[str, dict[str, list[dict[str, Any]]]]"
"""The rows of each part for each case, as JSON holds them."""


@final
class Model(NamedTuple):
    """A trained model with test examples [N, ...], the seeds to repeat, and the rows of the parts so far."""

    case: Case
    vae: VAE
    x: np.ndarray
    seeds: int
    results: Results

    @property
    def some(self) -> np.ndarray:
        """The examples of all parts but the cost."""
        return self.x[:EXAMPLES]

    def examples(self, part: str) -> list[comparison.Example]:
        """Return log p(x) of each example from the rows of a part."""
        return [comparison.Example(**row) for row in self.results[part][self.case.name]]


def anneal(model: Model) -> list[comparison.Example]:
    """Return the bound of annealing for each example."""
    steps, chains = model.case.annealing
    seed, execution = seed_for(0, Purpose.EVALUATION, 1), model.case.execution
    return comparison.anneal(model.vae, model.some, steps=steps, chains=chains, seed=seed, execution=execution)


def refer(model: Model) -> list[comparison.Example]:
    """Return log p(x) of each example with much effort."""
    return calibration.reference(model.vae, model.some, model.case.execution)


def compare(model: Model) -> Iterator[comparison.Comparison]:
    """Yield the estimates of every method for the examples of annealing."""
    annealed, seed = model.examples("anneal"), seed_for(0, Purpose.EVALUATION)
    for method in comparison.methods():
        timed = comparison.estimate_in_time(model.vae, model.some, method, seed=seed, execution=model.case.execution)
        yield comparison.compare(timed, method, annealed)


def calibrate(model: Model) -> Iterator[calibration.Calibration]:
    """Yield the calibration of every method."""
    truth = calibration.truth_of(model.examples("refer"))
    for method in comparison.methods():
        repeats, bias = calibration.repeat(model.vae, model.some, method, model.seeds, model.case.execution)
        yield calibration.calibrate(method, repeats, bias, truth)


def measure_cost(model: Model) -> list[cost.Cost]:
    """Return the cost of every refinement, of K = 5,000 without one, and of annealing on MNIST."""
    refined = [method for method in comparison.methods() if method.refine != "none"]
    turns = cost.take_turns(model.vae, model.x, [cost.UNREFINED, *refined])
    return cost.costs(turns, model.examples("anneal"))


Row: TypeAlias = comparison.Example | comparison.Comparison | calibration.Calibration | cost.Cost

PARTS: dict[str, Callable[[Model], Iterable[Row]]] = {
    "anneal": anneal,
    "refer": refer,
    "compare": compare,
    "calibrate": calibrate,
    "cost": measure_cost,
}
"""The parts in their order."""

NEEDED = {"compare": "anneal", "cost": "anneal", "calibrate": "refer"}
"""The part whose rows each part uses."""


def parts_of(case: Case, parts: Iterable[str]) -> list[str]:
    """Return the parts to measure for a case in their order, with those that they need. Only MNIST has a cost."""
    wanted = {part for part in parts if part != "cost" or case.name == MNIST}
    wanted |= {NEEDED[part] for part in wanted if part in NEEDED}
    return [part for part in PARTS if part in wanted]


path_option = functools.partial(click.option, type=click.Path(path_type=Path), show_default=True)


@click.command()
@path_option("--runs", default=Path("runs/likelihood"), help="Folder of the trained models.")
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: the user's cache folder]")
@click.option("--case", "cases", multiple=True, type=click.Choice(CASE_NAMES), help="Model to measure. Repeatable.")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Part to measure. Repeatable.")
@click.option("--seeds", type=click.IntRange(2), default=20, show_default=True, help="Seeds for the errors.")
@path_option(
    "--out", default=Path("likelihood.json"), help="File of the results. Parts that it holds are not measured again."
)
@click.option("--document", "into_document", is_flag=True, help="Write the tables of docs/benchmarks.md.")
def main(
    runs: Path,
    data_dir: str | None,
    cases: tuple[str, ...],
    parts: tuple[str, ...],
    seeds: int,
    out: Path,
    into_document: bool,
) -> None:
    """Compare estimates of log p(x) with annealing, and check their errors, intervals and times."""
    results: Results = json.loads(out.read_text()) if out.exists() else {}
    for case in CASES:
        left = [part for part in parts_of(case, parts or PARTS) if case.name not in results.get(part, {})]
        if left and (not cases or case.name in cases):
            vae = case.vae(runs, data_dir)
            model = Model(case, vae, case.examples(cost.IMAGES, data_dir, vae), seeds, results)
            for part in left:
                results.setdefault(part, {})[case.name] = [row._asdict() for row in PARTS[part](model)]
                out.write_text(json.dumps(results, indent=1))
                click.echo(f"{case.name}: finished {part}", err=True)
    click.echo(document.markdown(results))
    if into_document:
        document.write(results, ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
