"""The command that trains a run again, and a configuration without paths of this machine."""

from __future__ import annotations

import shlex
from pathlib import Path

from tfp_vae.core.registry import check_keywords
from tfp_vae.data.named import DATASETS
from tfp_vae.runs.config import SETTINGS, Change, HandBuiltModel, RunConfig

__all__ = ["command_pieces", "obstacle", "portable", "training_command"]


def obstacle(config: RunConfig) -> str:
    """Return a sentence on why no command can train the same run again, or an empty text if a command can.

    Most changes on resuming are no obstacle, because a run that gets more epochs or more patience equals one that had
    them from the start. But a schedule has other rates if it is longer, and less patience might have stopped earlier.
    """
    if isinstance(config.model, HandBuiltModel) or config.training.objects or config.data.stored:
        return "The VAE, its settings or its data come from Python code, so no command can repeat the training."

    def matters(change: Change) -> bool:
        if change.setting == "early_stopping":
            return change.after is not None and (change.before is None or change.after < change.before)
        return change.setting == "learning_rate" or config.training.lr_schedule.name != "constant"

    if any(map(matters, config.changes)):
        return (
            "Resuming changed the course of the training, so no single command can repeat it. The configuration below "
            "lists the changes."
        )
    return ""


@check_keywords
def training_command(config: RunConfig) -> str:
    """Return the command that trains the same run again from the same data.

    ```python
    tv.reports.training_command(tv.runs.find(None, "runs").config())  # "tfp-vae train --dataset digits ..."
    ```
    """
    return " ".join(command_pieces(config))


def command_pieces(config: RunConfig) -> list[str]:
    """Return that command in pieces, one for each option.

    Settings that training learns again from the data are left out. These are the columns of a table and the means and
    standard deviations of a scaling. Versions and the machine are in `environment.json`.
    """
    options = [
        f"--{SETTINGS[name].key} {shlex.quote(text)}"
        for name, value in config.settings().items()
        for text in SETTINGS[name].texts(value)
    ]
    if config.training.early_stopping is None and len(config.data.event_shape) == 1:
        options.append("--early-stopping 0")  # because vectors would choose a number
    return ["tfp-vae train", *options]


@check_keywords
def portable(config: RunConfig) -> RunConfig:
    """Return a configuration without paths of this machine: a file or folder becomes `./name`, `data_dir` is None.

    So does the file of a schema. The `./` is needed because a folder called `digits` would otherwise mean the data set
    of that name.
    """
    dataset = config.data.dataset
    reading, names = config.data.reading, dict[str, object]()
    if reading.schema_file is not None:
        names["reading"] = reading.model_copy(update={"schema_file": f"./{Path(reading.schema_file).name}"})
    names |= {"dataset": dataset if DATASETS.knows(dataset) else f"./{Path(dataset).name}", "data_dir": None}
    return config.model_copy(update={"data": config.data.model_copy(update=names)})
