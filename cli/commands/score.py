"""`tfp-vae score`: the log p(x) of each example, and the most anomalous of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import click
import numpy as np

from tfp_vae.core.errors import DataError
from tfp_vae.core.execution import AUTO
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE
from tfp_vae.runs.examples import split_to_show
from tfp_vae.runs.recipe import reload

from .. import console, options, output, signals
from ..examples import Examples, example_options, select_examples

if TYPE_CHECKING:
    from tfp_vae.evaluation.importance import Estimates
    from tfp_vae.evaluation.metrics import Measure
    from tfp_vae.runs.folder.unfinished import Unfinished
    from tfp_vae.runs.load import LoadedRun
    from tfp_vae.runs.run import Run
    from tfp_vae.runs.tables.unusual import UnusualCells

BINARIZED_AT_RANDOM = (
    "warning: Scores depend on chance by some nats, because grey values are binarized at random, each example once. To "
    "score grey levels themselves, train with --likelihood discretized-logistic, categorical or continuous-bernoulli."
)

UNKNOWN_ERROR = f"the effective sample size is below {FEWEST_EFFECTIVE}"

NOISY = "warning: Scores depend a little on chance, because the levels of each example get random noise once."


class Settings(TypedDict):
    """The arguments of `runs.score` that decide the scores of given examples."""

    iw_samples: int
    refine: str
    seed: int
    execution: str


def columns(
    examples: Examples, estimates: Estimates, measure: Measure, cells: UnusualCells | None
) -> dict[str, np.ndarray]:
    """Return a table with one row per example: its index, log p(x) with its errors, the ELBO, its terms, the measure.

    Error, bias and interval are `nan` if they are unknown. A refined proposal adds its ELBO, and cells their scores.
    """
    names = ("log_likelihood", "error", "bias", "low", "high", "distortion", "rate", "ess")
    values = {**{name: getattr(estimates, name) for name in names}, "elbo": estimates.elbo}
    if not np.isnan(estimates.refined_elbo).all():
        values["refined_elbo"] = estimates.refined_elbo
    if measure.log_scale:
        values["log_likelihood_scaled"] = estimates.log_likelihood + measure.log_scale
    count = len(examples.split)
    kind = {name: np.full(count, value) for name, value in measure.names.items()}
    return examples.columns({**values, **kind, **({} if cells is None else cells.columns())})


def score_examples(
    restored: LoadedRun, examples: Examples, *, iw_samples: int, refine: str, seed: int, execution: str, keep: bool
) -> tuple[dict[str, Any], Estimates, Unfinished | None]:
    """Return a summary of the scores, the estimates of each example, and where finished examples are kept, if anywhere.

    Args:
      restored: the run.
      examples: the examples.
      iw_samples, refine, seed, execution: see `runs.score`.
      keep: whether to keep finished examples in the run, and to go on after those that are there.
    """
    from tfp_vae.evaluation.effort.blocks import NO_BLOCKS
    from tfp_vae.runs.results import number_of_samples, score, unfinished_scores

    x = examples.split.x
    settings = Settings(iw_samples=iw_samples, refine=refine, seed=seed, execution=execution)
    kept = unfinished_scores(restored, x, **settings) if keep else None
    line = options.command_line(click.get_current_context(), run=[str(restored.run.folder)])
    text = "." if kept is None else f". Finished examples are kept. Continue with: {line}"
    name = "scoring, continued" if kept is not None and kept.continued else "scoring"
    blocks = NO_BLOCKS if kept is None else kept
    total = number_of_samples(len(x), iw_samples, refine)
    with signals.ending(text), console.progress_bar(name, total) as progress:
        metrics, estimates = score(restored, x, **settings, progress=progress, blocks=blocks)
    return metrics, estimates, kept


def rows_with_usual_holes(found: Run, data_dir: str | None) -> np.ndarray:
    """Return rows of the run's own data, whose holes are usual, or a row without holes if the data cannot be read."""
    config = found.config()
    try:
        dataset = reload(config, data_dir, console.DownloadProgress())
    except DataError:
        return np.zeros((1, *config.data.event_shape))
    return dataset.splits[split_to_show(dataset)].x


def score_cells(
    restored: LoadedRun,
    examples: Examples,
    like: np.ndarray,
    *,
    iw_samples: int,
    refine: str,
    seed: int,
    execution: str,
) -> UnusualCells:
    """Return the score of each cell of a table, and how surprising it is.

    Args:
      restored: the run.
      examples: the rows.
      like: rows with the holes that rows usually have.
      iw_samples, refine, seed, execution: see `runs.score`.
    """
    from tfp_vae.runs.tables.unusual import find_unusual_cells

    x = examples.split.x
    with console.progress_bar("scoring cells", len(x) * iw_samples) as progress:
        return find_unusual_cells(
            restored.vae,
            x,
            restored.config.data.features or (),
            like=like,
            iw_samples=iw_samples,
            refine=refine,
            seed=seed,
            execution="graph" if execution == AUTO else execution,  # because XLA compiles longer than most tables take
            progress=progress,
        )


def with_reasons(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores of an example with None and the reason in place of NaN."""
    reasons = dict[str, str | None]()
    if np.isnan(row["error"]):
        reasons |= {"error": None, "error_reason": UNKNOWN_ERROR}
    surprise = row.get("surprise")
    if isinstance(surprise, float) and np.isnan(surprise):  # an id column of that name holds texts
        reasons |= {"unusual_column": None, "surprise": None, "surprise_reason": "every cell of the row is missing"}
    return {**row, **reasons}


def draw_least(found: Run, examples: Examples, least: np.ndarray, values: np.ndarray, name: str) -> str:
    """Draw the least likely examples into a run, and return the path of the picture.

    Args:
      found: the run.
      examples: all examples.
      least: the indices of the least likely.
      values: their log p(x).
      name: the picture.
    """
    from tfp_vae.plots import png, ranking

    few = f"The {len(least)} least likely" if len(least) > 1 else "The least likely"
    title = f"{few} of {examples.title}\nlog p(x) in nats"
    names = [examples.split.source_name(row) for row in least]
    config = found.config().data
    picture = ranking(config.shown(examples.split.x[least]), values, title, config.features, names, config.ink)
    return str(found.write_plot(name, png(picture)))


FORMS: output.Forms = {".csv": columns}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae score --data new.csv --out scores.csv",
        "tfp-vae score --data people.csv --per-column --out scores.csv",
    ),
)
@options.run_options
@example_options
@options.samples_option(100, "example")
@options.refine_option
@options.option(
    "--per-column",
    group=options.RUN,
    is_flag=True,
    help="Also score each cell of a table given the rest of its row.",
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
    run: str | None,
    runs_dir: str,
    data: str | None,
    split: str | None,
    data_dir: str | None,
    max_examples: int | None,
    iw_samples: int,
    refine: str,
    per_column: bool,
    seed: int,
    out: str | None,
    show: int,
    plots: bool,
    weights: str | None,
    execution: str,
    as_json: bool,
) -> None:
    """Write log p(x) of each example and show the least likely.

    A low log p(x) suggests an anomaly, but a high one does not rule it out. For example, plain dark images score high
    although the run never saw any. Compare the scores with those of the run's own test split.
    """
    out_path = output.check_path(out, FORMS)
    found = output.find_run(run, runs_dir)
    output.check_run(found, out_path, plots=plots)
    if per_column:
        output.require_kinds(found, "--per-column")
    examples = select_examples(found, data, split, data_dir, max_examples)
    if examples.drawn:
        console.notice(NOISY if found.config().data.noise is not None else BINARIZED_AT_RANDOM)
    name = examples.name + output.ending("max_examples", "iw_samples", "refine", "per_column", "seed", "weights")
    output.notice_missingness(found)
    restored = output.restore(found, weights)
    from tfp_vae.runs.results import most_anomalous

    keep = out_path is None or plots  # because a run that gets no file may be read-only
    metrics, estimates, kept = score_examples(
        restored, examples, iw_samples=iw_samples, refine=refine, seed=seed, execution=execution, keep=keep
    )
    cells = None
    if per_column:
        like = rows_with_usual_holes(found, data_dir)
        cells = score_cells(
            restored, examples, like, iw_samples=iw_samples, refine=refine, seed=seed, execution=execution
        )
    path = output.write(found, out_path, f"scores-{name}.csv", FORMS, examples, estimates, restored.measure, cells)
    least = most_anomalous(estimates.log_likelihood, show)
    shown = {"log_likelihood": estimates.log_likelihood, "error": estimates.error}
    if cells is not None:
        shown |= {name: cells.columns()[name] for name in ("unusual_column", "surprise")}
    table = examples.columns(shown)
    picked = zip(*(column[least].tolist() for column in table.values()), strict=True)
    rows = [with_reasons(dict(zip(table, row, strict=True))) for row in picked]
    result = output.record(found, restored, **examples.origin, **metrics, most_anomalous=rows, out=str(path))
    if kept is not None:
        kept.remove()
    if plots:
        result["picture"] = draw_least(found, examples, least, estimates.log_likelihood[least], f"anomalies-{name}")
    if as_json:
        console.print_json(result)
        return
    print_scores(data or "{dataset}, {split} split".format(**examples.origin), metrics, estimates)
    lines = [["unknown" if row[name] is None else row[name] for name in table] for row in rows]
    console.print_table(list(table), lines)
    click.echo(path)
    if plots:
        click.echo(result["picture"])


def print_scores(source: str, metrics: Mapping[str, Any], estimates: Estimates) -> None:
    """Print the averages of scores, above the table of the least likely examples."""
    head = "{num_examples:,} examples, K = {iw_samples:,}{refined}, seed {seed}, {seconds:.1f} s"
    error = metrics["log_likelihood_se"]
    spread = f" (standard error {error:.3f})" if np.isfinite(error) else ""
    click.echo(f"{source}: {head.format(**metrics, refined=output.refinement_note(metrics))}")
    click.echo(f"log p(x), mean: {metrics['log_likelihood']:.3f} nats{spread}")
    if unknown := int(np.sum(np.isnan(estimates.error))):
        click.echo(f"error unknown for {unknown:,} of {len(estimates.error):,} examples: {UNKNOWN_ERROR}")
    if "refined_share" in metrics:
        click.echo(f"proposals refined for {int(estimates.refined.sum()):,} of {len(estimates.error):,} examples")
    if "log_likelihood_scaled" in metrics:
        click.echo(f"log p(x) of the scaled values, mean: {metrics['log_likelihood_scaled']:.3f} nats")
    click.echo(output.measure_line(metrics))
    click.echo("the most anomalous:")
