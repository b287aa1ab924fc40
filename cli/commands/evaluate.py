"""`tfp-vae evaluate`: importance-weighted log-likelihood and diagnostics on held-out data, of one run or of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tfp_vae.core import files as storage
from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import SPLITS
from tfp_vae.evaluation.metrics import metrics_of
from tfp_vae.reports.pictures import EVALUATION_PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs.recipe import reload

from .. import console, options, output

MOST_SAMPLES = 10**9


NEAR_CEILING = 0.99
"""The share of its ceiling from which on a mutual information says no more than that."""


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae evaluate --iw-samples 100",
        "tfp-vae evaluate --run runs/a --run runs/b --max-examples 1000",
    ),
)
@options.several_runs_options
@options.data_dir_option
@options.option(
    "--iw-samples",
    group=options.RUN,
    type=options.Several(options.Whole(1, MOST_SAMPLES)),
    metavar="K[,K...]",
    default="100",
    show_default=True,
    help="Importance samples per example. Several numbers share one pass.",
)
@options.option(
    "--split",
    group=options.DATA,
    type=click.Choice(SPLITS),
    default="test",
    show_default=True,
    help="Split to evaluate.",
)
@options.option(
    "--max-examples",
    group=options.DATA,
    type=options.Whole(1),
    help="Evaluate a random sample of this size.  [default: all]",
)
@options.option(
    "--seed", group=options.RUN, type=options.SEED, default=0, show_default=True, help="Seed of the estimate."
)
@options.option(
    "--ais-steps",
    group=options.RUN,
    type=options.Whole(1, 10**6),
    help="Temperatures of annealed importance sampling.  [default: do not anneal]",
)
@options.option(
    "--ais-chains",
    group=options.RUN,
    type=options.Whole(2, 10**4),
    default=16,
    show_default=True,
    help="Annealing chains per example.",
)
@options.option(
    "--ais-examples",
    group=options.RUN,
    type=options.Whole(1),
    default=100,
    show_default=True,
    help="Number of examples to anneal. The same number of simulated examples is annealed in both directions.",
)
@options.option(
    "--per-example",
    group=options.OUTPUT,
    metavar="FILE.npz",
    type=options.PLACE,
    help="File for the values of each example.",
)
@options.option(
    "--plots/--no-plots", group=options.OUTPUT, default=True, show_default=True, help="Draw pictures into the run."
)
@options.weights_option
@options.execution_option
@options.json_option
@options.debug_option
def command(
    run: Sequence[str], runs_dir: str, data_dir: str | None, per_example: str | None, as_json: bool, **asked: Any
) -> None:
    """Estimate log p(x) and diagnostics on held-out data.

    Repeat --run to see runs next to each other, with paired differences from the first.
    """
    _check_output(per_example, run)
    if asked["ais_steps"] is None:
        options.refuse_on_command_line(
            ("ais_chains", "ais_examples"), "without --ais-steps; give that too, or leave it out"
        )
    found = [runs.find(each, runs_dir) for each in run or (None,)]
    for each in found:
        each.check_writable(["", runs.PLOTS], output.COPY)
    draws, weights, annealing = asked.pop("plots"), asked.pop("weights"), _annealing(asked)
    assessed = [_assess(each, data_dir, weights, annealing, asked) for each in found]
    from tfp_vae.runs.results import compare

    differences = [compare(assessed[0], other) for other in assessed[1:]]
    try:  # what was found is kept even where nobody listens any more, and told even where it cannot be kept
        if per_example is not None:
            storage.write_arrays(Path(per_example), assessed[0].per_example())
        for each, assessment in zip(found, assessed, strict=True):
            _keep(each, assessment, draws)
    finally:
        _tell([each.result for each in assessed], differences, as_json)


def _check_output(per_example: str | None, named: Sequence[str]) -> None:
    if per_example is not None and len(named) > 1:
        raise UsageError("--per-example: expected one --run, found several; evaluate them one by one for it.")
    output.check_path(per_example, (".npz",), "--per-example")


def _annealing(asked: dict[str, Any]) -> dict[str, int] | None:
    """Take the options of annealing out of those asked for."""
    steps, chains, examples = (asked.pop(f"ais_{name}") for name in ("steps", "chains", "examples"))
    return None if steps is None else {"steps": steps, "chains": chains, "examples": examples}


def _assess(
    run: runs.Run, data_dir: str | None, weights: str, annealing: dict[str, int] | None, asked: dict[str, Any]
) -> Any:
    console.notice(f"run: {run.folder}")
    dataset = reload(run.config(), data_dir, console.DownloadProgress())
    restored = output.restore(run, weights)
    from tfp_vae.runs.results import AnnealingPlan, Plan, assess

    anneal = None if annealing is None else AnnealingPlan(**annealing)
    return assess(restored, dataset, Plan(**asked, annealing=anneal), stages=console.counted)


def _keep(run: runs.Run, assessment: Any, draws: bool) -> None:
    """Write what was found into the run, and draw it; what is fuller, and its pictures, stays."""
    name = run.write_evaluation(assessment.result)
    if name == runs.PARTIAL:
        kept = run.read(runs.EVALUATION)
        console.notice(_FULLER.format(folder=run.folder, **kept))
    elif draws:
        _draw(run, assessment)
    else:
        _remove_pictures(run)


_FULLER = (
    f"{{folder}}/{runs.EVALUATION} and its pictures stay, as that evaluation is fuller ({{num_examples:,}} examples, "
    f"K = {{iw_samples:,}}); this one is in {runs.PARTIAL}. To replace it, delete {runs.EVALUATION} first."
)


def _draw(run: runs.Run, assessment: Any) -> None:
    from tfp_vae.reports.drawing import draw_evaluation

    for path in draw_evaluation(run, assessment):
        console.notice(f"picture: {path}")


def _remove_pictures(run: runs.Run) -> None:
    """Remove the pictures of an evaluation that was replaced."""
    for name in EVALUATION_PICTURES:
        with storage.disk_errors(run.plot_path(name)):
            run.plot_path(name).unlink(missing_ok=True)


def _tell(results: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        alone = [storage.seal(result) for result in results]
        console.print_json({"runs": alone, "differences": differences} if differences else alone[0])
    elif differences:
        _print_side_by_side(results, differences)
    else:
        _print(results[0])


def _print(result: dict[str, Any]) -> None:
    click.echo(_head(result))
    rows = [
        [metric.indented_label, metric.text(result), metric.error_text(result), metric.unit]
        for metric in metrics_of("table")
    ]
    console.print_table(["mean over examples", "value", "standard error", "unit"], rows)
    if len(result["sweep"]) > 1:
        _print_sweep(result["sweep"])
    _print_notes(result)


def _print_notes(result: dict[str, Any]) -> None:
    """Print what else is to be known of a run: its annealing, and advice."""
    if "ais" in result:
        _print_annealing(result["ais"], result["sandwich"])
    for note in filter(None, (result["advice"], _saturation(result))):
        click.echo(console.with_options(note, command))


def _saturation(result: dict[str, Any]) -> str | None:
    """Return a sentence where the mutual information is as large as so few examples let it be."""
    found, most = result["mutual_information"], result["mutual_information_ceiling"]
    if found is None or not most or found < NEAR_CEILING * most:
        return None
    return (
        f"I(x; z) is close to log {result['num_examples']:,} = {most:.3f} nats, the most that so many examples show: "
        "it is at least that, and the KL from aggregate posterior to prior is less than its row says."
    )


def _head(result: dict[str, Any]) -> str:
    head = "{dataset}, {split} split: {num_examples:,} examples, K = {iw_samples:,}, seed {seed}, {seconds:.1f} s"
    return head.format(**result)


def _print_sweep(sweep: Sequence[dict[str, Any]]) -> None:
    click.echo()
    rows = [
        [f"{line['iw_samples']:,}", _value(line["log_likelihood"], ".3f"), _error(line, "log_likelihood")]
        for line in sweep
    ]
    console.print_table(["K", "log p(x)", "standard error"], rows)


def _print_annealing(ais: dict[str, Any], sandwich: dict[str, Any]) -> None:
    click.echo(
        "\nannealing, {steps:,} steps, {chains} chains, on {examples} of the examples: log p(x) {log_likelihood:.3f}, "
        "Monte Carlo error {log_likelihood_mc_error:.3f}; above importance sampling by "
        "{above_importance_sampling:+.3f} (standard error {above_importance_sampling_se:.3f}): {verdict}".format(**ais)
    )
    click.echo(
        "annealing both ways on {examples} simulated examples: log p(x) at least {lower:.3f} and at most {upper:.3f}, "
        "gap {gap:.3f} (standard error {gap_se:.3f}){crossed}\n".format(**sandwich, crossed=_crossed(sandwich["gap"]))
    )


def _crossed(gap: float) -> str:
    return "" if gap >= 0 else ": the bounds cross, as their means may within their errors; anneal more examples"


def _print_side_by_side(results: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]) -> None:
    click.echo(_head(results[0]))
    names = [Path(result["run"]).name for result in results]
    rows = [
        [metric.indented_label, *(metric.text(result) for result in results), metric.unit]
        for metric in metrics_of("table")
    ]
    console.print_table(["mean over examples", *names, "unit"], rows)
    click.echo()
    paired = [
        [Path(line["run"]).name, metric.label, f"{line[metric.key]:+.3f}", _error(line, metric.key)]
        for line in differences
        for metric in metrics_of("difference")
    ]
    console.print_table([f"less {names[0]}", "paired difference", "nats", "standard error"], paired)
    for result in results:
        if "ais" in result or result["advice"] or _saturation(result):
            click.echo(f"\n{result['run']}")
        _print_notes(result)


def _value(value: float | None, shape: str) -> str:
    return "not defined" if value is None or not math.isfinite(value) else f"{value:{shape}}"


def _error(result: dict[str, Any], key: str) -> str:
    error = result.get(f"{key}_se", math.nan)
    return f"{error:.3f}" if math.isfinite(error) else ""
