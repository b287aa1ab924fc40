"""`python -m benchmarks.likelihood`: how accurate estimates of log p(x) are, and how long they take.

Eight models are trained on their first use. The results of each part and model are kept in a file, so an interrupted
run goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, final

import click
import numpy as np

from benchmarks.harness import ROOT
from benchmarks.likelihood import calibration, comparison, cost, document
from benchmarks.likelihood.cases import CASES, EXAMPLES, MNIST, Case
from benchmarks.options import document_option, out_option, selection_option
from tfp_vae import VAE
from tfp_vae.core.files import write_bytes
from tfp_vae.core.seeds import Purpose, seed_for

CASE_NAMES = [case.name for case in CASES]

EXECUTION = "graph"
"""How TensorFlow runs, except for the times of the cost. XLA takes longer to compile than it saves on few examples."""

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
        """Return log p(x) of each example from the rows of a part so far."""
        return [comparison.Example(**row) for row in self.results.get(part, {}).get(self.case.name, [])]


def anneal(model: Model) -> list[comparison.Example]:
    """Return the bound of annealing for each example."""
    steps, chains = model.case.annealing
    seed = seed_for(0, Purpose.EVALUATION, 1)
    return comparison.anneal(model.vae, model.some, steps=steps, chains=chains, seed=seed, execution=EXECUTION)


def refer(model: Model) -> list[comparison.Example]:
    """Return log p(x) of each example with much effort."""
    return calibration.reference(model.vae, model.some, EXECUTION)


def compare(model: Model) -> Iterator[comparison.Comparison]:
    """Yield the estimates of every method for the examples of annealing."""
    annealed, seed = model.examples("anneal"), seed_for(0, Purpose.EVALUATION)
    for method in comparison.methods():
        timed = comparison.estimate_in_time(model.vae, model.some, method, seed=seed, execution=EXECUTION)
        yield comparison.compare(timed, method, annealed)


def calibrate(model: Model) -> Iterator[calibration.Calibration]:
    """Yield the calibration of every method."""
    truth = calibration.truth_of(model.examples("refer"))
    for method in comparison.methods():
        repeats, bias = calibration.repeat(model.vae, model.some, method, model.seeds, EXECUTION)
        yield calibration.calibrate(method, repeats, bias, truth)


def anneal_images(model: Model) -> Iterator[comparison.Example]:
    """Yield the bound of long annealing for the images of the cost that have none yet, one block after the other."""
    for start in range(len(model.examples("anneal-images")), len(model.x), cost.BLOCK):
        yield from comparison.anneal(
            model.vae,
            model.x[start : start + cost.BLOCK],
            steps=cost.STEPS,
            chains=cost.CHAINS,
            seed=seed_for(0, Purpose.EVALUATION, 2, start),
            execution=EXECUTION,
        )


def measure_cost(model: Model) -> list[cost.Cost]:
    """Return the cost of refinements, of K = 5,000 without one, and of long annealing on MNIST."""
    turns = cost.take_turns(model.vae, model.x, cost.methods())
    return cost.costs(turns, model.examples("anneal-images"))


Row: TypeAlias = comparison.Example | comparison.Comparison | calibration.Calibration | cost.Cost

PARTS: dict[str, Callable[[Model], Iterable[Row]]] = {
    "anneal": anneal,
    "refer": refer,
    "compare": compare,
    "calibrate": calibrate,
    "anneal-images": anneal_images,
    "cost": measure_cost,
}
"""The parts in their order."""

NEEDED = {"compare": "anneal", "calibrate": "refer", "cost": "anneal-images"}
"""The part whose rows each part uses."""

ON_MNIST = ("anneal-images", "cost")
"""The parts that only `MNIST 50` has."""


def parts_of(case: Case, parts: Iterable[str]) -> list[str]:
    """Return the parts to measure for a case in their order, with those that they need. Only MNIST has a cost."""
    wanted = {part for part in parts if part not in ON_MNIST or case.name == MNIST}
    wanted |= {NEEDED[part] for part in wanted if part in NEEDED}
    return [part for part in PARTS if part in wanted]


def is_finished(results: Results, part: str, case: Case) -> bool:
    """Return whether the results of a part are complete. The images of the cost are annealed in blocks."""
    rows = results.get(part, {}).get(case.name)
    return rows is not None and (part != "anneal-images" or len(rows) >= cost.IMAGES)


def measure(model: Model, part: str, save: Callable[[], None]) -> None:
    """Add the rows of a part to the results, and save them. Annealed images are also saved after each block."""
    found = model.results.setdefault(part, {})
    if part != "anneal-images":
        found[model.case.name] = [row._asdict() for row in PARTS[part](model)]
    else:
        rows = found.setdefault(model.case.name, [])
        for row in PARTS[part](model):
            rows.append(row._asdict())
            if len(rows) % cost.BLOCK == 0:
                save()
    save()


@click.command()
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs/likelihood"),
    show_default=True,
    help="Folder of the trained models.",
)
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: the user's cache folder]")
@selection_option("--case", "cases", CASE_NAMES, "Model to measure")
@selection_option("--part", "parts", PARTS, "Part to measure")
@click.option("--seeds", type=click.IntRange(2), default=20, show_default=True, help="Seeds for the errors.")
@out_option("likelihood.json", "Parts")
@document_option
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
        left = [part for part in parts_of(case, parts or PARTS) if not is_finished(results, part, case)]
        if left and (not cases or case.name in cases):
            vae = case.vae(runs, data_dir)
            model = Model(case, vae, case.examples(cost.IMAGES, data_dir, vae), seeds, results)
            for part in left:
                measure(model, part, lambda: write_bytes(out, json.dumps(results, indent=1).encode()))
                click.echo(f"{case.name}: finished {part}", err=True)
    click.echo(document.markdown(results))
    if into_document:
        document.write(results, ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
