"""The `Progress` callback writes lines if stderr is no terminal."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.models import SHAPE, make
from tfp_vae.training import History, Progress, fit, fitting, progress


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
