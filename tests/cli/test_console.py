"""Messages of the library, translated to the options of the command line."""

from __future__ import annotations

import logging
import threading
import time

import click
import pytest
from click.testing import CliRunner
from tfp_vae.cli import console
from tfp_vae.cli.commands import sample, train
from tfp_vae.cli.main import main

from tfp_vae.core.errors import UsageError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`latent_dim`: expected 2.", "--latent-dim: expected 2."),
        ("Choose `objective=monte-carlo-elbo`.", "Choose --objective monte-carlo-elbo."),
        ("Try `clip_norm=10` or `learning_rate=1e-4`.", "Try --clip-norm 10 or --learning-rate 1e-4."),
        ("Choose `posterior=real-nvp:depth=2`.", "Choose --posterior real-nvp:depth=2."),
        ("Pass `plots=False`.", "Pass --no-plots."),
        ("Pass `resume=True`.", "Pass --resume."),
        ("Use `json`.", "Use --json."),
        ("`nothing` and `nothing=1` are no options.", "`nothing` and `nothing=1` are no options."),
        ("`tfp-vae runs` lists them.", "`tfp-vae runs` lists them."),
        ("Make one with `train`.", "Make one with `tfp-vae train`."),
        ("`all_runs('old runs')` lists them.", "`tfp-vae runs --runs-dir 'old runs'` lists them."),
        ("an odd ` stays, latent_dim too", "an odd ` stays, latent_dim too"),
    ],
)
def test_settings_become_options_of_the_command(message: str, expected: str) -> None:
    assert console.with_options(message, train.command) == expected


def test_resume_becomes_a_command_line_for_commands_without_that_option() -> None:
    assert console.with_options("Use `resume=True`.", train.command) == "Use --resume."
    assert console.with_options("Use `draw_run`.", sample.command) == "Use `tfp-vae plot`."
    assert console.with_options("Use `resume=True`.", sample.command) == "Use `tfp-vae train --resume`."


def test_settings_of_another_command_do_not_change() -> None:
    assert console.with_options("`latent_dim` or `n=3`", sample.command) == "`latent_dim` or --n 3"
    assert console.with_options("`latent_dim`", None) == "`latent_dim`"


@pytest.mark.parametrize("raises", [False, True])
def test_errors_and_warnings_of_a_command_name_its_options(raises: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**_: object) -> None:
        logging.getLogger("tfp_vae").warning("%s may be small: `n=%d`", "it", 3)
        if raises:
            raise UsageError("Set `temperature`.")

    monkeypatch.setattr(sample.command, "callback", run)
    result = CliRunner().invoke(main, ["sample"])
    lines = result.stderr.splitlines()
    assert lines[0] == "warning: it may be small: --n 3"
    assert lines[1:] == (["Error: Set --temperature."] if raises else [])
    assert result.exit_code == (2 if raises else 0)


def test_errors_in_reading_the_command_line_name_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ctx: click.Context, param: click.Parameter, value: int) -> None:
        raise click.BadParameter("Set `temperature`.", ctx, param)

    (n,) = (param for param in sample.command.params if param.name == "n")
    monkeypatch.setattr(n, "callback", refuse)
    result = CliRunner().invoke(main, ["sample"])
    assert result.stderr.splitlines()[-1] == "Error: Invalid value for '--n': Set --temperature."
    assert result.exit_code == 2


def test_slow_pictures_are_named_repeatedly(capsys: pytest.CaptureFixture[str]) -> None:
    with console.drawing_reminders(0.05) as begin:
        begin("quick", 1, 3)
        begin("extremes", 2, 3)
        time.sleep(0.3)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines
    assert all(line.startswith("drawing extremes (2 of 3): ") for line in lines)


def test_reminders_end_with_their_block(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="broken"), console.drawing_reminders(9.0):
        raise RuntimeError("broken")
    assert "reminders" not in [thread.name for thread in threading.enumerate()]
    assert capsys.readouterr().err == ""


def test_a_table_on_a_narrow_terminal_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    rows = [["autoregressive-flow", 123456.5, "a sentence of several words that is long"], ["short", 1.0, ""]]
    console.print_table(["a name", "value", "meaning"], rows)
    lines = capsys.readouterr().out.splitlines()
    assert "autoregressive-flow" in lines[1]
    assert "123456.50" in lines[1]
    words = " ".join(lines).split()
    assert all(word in words for word in ["a", "sentence", "of", "several", "words", "that", "is", "long"])


def test_a_table_without_rows_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(["a name", "value"], [])
    assert capsys.readouterr().out.split() == ["a", "name", "value"]


def test_table_shows_cells_as_they_are_but_obeys_none(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(["[bold]x", "b"], [["[red]a", "\x1b[31mz\0"]])
    assert capsys.readouterr().out.split() == ["[bold]x", "b", "[red]a", "?[31mz?"]


@pytest.mark.parametrize(("width", "length"), [(60, 8), (120, 24)])
def test_the_bar_of_a_download_fits_the_terminal(
    width: int, length: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    shown = console.DownloadProgress()
    shown.total = 4_096
    for _ in range(2):
        shown.update(4_096)
        shown.close()
    lines = [line for line in capsys.readouterr().err.splitlines() if "downloading" in line]
    assert "4.1/4.1 kB" in lines[-1]
    assert max(line.count("\u2501") for line in lines) == length
