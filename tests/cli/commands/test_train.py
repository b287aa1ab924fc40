"""`tfp-vae train`: every setting is an option, limits have messages, and the command line wins over TOML files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from tfp_vae.cli import options
from tfp_vae.cli.commands import train

from tests.helpers.commands import GRAPH, answer, call, one_sentence
from tfp_vae.core.errors import UsageError
from tfp_vae.runs.config import SETTINGS, ModelConfig, Request, TrainingConfig
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run

OPTIONS = {str(option.name): option for option in reversed(train.command.params) if isinstance(option, options.Option)}
NUMBERS = [name for name, setting in SETTINGS.items() if setting.kind in (int, float)]
BEYOND = [
    (name, bound, limit + {"ge": -1, "gt": 0, "le": 1, "lt": 0}[bound])
    for name in NUMBERS
    for bound, limit in SETTINGS[name].limits.items()
]


@pytest.fixture
def plan(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Request, ModelConfig, TrainingConfig]]:
    """Return a function that returns the settings of a command line, without reading data or training."""
    found: list[Any] = []

    def stop(request: Request, model: ModelConfig, training: TrainingConfig, left_open: object) -> None:
        found.append((request, model, training))
        raise UsageError("stopped by the test.")

    monkeypatch.setattr(train, "plan_run", stop)

    def settings_of(*arguments: object) -> tuple[Request, ModelConfig, TrainingConfig]:
        assert "stopped by the test" in one_sentence(call("train", *arguments, code=2))
        result: tuple[Request, ModelConfig, TrainingConfig] = found.pop()
        return result

    return settings_of


class TestOptions:
    """Options come from the table of settings."""

    def test_an_option_agrees_with_its_setting(self) -> None:
        for name, setting in SETTINGS.items():
            option = OPTIONS[name]
            assert option.opts == [f"--{setting.key}", *(f"--{alias}" for alias in setting.aliases)]
            assert option.group == setting.group, name
            assert str(option.help).startswith(setting.help), name
            assert option.multiple == setting.multiple, name
            assert option.envvar == setting.variable, name
            if setting.default:
                assert option.default is None, name
                assert str(option.help).endswith(f"[default: {setting.default}]"), name

    def test_short_options_close_the_settings_that_they_are_short_for(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found: list[set[str]] = []

        def stop(*settings: Any) -> None:
            found.append(set(settings[-1]))
            raise UsageError("stopped by the test.")

        monkeypatch.setattr(train, "plan_run", stop)
        call("train", code=2)
        call("train", "--hidden", 8, "--mc-samples", 1, code=2)
        assert found[0] - found[1] == {"encoder", "decoder", "objective"}

    def test_other_options_are_not_settings(self) -> None:
        assert OPTIONS.keys() - SETTINGS.keys() == {"config", "allow_code", "debug"}

    @pytest.mark.parametrize("name", NUMBERS)
    def test_limits_of_an_option_equal_those_of_the_field(self, name: str) -> None:
        limits, kind = SETTINGS[name].limits, OPTIONS[name].type
        assert isinstance(kind, click.IntRange | click.FloatRange)
        assert kind.min == limits.get("ge", limits.get("gt"))
        assert kind.max == limits.get("le", limits.get("lt"))
        assert (kind.min_open, kind.max_open) == ("gt" in limits, "lt" in limits)

    def test_help_shows_limits_defaults_and_options(self) -> None:
        page = " ".join(call("train", "--help").stdout.split())
        assert "--epochs 1<=N<=1000000 Epochs in total, also with --resume. [default: 100, or 150 for vectors" in page
        assert "--clip-norm NUMBER Largest global norm of a gradient. [default: no limit]" in page
        assert "--seed 0<=N<=2147483647" in page
        assert "--plots / --no-plots" in page
        assert "`resume`" not in page

    def test_defaults_equal_those_of_the_records(self, plan: Callable[..., object]) -> None:
        assert plan() == (Request(), ModelConfig(), TrainingConfig())


class TestLimits:
    """A value beyond its limits is a usage error that names the option, the limit and the value."""

    @pytest.mark.parametrize(("name", "bound", "value"), BEYOND)
    def test_beyond(self, name: str, bound: str, value: float, here: Path) -> None:
        flag = f"--{SETTINGS[name].key}"
        said = one_sentence(call("train", flag, value, code=2))
        words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
        assert f"'{flag}': expected a " in said
        assert words[bound] in said
        assert f"found '{value}'" in said
        assert list(here.iterdir()) == []

    @pytest.mark.parametrize("name", NUMBERS)
    def test_at_a_limit(self, name: str, plan: Callable[..., tuple[object, ...]]) -> None:
        for bound in ("ge", "le"):
            limit = SETTINGS[name].limits.get(bound)
            if limit is not None:
                records = plan(f"--{SETTINGS[name].key}", limit)
                values = [getattr(record, name) for record in records if hasattr(record, name)]
                expected = None if (name, limit) == ("early_stopping", 0) else limit  # 0 never stops
                assert values == [expected] or name == "mc_samples"  # which goes into the objective

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "1e999"])
    @pytest.mark.parametrize("name", [name for name in NUMBERS if SETTINGS[name].kind is float])
    def test_numbers_are_finite(self, name: str, value: str, here: Path) -> None:
        said = one_sentence(call("train", f"--{SETTINGS[name].key}={value}", code=2))
        assert "expected a finite number" in said
        assert f"found '{value}'" in said

    @pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.choices])
    def test_errors_list_the_choices(self, name: str, here: Path) -> None:
        said = one_sentence(call("train", f"--{SETTINGS[name].key}", "nothing", code=2))
        assert all(choice in said for choice in SETTINGS[name].choices)

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--prior", "vam"], "Did you mean 'vamp'?"),
            (["--prior", "vamp:component=3"], "Did you mean 'components'?"),
            (["--epoch", "3"], "--epochs"),
            (
                ["--hidden", "8", "--encoder", "conv", "--decoder", "conv"],
                "--hidden has no meaning for the network conv",
            ),
            (["--mc-samples", "2", "--objective", "elbo:mc_samples=3"], "Keep one"),
            (["--beta", "2", "--objective", "iwae"], "--beta has no effect on the objective iwae"),
            (["--resume"], "--resume needs the run's folder"),
        ],
    )
    def test_wrong_settings(self, arguments: list[str], expected: str, here: Path) -> None:
        assert expected in " ".join(call("train", *arguments, code=2).stderr.split())


class TestToml:
    """`--config`: values of a file, checked like options."""

    @pytest.mark.parametrize(
        ("toml", "arguments"),
        [
            ("epochs = 7", ["--epochs", 7]),
            ("batch-size = 7\nlearning-rate = 1", ["--batch-size", 7, "--learning-rate", 1]),
            ("batch_size = 7", ["--batch-size", 7]),
            ("hidden = [8, 4]", ["--hidden", "8,4"]),
            ('hidden = "8,4"', ["--hidden", "8,4"]),
            ('prior = "vamp:components=3"', ["--prior", "vamp:components=3"]),
            ('[prior]\nname = "vamp"\ncomponents = 3', ["--prior", "vamp:components=3"]),
            ('resize = [28, 32]\nchannels = "grey"', ["--resize", "28x32", "--channels", "grey"]),
            ('columns = ["a, b", "c"]', ["--columns", '"a, b",c']),
            ("plots = false\njson = true\ntensorboard = false", ["--no-plots", "--json"]),
            ('execution = "eager"', ["--no-compile"]),
            ("mc-samples = 5\nema = 0.9\nearly-stopping = 3", ["--mc-samples", 5, "--ema", 0.9, "--early-stopping", 3]),
        ],
    )
    def test_a_file_equals_options(self, toml: str, arguments: list[object], plan: Callable[..., object]) -> None:
        Path("c.toml").write_text(toml)
        assert plan("--config", "c.toml") == plan(*arguments)

    def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(
        self, plan: Callable[..., tuple[Request, ModelConfig, TrainingConfig]]
    ) -> None:
        Path("c.toml").write_text("epochs = 7\nbatch-size = 9\nplots = false")
        request, _, training = plan("--config", "c.toml", "--epochs", 3, "--plots")
        assert (training.epochs, training.batch_size, training.learning_rate) == (3, 9, 1e-3)
        assert request.plots

    @pytest.mark.parametrize(
        ("toml", "expected"),
        [
            ("epoch = 1", "c.toml: unknown key 'epoch'. Did you mean 'epochs'?"),
            ("batchsize = 1", "c.toml: unknown key 'batchsize'. Did you mean 'batch_size'?"),
            ("debug = true", "c.toml: unknown key 'debug'"),
            ("epochs = 0", "c.toml: epochs: expected a number of at least 1, found 0"),
            ("epochs = true", "c.toml: epochs: expected a value, found true"),
            ("epochs = [1, 2]", "c.toml: epochs: expected a whole number"),
            ("ema = 1.0", "c.toml: ema: expected a number below 1, found 1"),
            ('prior = "vam"', "c.toml: unknown prior 'vam'"),
            ("prior = 5", "c.toml: prior: expected text, found 5"),
            ("[prior]\ncomponents = 3", "c.toml: unknown prior ''"),
            ("[training]\nepochs = 3", "c.toml: unknown key 'training'"),
            ("epochs = 1\nepochs = 2", "c.toml: not a TOML file"),
        ],
    )
    def test_wrong_files(self, toml: str, expected: str, here: Path) -> None:
        Path("c.toml").write_text(toml)
        assert expected in one_sentence(call("train", "--config", "c.toml", code=2))

    def test_a_missing_file(self, here: Path) -> None:
        assert "none.toml: could not be read" in one_sentence(call("train", "--config", "none.toml", code=2))


class TestResume:
    """`--resume` continues a run and changes nothing except its length and its output."""

    @pytest.mark.parametrize("name", [name for name in NUMBERS if name not in train.CHANGEABLE])
    def test_settings_that_decide_numbers_stay(self, name: str, copied: Run) -> None:
        setting = SETTINGS[name]
        value = {int: 1, float: 0.5}[setting.kind]
        said = one_sentence(call("train", "--resume", "--run-dir", copied.folder, f"--{setting.key}", value, code=2))
        assert f"--{setting.key} cannot be changed on --resume" in said

    def test_changeable_settings_exist(self) -> None:
        assert SETTINGS.keys() > train.CHANGEABLE

    def test_a_finished_run_needs_more_epochs(self, copied: Run) -> None:
        said = one_sentence(call("train", "--resume", "--run-dir", copied.folder, code=2))
        assert "all 2 epochs are done. Raise the total with --epochs" in said


@pytest.mark.slow
def test_a_run_records_its_settings(here: Path) -> None:
    Path("c.toml").write_text('hidden = [8]\nepochs = 1\nseed = 3\nposterior = "full-covariance-normal"')
    told = ("--config", "c.toml", "--run-dir", "r", "--beta", "0.5", "--no-plots", "--json", *GRAPH)
    result = json.loads(call("train", *told).stdout)
    config = Run(Path("r")).config()
    assert result["epochs"] == config.training.epochs == 1
    assert (config.training.seed, config.training.beta, config.training.execution) == (3, 0.5, "graph")
    assert config.model.encoder.settings["hidden"] == config.model.decoder.settings["hidden"] == (8,)
    assert config.model.posterior.name == "full-covariance-normal"


def test_the_result_names_early_stopping_and_averaged_weights(capsys: pytest.CaptureFixture[str]) -> None:
    terms = {"elbo": -1.0, "distortion": 0.75, "rate": 0.25}
    result: dict[str, Any] = {
        "dataset": "digits", "epochs": 4, "steps": 1_200, "parameters": 10_000, "seconds": 2.5, "run": "runs/r",
        "likelihood": "bernoulli", "scaling": "pixels", "binarization": "dynamic", "measure": "a probability",
        "train": terms, "validation": {**terms, "elbo_scaled": -3.5},
        "stopped_early": {"epoch": 4, "best_epoch": 2}, "ema": 0.99, "weights": "best", "best": {"epoch": 2},
    }  # fmt: skip
    train.print_result(result)
    printed = capsys.readouterr().out
    assert "digits: 4 epochs, 1,200 steps, 10,000 parameters, 2.5 s" in printed
    assert "stopped early at epoch 4, best at epoch 2" in printed
    assert "commands use the best weights, those of epoch 2. Use --weights final for the last ones." in printed
    assert "EMA with decay 0.99" in printed
    named = "(likelihood bernoulli, scaling pixels, binarization dynamic)"
    assert f"p(x) is a probability {named}" in printed
    assert "ELBO of the scaled values: -3.50 (validation)" in printed
    assert re.search(r"validation +-1.00 +0.75 +0.25", printed)
    assert printed.splitlines()[-1] == "runs/r"
    train.print_result({**result, "stopped_early": {"epoch": 4, "best_epoch": None}, "ema": None, "weights": "final"})
    printed = capsys.readouterr().out
    assert "no epoch has a finite validation bound" in printed
    assert "EMA" not in printed


def test_resume_refuses_other_settings_and_a_learning_rate_without_epochs_left(copied: Run) -> None:
    resume = ("train", "--resume", "--run-dir", copied.folder, "--no-plots")
    said = one_sentence(call(*resume, "--learning-rate", "5e-4", code=2))
    assert "all 2 epochs are done. Raise the total with --epochs." in said
    assert "--batch-size cannot be changed on --resume" in one_sentence(call(*resume, "--batch-size", 7, code=2))
    assert copied.config().changes == ()


@pytest.mark.slow
def test_resume_takes_another_learning_rate_and_records_it(copied: Run) -> None:
    resume = ("train", "--resume", "--run-dir", copied.folder, "--no-plots")
    said = call(*resume, "--learning-rate", "5e-4", "--epochs", 3).stderr.splitlines()
    assert "epochs: 2 before epoch 3, then 3" in said
    assert "learning rate: 0.001 before epoch 3, then 0.0005" in said
    assert [round(line["learning_rate"], 9) for line in copied.metrics()] == [1e-3, 1e-3, 5e-4]
    changes = [(change.setting, change.epoch, change.before, change.after) for change in copied.config().changes]
    assert changes == [("epochs", 3, 2, 3), ("learning_rate", 3, 1e-3, 5e-4)]


def test_resume_prints_the_changes_before_it_trains(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> bool:
        raise UsageError("stopped")

    monkeypatch.setattr(train, "train_run", stop)
    resume = ("train", "--resume", "--run-dir", copied.folder, "--no-plots")
    said = call(*resume, "--learning-rate", "0.01", "--epochs", 3, code=2).stderr.splitlines()
    assert "learning rate: 0.001 before epoch 3, then 0.01" in said
    assert "epochs: 2 before epoch 3, then 3" in said
    refused = one_sentence(call(*resume, "--epochs", 1, code=2))
    assert "2 epochs are done already. --epochs is the total, expected more than 2, found 1." in refused


def test_json_names_options_in_remarks(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file in the run keeps the names of the library."""
    result = copied.read("training.json")
    copied.write("training.json", {**result, "remarks": ["The model overfits. Use `early_stopping=10`."]})
    before = copied.path("training.json").read_bytes()
    monkeypatch.setattr(train, "train_run", lambda *arguments: True)
    monkeypatch.setattr(train, "reopen", lambda *arguments: (copied, None))
    found = answer("train", "--resume", "--run-dir", copied.folder, "--no-plots")
    assert found["remarks"] == ["The model overfits. Use --early-stopping 10."]
    assert copied.path("training.json").read_bytes() == before


@pytest.mark.parametrize(("error", "left"), [(MemoryError(), False), (RuntimeError("odd"), True)], ids=str)
def test_a_run_without_enough_memory_leaves_its_folder_free(
    error: Exception, left: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> bool:
        raise error

    (here / "r").mkdir()
    (here / "r" / ".mine").touch()
    monkeypatch.setattr(train, "train_run", fail)
    said = one_sentence(call("train", "--run-dir", "r", code=1 if left else 2))
    assert ("--batch-size" in said) != left
    assert Run(here / "r").exists() == left
    assert (here / "r" / ".mine").exists()
    if not left:
        Run.refuse_existing(here / "r")


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
def test_float64_lasts_from_training_to_scores(likelihood: str, here: Path) -> None:
    call("train", "--dtype", "float64", "--hidden", "8", "--epochs", "1", "--steps-per-epoch", "2", "--run-dir", "run",
         "--likelihood", likelihood, "--no-plots", *GRAPH)  # fmt: skip
    run = Run.open(Path("run"))
    assert run.config().model.dtype == "float64"
    assert LoadedRun(run).vae.dtype == np.float64
    call("evaluate", "--run", "run", "--iw-samples", "3", "--max-examples", "5", "--refine", "local:steps=2",
         "--ais-steps", "2", "--ais-chains", "2", "--ais-examples", "2")  # fmt: skip
    np.save("new.npy", np.zeros((2, 8, 8)))
    scores = answer("score", "--run", "run", "--data", "new.npy", "--iw-samples", "3")
    assert np.isfinite(scores["log_likelihood"])
