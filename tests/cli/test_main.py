"""The group of commands: fast starts, and how errors are printed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tfp_vae.cli.main import COMMANDS, Failure, main

import tfp_vae
from tests.helpers.commands import call, one_sentence
from tfp_vae.core import errors
from tfp_vae.runs.run import Run

BEFORE_TENSORFLOW = [
    ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS),
    ["train", "--posterior", "x"], ["info", "priors"], ["sample"], ["train", "--dataset", "none.npy"],
]  # fmt: skip
"""Command lines that end before TensorFlow is needed."""

IMPORTED = """
import json, os, sys
from tfp_vae.cli.main import main

for line in json.loads(sys.argv[1]):
    if os.fork() == 0:
        try:
            main(line)
        except SystemExit:
            with open(sys.argv[2], "a") as file:
                file.write(json.dumps([line, sorted(sys.modules)]) + "\\n")
            os._exit(0)
    assert os.wait()[1] == 0, line
"""


def imported(here: Path, command_lines: list[list[str]]) -> dict[str, set[str]]:
    """The modules that each command line had imported when it ended, each in a process of its own."""
    lines = json.dumps(command_lines)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TFP_VAE")}
    command = [sys.executable, "-c", IMPORTED, lines, "found.jsonl"]
    subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True, timeout=240)
    found = map(json.loads, (here / "found.jsonl").read_text().splitlines())
    return {" ".join(line): set(names) for line, names in found}


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The modules that each of these command lines had imported."""
    return imported(tmp_path_factory.mktemp("start"), BEFORE_TENSORFLOW)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", BEFORE_TENSORFLOW, ids=" ".join)
def test_help_and_wrong_input_come_before_tensorflow(arguments: list[str], modules: dict[str, set[str]]) -> None:
    found = modules[" ".join(arguments)]
    assert "tfp_vae.cli.main" in found
    assert not found & {"tensorflow", "matplotlib", "pandas", "sklearn", "scipy.special"}


def test_help_imports_no_heavy_package(tmp_path: Path) -> None:
    heavy = {"numpy", "pydantic", "rich", "pandas", "matplotlib", "sklearn", "tensorflow"}
    found = imported(tmp_path, [["--help"]])["--help"]
    assert {"tfp_vae", "click"} <= found
    assert not found & heavy


def test_help_of_a_command_needs_no_tensorflow(tmp_path: Path) -> None:
    assert not imported(tmp_path, [["score", "--help"]])["score --help"] & {"tensorflow", "matplotlib"}


def test_version_equals_that_of_the_package() -> None:
    assert call("--version").stdout.strip() == f"tfp-vae, version {tfp_vae.__version__}"


def test_help_lists_every_command_with_its_summary() -> None:
    page = call("--help").stdout
    assert all(name in page and summary in page for name, summary in COMMANDS.items())


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_option_has_help(command: str) -> None:
    for parameter in main.get_command(None, command).params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_takes_json(command: str) -> None:
    found = main.get_command(None, command)
    for each in found.commands.values() if isinstance(found, click.Group) else [found]:
        assert any("--json" in parameter.opts for parameter in each.params), each.name


@pytest.mark.parametrize("command", list(COMMANDS))
def test_summary_of_a_command_is_the_first_line_of_its_help(command: str) -> None:
    found = main.get_command(None, command)
    assert (found.help or "").partition("\n")[0] == COMMANDS[command]


@pytest.mark.slow
def test_entry_point_exists() -> None:
    program = shutil.which("tfp-vae", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program is not None
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert tfp_vae.__version__ in done.stdout


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.UsageError("No."), 2, "No."),
        (errors.DataError("No."), 3, "No."),
        (errors.RunError("No."), 4, "No."),
        (errors.DivergenceError("No."), 5, "No."),
        (errors.DiskError("No."), 6, "No."),
        (errors.Interrupted("Stopped.", signal_number=signal.SIGTERM), 143, "Stopped."),
        (KeyboardInterrupt(), 130, "interrupted."),
        (OSError(errno.ENOSPC, "No space left on device"), 6, "could not write the output: No space left on device"),
        (MemoryError(), 2, "not enough memory for these sizes"),
        (RuntimeError("odd"), 1, "unexpected RuntimeError: odd. Run it again with --debug"),
        (OSError(errno.EIO, "odd"), 1, "unexpected OSError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_exception_has_its_exit_code(error: BaseException, code: int, message: str) -> None:
    failure = Failure.of(error)
    assert failure.exit_code == code
    assert failure.message.startswith(message)


def test_running_out_of_memory_prints_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise MemoryError

    monkeypatch.setattr("tfp_vae.runs.run.find", fail)
    expected = "Error: not enough memory for these sizes. Choose a smaller"
    assert one_sentence(call("sample", code=2)) == f"{expected} --n."
    assert one_sentence(call("evaluate", code=2)).startswith(f"{expected} --iw-samples or --max-examples")


def test_running_out_of_memory_in_training_names_its_options() -> None:
    message = Failure.of(MemoryError(), main.get_command(None, "train")).message
    assert message.endswith("Choose a smaller --batch-size, --hidden, --mc-samples or --resize.")


@pytest.mark.parametrize(
    ("given", "meant"), [("sampel", "sample"), ("trian", "train"), ("evalute", "evaluate"), ("inof", "info")]
)
def test_a_misspelt_command_gets_a_suggestion(given: str, meant: str) -> None:
    assert one_sentence(call(given, code=2)) == f"Error: No such command '{given}'. Did you mean '{meant}'?"


@pytest.mark.parametrize(
    "arguments",
    [["--nope"], ["fly"], ["train", "--epochs", "0"], ["train", "--epochs"], ["train", "--nope"], ["sample", "extra"]],
    ids=" ".join,
)
def test_errors_in_reading_the_command_line_end_with_a_mark(arguments: list[str]) -> None:
    assert one_sentence(call(*arguments, code=2)).endswith((".", "?", "?)"))


def test_an_interrupt_of_another_program_becomes_an_exit_code(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tfp_vae.runs.run.find", fail)
    assert one_sentence(call("sample", code=130)) == "Error: interrupted."


@pytest.mark.parametrize(("length", "text"), [(200, "x" * 200), (201, "x" * 199 + "…")])
def test_a_long_unexpected_error_is_cut_with_an_ellipsis(
    length: int, text: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise RuntimeError("x" * length)

    monkeypatch.setattr("tfp_vae.runs.run.find", fail)
    assert f"unexpected RuntimeError: {text}. Run it again with --debug" in one_sentence(call("sample", code=1))


def test_debug_lets_the_exception_through(here: Path) -> None:
    result = CliRunner().invoke(main, ["sample", "--debug"])
    assert type(result.exception).__name__ == "RunError"


def test_deleted_current_folder_is_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    (here / "gone").rmdir()
    said = call("train", "--prior", "my_package:Prior", code=6)
    assert "the current folder was deleted. Change to another folder, then try again." in said.stderr
    monkeypatch.chdir(here)


@pytest.mark.parametrize("command", [("runs",), ("report",), ("train", "--epochs", "1"), ("data", "inspect", "a.npy")])
def test_commands_in_a_deleted_folder_end_with_a_sentence(
    command: tuple[str, ...], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    (here / "gone").rmdir()
    result = CliRunner().invoke(main, command)
    monkeypatch.chdir(here)
    assert result.exit_code in {0, 3, 4, 6}, result.output
    assert "unexpected" not in result.stderr


def test_run_in_a_folder_that_is_not_utf_8_is_found_and_reported(copied: Run) -> None:
    folder = copied.folder.rename(copied.folder.with_name(os.fsdecode(b"caf\xe9")))
    result = CliRunner().invoke(main, ["runs", "--runs-dir", str(folder.parent)])
    assert result.exit_code == 0, result.exception
    assert b"caf\xe9" in result.stdout_bytes
    result = CliRunner().invoke(main, ["report", "--run", str(folder), "--no-plots"])
    assert result.exit_code == 0, result.output
    assert b"caf\xe9/report.html" in result.stdout_bytes
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "expected"), [("tfp-vae op", "plain,open"), ("tfp-vae report --no", "plain,--no-plots")]
)
def test_shells_complete_commands_and_options(words: str, expected: str) -> None:
    asked = {"_TFP_VAE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    assert expected in CliRunner().invoke(main, [], prog_name="tfp-vae", env=asked).output
