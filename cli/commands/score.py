"""`tfp-vae score`: the log p(x) of each example, and the most anomalous of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae.runs.run import Run

from .. import console, options, output
from ..given import Examples, example_options, select_examples

_DRAWN = (
    "warning: log p(x) of grey values is that of one binarization, drawn by an example's place: copies of an example "
    "differ. For scores of the grey levels themselves, train with --likelihood discretized-logistic, categorical or "
    "continuous-bernoulli."
)


def _columns(examples: Examples, estimates: Any) -> dict[str, np.ndarray]:
    names = ("log_likelihood", "distortion", "rate", "ess")
    values = {name: getattr(estimates, name) for name in names}
    return {**examples.columns(), **values, "elbo": -estimates.distortion - estimates.rate}


FORMS: output.Forms = {".csv": _columns}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae score --data new.csv --out scores.csv",
        "tfp-vae score --split test --iw-samples 1000 --show 9",
    ),
)
@options.run_options
@example_options
@options.option(
    "--iw-samples",
    group=options.RUN,
    type=options.Whole(1, 10**9),
    default=100,
    show_default=True,
    help="Importance samples per example.",
)
@options.output_options(FORMS, "scores", "scores-<examples>.csv in the run")
@options.option(
    "--show",
    group=options.OUTPUT,
    type=options.Whole(1, 400),
    default=16,
    show_default=True,
    help="Number of least likely examples to show.",
)
@options.option(
    "--plots/--no-plots",
    group=options.OUTPUT,
    default=True,
    show_default=True,
    help="Draw a picture of the least likely examples.",
)
@options.weights_option
@options.execution_option
@options.json_option
@options.debug_option
def command(
    run: str | None, runs_dir: str, out: str | None, show: int, plots: bool, weights: str, as_json: bool, **asked: Any
) -> None:
    """Write log p(x) of each example and show the least likely.

    A low log p(x) suggests an anomaly, but a high one does not rule it out. For example, plain dark images score high
    although the run never saw any. Compare the scores with those of the run's own test split.
    """
    path = output.check_path(out, FORMS)
    found = output.find_run(run, runs_dir)
    output.check_run(found, path, pictured=plots)
    which = {name: asked.pop(name) for name in ("data", "split", "data_dir", "max_examples")}
    examples = select_examples(found, **which)
    if examples.drawn:
        console.notice(_DRAWN)
    path = path or found.folder / f"scores-{examples.name}.csv"
    restored = output.restore(found, weights)
    from tfp_vae.runs.results import most_anomalous, score

    with console.counted("scoring", len(examples.split) * asked["iw_samples"]) as progress:
        figures, estimates = score(restored, examples.split.x, progress=progress, **asked)
    output.write(path, FORMS, examples, estimates)
    worst = most_anomalous(estimates.log_likelihood, show)
    shown = {"most_anomalous": _rows(examples, estimates, worst), "out": str(path)}
    result = output.record(found, restored, **{**examples.origin, **figures, **shown})
    if plots:
        result["picture"] = str(_draw(found, examples, estimates.log_likelihood, worst))
    console.print_json(result) if as_json else _print(result)


def _rows(examples: Examples, estimates: Any, places: np.ndarray) -> list[dict[str, Any]]:
    columns = {**examples.columns(), "log_likelihood": estimates.log_likelihood}
    picked = {name: column[places].tolist() for name, column in columns.items()}
    return [dict(zip(picked, row, strict=True)) for row in zip(*picked.values(), strict=True)]


def _draw(run: Run, examples: Examples, values: np.ndarray, worst: np.ndarray) -> Path:
    from tfp_vae import plots

    few = f"The {len(worst)} least likely" if len(worst) > 1 else "The least likely"
    title = f"{few} of {examples.title}\nlog p(x) in nats"
    names = [examples.split.source_name(row) for row in worst]
    figure = plots.ranking(examples.split.x[worst], values[worst], title, run.config().data.features, names)
    return run.write_plot(f"anomalies-{examples.name}", plots.png(figure))


def _print(result: dict[str, Any]) -> None:
    what = result["data"] or f"{result['dataset']}, {result['split']} split"
    head = "{num_examples:,} examples, K = {iw_samples:,}, seed {seed}, {seconds:.1f} s"
    click.echo(f"{what}: {head.format(**result)}")
    error = result["log_likelihood_se"]
    shown = f" (standard error {error:.3f})" if np.isfinite(error) else ""
    click.echo(f"log p(x), mean: {result['log_likelihood']:.3f} nats{shown}")
    click.echo("the most anomalous:")
    rows = [list(row.values()) for row in result["most_anomalous"]]
    console.print_table(list(result["most_anomalous"][0]), rows)
    click.echo(result["out"])
    if "picture" in result:
        click.echo(result["picture"])
