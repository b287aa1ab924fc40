"""The report of a run: one HTML page with its settings, metrics, pictures, command and versions.

`html_page` reads the files and pictures of a run and fills jinja2 templates, which escape their text. The page contains
the pictures, so it needs no network and no other file. The model is not used. To add a section, write its template in
`templates/` and enter it in `SECTIONS`. Settings and their labels come from `runs.config.SETTINGS`, metrics from
`evaluation.metrics.METRICS`, and captions from `reports.pictures.PICTURES`.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfp_vae.core.errors import RunError
from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.metrics import Place, metrics_of, rounded_pair, significant
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.plots.animations import last_frame
from tfp_vae.plots.canvas import description
from tfp_vae.reports.curves import Curve, curve_data, thin
from tfp_vae.reports.explorer.records import Explorer, read_explorer
from tfp_vae.reports.pictures import EVALUATION_PICTURES, PICTURES
from tfp_vae.reports.repeat_command import command_pieces, obstacle, portable
from tfp_vae.reports.verdicts import judge
from tfp_vae.runs import run as runs
from tfp_vae.runs.config import SETTINGS, RunConfig
from tfp_vae.runs.folder.records import which_evaluation
from tfp_vae.runs.run import Run
from tfp_vae.runs.tables.choices import describe_kinds

__all__ = [
    "SECTIONS",
    "Extreme",
    "MetricRow",
    "PagePicture",
    "curve_values",
    "extremes_of",
    "html_page",
    "metric_rows",
    "page_pictures",
    "picture_description",
    "pictures_for",
    "pictures_to_redraw",
    "setting_rows",
]

LARGEST_PICTURE = 1 << 26
"""Largest picture on a page, in bytes."""

MIME = {".png": "image/png", ".gif": "image/gif"}
"""Type of each kind of picture file."""

DAMAGED = "{path}: this picture is damaged. Draw it again with `draw_run`."

SECTIONS = {
    "Verdict": "verdict.html",
    "Latent space": "explore.html",
    "Learning curves": "curves.html",
    "Evaluation": "evaluation.html",
    "Extremes": "extremes.html",
    "Pictures": "pictures.html",
    "Settings": "settings.html",
    "How to repeat it": "repeat.html",
}
"""Titles of the sections of a page, in order, and the templates that fill them."""

ELBO_TERMS = {"ELBO": "elbo", "distortion": "distortion", "rate": "rate"}
"""Labels of the terms after the last epoch, and their keys in `training.json`."""

STATES = {"good": "Good", "check": "Check", "unknown": "Unknown"}
"""The states of verdicts as words."""

SHOWN_ABOVE = ("learning-curves", "latent-scatter")
"""Pictures whose content a script shows in another section. They are hidden if it runs, except on paper."""

MOST_ROWS, MOST_EXTREMES = 40, 20
"""The most epochs in the table of curves, and the most examples at each end of the table of extremes."""


class Extreme(NamedTuple):
    """A test example with a very low or high log p(x).

    rank: its rank by log p(x), from 1 for the least likely.
    place: its index in the explorer.
    name: its name in the source.
    label: the name of its class, or empty.
    log_px: nats.
    """

    rank: int
    place: int
    name: str
    label: str
    log_px: float


class MetricRow(NamedTuple):
    """A row in the table of metrics, with its numbers as text."""

    label: str
    value: str
    error: str
    unit: str
    meaning: str


class PagePicture(NamedTuple):
    """A picture on the page.

    caption: the text below it.
    alt: the text in its place for readers who cannot see it.
    data: its content as a URI.
    still: the last frame of an animation as a URI, or None.
    note: the weights it was drawn from, and whether it is outdated.
    """

    name: str
    caption: str
    alt: str
    data: str
    still: str | None
    note: str


@check_keywords
def html_page(run: Run) -> str:
    """Return the page of a run as HTML.

    ```python
    html = tv.reports.html_page(tv.runs.find(None, "runs"))
    ```

    Raises:
      RunError: a file of the run is missing or damaged.
    """
    from tfp_vae.reports import assets

    training, record, environment = run.training_result(), run.evaluation(), run.environment()
    evaluation = None if record is None else record.model_dump()
    config = portable(run.config())
    data, latent_dim = config.data, config.model.latent_dim
    size = "x".join(map(str, data.event_shape)) + " values" * (len(data.event_shape) == 1)
    epochs, explorer = run.metrics(), read_explorer(run)
    values: dict[str, object] = {
        "name": run.folder.resolve().name,
        "folder": shlex.quote(run.folder.name if run.folder.is_absolute() else str(run.folder)),
        "summary": (
            f"A variational autoencoder with {latent_dim} latent dimension{'s' * (latent_dim > 1)}, trained on "
            f"{data.splits.get('train', 0):,} examples of {size} from {data.dataset}."
        ),
        "sections": SECTIONS,
        "status": run.status(),
        "settings": setting_rows(config),
        "terms": ELBO_TERMS,
        "training": training,
        "evaluation": evaluation,
        "evaluation_name": evaluation and which_evaluation(evaluation),
        "metrics": metric_rows(evaluation),
        "headline": metric_rows(evaluation, "headline"),
        "significant": significant,
        "anomalies": run.anomaly_evaluation(),
        "pictures": page_pictures(run),
        "command": " \\\n  ".join(command_pieces(config)),
        "obstacle": obstacle(config),
        "environment": environment,
        "fingerprint": data.fingerprint,
        "has_paths": run.config().data != data,
        "configuration": json.dumps(config.model_dump(mode="json"), indent=2),
        "verdicts": judge(run),
        "states": STATES,
        "explorer": explorer,
        "extremes": extremes_of(explorer),
        "epochs": thin(epochs, MOST_ROWS),
        "shown_above": SHOWN_ABOVE if explorer is not None and explorer.map is not None else SHOWN_ABOVE[:1],
        "data": assets.as_json({"curves": curve_values(epochs), "explorer": explorer and explorer.model_dump()}),
    }
    return assets.render("report.html", values)


def setting_rows(config: RunConfig) -> list[tuple[str, str]]:
    """Return the label and the value of each setting of a run, between the sizes of its splits and later changes."""
    sizes = ", ".join(f"{size:,} {name}" for name, size in config.data.splits.items())
    settings = [(SETTINGS[name].label, SETTINGS[name].report(value)) for name, value in config.settings().items()]
    changes = [("Changed on resuming", "; ".join(map(str, config.changes)))] if config.changes else []
    return [("Splits", f"{sizes} ({config.data.split_rule})"), *settings, *column_rows(config), *changes]


def column_rows(config: RunConfig) -> list[tuple[str, str]]:
    """Return a row with the likelihoods of the columns of a mixed table. Other runs have none."""
    schema, likelihood = config.data.reading.table, config.model.likelihood
    if schema is None or likelihood.name != "columns":
        return []
    kinds = {column.name: column.kind for column in schema.modelled}
    members = [LIKELIHOODS.member(likelihood.settings["columns"][name]) for name in kinds]
    return [("Likelihoods of columns", ". ".join(describe_kinds(kinds, members)))]


def metric_rows(evaluation: Mapping[str, Any] | None, place: Place = "report") -> list[MetricRow]:
    """Return the metrics that an evaluation defines, as rows of a table.

    Args:
      evaluation: the content of `evaluation.json`, or None.
      place: `report` for the table, `headline` for the top of the page.
    """
    found = evaluation or {}
    return [
        MetricRow(m.label, *rounded_pair(m.value(found), m.error(found)), m.unit_text(found), m.meaning)
        for m in metrics_of(place)
        if m.value(found) is not None
    ]


def curve_values(epochs: Sequence[Mapping[str, Any]]) -> dict[str, object] | None:
    """Return the learning curves of training and validation data, or None before the first epoch."""
    return curve_data(
        {
            term: [Curve("train", epochs, term), Curve("validation", epochs, f"validation_{term}")]
            for term in ELBO_TERMS.values()
        }
    )


def extremes_of(explorer: Explorer | None) -> list[Extreme]:
    """Return the least and the most likely test examples, the least likely first. Unknown log p(x) are left out."""
    if explorer is None:
        return []
    points = explorer.points
    known = [(value, i) for i, value in enumerate(points.log_px) if value is not None]
    ranked = list(enumerate(sorted(known), 1))
    shown = ranked if len(ranked) <= 2 * MOST_EXTREMES else ranked[:MOST_EXTREMES] + ranked[-MOST_EXTREMES:]
    labels = points.labels
    return [
        Extreme(rank, i, points.names[i], "" if labels is None else explorer.classes[labels[i]].name, value)
        for rank, (value, i) in shown
    ]


@check_keywords
def page_pictures(run: Run) -> list[PagePicture]:
    """Return the pictures on the page of a run, in the order of the table.

    Raises:
      RunError: a picture is damaged or too large.
    """
    names = pictures_for(run)
    outdated = set(pictures_to_redraw(run, names))
    found = []
    for name in names:
        path = picture_path(run, name)
        if not path.is_file():
            continue
        if path.stat().st_size > LARGEST_PICTURE:
            raise RunError(f"{path}: this picture is larger than {LARGEST_PICTURE:,} bytes. Draw it again.")
        try:
            content = path.read_bytes()
            about = description(content)
            still = data_uri(last_frame(content), ".png") if path.suffix == ".gif" else None
        except OSError as error:
            raise RunError(DAMAGED.format(path=path)) from error
        notes = f"Drawn from {about}." if about else "", "Older than the checkpoint." if name in outdated else ""
        picture, data = PICTURES[name], data_uri(content, path.suffix)
        found.append(PagePicture(name, picture.caption, picture.alt, data, still, " ".join(filter(None, notes))))
    return found


def data_uri(content: bytes, suffix: str) -> str:
    """Return a picture as a URI that contains it."""
    return f"data:{MIME[suffix]};base64,{base64.b64encode(content).decode()}"


def picture_path(run: Run, name: str) -> Path:
    """Return where a picture of a run is, whether it exists or not."""
    return run.path(f"{runs.PLOTS}/{name}{PICTURES[name].suffix}")


@check_keywords
def pictures_for(run: Run) -> list[str]:
    """Return the names of the pictures that belong on the page of a run, whether they exist or not.

    Pictures of an evaluation belong there only if that evaluation is reported, because they may outlive it. They then
    replace the run's own pictures of the same kind.
    """
    evaluation = run.evaluation()
    current = set()
    if evaluation is not None:
        paths = {name: picture_path(run, name) for name in EVALUATION_PICTURES}
        expected = "", which_evaluation(evaluation.model_dump())
        current = {name for name, path in paths.items() if path.is_file() and picture_description(path) in expected}
    left_out = {PICTURES[name].replaces for name in current} | (EVALUATION_PICTURES.keys() - current)
    return [name for name in PICTURES if name not in left_out]


@check_keywords
def pictures_to_redraw(run: Run, names: Sequence[str], about: str = "") -> list[str]:
    """Return the pictures that are missing, older than the newest checkpoint, or made from other weights.

    Args:
      run: the run. Without a checkpoint, no picture is too old.
      names: names from `PICTURES`.
      about: the expected weights and seed of pictures that name theirs. An empty text accepts any.
    """
    checkpoint = run.path(runs.CHECKPOINT)
    newest = checkpoint.stat().st_mtime if checkpoint.exists() else 0.0
    outdated = []
    for name in names:
        path = picture_path(run, name)
        is_current = path.is_file() and path.stat().st_mtime >= newest
        if not is_current or (about and picture_description(path) not in ("", about)):
            outdated.append(name)
    return outdated


def picture_description(path: Path) -> str:
    """Return the description in a picture's file, or an empty text if it has none.

    A picture of a run names its weights and seed. A picture of an evaluation names that evaluation.

    Raises:
      RunError: the file is not a picture.
    """
    try:
        return description(path.read_bytes())
    except OSError as error:
        raise RunError(DAMAGED.format(path=path)) from error
