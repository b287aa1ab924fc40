"""What objects say of themselves in a console and in a notebook, and progress from Python."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.runs import start_run
from tfp_vae.core.display import table, text_of
from tfp_vae.core.registry import MemberInfo
from tfp_vae.data import dataset as datasets
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.model.priors import PRIORS
from tfp_vae.runs.config import TABLES
from tfp_vae.runs.load import Report, Restored, train
from tfp_vae.runs.results import Plan, assess
from tfp_vae.runs.run import Run
from tfp_vae.training import progress
from tfp_vae.training.loop import Terms
from tfp_vae.training.progress import training_progress


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (math.nan, ""),
        (math.inf, ""),
        (1.23456789, "1.2346"),
        (12_345, "12,345"),
        (True, "True"),
        ("a", "a"),
    ],
)
def test_values(value: object, expected: str) -> None:
    assert text_of(value) == expected


def test_a_table_escapes_what_it_is_told() -> None:
    made = table("a < b", [("<script>", "x & y"), ("q(z|x)", 3)])
    assert "<script>" not in made
    assert "<caption>a &lt; b</caption>" in made
    assert "x &amp; y" in made
    assert made.count("<tr>") == made.count("</tr>") == 2


@pytest.mark.parametrize("prior", list(PRIORS))
def test_a_model_says_what_it_is_made_of(prior: str) -> None:
    vae = builders.model(prior_name=prior)
    size = sum(int(tf.size(variable)) for variable in vae.trainable_variables)
    head, encoder, decoder, last = repr(vae).splitlines()
    assert head == f"VAE of {size:,} parameters"
    assert "q(z|x)" in encoder
    assert "DiagonalNormal(latent_dim=3" in encoder
    assert "Bernoulli(event_shape=(8, 8, 1))" in decoder
    assert f"p(z)    {type(vae.prior).__name__}(latent_dim=3" in last
    assert "array(" not in repr(vae)
    made = vae._repr_html_()
    assert made.count("<tr>") == 3
    assert f"{size:,} parameters" in made


def test_its_parts_say_so_too() -> None:
    vae = builders.model()
    sizes = [sum(int(tf.size(v)) for v in part.trainable_variables) for part in (vae.encoder, vae.decoder)]
    posterior, likelihood = vae.encoder.posterior, vae.decoder.likelihood
    assert repr(vae.encoder) == f"Encoder(Sequential of {sizes[0]:,} parameters, {posterior})"
    assert repr(vae.decoder) == f"Decoder(Sequential of {sizes[1]:,} parameters, {likelihood})"


@pytest.mark.parametrize("kind", ["objectives", "binarizations", "scalings"])
def test_records_name_their_settings(kind: str) -> None:
    for name in TABLES[kind]:
        member, info = TABLES[kind].member(name), TABLES[kind].info(name)
        assert isinstance(info, MemberInfo)
        if isinstance(TABLES[kind][name], type):
            made = repr(TABLES[kind].build(member))
            assert made.startswith(f"{TABLES[kind][name].__name__}(")
            assert all(f"{key}=" in made for key in info.defaults)


def test_data_tell_their_sizes_and_not_their_values() -> None:
    assert repr(datasets.load("digits")) == "Dataset('digits', 8x8x1: 1,437 train, 180 validation, 180 test)"
    assert repr(datasets.load("digits").test) == "Split(180 examples of 8x8x1, with labels)"
    assert repr(Split(np.zeros((2, 5)))) == "Split(2 examples of 5)"


class TestRun:
    """A run, its model, and what was found of it."""

    def test_a_run(self, copied: Run) -> None:
        made = copied._repr_html_()
        for told in ("finished", "digits", "2 of 2", "diagonal-normal", "bernoulli"):
            assert told in made
        assert f"{copied.metrics()[-1]['validation_elbo']:.5g}" in made
        (copied.folder / "config.json").write_bytes(b"{")
        assert "damaged" in copied._repr_html_()

    def test_one_that_has_not_begun(self, tmp_path: Path) -> None:
        assert "0 of 2" in start_run(tmp_path / "run")[0]._repr_html_()

    def test_its_model(self, restored: Restored) -> None:
        assert repr(restored) == f"Restored({restored.run!r}, weights final, of step 24)"

    def test_an_assessment(self, restored: Restored, digits: Dataset) -> None:
        found = assess(restored, digits, Plan(iw_samples=(2,), max_examples=9, execution="graph"))
        value, error = (f"{found.result[key]:.5g}" for key in ("log_likelihood", "log_likelihood_se"))
        assert repr(found) == f"Assessment(digits, test split, 9 examples, K = 2: log p(x) {value} ± {error} nats)"
        assert f"{value} ± {error}" in found._repr_html_()
        assert found._repr_html_().count("<tr>") == 8


class TestProgress:
    """From Python, with progress and without."""

    def test_lines_where_there_is_no_terminal(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run, dataset = start_run(tmp_path / "run")
        with training_progress(2) as observe:
            assert train(run, dataset, observe=observe)
        lines = capsys.readouterr().err.splitlines()
        assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
        assert f"validation {run.metrics()[-1]['validation_elbo']:.2f}" in lines[-1]

    def told(self, epochs: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tell of epochs of two reports each, so many seconds apart."""
        clock = itertools.count(0.0, seconds / 2)
        now = [0.0]
        monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
        terms = Terms(-1.0, 0.5, 0.5)
        with training_progress(epochs) as observe:
            for epoch in range(1, epochs + 1):
                for step, validation in ((1, None), (2, terms)):
                    now[0] = next(clock)
                    observe(Report(epoch, step, 2, terms, validation))

    @pytest.mark.parametrize(("epochs", "seconds", "lines"), [(1_000, 0.001, 11), (5, 1, 5), (100, 0.5, 11)])
    def test_about_ten_lines_of_a_short_training(
        self,
        epochs: int,
        seconds: float,
        lines: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.told(epochs, seconds, monkeypatch)
        assert len(capsys.readouterr().err.splitlines()) == lines

    def test_a_line_at_least_every_half_minute_of_a_long_one(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.told(1_000, 10.0, monkeypatch)
        lines = capsys.readouterr().err.splitlines()
        assert 1_000 * 10 / progress.SECONDS <= len(lines) < 400
        self.told(3, 100.0, monkeypatch)
        within, ended = capsys.readouterr().err.splitlines()[1:3]
        assert within.startswith("epoch 2/3, step 1/2  ELBO -1.00")
        assert ended.startswith("epoch 2/3  ELBO -1.00")

    def test_silence_unless_asked(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert train(*start_run(tmp_path / "run"))
        said = capsys.readouterr()
        assert said.out + said.err == ""
