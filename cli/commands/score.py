"""`tfp-vae score`: log p(x) and p-value of each example, and the most unusual of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.evaluation.anomalies import SCORES, Effort, Evidence, Score, smallest_p_value
from tfp_vae.evaluation.anomalies.base import MOST_HELD_OUT
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE
from tfp_vae.runs.recipe import reload

from .. import console, options, output, signals
from ..examples import Examples, example_options, select_examples

if TYPE_CHECKING:
    from tfp_vae.core.batch import Batch
    from tfp_vae.data.dataset import Dataset
    from tfp_vae.evaluation.importance import Estimates
    from tfp_vae.evaluation.metrics import Measure
    from tfp_vae.runs.anomalies import Detection, Known
    from tfp_vae.runs.folder.records import Calibration
    from tfp_vae.runs.folder.unfinished import Unfinished
    from tfp_vae.runs.load import LoadedRun
    from tfp_vae.runs.run import Run
    from tfp_vae.runs.tables.unusual import UnusualCells

BINARIZED_AT_RANDOM = (
    "warning: Scores depend on chance by some nats, because grey values are binarized at random, each example once. To "
    "score grey levels themselves, train with --likelihood discretized-logistic, categorical or continuous-bernoulli."
)

DEFAULT_SCORE = "log-likelihood"

VALIDATION = (
    "warning: False alarms may exceed their rate a little, because the run has no test split and validation rows may "
    "have chosen its weights. Train with a test split, for example with --split-fractions 0.8,0.1,0.1."
)

TRAINED = "warning: The p-values of training examples are too large, because the model was fitted to them."

UNKNOWN_ERROR = f"the effective sample size is below {FEWEST_EFFECTIVE}"

NOISY = "warning: Scores depend a little on chance, because the levels of each example get random noise once."


def columns(
    examples: Examples,
    estimates: Estimates,
    measure: Measure,
    alarms: Mapping[str, np.ndarray],
    cells: UnusualCells | None,
) -> dict[str, np.ndarray]:
    """Return a table with one row per example: its index, log p(x) with its errors, the ELBO, its terms, the measure.

    Error, bias and interval are `nan` if they are unknown. A refined proposal adds its ELBO, held-out rows add
    p-values, and cells their scores.
    """
    names = ("log_likelihood", "error", "bias", "low", "high", "distortion", "rate", "ess")
    values = {**{name: getattr(estimates, name) for name in names}, "elbo": estimates.elbo}
    if not np.isnan(estimates.refined_elbo).all():
        values["refined_elbo"] = estimates.refined_elbo
    if measure.log_scale:
        values["log_likelihood_scaled"] = estimates.log_likelihood + measure.log_scale
    count = len(examples.split)
    kind = {name: np.broadcast_to(value, count) for name, value in measure.names.items()}
    of_cells = {} if cells is None else {**cells.columns(), "responsible": cells.responsible()}
    return examples.columns({**values, **alarms, **kind, **of_cells})


def score_examples(
    restored: LoadedRun, examples: Examples, effort: Effort, *, keep: bool
) -> tuple[dict[str, Any], Estimates, Unfinished | None]:
    """Return a summary of the scores, the estimates of each example, and where finished examples are kept, if anywhere.

    Args:
      restored: the run.
      examples: the examples.
      effort: the settings of the estimates.
      keep: whether to keep finished examples in the run, and to go on after those that are there.
    """
    from tfp_vae.evaluation.effort.blocks import NO_BLOCKS
    from tfp_vae.runs.results import CONDITIONAL, SEMI_SUPERVISED, number_of_samples, score, unfinished_scores

    if restored.vae.context_size:
        is_marginal = examples.split.context is not None and not examples.split.context.any()
        console.notice(SEMI_SUPERVISED if is_marginal else CONDITIONAL)
    x, settings = examples.split.batch, effort._asdict()
    kept = unfinished_scores(restored, x, **settings) if keep else None
    text = "." if kept is None else f". Finished examples are kept. {continuation(restored)}"
    name = "scoring, continued" if kept is not None and kept.continued else "scoring"
    blocks = NO_BLOCKS if kept is None else kept
    total = number_of_samples(len(examples.split), effort.iw_samples, effort.refine)
    with signals.ending(text), console.progress_bar(name, total) as progress:
        metrics, estimates = score(restored, x, **settings, progress=progress, blocks=blocks)
    if kept is not None:
        kept.release()
    return metrics, estimates, kept


def continuation(restored: LoadedRun) -> str:
    """Return the sentence with the command that continues this one."""
    line = options.command_line(click.get_current_context(), run=[str(restored.run.folder)])
    return f"Continue with: {line}"


def score_cells(restored: LoadedRun, x: Batch, like: Batch | None, effort: Effort, *, rows_kept: bool) -> UnusualCells:
    """Return the score of each cell of a table, and how surprising it is.

    Args:
      restored: the run.
      x: the rows.
      like: rows with the holes that rows usually have, or None if they are unknown.
      effort: the settings of the estimates.
      rows_kept: whether the scores of whole rows are kept in the run, so that only those of the cells start over.
    """
    from tfp_vae.runs.anomalies import observe_cells

    text = ". The scores of cells are not kept."
    if rows_kept:
        text += f" Those of whole rows are. {continuation(restored)}"
    with signals.ending(text), console.progress_bar("scoring cells", len(x.x) * effort.iw_samples) as progress:
        return observe_cells(restored, x, effort, like, progress=progress)


def usual_rows(load: Callable[[], Dataset], *, required: bool) -> Batch | None:
    """Return the training rows of a run, whose holes are usual, or print a warning and return None.

    Args:
      load: returns the data of the run.
      required: whether p-values depend on the rows.

    Raises:
      DataError: rows that are required cannot be read.
    """
    try:
        return load().train.batch
    except DataError as error:
        if required:
            raise
        console.notice(
            "warning: The surprise of cells may be too large in rows with missing cells, because the training rows of "
            f"the run cannot be read. {error}"
        )
        return None


HELD_OUT = ("test", "validation")
"""The splits whose rows may be the held-out rows themselves, so that they are not scored twice."""


class OwnData:
    """The data of a run, read at the first call. They stay in memory until they are released.

    Args:
      run: the run.
      data_dir: the value of the option.
    """

    def __init__(self, run: Run, data_dir: str | None) -> None:
        self._run, self._data_dir = run, data_dir
        self._dataset: Dataset | None = None

    def __call__(self) -> Dataset:
        """Return the data."""
        if self._dataset is None:
            self._dataset = reload(self._run.config(), self._data_dir, console.DownloadProgress())
        return self._dataset

    def release(self) -> None:
        """Free the memory."""
        self._dataset = None


class Wanted(NamedTuple):
    """What to estimate, from the options.

    effort: the settings of the estimates.
    anomaly_score: the name of the score that p-values compare.
    contamination: the rate of false alarms, or None to flag nothing.
    most: the most held-out rows.
    cells: whether to score each cell.
    """

    effort: Effort
    anomaly_score: str
    contamination: float | None
    most: int
    cells: bool

    @property
    def needs_cells(self) -> bool:
        """Whether p-values depend on the scores of cells."""
        scorer: Score = SCORES.resolve(self.anomaly_score)
        return scorer.needs_cells


def held_out_scores(
    restored: LoadedRun, load: Callable[[], Dataset], wanted: Wanted, known: Known | None = None
) -> Calibration | str:
    """Return the scores of held-out rows of the run, or print a warning and return why there are none.

    Args:
      restored: the run.
      load: returns the data of the run.
      wanted: the score, and the settings of the estimates.
      known: evidence of rows of the run, which is not computed again.

    Raises:
      DataError, UsageError: there are no held-out rows, but they are needed.
    """
    from tfp_vae.runs.anomalies import calibrate

    settings: dict[str, Any] = {"most": wanted.most, "known": known, "stages": console.progress_bar}
    try:
        return calibrate(restored, load, wanted.anomaly_score, wanted.effort, **settings)
    except (DataError, UsageError) as error:
        if wanted.contamination is not None or wanted.anomaly_score != DEFAULT_SCORE:
            raise
        console.notice(f"warning: There are no p-values, because the run has no held-out scores. {error}")
        return str(error)


class Scored(NamedTuple):
    """The estimates of the examples, and the scores of held-out rows to compare with.

    metrics: a summary.
    estimates: of each example.
    kept: where finished examples are kept, if anywhere.
    cells: the scores of the cells, if they are wanted.
    held_out: the scores of held-out rows, or why there are none.
    """

    metrics: dict[str, Any]
    estimates: Estimates
    kept: Unfinished | None
    cells: UnusualCells | None
    held_out: Calibration | str


def score_all(
    restored: LoadedRun, examples: Examples, wanted: Wanted, data: OwnData, *, own: str | None, keep: bool
) -> Scored:
    """Return the estimates of examples and their cells, and the scores of held-out rows.

    Held-out rows come first unless they may be among the examples. The data of a run and the estimates of a long table
    are then never in memory together.

    Args:
      restored: the run.
      examples: the examples.
      wanted: what to estimate.
      data: those of the run. They are released.
      own: the split of the run that the examples are, or None.
      keep: see `score_examples`.
    """
    from tfp_vae.runs.anomalies import Known

    like = usual_rows(data, required=wanted.needs_cells) if wanted.cells else None
    held_out = None if own in HELD_OUT else held_out_scores(restored, data, wanted)
    if held_out is not None:
        data.release()
    metrics, estimates, kept = score_examples(restored, examples, wanted.effort, keep=keep)
    cells, surprise = None, None
    if wanted.cells:
        cells = score_cells(restored, examples.split.batch, like, wanted.effort, rows_kept=kept is not None)
        surprise = cells.surprise
    if held_out is None:
        known = Known(str(own), examples.places, Evidence(examples.split.x, estimates, surprise))
        held_out = held_out_scores(restored, data, wanted, known)
        data.release()
    return Scored(metrics, estimates, kept, cells, held_out)


class Alarms(NamedTuple):
    """The comparison of the examples with held-out rows of the run.

    detection: the scores, percentiles and p-values, or None if there are no held-out rows.
    columns: columns [N] of the table.
    summary: for the JSON object.
    """

    detection: Detection | None
    columns: dict[str, np.ndarray]
    summary: dict[str, Any]


def too_few(count: int) -> str:
    """Return why no row can be flagged at a rate of false alarms, for a number of held-out rows."""
    return f"the smallest p-value with {plural(count, 'held-out row')} is 1/{count + 1} = {smallest_p_value(count):.4g}"


def raise_alarms(restored: LoadedRun, examples: Examples, scored: Scored, wanted: Wanted) -> Alarms:
    """Return the comparison of examples with held-out rows, and print where the p-values and the threshold come from.

    Args:
      restored: the run.
      examples: the examples.
      scored: their estimates.
      wanted: the score, and the rate of false alarms.
    """
    from tfp_vae.runs.anomalies import detect, keep_threshold

    anomaly_score, contamination, kept = wanted.anomaly_score, wanted.contamination, scored.held_out
    if isinstance(kept, str):
        return Alarms(None, {}, {"anomaly_score": anomaly_score, "held_out": None, "held_out_reason": kept})
    split, surprise = examples.origin["split"], None if scored.cells is None else scored.cells.surprise
    evidence = Evidence(examples.split.x, scored.estimates, surprise)
    rows = None if split is None else (split, examples.places)
    detection, count = detect(restored, evidence, kept, anomaly_score, rows=rows), len(kept.rows)
    held_out = f"{plural(count, 'held-out row')} of the run's {kept.split} split"
    console.notice(f"p-values: by {anomaly_score} against {held_out} (--anomaly-score, --held-out-rows)")
    if kept.split == "validation":
        console.notice(VALIDATION)
    if split == "train":
        console.notice(TRAINED)
    if split == kept.split:
        console.notice("These examples are the held-out rows themselves, so each is compared with the others.")
    table = {"anomaly_score": detection.scores, "percentile": detection.percentile, "p_value": detection.p_value}
    summary: dict[str, Any] = {
        "anomaly_score": anomaly_score,
        "held_out": {"split": kept.split, "num_examples": count, "smallest_p_value": smallest_p_value(count)},
    }
    if contamination is not None:
        limit = keep_threshold(restored, kept, anomaly_score, contamination)
        table["flagged"] = (detection.p_value <= contamination).astype(int)
        summary |= {"contamination": contamination, "threshold": limit, "flagged": int(table["flagged"].sum())}
        if np.isinf(limit):
            summary |= {"threshold": None, "threshold_reason": too_few(count)}
            console.notice(
                f"warning: No row can be flagged, because {too_few(count)}. Use a higher --contamination, or at least "
                f"{math.ceil(1 / contamination) - 1:,} held-out rows (--held-out-rows, or a larger test split)."
            )
    return Alarms(detection, table, summary)


def with_reasons(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores of an example with None and the reason in place of NaN."""
    reasons = dict[str, str | None]()
    if np.isnan(row["error"]):
        reasons |= {"error": None, "error_reason": UNKNOWN_ERROR}
    surprise = row.get("surprise")
    if isinstance(surprise, float) and np.isnan(surprise):  # an id column of that name holds texts
        reasons |= {"unusual_column": None, "surprise": None, "surprise_reason": "every cell of the row is missing"}
    return {**row, **reasons}


def draw_least(
    found: Run, examples: Examples, least: np.ndarray, estimates: Estimates, alarms: Alarms, name: str
) -> str:
    """Draw the most unusual examples into a run, and return the path of the picture.

    Args:
      found: the run.
      examples: all examples.
      least: the indices of the most unusual.
      estimates: of all examples.
      alarms: their scores.
      name: the picture.
    """
    from tfp_vae.plots import png, ranking

    chosen, values = alarms.summary["anomaly_score"], estimates.log_likelihood[least]
    kind, meaning = "least likely", "log p(x) in nats"
    if chosen != DEFAULT_SCORE and alarms.detection is not None:
        values, kind, meaning = alarms.detection.scores[least], "most unusual", f"score {chosen}"
    few = f"The {len(least)} {kind}" if len(least) > 1 else f"The {kind}"
    title = f"{few} of {examples.title}\n{meaning}"
    names = [examples.split.source_name(row) for row in least]
    config = found.config().data
    picture = ranking(config.shown(examples.split.x[least]), values, title, config.features, names, config.ink)
    return str(found.write_plot(name, png(picture)))


FORMS: output.Forms = dict.fromkeys(output.TABLES, columns)


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae score --data new.csv --contamination 0.01 --out scores.csv",
        "tfp-vae score --data people.csv --per-column --anomaly-score worst-cell",
    ),
)
@options.run_options
@example_options
@options.given_option("each example's own")
@options.samples_option(100, "example")
@options.refine_option
@options.option(
    "--contamination",
    group=options.RUN,
    type=options.SHARE,
    metavar="RATE",
    help="Flag rows with a p-value of at most RATE. It bounds the rate of false alarms.  [default: flag nothing]",
)
@options.option(
    "--anomaly-score",
    group=options.RUN,
    type=options.MemberType(SCORES),
    default=DEFAULT_SCORE,
    show_default=True,
    help="Score that p-values compare. See `tfp-vae info anomaly-scores`.",
)
@options.option(
    "--held-out-rows",
    group=options.RUN,
    type=options.Whole(1),
    default=MOST_HELD_OUT,
    show_default=True,
    help="Most held-out rows of the run to compare with.",
)
@options.option(
    "--per-column/--no-per-column",
    group=options.RUN,
    default=None,
    help="Also score each cell of a table given the rest of its row.  [default: only to flag rows]",
)
@options.output_options(FORMS, "scores", "scores-<examples>.csv in the run")
@options.option(
    "--show",
    group=options.OUTPUT,
    type=options.Whole(1, 400),
    default=16,
    show_default=True,
    help="Number of most unusual examples to show.",
)
@options.option(
    "--plots/--no-plots",
    group=options.OUTPUT,
    default=True,
    show_default=True,
    help="Draw a picture of the most unusual examples.",
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
    given: str | None,
    iw_samples: int,
    refine: str,
    contamination: float | None,
    anomaly_score: str,
    held_out_rows: int,
    per_column: bool | None,
    seed: int,
    out: str | None,
    show: int,
    plots: bool,
    weights: str | None,
    execution: str,
    as_json: bool,
) -> None:
    """Write log p(x) and p-values, and show the most unusual rows.

    A low log p(x) suggests an anomaly, but a high one does not rule it out. For example, plain dark images score high
    although the run never saw any. The p-value is the share of the run's own held-out rows that are as unusual.
    """
    out_path = output.check_path(out, FORMS)
    found = output.find_run(run, runs_dir)
    output.check_run(found, out_path, plots=plots)
    context = output.context_from_option(found.config(), given)
    if per_column:
        output.require_kinds(found, "--per-column")
    examples = select_examples(found, data, split, data_dir, max_examples, context)
    if examples.drawn:
        console.notice(NOISY if found.config().data.noise is not None else BINARIZED_AT_RANDOM)
    decisive = ("max_examples", "given", "iw_samples", "refine", "contamination", "anomaly_score", "held_out_rows")
    name = examples.name + output.ending(*decisive, "per_column", "seed", "weights")
    output.notice_missingness(found)
    restored = output.restore(found, weights)
    from tfp_vae.runs.results import most_anomalous

    if context is None:
        examples = examples._replace(split=restored.as_unlabelled(examples.split))
    scorer: Score = SCORES.resolve(anomaly_score)
    scorer.check(restored.vae)
    if per_column is None:
        per_column = contamination is not None and names_cells(found)
    effort, cells_too = Effort(iw_samples, refine, seed, execution), per_column or scorer.needs_cells
    wanted = Wanted(effort, anomaly_score, contamination, held_out_rows, cells_too)
    own = None if context is not None else examples.origin["split"]
    keep = out_path is None or plots  # because a run that gets no file may be read-only
    scored = score_all(restored, examples, wanted, OwnData(found, data_dir), own=own, keep=keep)
    metrics, estimates, kept, cells, _ = scored
    alarms = raise_alarms(restored, examples, scored, wanted)
    result_of = (examples, estimates, restored.measure, alarms.columns, cells)
    condition: dict[str, Any] = {} if found.config().data.condition is None else {"given": given}
    path = output.write(found, out_path, f"scores-{name}.csv", FORMS, *result_of, text=examples.form)
    order = estimates.log_likelihood if alarms.detection is None else -alarms.detection.scores
    least = most_anomalous(order, show)
    names, rows = shown_rows(examples, estimates, alarms, cells, least)
    result = output.record(
        found, restored, **examples.origin, **condition, **metrics, **alarms.summary, most_anomalous=rows, out=str(path)
    )
    if kept is not None:
        kept.remove()
    if plots:
        result["picture"] = draw_least(found, examples, least, estimates, alarms, f"anomalies-{name}")
    if as_json:
        console.print_json(result)
        return
    print_scores(data or "{dataset}, {split} split".format(**examples.origin), metrics, estimates)
    print_alarms(alarms)
    click.echo("the most anomalous:")
    console.print_table(names, [[shown_text(row, name) for name in names] for row in rows])
    for key in ("out", "picture"):
        if key in result:
            click.echo(result[key])


def names_cells(found: Run) -> bool:
    """Return whether a run can name the cells that make a row unusual, and print that it does."""
    can = found.config().model.likelihood.name == "columns"
    if can:
        console.notice("cells: scored, to name those that are responsible (--no-per-column skips them)")
    return can


def shown_columns(estimates: Estimates, alarms: Alarms, cells: UnusualCells | None) -> dict[str, np.ndarray]:
    """Return the columns of the table of the most unusual examples."""
    shown = {"log_likelihood": estimates.log_likelihood, "error": estimates.error}
    is_other = alarms.summary["anomaly_score"] != DEFAULT_SCORE
    shown |= {name: column for name, column in alarms.columns.items() if is_other or name != "anomaly_score"}
    if cells is None:
        return shown
    named = {name: cells.columns()[name] for name in ("unusual_column", "surprise")}
    return {**shown, **named, "responsible": cells.responsible()}


def shown_rows(
    examples: Examples, estimates: Estimates, alarms: Alarms, cells: UnusualCells | None, least: np.ndarray
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns of the table of the most unusual examples, and its rows with reasons, see `with_reasons`."""
    table = examples.columns(shown_columns(estimates, alarms, cells))
    picked = zip(*(column[least].tolist() for column in table.values()), strict=True)
    return list(table), [with_reasons(dict(zip(table, row, strict=True))) for row in picked]


def shown_text(row: Mapping[str, Any], name: str) -> object:
    """Return a cell of the table of the most unusual examples."""
    if name == "flagged":
        return "yes" if row[name] else ""
    if name == "p_value":
        return f"{row[name]:.4f}"
    return "unknown" if row[name] is None else row[name]


def print_alarms(alarms: Alarms) -> None:
    """Print how many examples are flagged, and the threshold."""
    if alarms.detection is None or "contamination" not in alarms.summary:
        return
    count, rate, limit = (alarms.summary[key] for key in ("flagged", "contamination", "threshold"))
    of = f"{count:,} of {plural(len(alarms.detection.scores), 'example')} flagged"
    above = "" if limit is None else f": {alarms.summary['anomaly_score']} score above {limit:.6g}"
    click.echo(f"{of}{above} (p-value at most {rate:g}, as for at most {100 * rate:g}% of usual rows on average)")


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
