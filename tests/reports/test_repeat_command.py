"""The command that trains a run again, and configurations without paths."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tfp_vae.cli.commands import train as train_command

from tests.helpers.commands import call
from tests.helpers.files import write_table
from tests.helpers.pages import Page
from tests.helpers.runs import small_model, small_training
from tfp_vae import reports
from tfp_vae.core.errors import UsageError
from tfp_vae.reports.repeat_command import command_pieces, obstacle
from tfp_vae.runs.config import Change, RunConfig, TrainingConfig
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run


class TestCommand:
    """The command that trains a run again."""

    def repeat(self, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
        """The configuration that `tfp-vae train` chooses for the command."""
        program, name, *arguments = shlex.split(reports.training_command(config))
        assert (program, name) == ("tfp-vae", "train")
        monkeypatch.setattr(train_command.console, "notice", lambda message: None)
        made: list[RunConfig] = []

        def planned(*given: Any, **more: Any) -> Any:
            made.append(plan(*given, **more)[0])
            raise UsageError("only planned")

        monkeypatch.setattr(train_command, "plan", planned)
        call(name, *arguments, code=2)
        return made[0]

    def test_digits(self, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = Run(trained).config()
        assert self.repeat(config, monkeypatch) == config

    @pytest.mark.parametrize(
        ("model", "training"),
        [({"posterior": "inverse-autoregressive-flow:depth=3", "prior": "normal-mixture:components=7",
           "encoder": "mlp:hidden=8,9,activation=tanh,dropout=0.1"},
          {"objective": "iwae:mc_samples=5", "clip_norm": 3.5, "steps_per_epoch": 7, "lr_schedule": "cosine"}),
         ({"likelihood": "discretized-logistic", "latent_dim": 11, "decoder": "conv:channels=4,8,dense=16"},
          {"beta": 0.5, "kl_warmup_epochs": 3, "free_bits": 0.25, "optimizer": "adamw", "seed": 9})],
    )  # fmt: skip
    def test_any_model_and_training(self, model: Any, training: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        config, _ = plan("digits", None, None, small_model(**model), small_training(**training))
        assert self.repeat(config, monkeypatch) == config

    def test_table_with_columns_and_labels(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tfp_vae.data.readers.sources import Reading

        path = write_table(tmp_path / "my table.csv", header="a b,c,kind")
        reading = Reading(label_column="kind", columns=("c", "a b"))
        config, _ = plan(str(path), None, None, small_model(likelihood="normal"), small_training(), reading=reading)
        assert config.data.scaling.name == "standard"
        assert self.repeat(config, monkeypatch) == config
        assert "loc" not in reports.training_command(config)

    @pytest.mark.parametrize(
        "scaling", ["divided:by=65535.0", "standard:loc=1.5,-2.0,scale=3.0,4.0", "standard", "none"]
    )
    @pytest.mark.parametrize("columns", [None, ("c, d", "a b")])
    def test_given_settings_are_written_and_others_are_learned_again(
        self, scaling: str, columns: tuple[str, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tfp_vae.data.readers.sources import Reading

        path = write_table(tmp_path / "table.csv", header='a b,"c, d",kind')
        reading = Reading(label_column="kind", columns=columns)
        model, training = small_model(likelihood="normal"), small_training()
        config, _ = plan(str(path), None, None, model, training, reading=reading, scaling=scaling)
        line = reports.training_command(config)
        assert f"--scaling {scaling} " in line
        assert ("--columns" in line) == (columns is not None)
        assert self.repeat(config, monkeypatch) == config
        assert (
            config.identity()
            == config.model_copy(update={"data": config.data.model_copy(update={"learned": ()})}).identity()
        )

    def test_folder_named_like_a_data_set_is_not_confused_with_it(
        self, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The command on the page repeats the run if it starts in the folder that holds the data."""
        (tmp_path / "digits").mkdir()
        for i in range(30):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "digits" / f"{i:02}.png")
        config, _ = plan(str(tmp_path / "digits"), None, None, small_model(), small_training())
        moved = reports.portable(config)
        assert moved.data.dataset == "./digits"
        text = Page(reports.html_page(Run.create(tmp_path / "run", config))).text
        sizes = ", ".join(f"{size} {name}" for name, size in config.data.splits.items())
        for part in ("--dataset ./digits ", '"dataset": "./digits"', "8x8x1 from ./digits.", sizes):
            assert part in text
        monkeypatch.chdir(tmp_path)
        assert self.repeat(moved, monkeypatch) == config


def test_pieces_are_one_option_each(trained: Path) -> None:
    config = Run(trained).config()
    first, *options = command_pieces(config)
    assert first == "tfp-vae train"
    assert all(option.startswith("--") and len(shlex.split(option)) == 2 for option in options)
    assert " ".join([first, *options]) == reports.training_command(config)
    assert "--epochs 2" in options


def test_portable_configuration_has_no_folders(trained: Path) -> None:
    config = Run(trained).config()
    data = config.data.model_copy(update={"dataset": "/home/me/my data.csv", "data_dir": "/home/me/cache"})
    moved = reports.portable(config.model_copy(update={"data": data}))
    assert (moved.data.dataset, moved.data.data_dir) == ("./my data.csv", None)
    assert moved.data.fingerprint == config.data.fingerprint
    assert reports.portable(config).data.dataset == "digits"


@pytest.mark.parametrize("part", ["data", "training"])
def test_settings_of_python_alone_have_no_command(part: str, trained: Path) -> None:
    config = Run(trained).config()
    assert not obstacle(config)
    change = {"data": {"stored": True}, "training": {"objects": ("optimizer",)}}[part]
    changed = getattr(config, part).model_copy(update=change)
    assert "come from Python code" in obstacle(config.model_copy(update={part: changed}))


@pytest.mark.parametrize(
    ("schedule", "setting", "before", "after", "repeats"),
    [
        ("constant", "epochs", 2, 9, True),
        ("cosine", "epochs", 2, 9, False),
        ("constant", "learning_rate", 1e-3, 1e-4, False),
        ("constant", "early_stopping", 2, 9, True),
        ("cosine", "early_stopping", 2, None, True),
        ("constant", "early_stopping", 9, 2, False),
        ("constant", "early_stopping", None, 2, False),
    ],
)
def test_command_repeats_a_training_unless_resuming_changed_its_course(
    schedule: str, setting: Any, before: float | None, after: float | None, repeats: bool, trained: Path
) -> None:
    config = Run(trained).config()
    training = TrainingConfig(epochs=9, lr_schedule=schedule)
    changes = (Change(setting=setting, epoch=3, step=24, before=before, after=after),)
    text = obstacle(config.model_copy(update={"training": training, "changes": changes}))
    assert (text == "") is repeats
    assert repeats or "no single command can repeat it" in text


def test_page_of_a_resumed_run_of_python_names_python(trained: Path, tmp_path: Path) -> None:
    """Its further epochs are no obstacle."""
    config = Run(trained).config()
    changes = (Change(setting="epochs", epoch=3, step=24, before=2, after=9),)
    data = config.data.model_copy(update={"stored": True})
    run = Run.create(tmp_path / "run", config.model_copy(update={"data": data, "changes": changes}))
    text = Page(reports.html_page(run)).text
    assert "come from Python code, so no command can repeat the training" in text
    assert "Resuming changed" not in text
