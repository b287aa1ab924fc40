"""Extensions: the code on the page about extensions, for every table, by import path and as entry points."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tfp_vae as tv
from tests.helpers.commands import call, one_sentence
from tests.helpers.documents import ROOT, blocks
from tests.helpers.runs import start_run
from tfp_vae.core import registry
from tfp_vae.core.errors import RunError, UsageError
from tfp_vae.core.registry import Member, allow_code
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import Run

BRIEF = ["--epochs", "1", "--steps-per-epoch", "2", "--execution", "eager", "--no-plots", "--run-dir", "run"]
EVERYTHING = [
    "--dataset",
    "my_dataset:moons:n=100",
    "--posterior",
    "my_posterior:Laplace",
    "--prior",
    "my_prior:WideNormal:width=3",
    "--likelihood",
    "my_likelihood:GeneralizedNormal:power=3",
    "--objective",
    "my_objective:CIWAE",
    "--encoder",
    "my_network:gated:width=8",
    "--decoder",
    "my_network:gated",
    "--lr-schedule",
    "my_schedule:warm_up",
    "--callback",
    "my_callback:StopAt:elbo=-1e9",
]


def example_commands() -> list[str]:
    """Return the training commands on the page, one for each part."""
    lines = "\n".join(blocks(ROOT / "docs" / "extending.md", "sh")).splitlines()
    return [line for line in lines if line.startswith("tfp-vae train")]


def forget() -> None:
    """Remove the code from this process, as in a new one."""
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]
    registry._ALLOWED.clear()


@pytest.fixture
def run(own_code: Path) -> Run:
    """A run that names code for every part. This process has not imported the code."""
    call("train", *EVERYTHING, *BRIEF)
    forget()
    return Run.open(own_code / "run")


def test_page_has_a_command_for_each_of_the_eight_parts() -> None:
    modules = {match for line in example_commands() for match in re.findall(r"(my_\w+):", line)}
    parts = ("dataset", "posterior", "prior", "likelihood", "objective", "network", "schedule", "callback")
    assert modules == {f"my_{part}" for part in parts}


@pytest.mark.slow
@pytest.mark.parametrize("line", example_commands())
def test_command_of_the_page_trains_and_its_run_samples(line: str, own_code: Path) -> None:
    small = [] if "my_network" in line else ["--hidden", "8"]
    call(*shlex.split(line)[1:], *BRIEF, *small)
    forget()
    call("sample", "--run", "run", "--n", "2", "--allow-code", "--out", "x.npy")
    assert (own_code / "x.npy").exists()


def test_config_records_import_paths_and_round_trips(run: Run) -> None:
    unread = run.config()
    assert unread.data.dataset == "my_dataset:moons:n=100"
    assert unread.model.prior == Member("my_prior:WideNormal", {"width": 3.0})
    assert unread.model.encoder.name == "my_network:gated"
    assert unread.training.lr_schedule == Member("my_schedule:warm_up", {"share": 0.1})
    assert unread.training.callbacks == (Member("my_callback:StopAt", {"elbo": -1e9}),)
    assert not [name for name in sys.modules if name.startswith("my_")]
    with allow_code(run.folder.parent):
        read = run.config()
    assert read.model_dump(mode="json") == unread.model_dump(mode="json")
    assert read.identity() == unread.identity()


def test_loading_without_permission_runs_no_code_and_names_the_option(run: Run) -> None:
    (run.folder.parent / "my_posterior.py").write_text("raise SystemExit(99)")
    message = one_sentence(call("sample", "--run", run.folder, "--n", "2", code=4))
    assert "loading a run never imports code by itself" in message
    assert message.endswith("set --allow-code.")
    call("evaluate", "--run", run.folder, code=4)
    call("train", "--resume", "--run-dir", run.folder, "--epochs", "2", code=4)
    assert not [name for name in sys.modules if name.startswith("my_")]


PLACES = ("objective", "optimizer", "lr_schedule", "callbacks")


@pytest.mark.parametrize("place", PLACES)
def test_resuming_refuses_code_in_each_place_of_the_training(place: str, own_code: Path) -> None:
    (own_code / "my_trap.py").write_text("raise SystemExit(99)")
    run, _ = start_run(own_code / "run")
    config = run.config().model_dump(mode="json")
    trap = {"name": "my_trap:Trap"}
    config["training"][place] = [trap] if place == "callbacks" else trap
    run.write("config.json", config)
    message = one_sentence(call("train", "--resume", "--run-dir", run.folder, "--no-plots", code=4))
    assert "code of the module my_trap" in message
    assert "my_trap" not in sys.modules


def test_listing_runs_needs_no_permission(run: Run) -> None:
    assert "my_dataset:moons" in call("runs", "--runs-dir", run.folder.parent).stdout
    assert "my_prior:WideNormal" in call("info", "--run", run.folder).stdout
    assert not [name for name in sys.modules if name.startswith("my_")]


@pytest.mark.slow
def test_allow_code_samples_evaluates_and_resumes(run: Run) -> None:
    call("sample", "--run", run.folder, "--n", "2", "--allow-code")
    forget()
    call("evaluate", "--run", run.folder, "--iw-samples", "2", "--no-plots", "--allow-code")
    forget()
    call("train", "--resume", "--run-dir", run.folder, "--epochs", "2", "--no-plots", "--allow-code")
    assert len(run.metrics()) == 2


@pytest.mark.slow
def test_python_loads_with_permission_or_after_an_import(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="set `allow_code`"):
        LoadedRun(run)
    with allow_code(run.folder.parent):
        inside = sample(LoadedRun(run), 3, seed=0)
    forget()
    monkeypatch.syspath_prepend(run.folder.parent)
    for name in ("posterior", "prior", "likelihood", "network"):
        __import__(f"my_{name}")
    assert (sample(LoadedRun(run), 3, seed=0) == inside).all()


def test_never_calls_another_function_of_an_imported_module(run: Run) -> None:
    config = run.config().model_dump(mode="json")
    config["data"]["dataset"] = "os:abort"
    config["training"]["lr_schedule"] = {"name": "os:kill"}
    run.write("config.json", config)
    with pytest.raises(RunError, match="schedule 'os:kill': expected a function that returns Schedule"):
        run.config()
    config["training"]["lr_schedule"] = {"name": "constant"}
    run.write("config.json", config)
    with pytest.raises(RunError, match="dataset 'os:abort': expected a function that returns Dataset"):
        reload(run.config())


WRONG: dict[str, tuple[str, str]] = {
    "wrong kind": ("--prior my_posterior:Laplace", "expected a subclass of Prior, found the class Laplace."),
    "a function in place of a class": ("--prior my_schedule:warm_up", "a subclass of Prior, found a function."),
    "wrong result": (
        "--encoder my_schedule:warm_up",
        "a function that returns Network, found a function that returns Schedule",
    ),
    "no module": ("--prior my_missing:WideNormal", "there is no module my_missing. Check the name"),
    "no such name": ("--prior my_prior:WideNormel", "has no 'WideNormel'. Did you mean 'WideNormal'?"),
    "misspelt setting": ("--prior my_prior:WideNormal:widht=3", "Did you mean 'width'?"),
    "wrong value": ("--prior my_prior:WideNormal:width=-3", "width: expected a number above 0, found '-3'"),
    "module with an error": ("--prior my_broken:Prior", "importing my_broken failed (ZeroDivisionError"),
    "module that needs another": ("--prior my_needy:Prior", "importing my_needy failed: No module named 'my_absent'"),
    "abstract class": ("--prior tfp_vae.model.priors:Prior", "is abstract. Define "),
    "wrong parameters": (
        "--lr-schedule my_odd:odd",
        "expected the parameters (learning_rate, total_steps, *, settings)",
    ),
    "setting called name": ("--lr-schedule my_odd:named", "a setting cannot be called 'name'"),
    "data set of another type": ("--dataset my_odd:array", "expected an object Dataset, found ndarray"),
    "scaled data set": ("--dataset my_odd:scaled", "expected values that are not scaled"),
}

ODD = """
import numpy as np
import tfp_vae as tv

def odd(*, share: float = 1.0) -> tv.training.Schedule: ...
def named(learning_rate, total_steps, *, name: str = "x") -> tv.training.Schedule: ...
def array():
    return np.zeros((9, 3))
def scaled() -> tv.data.Dataset:
    return tv.data.load(np.random.default_rng(0).normal(size=(90, 3)), scaling="standard")
"""


@pytest.mark.parametrize("case", WRONG)
def test_refuses_unsuitable_code_and_names_the_reason(case: str, own_code: Path) -> None:
    (own_code / "my_broken.py").write_text("1 / 0")
    (own_code / "my_needy.py").write_text("import my_absent")
    (own_code / "my_odd.py").write_text(ODD)
    arguments, reason = WRONG[case]
    assert reason in one_sentence(call("train", *arguments.split(), *BRIEF, code=2))
    assert not (own_code / "run").exists()


def test_config_file_may_name_code(own_code: Path) -> None:
    (own_code / "c.toml").write_text(
        'prior = {name = "my_prior:WideNormal", width = 4}\n'
        'callback = ["my_callback:StopAt", "my_callback:StopAt:elbo=1"]\n'
    )
    call("train", "--config", "c.toml", "--hidden", "8", *BRIEF)
    config = Run.open(own_code / "run").config()
    assert config.model.prior.settings == {"width": 4.0}
    assert [member.settings["elbo"] for member in config.training.callbacks] == [-20.0, 1.0]


def test_data_inspect_describes_a_data_set_of_your_own(own_code: Path) -> None:
    del own_code
    assert "my_dataset:moons" in call("data", "inspect", "my_dataset:moons:n=200").stdout


def test_fit_takes_names_of_objective_schedule_and_callback(own_code: Path) -> None:
    with allow_code(own_code):  # so that the folder is searched
        data = tv.data.load("my_dataset:moons:n=100")
        likelihood = tv.likelihoods.Normal(data.event_shape)
        posterior = tv.posteriors.DiagonalNormal(2)
        vae = tv.VAE(
            tv.Encoder(tv.networks.mlp(data.event_shape, posterior.params_size, hidden=(8,)), posterior),
            tv.Decoder(tv.networks.mlp((2,), likelihood.params_size, hidden=(8,)), likelihood),
            tv.priors.StandardNormal(2),
        )
        history = tv.fit(
            vae,
            data,
            "my_objective:CIWAE:share=1",
            lr_schedule="my_schedule:warm_up",
            callbacks=["my_callback:StopAt:elbo=-1000000"],
            epochs=3,
            execution="eager",
        )
    assert history.ended == "reached -1e+06 nats"
    assert len(history) == 1


@pytest.fixture
def installed(own_code: Path) -> Callable[..., None]:
    """Return a function that installs a distribution with an entry point, in the folder of the extensions."""

    def install(group: str, name: str, value: str, distribution: str = "my_dist") -> None:
        folder = own_code / f"{distribution}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
        sys.path[:] = [
            str(own_code),
            *(each for each in sys.path if each != str(own_code)),
            str(own_code / distribution),
        ]

    return install


def test_entry_point_is_listed_and_used_by_its_plain_name(installed: Callable[..., None], own_code: Path) -> None:
    installed("tfp_vae.priors", "wide-normal", "my_prior:WideNormal")
    shown = call("info", "priors").stdout
    assert "wide-normal" in shown
    assert "width=2.0" in shown
    call("train", "--prior", "wide-normal:width=3", "--hidden", "8", *BRIEF)
    forget()
    run = Run.open(own_code / "run")
    assert run.config().model.prior == Member("wide-normal", {"width": 3.0})
    call("sample", "--run", "run", "--n", "2")
    assert "Did you mean 'wide-normal'?" in one_sentence(call("train", "--prior", "wide-norml", *BRIEF, code=2))


@pytest.mark.parametrize(
    ("group", "name", "value", "topic"),
    [
        ("tfp_vae.posteriors", "laplace", "my_posterior:Laplace", "posteriors"),
        ("tfp_vae.likelihoods", "generalized-normal", "my_likelihood:GeneralizedNormal", "likelihoods"),
        ("tfp_vae.objectives", "ciwae", "my_objective:CIWAE", "objectives"),
        ("tfp_vae.networks", "gated", "my_network:gated", "networks"),
        ("tfp_vae.schedules", "warm-up", "my_schedule:warm_up", "schedules"),
        ("tfp_vae.callbacks", "stop-at", "my_callback:StopAt", "callbacks"),
        ("tfp_vae.datasets", "moons", "my_dataset:moons", "datasets"),
    ],
)
def test_every_table_lists_its_entry_points(
    group: str, name: str, value: str, topic: str, installed: Callable[..., None]
) -> None:
    installed(group, name, value)
    assert re.search(rf"^{name} ", call("info", topic).stdout, re.MULTILINE)


def test_entry_point_does_not_replace_a_built_in_name(installed: Callable[..., None]) -> None:
    installed("tfp_vae.priors", "standard-normal", "my_prior:WideNormal")
    assert tv.priors.PRIORS["standard-normal"] is tv.priors.StandardNormal
    assert tv.priors.PRIORS.names() == list(tv.priors.PRIORS)


def test_refuses_one_name_from_two_packages(installed: Callable[..., None]) -> None:
    installed("tfp_vae.priors", "mine", "my_prior:WideNormal")
    installed("tfp_vae.priors", "mine", "my_other:WideNormal", "my_dist2")
    with pytest.raises(UsageError, match=r"Two installed packages offer 'mine' in tfp_vae\.priors"):
        tv.priors.PRIORS.member("mine")


def test_refuses_an_entry_point_without_its_module(installed: Callable[..., None]) -> None:
    installed("tfp_vae.priors", "gone", "my_gone:Prior")
    with pytest.raises(UsageError, match=r"prior 'gone': importing my_gone:Prior failed: No module named 'my_gone'"):
        tv.priors.PRIORS.member("gone")


@pytest.mark.slow
def test_new_process_finds_code_in_its_current_folder_only(own_code: Path) -> None:
    program = [sys.executable, "-c", "from tfp_vae.cli.start import main; main()"]
    trained = subprocess.run(
        [*program, "train", *EVERYTHING, *BRIEF], check=False, cwd=own_code, capture_output=True, text=True
    )
    assert trained.returncode == 0, trained.stderr
    elsewhere = own_code / "elsewhere"
    elsewhere.mkdir()
    path = [*program, "sample", "--run", "../run", "--n", "2", "--allow-code"]
    refused = subprocess.run(path, check=False, cwd=elsewhere, capture_output=True, text=True)
    assert refused.returncode == 4
    assert "there is no module my_" in refused.stderr
