"""The `Progress` callback writes lines if stderr is not a terminal."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from tests.helpers.models import SHAPE, make
from tests.helpers.runs import start_run
from tfp_vae.runs import train as course
from tfp_vae.training import Epoch, History, Progress, Terms, Totals, fit, fitting, progress


def train(epochs: int, *, validate: bool = False) -> History:
    x = np.random.default_rng(0).integers(0, 2, (20, *SHAPE)).astype(np.float32)
    settings = {"epochs": epochs, "batch_size": 10, "execution": "eager", "callbacks": [Progress()]}
    return fit(make(), x, validation=x if validate else None, **settings)


def test_a_line_after_each_of_a_few_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    history = train(2, validate=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert f"ELBO {history[-1].elbo:.2f}" in lines[-1]
    assert f"validation {history[-1].validation_elbo:.2f}" in lines[-1]


@pytest.mark.slow
def test_about_ten_lines_after_many_epochs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINES", 3)
    train(9)
    titles = [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()]
    assert titles == ["epoch 1/9", "epoch 3/9", "epoch 6/9", "epoch 9/9"]


def test_a_line_within_an_epoch_after_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    monkeypatch.setattr(fitting, "CHUNK_SECONDS", 1e-9)
    train(1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/1, step 1/2", "epoch 1/1"]
    assert "validation" not in lines[0]


def test_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    train(1)
    assert capsys.readouterr().out == ""


def simulate(epochs: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Report epochs of two chunks each, this many seconds apart."""
    clock, now, terms = itertools.count(0.0, seconds / 2), [0.0], Terms(-1.0, 0.5, 0.5)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    state = SimpleNamespace(epochs=epochs, steps=2, step=0, terms=terms, validates=True, history=History())
    shown = Progress()
    shown.begin(state)
    for epoch in range(1, epochs + 1):
        state.current_epoch, state.totals, state.step = epoch, Totals(1, 0.5, 0.5), 2 * epoch - 1
        now[0] = next(clock)
        shown.progress(state)
        state.totals, state.step = Totals(), 2 * epoch
        state.history.epochs.append(Epoch(epoch, state.step, *terms, *terms, terms[0], 1e-3, seconds))
        now[0] = next(clock)
        shown.epoch(state)
    shown.end(state)


@pytest.mark.parametrize(("epochs", "seconds", "lines"), [(1_000, 0.001, 11), (5, 1, 5), (100, 0.5, 11)])
def test_about_ten_lines_of_a_short_training(
    epochs: int, seconds: float, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(epochs, seconds, monkeypatch)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_a_line_at_least_every_half_minute_of_a_long_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(1_000, 10.0, monkeypatch)
    lines = capsys.readouterr().err.splitlines()
    assert 1_000 * 10 / progress.SECONDS <= len(lines) < 400
    simulate(3, 100.0, monkeypatch)
    within, ended = capsys.readouterr().err.splitlines()[1:3]
    assert within.startswith("epoch 2/3, step 1/2  ELBO -1.00")
    assert ended.startswith("epoch 2/3  ELBO -1.00")


@pytest.mark.slow
def test_a_run_shows_progress_only_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, dataset = start_run(tmp_path / "run")
    assert course.train(run, dataset)
    assert capsys.readouterr() == ("", "")
    run, dataset = start_run(tmp_path / "other")
    assert course.train(run, dataset, callbacks=[Progress()])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert f"validation {run.metrics()[-1]['validation_elbo']:.2f}" in lines[-1]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (80, "ELBO -3.00  distortion 2.00  rate 1.00  validation -4.00"),
        (50, "ELBO -3.00  rate 1.00  validation -4.00"),
        (30, "ELBO -3.00  validation -4.00"),
        (20, "ELBO -3.00"),
        (5, ""),
    ],
)
def test_narrow_terminals_show_the_most_important_terms(room: int, expected: str) -> None:
    terms = {"ELBO": -3.0, "distortion": 2.0, "rate": 1.0, "validation": -4.0}
    assert progress.fit_terms(terms, room) == expected


@pytest.mark.parametrize("width", [40, 60, 72, 100, 160])
def test_a_bar_keeps_its_title_and_its_length_on_any_terminal(width: int) -> None:
    console = Console(width=width, force_terminal=True, file=io.StringIO(), color_system=None)
    bar = Bar(*progress.columns(TextColumn("{task.fields[terms]}"), width=width), console=console)
    terms = {"ELBO": -1234.5, "distortion": 1200.25, "rate": 34.25, "validation": -1240.5}
    title = "epoch 100/100"
    room = width - len(title) - progress.bar_length(width) - progress.TIME
    bar.add_task(title, total=10, completed=10, terms=progress.fit_terms(terms, room))
    console.print(bar)
    (line,) = console.file.getvalue().splitlines()
    assert title in line
    assert "\u2026" not in line
    assert line.count("\u2501") >= progress.SHORT_BAR
