"""The report of a run: one HTML page with its metrics, pictures, configuration and command.

`page` reads the files and pictures of a run and fills a jinja2 template, which escapes their text. The page contains
the pictures, so it needs no network and no other file. The model is not used. The metrics are those of the last
evaluation.

```python
html = tv.reports.page.page(tv.runs.run.find(None, "runs"))
tv.reports.page.command(tv.runs.run.find(None, "runs").config())  # "tfp-vae train --dataset digits ..."
```
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfp_vae.core.errors import RunError
from tfp_vae.data.named import DATASETS
from tfp_vae.evaluation.metrics import Place, metrics_of, significant
from tfp_vae.plots.animations import last_frame
from tfp_vae.plots.canvas import description
from tfp_vae.reports.pictures import EVALUATION_PICTURES, PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs.config import SETTINGS, HandBuiltModel, RunConfig
from tfp_vae.runs.run import Run

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = [
    "Figure",
    "Picture",
    "can_repeat",
    "command",
    "page",
    "pictures",
    "pictures_for",
    "pictures_to_redraw",
    "portable",
]

LARGEST_PICTURE = 1 << 26
"""Largest picture on a page, in bytes."""

MIME = {".png": "image/png", ".gif": "image/gif"}


class Figure(NamedTuple):
    """A row in the table of metrics, with its numbers as text."""

    name: str
    value: str
    error: str
    unit: str
    tells: str


class Picture(NamedTuple):
    """A picture on the page: its data, the last frame of an animation, and a note on its weights and age."""

    name: str
    caption: str
    data: str
    still: str | None
    note: str = ""


def page(run: Run) -> str:
    """Return the page of a run as HTML.

    Raises:
      RunError: a file of the run that is missing or damaged.
    """
    training, evaluation = _optional(run, runs.TRAINING), _optional(run, runs.EVALUATION)
    config = portable(run.config())
    return str(
        _template().render(
            name=run.folder.resolve().name,
            folder=shlex.quote(run.folder.name if run.folder.is_absolute() else str(run.folder)),
            config=config,
            placed=run.config().data != config.data,
            summary=_summary(config),
            parts=_parts(config),
            status=run.status(),
            command=" \\\n  ".join(_pieces(config)) if can_repeat(config) else "",
            training=training,
            terms=_terms(training),
            evaluation=evaluation,
            evaluated=evaluation and runs.which_evaluation(evaluation),
            figures=figures(evaluation),
            headline=figures(evaluation, "headline"),
            environment=_optional(run, runs.ENVIRONMENT),
            pictures=pictures(run),
            configuration=json.dumps(config.model_dump(mode="json"), indent=2),
        )
    )


def portable(config: RunConfig) -> RunConfig:
    """Return a configuration without paths of this machine: a file or folder becomes `./name`, `data_dir` is None.

    The `./` is needed because a folder called `digits` would otherwise mean the data set of that name.
    """
    dataset = config.data.dataset
    named = {"dataset": dataset if DATASETS.knows(dataset) else f"./{Path(dataset).name}", "data_dir": None}
    return config.model_copy(update={"data": config.data.model_copy(update=named)})


def _template() -> Template:
    """Return the page's template; it escapes what it is filled with, and an undefined name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _optional(run: Run, name: str) -> dict[str, Any] | None:
    return run.read(name) if run.path(name).exists() else None


def _summary(config: RunConfig) -> str:
    data, model = config.data, config.model
    shape = "x".join(map(str, data.event_shape))
    return (
        f"A variational autoencoder with {model.latent_dim} latent dimension{'s' * (model.latent_dim > 1)}, trained on "
        f"{data.splits.get('train', 0):,} examples of {shape} from {data.dataset}."
    )


def _parts(config: RunConfig) -> list[tuple[str, str]]:
    """Return the label and value of each setting of a run."""
    data, settings = config.data, config.settings()
    sizes = ", ".join(f"{size:,} {name}" for name, size in data.splits.items())
    rows = [(SETTINGS[name].label, SETTINGS[name].report(value)) for name, value in settings.items()]
    return [(label, f"{text}: {sizes} ({data.split_rule})" if text == data.dataset else text) for label, text in rows]


def command(config: RunConfig) -> str:
    """Return the command that trains the same run again from the same data.

    The number of levels found in the data is an option of the command. Means and standard deviations of a scaling are
    not, because training learns them again. Versions and the machine are in `environment.json`.
    """
    return " ".join(_pieces(config))


def can_repeat(config: RunConfig) -> bool:
    """Return whether a command can train the same run again: not if its VAE, settings or data exist in Python only."""
    return not (isinstance(config.model, HandBuiltModel) or config.training.objects or config.data.stored)


def _pieces(config: RunConfig) -> list[str]:
    """Return that line in pieces, one for each option."""
    options = [
        f"--{SETTINGS[name].key} {shlex.quote(text)}"
        for name, value in config.settings().items()
        for text in SETTINGS[name].texts(value)
    ]
    return ["tfp-vae train", *options]


def _terms(training: Mapping[str, Any] | None) -> list[tuple[str, list[str]]]:
    """Return the ELBO, distortion and rate of each split after the last epoch, written out."""
    if training is None:
        return []
    names = ("elbo", "distortion", "rate")
    return [(split, [significant(training[split][name]) for name in names]) for split in ("train", "validation")]


def figures(evaluation: Mapping[str, Any] | None, place: Place = "report") -> list[Figure]:
    """Return the metrics of an evaluation that are defined, as rows of a table.

    Args:
      evaluation: as `evaluation.json` holds it, or None.
      place: `report` for the table, `headline` for the top of the page.
    """
    found = evaluation or {}
    return [
        Figure(m.label, significant(m.value(found)), significant(m.error(found)), m.unit, m.meaning)
        for m in metrics_of(place)
        if m.value(found) is not None
    ]


def pictures(run: Run) -> list[Picture]:
    """Return the pictures on the page of a run, in the order of the table."""
    names = pictures_for(run)
    paths = [(name, path) for name in names for path in _candidates(run, name) if path.is_file()]
    old = set(pictures_to_redraw(run, names))
    return [_picture(path, name)._replace(note=_note(path, old=name in old)) for name, path in paths]


def pictures_for(run: Run) -> list[str]:
    """Return the names of the pictures that belong on the page of a run, whether they exist or not.

    Pictures of an evaluation belong there only if that evaluation is reported, because they may outlive it. They then
    replace the run's own pictures of the same kind.
    """
    found = _optional(run, runs.EVALUATION)
    evaluated = {name for name in EVALUATION_PICTURES if _is_of(run, name, found)}
    left_out = {PICTURES[name].replaces for name in evaluated} | (EVALUATION_PICTURES.keys() - evaluated)
    return [name for name in PICTURES if name not in left_out]


def _is_of(run: Run, name: str, evaluation: Mapping[str, Any] | None) -> bool:
    """Return whether a picture is there, and is of an evaluation; one that does not say of which is taken for it."""
    path = run.path(f"{runs.PLOTS}/{name}.png")
    if evaluation is None or not path.is_file():
        return False
    return description_of(path) in ("", runs.which_evaluation(evaluation))


def _note(path: Path, *, old: bool) -> str:
    """Return what is to be said of a picture below its caption: of which weights it is, and whether it is old."""
    about = description_of(path)
    return " ".join([*[f"Drawn from {about}."] * bool(about), *["Older than the checkpoint."] * old])


def description_of(path: Path) -> str:
    """Return the description in a picture's file, or an empty text if it has none.

    A picture of a run names its weights and seed. A picture of an evaluation names that evaluation.
    """
    if path.suffix != ".png":
        return ""
    try:
        return description(path.read_bytes())
    except OSError as error:
        raise _damaged(path) from error


def _candidates(run: Run, name: str) -> list[Path]:
    return [run.path(f"{runs.PLOTS}/{name}{suffix}") for suffix in MIME]


def _picture(path: Path, name: str) -> Picture:
    """Return a picture of the run, ready to stand in a page.

    Raises:
      RunError: a picture that is too large, or that cannot be read.
    """
    if path.stat().st_size > LARGEST_PICTURE:
        raise RunError(f"{path}: expected a picture of at most {LARGEST_PICTURE:,} bytes; delete it and draw it again.")
    try:
        content = path.read_bytes()
        still = _uri(last_frame(content), ".png") if path.suffix == ".gif" else None
    except OSError as error:
        raise _damaged(path) from error
    return Picture(name, PICTURES[name].caption, _uri(content, path.suffix), still)


def _damaged(path: Path) -> RunError:
    return RunError(f"{path}: expected a picture, found damage; draw it again with `tfp-vae plot`.")


def _uri(content: bytes, suffix: str) -> str:
    return f"data:{MIME[suffix]};base64,{base64.b64encode(content).decode()}"


def pictures_to_redraw(run: Run, names: Sequence[str], about: str = "") -> list[str]:
    """Return the pictures that are missing, older than the newest checkpoint, or of other weights.

    Args:
      run: the run. Without a checkpoint, no picture is too old.
      names: names from `PICTURES`.
      about: the expected weights and seed of pictures that name theirs. An empty text accepts any.
    """
    checkpoint = run.path(runs.CHECKPOINT)
    newest = checkpoint.stat().st_mtime if checkpoint.exists() else 0.0
    drawn = {name: [path.stat().st_mtime for path in _candidates(run, name) if path.is_file()] for name in names}
    other = {name for name in names for path in _candidates(run, name) if about and _is_other(path, about)}
    return [name for name in names if max(drawn[name], default=-1.0) < newest or name in other]


def _is_other(path: Path, about: str) -> bool:
    return path.is_file() and description_of(path) not in ("", about)
