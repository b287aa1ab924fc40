"""`tfp-vae evaluate`: importance-weighted log-likelihood and diagnostics on held-out data, of one run or of several."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfp_vae.core import files as storage
from tfp_vae.core.display import plural
from tfp_vae.core.errors import DiskError, UsageError
from tfp_vae.data.dataset import SPLITS
from tfp_vae.evaluation.anomalies import Effort, Ranking
from tfp_vae.evaluation.metrics import METRICS, metrics_of, samples_text
from tfp_vae.reports.pictures import EVALUATION_PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs.examples import held_out_view, new_examples
from tfp_vae.runs.known_anomalies import AnomalyLabel, which_are_anomalies, with_label_column
from tfp_vae.runs.recipe import reload

from .. import console, options, output, signals
from . import train

if TYPE_CHECKING:
    from tfp_vae.runs.results import Assessment

SHOWN_ROWS = 5
"""Most rows of unsettled examples that are printed. `evaluation.json` has all of them."""

NEAR_CEILING = 0.99
"""A mutual information above this share of its ceiling is only a lower bound."""


def save(run: runs.Run, assessment: Assessment, plots: bool) -> None:
    """Write an evaluation into its run, and draw its pictures or remove those of the evaluation that it replaces.

    A fuller evaluation of the same weights and split stays, with its pictures. A result of annealing alone is not
    written, because reports and comparisons need importance-weighted estimates.
    """
    if assessment.result["log_likelihood"] is None:
        console.notice("this result is not kept in the run. Add --json to save it yourself.")
        return
    if run.write_evaluation(assessment.result) == runs.PARTIAL:
        fuller = run.evaluation()
        size = "" if fuller is None else samples_text(fuller.content())
        kept = "" if fuller is None else f"({fuller.num_examples:,} examples, {size})"
        console.notice(
            f"{run.folder}/{runs.EVALUATION} and its pictures stay, because that evaluation is fuller {kept}. This one "
            f"is in {runs.PARTIAL}. To replace it, delete {runs.EVALUATION} first."
        )
    elif plots:
        from tfp_vae.reports.drawing import draw_evaluation

        for path in draw_evaluation(run, assessment):
            console.notice(f"picture: {path}")
    else:
        for name in EVALUATION_PICTURES:
            run.files.remove(f"{runs.PLOTS}/{name}.png")


def with_options(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result whose advice and remarks name options. The run's file keeps the names of the library."""
    advice = result["advice"] and console.with_options(result["advice"], command)
    remarks = [console.with_options(remark, train.command) for remark in result["remarks"]]
    return {**result, "advice": advice, "remarks": remarks}


def print_results(results: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]) -> None:
    """Print the metrics of a run, or those of several runs side by side with paired differences."""
    size = "{dataset}, {split} split: {num_examples:,} examples, ".format(**results[0]) + samples_text(results[0])
    click.echo(size + output.refinement_note(results[0]) + ", seed {seed}, {seconds:.1f} s".format(**results[0]))
    for line in dict.fromkeys(map(output.measure_line, results)):
        click.echo(line)
    metrics = [
        m for m in metrics_of("table") if any(m.key in result or m.value(result) is not None for result in results)
    ]
    names = [Path(result["run"]).name for result in results]
    if not differences:
        (result,) = results
        rows = [[m.indented_label, m.text(result), m.error_text(result), m.unit_text(result)] for m in metrics]
        console.print_table(["mean over examples", "value", "standard error", "unit"], rows)
        if len(result["sweep"]) > 1:
            value, sweep = METRICS["log_likelihood"], result["sweep"]
            click.echo()
            rows = [[f"{line['iw_samples']:,}", value.text(line), value.error_text(line)] for line in sweep]
            console.print_table(["K", "log p(x)", "standard error"], rows)
        if "efforts" in result:
            click.echo()
            rows = [
                [f"{effort['iw_samples']:,}", effort["refine"], f"{effort['examples']:,}", f"{effort['settled']:,}"]
                for effort in result["efforts"]
            ]
            console.print_table(["K", "proposal refined by", "examples", f"known to {result['accuracy']:g} nats"], rows)
        print_notes(result)
        return
    rows = [[m.indented_label, *(m.text(result) for result in results), m.unit_text(results[0])] for m in metrics]
    console.print_table(["mean over examples", *names, "unit"], rows)
    click.echo()
    rows = [
        [Path(line["run"]).name, m.label, f"{line[m.key]:+.3f}", m.error_text(line)]
        for line in differences
        for m in metrics_of("difference")
    ]
    console.print_table([f"less {names[0]}", "paired difference", "nats", "standard error"], rows)
    for result in results:
        print_notes(result, title=f"\n{result['run']}")


def check_options(
    run: Sequence[str], per_example: str | None, accuracy: float | None, ais_steps: int | None, anomalies: str | None
) -> None:
    """Raise UsageError if options of the command exclude each other."""
    if anomalies is None:
        options.refuse_on_command_line(("data",), "without --anomalies. To score new data, use `tfp-vae score`")
    if per_example is not None and len(run) > 1:
        raise UsageError("--per-example works with one --run only. Evaluate the runs one by one.")
    output.check_path(per_example, (".npz",), "--per-example")
    if accuracy is not None:
        options.refuse_on_command_line(
            ("iw_samples", "refine"), "with --accuracy, which chooses it for each example. Leave this option out"
        )
    if ais_steps is None:
        options.refuse_on_command_line(
            ("ais_chains", "ais_examples"), "without --ais-steps. Add --ais-steps, or leave this option out"
        )


def check_anomaly_options(run: Sequence[str], iw_samples: Sequence[int], data: str | None) -> None:
    """Raise UsageError if other options exclude `--anomalies`."""
    if len(run) > 1:
        raise UsageError("--anomalies works with one --run only. Evaluate the runs one by one.")
    if len(iw_samples) > 1:
        raise UsageError("--anomalies takes one number of --iw-samples. Keep one.")
    others = ("accuracy", "max_examples", "ais_steps", "per_example", "plots", "factors")
    options.refuse_on_command_line(others, "with --anomalies. Leave this option out")
    if data is not None:
        options.refuse_on_command_line(("split",), "with --data. Keep one of them")


def rank_known_anomalies(
    found: runs.Run, text: str, data: str | None, split: str, data_dir: str | None, weights: str | None, effort: Effort
) -> dict[str, Any]:
    """Return how well each anomaly score finds the rows that a label marks.

    Args:
      found: the run.
      text: the label, such as `kind` or `kind=fraud`.
      data: the file of the rows, or None for a split of the run.
      split: that split.
      data_dir, weights: see the options.
      effort: the settings of the estimates.
    """
    began, label = time.monotonic(), AnomalyLabel.parse(text)
    config = with_label_column(found.config(), label)
    # the data of the run need no label if those of a file have it
    dataset = reload(config if data is None else found.config(), data_dir, console.DownloadProgress())
    examples = held_out_view(config, dataset, split) if data is None else new_examples(config, data)
    where = f"{config.data.dataset}, {split} split" if data is None else data
    anomalous, values = which_are_anomalies(examples, label, where)
    count = int(anomalous.sum())
    console.notice(
        f"anomalies: {count:,} of {len(anomalous):,} rows, with {label.name} {' or '.join(values)} (--anomalies "
        f"{label.name}=VALUE,... names other values)"
    )
    output.notice_missingness(found)
    restored = output.restore(found, weights)
    from tfp_vae.evaluation.importance import summarize
    from tfp_vae.runs.anomalies import rank_scores
    from tfp_vae.runs.results import undefined_metrics

    evidence, ranked = rank_scores(restored, dataset, examples, anomalous, effort, stages=console.progress_bar)
    latent, has_bits = restored.vae.prior.latent, restored.measure.has_bits
    summary = summarize(evidence.estimates, examples.x[0].size, discrete=has_bits, latent=latent)
    names = ("log_likelihood", "log_likelihood_se", "elbo", "elbo_se", "distortion", "rate", "bits_per_dim")
    return {
        "run": str(found.folder),
        "dataset": config.data.dataset,
        "data": data,
        "split": split if data is None else None,
        "num_examples": len(anomalous),
        "num_anomalies": count,
        "anomaly_label": label.name,
        "anomaly_values": list(values),
        "iw_samples": effort.iw_samples,
        "refine": effort.refine,
        "seed": effort.seed,
        "weights": restored.weights,
        "step": restored.step,
        **{name: getattr(summary, name) for name in (*names, "active_units", "ess_median")},
        **undefined_metrics(has_bits=has_bits, latent=latent),
        "anomalies": [ranking_record(name, each, count) for name, each in ranked.items()],
        "seconds": time.monotonic() - began,
    }


def keep_ranking(found: runs.Run, result: Mapping[str, Any]) -> None:
    """Write the result into the run for the report, or print a warning if the disk refuses it."""
    try:
        found.write(runs.ANOMALIES, result)
    except DiskError as error:
        console.notice(f"warning: The result was not kept in the run, so reports will not show it: {error}")


def ranking_record(name: str, found: Ranking | str, num_anomalies: int) -> dict[str, Any]:
    """Return how well a score finds anomalies, or why it does not apply. Unknown errors are None, with the reason."""
    if isinstance(found, str):
        return {"score": name, "reason": found}
    if not math.isnan(found.auroc_se):
        return {"score": name, **found._asdict()}
    reason = f"one {'anomaly' if num_anomalies == 1 else 'usual row'}"
    unknown: dict[str, str | None] = {"auroc_se": None, "auroc_se_reason": reason}
    unknown |= {"average_precision_se": None, "average_precision_se_reason": reason}
    return {"score": name, **found._asdict(), **unknown}


def print_ranking(result: Mapping[str, Any]) -> None:
    """Print how well each score finds known anomalies, and which scores do not apply."""
    share = result["num_anomalies"] / result["num_examples"]
    source = result["data"] or "{dataset}, {split} split".format(**result)
    click.echo(
        f"{source}: {plural(result['num_examples'], 'row')}, {result['num_anomalies']:,} anomalous, K = "
        f"{result['iw_samples']:,}{output.refinement_note(result)}, seed {result['seed']}, {result['seconds']:.1f} s"
    )
    figures = ("auroc", "auroc_se", "average_precision", "average_precision_se")
    rows = [
        [each["score"].partition(":parts=")[0], *(ranking_text(each, name) for name in figures)]
        for each in result["anomalies"]
        if "reason" not in each
    ]
    console.print_table(
        ["score (higher is more unusual)", "AUROC", "standard error", "average precision", "standard error"], rows
    )
    click.echo(f"chance: AUROC 0.5, average precision {share:.4f}")
    for each in result["anomalies"]:
        if "reason" in each:
            click.echo(f"without {each['score']}: {each['reason']}")


def ranking_text(record: Mapping[str, Any], name: str) -> str:
    """Return a number of the table of scores, or that it is unknown and why."""
    return f"unknown: {record[f'{name}_reason']}" if record[name] is None else f"{record[name]:.4f}"


def class_notes(result: Mapping[str, Any]) -> list[str]:
    """Return the log-likelihood of each class of a conditional model, and how well Bayes' rule finds the classes."""
    if "classification" not in result:
        return []
    classes = ", ".join("{class} {log_likelihood:.2f} ({examples:,})".format(**each) for each in result["per_class"])
    figures = (
        "classes of {examples:,} examples by Bayes' rule, K = {iw_samples}: accuracy {accuracy:.4f} (standard error "
        "{accuracy_se:.4f}, the most frequent class alone {chance:.4f}), -log p(y|x) {negative_log_likelihood:.3f} "
        "nats, calibration error {calibration_error:.4f}. log p(x) = log sum_y p(x|y) p(y) is {log_likelihood:.3f}"
    )
    notes = [figures.format(**result["classification"])]
    by_network = result["classification"].get("classifier")
    if by_network is None:
        return [f"log p(x|y) by class (examples): {classes}", *notes]
    notes.append(
        "classes of {examples:,} examples by the classifier q(y|x): accuracy {accuracy:.4f} (standard error "
        "{accuracy_se:.4f}), -log q(y|x) {negative_log_likelihood:.3f} nats, calibration error "
        "{calibration_error:.4f}".format(**by_network)
    )
    return [f"log p(x) by class (examples): {classes}", *notes]


def print_notes(result: dict[str, Any], title: str = "") -> None:
    """Print the annealing of a run, advice on its estimate, and a mutual information that reaches its ceiling."""
    notes = []
    if "ais" in result:
        above = (
            "; above importance sampling by {above_importance_sampling:+.3f} (standard error "
            "{above_importance_sampling_se:.3f}): {verdict}"
        )
        notes.append(
            (
                "\nannealing, {steps:,} steps, {chains} chains, on {examples} of the examples: log p(x) "
                "{log_likelihood:.3f}, Monte Carlo error {log_likelihood_mc_error:.3f}"
                + (above if "verdict" in result["ais"] else "")
            ).format(**result["ais"])
        )
        gap, error, cross = result["sandwich"]["gap"], result["sandwich"]["gap_se"], ""
        if gap < 0:
            within = error is not None and -gap <= 2 * error
            cross = ", but within their errors" if within else " by more than their errors, so neither can be trusted"
            cross = f": the bounds cross{cross}. Anneal more examples"
        notes.append(
            "annealing both ways on {examples} simulated examples: log p(x) at least {lower:.3f} and at most "
            "{upper:.3f}, gap {gap:.3f} (standard error {gap_se:.3f}){cross}\n".format(
                **result["sandwich"], cross=cross
            )
        )
    notes += [*class_notes(result), *filter(None, [result["advice"]]), *result["remarks"]]
    information, most = result["mutual_information"], result["mutual_information_ceiling"]
    if information is not None and most and information >= NEAR_CEILING * most:
        notes.append(
            f"I(x; z) is close to log {result['num_examples']:,} = {most:.3f} nats, its ceiling for so few examples. "
            "Its true value may be larger, and the KL from aggregate posterior to prior smaller."
        )
    rows = result.get("unsettled_rows")
    if rows:
        more = f" and {len(rows) - SHOWN_ROWS:,} more" if len(rows) > SHOWN_ROWS else ""
        shown = ", ".join(f"{row:,}" for row in rows[:SHOWN_ROWS])
        notes.append(f"not known to {result['accuracy']:g} nats: rows {shown}{more} of the {result['split']} split")
    for note in [title, *notes] if title and notes else notes:
        click.echo(note)


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae evaluate --accuracy 0.1",
        "tfp-vae evaluate --data checked.csv --anomalies fraud=yes",
    ),
)
@options.several_runs_options
@options.data_dir_option
@options.option(
    "--iw-samples",
    group=options.RUN,
    type=options.Several(options.Whole(1, options.MOST_SAMPLES)),
    metavar="K[,K...]",
    default="100",
    show_default=True,
    help="Importance samples per example. Several numbers share one pass.",
)
@options.refine_option
@options.option(
    "--accuracy",
    group=options.RUN,
    type=options.POSITIVE,
    metavar="NATS",
    help="Accuracy of log p(x), in nats. The command chooses the samples and the proposal of each example to reach it. "
    " [default: use --iw-samples]",
)
@options.option(
    "--split",
    group=options.DATA,
    type=options.Choice(SPLITS),
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
    "--anomalies",
    group=options.DATA,
    metavar="LABEL[=VALUE,...]",
    help="Measure how well each score finds the rows of this label. It measures nothing else. "
    " [default: measure no scores]",
)
@options.option(
    "--data",
    group=options.DATA,
    metavar="PATH",
    type=options.DATA_PLACE,
    help="File with the rows for --anomalies.  [default: the split]",
)
@options.option(
    "--factors",
    group=options.DATA,
    metavar="NAME,...",
    help="Known factors of the data, such as label. Measure how far each dimension of z follows one of them: MIG, SAP "
    "and DCI.  [default: none]",
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
    run: Sequence[str],
    runs_dir: str,
    data_dir: str | None,
    iw_samples: tuple[int, ...],
    refine: str,
    accuracy: float | None,
    split: str,
    max_examples: int | None,
    seed: int,
    anomalies: str | None,
    data: str | None,
    factors: str | None,
    ais_steps: int | None,
    ais_chains: int,
    ais_examples: int,
    per_example: str | None,
    plots: bool,
    weights: str | None,
    execution: str,
    as_json: bool,
) -> None:
    """Estimate log p(x) and diagnostics on held-out data.

    Repeat --run to see runs next to each other, with paired differences from the first. With --anomalies, measure
    anomaly scores against labels instead.
    """
    check_options(run, per_example, accuracy, ais_steps, anomalies)
    if anomalies is not None:
        check_anomaly_options(run, iw_samples, data)
        chosen = output.find_run(next(iter(run), None), runs_dir)
        output.refuse_condition(chosen.config(), "evaluate --anomalies")
        effort = Effort(iw_samples[0], refine, seed, execution)
        result = rank_known_anomalies(chosen, anomalies, data, split, data_dir, weights, effort)
        keep_ranking(chosen, result)
        console.print_json(result) if as_json else print_ranking(result)
        return
    found = [runs.find(each, runs_dir) for each in run or (None,)]
    for each in found:
        each.check_writable(["", runs.PLOTS], output.COPY)
    assessments = []
    again = options.command_line(click.get_current_context(), run=[str(each.folder) for each in found])
    with signals.ending(f". Finished examples are kept. Continue with: {again}"):
        for each in found:
            console.notice(f"run: {each.folder}")
            dataset = reload(each.config(), data_dir, console.DownloadProgress())
            output.notice_missingness(each)
            restored = output.restore(each, weights)
            from tfp_vae.runs.results import AnnealingPlan, Plan, assess, compare

            annealing = None if ais_steps is None else AnnealingPlan(ais_steps, ais_chains, ais_examples)
            names = tuple(filter(None, (name.strip() for name in (factors or "").split(","))))
            if restored.vae.encoder.posterior.capabilities.implicit and annealing is not None:
                options.refuse_on_command_line(
                    ("iw_samples", "refine", "accuracy", "per_example"),
                    f"for {each.folder}, whose posterior has no density. Leave this option out",
                )
            plan = Plan(iw_samples, split, max_examples, seed, execution, annealing, refine, accuracy, names)
            assessments.append(assess(restored, dataset, plan, stages=console.progress_bar, resume=True))
    differences = [compare(assessments[0], other) for other in assessments[1:]]
    try:  # results are kept even if nobody listens any more, and printed even if they cannot be kept
        if per_example is not None:
            storage.write_arrays(Path(per_example), assessments[0].per_example())
        for each, assessment in zip(found, assessments, strict=True):
            save(each, assessment, plots)
            if assessment.unfinished is not None:
                assessment.unfinished.remove()
    finally:
        results = [with_options(assessment.result) for assessment in assessments]
        if as_json:
            sealed = [storage.seal(result) for result in results]
            console.print_json({"runs": sealed, "differences": differences} if differences else sealed[0])
        else:
            print_results(results, differences)
