"""The comparison of several runs as one HTML page: results side by side, curves over each other, settings that differ.

It reads the files of the runs, and the models are not used. Differences between runs on the same examples have smaller
errors than the results themselves, so the page names the command that computes them.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.metrics import Metric, metrics_of, rounded_pair
from tfp_vae.reports import assets
from tfp_vae.reports.curves import STYLES, Curve, curve_data
from tfp_vae.reports.page import ELBO_TERMS, STATES, PagePicture, page_pictures, setting_rows
from tfp_vae.reports.repeat_command import portable
from tfp_vae.reports.verdicts import Verdict, judge
from tfp_vae.runs.folder.records import which_evaluation
from tfp_vae.runs.run import Run

__all__ = ["comparison_page", "differing_examples", "differing_settings", "differing_units", "result_rows"]

MOST_RUNS = len(STYLES)
"""The most runs of a page, whose curves differ in colour or dashes."""

SIDE_BY_SIDE = ("samples", "reconstructions", "latent-scatter", "traversals")
"""Pictures that the page shows next to each other."""


class ResultRow(NamedTuple):
    """A metric on the page: its label, the value of each run with its error, and its unit, all as text."""

    label: str
    texts: list[str]
    unit: str


class Compared(NamedTuple):
    """A run on the page.

    name: the name of its folder, with a number if several have the same.
    run: the run.
    evaluation: the content of its evaluation, or None.
    verdicts: the verdicts on it.
    pictures: its pictures by name.
    """

    name: str
    run: Run
    evaluation: Mapping[str, Any] | None
    verdicts: Sequence[Verdict]
    pictures: Mapping[str, PagePicture]


@check_keywords
def comparison_page(runs: Sequence[Run]) -> str:
    """Return a page that compares runs as HTML.

    ```python
    found = tv.runs.finished_runs("runs")
    html = tv.reports.comparison_page([found[-1], found[-1]])
    ```

    Args:
      runs: 2 to 9 runs.

    Raises:
      UsageError: there are fewer or more runs.
      RunError: a file of a run is missing or damaged.
    """
    if not 2 <= len(runs) <= MOST_RUNS:
        raise UsageError(f"expected 2 to {MOST_RUNS} runs to compare, found {len(runs)}.")
    compared = [compared_run(name, run) for name, run in zip(unique_names(runs), runs, strict=True)]
    names, units, curves = [each.name for each in compared], differing_units(compared), curves_of(compared)
    values = {
        "names": names,
        "compared": compared,
        "states": STATES,
        "comparable": not units,
        "doubt": units or differing_examples(compared),
        "evaluations": [each.evaluation and which_evaluation(each.evaluation) for each in compared],
        "rows": result_rows(compared),
        "split": "validation" if have_validation(compared) else "training",
        "settings": differing_settings(compared),
        "side_by_side": [name for name in SIDE_BY_SIDE if any(name in each.pictures for each in compared)],
        "terms": ELBO_TERMS,
        "folders": [shlex.quote(str(run.folder)) for run in runs],
        "has_curves": curves is not None,
        "data": assets.as_json({"curves": curves, "explorer": None}),
    }
    return assets.render("comparison.html", values)


def unique_names(runs: Sequence[Run]) -> list[str]:
    """Return the names of the runs' folders, with a number in front if some are equal."""
    names = [run.folder.resolve().name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{i}: {name}" for i, name in enumerate(names, 1)]


def compared_run(name: str, run: Run) -> Compared:
    """Return a run with its results."""
    record = run.evaluation()
    pictures = {picture.name: picture for picture in page_pictures(run)}
    return Compared(name, run, None if record is None else record.content(), judge(run), pictures)


def have_validation(compared: Sequence[Compared]) -> bool:
    """Return whether all runs have validation data."""
    return all(math.isfinite(line["validation_elbo"]) for each in compared for line in each.run.metrics())


def curves_of(compared: Sequence[Compared]) -> dict[str, object] | None:
    """Return the learning curves on validation data, or on training data if some run has no validation data."""
    epochs = {each.name: each.run.metrics() for each in compared}
    prefix = "validation_" if have_validation(compared) else ""
    return curve_data(
        {term: [Curve(name, lines, prefix + term) for name, lines in epochs.items()] for term in ELBO_TERMS.values()}
    )


def differing_units(compared: Sequence[Compared]) -> str:
    """Return why log p(x) of the runs cannot be compared, or an empty text."""
    if len({each.run.config().data.fingerprint for each in compared}) > 1:
        return "The runs saw different data, so their log p(x) cannot be compared."
    evaluations = [each.evaluation for each in compared if each.evaluation is not None]
    if len({evaluation["measure"] for evaluation in evaluations}) > 1:
        return "The runs have different kinds of p(x), so their log p(x) cannot be compared."
    return ""


def differing_examples(compared: Sequence[Compared]) -> str:
    """Return a warning if the runs were evaluated on different examples, or an empty text."""
    evaluations = [each.evaluation for each in compared if each.evaluation is not None]
    if len({(evaluation["split"], evaluation["num_examples"]) for evaluation in evaluations}) > 1:
        return "The runs were evaluated on different examples, so part of a difference may come from these."
    return ""


def result_rows(compared: Sequence[Compared]) -> list[ResultRow]:
    """Return the metrics that some evaluation defines, as rows of a table."""
    evaluations, rows = [each.evaluation or {} for each in compared], []
    for metric in metrics_of("report"):
        defined = [evaluation for evaluation in evaluations if metric.value(evaluation) is not None]
        if defined:
            texts = [with_error(metric, evaluation) for evaluation in evaluations]
            rows.append(ResultRow(metric.label, texts, metric.unit_text(defined[0])))
    return rows


def with_error(metric: Metric, evaluation: Mapping[str, Any]) -> str:
    """Return a metric as text, with its standard error if it has one."""
    value, error = rounded_pair(metric.value(evaluation), metric.error(evaluation))
    return f"{value} ± {error}" if error else value


def differing_settings(compared: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Return the settings that differ between runs: the label and each run's value. A hyphen is a setting not there."""
    settings = [dict(setting_rows(portable(each.run.config()))) for each in compared]
    labels = dict.fromkeys(label for each in settings for label in each)
    rows = [(label, [each.get(label, "-") for each in settings]) for label in labels]
    return [(label, values) for label, values in rows if len(set(values)) > 1]
