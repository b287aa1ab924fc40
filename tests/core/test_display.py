"""How objects look in a console and in a notebook."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.runs import start_run
from tfp_vae.core.display import list_names, spare_name, table, text_of
from tfp_vae.core.registry import MemberInfo
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.loading import load
from tfp_vae.runs.config import TABLES
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.results import Plan, assess
from tfp_vae.runs.run import Run


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


def test_name_gets_underscores_until_it_is_free() -> None:
    assert [spare_name(name, {"line", "line_"}) for name in ("line", "row")] == ["line__", "row"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, ""), (1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more"), (1_005, "0, 1, 2, 3, 4 and 1,000 more")],
)
def test_lists_have_at_most_five_names(count: int, expected: str) -> None:
    assert list_names(list(range(count))) == expected


def test_html_table_escapes_its_texts() -> None:
    made = table("a < b", [("<script>", "x & y"), ("q(z|x)", 3)])
    assert "<script>" not in made
    assert "<caption>a &lt; b</caption>" in made
    assert "x &amp; y" in made
    assert made.count("<tr>") == made.count("</tr>") == 2


@pytest.mark.parametrize("prior", builders.REAL_PRIORS)
def test_repr_of_a_model_describes_its_parts(prior: str) -> None:
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


def test_repr_of_encoder_and_decoder_counts_parameters() -> None:
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


def test_repr_of_data_shows_sizes_but_no_values() -> None:
    assert repr(load("digits")) == "Dataset('digits', 8x8x1: 1,437 train, 180 validation, 180 test)"
    assert repr(load("digits").test) == "Split(180 examples of 8x8x1, with labels)"
    assert repr(Split(np.zeros((2, 5)))) == "Split(2 examples of 5)"


class TestRun:
    """A run, its model and its evaluation."""

    def test_a_run(self, copied: Run) -> None:
        made = copied._repr_html_()
        for told in ("finished", "digits", "2 of 2", "diagonal-normal", "bernoulli"):
            assert told in made
        assert f"{copied.metrics()[-1]['validation_elbo']:.5g}" in made
        (copied.folder / "config.json").write_bytes(b"{")
        assert "damaged" in copied._repr_html_()

    def test_html_of_a_run_before_training(self, tmp_path: Path) -> None:
        assert "0 of 2" in start_run(tmp_path / "run")[0]._repr_html_()

    def test_repr_of_the_loaded_model(self, restored: LoadedRun) -> None:
        assert repr(restored) == f"LoadedRun({restored.run!r}, weights final, of step 24)"

    @pytest.mark.slow
    def test_an_assessment(self, restored: LoadedRun, digits: Dataset) -> None:
        found = assess(restored, digits, Plan(iw_samples=(2,), max_examples=9, execution="graph"))
        value, error = (f"{found.result[key]:.5g}" for key in ("log_likelihood", "log_likelihood_se"))
        assert repr(found) == f"Assessment(digits, test split, 9 examples, K = 2: log p(x) {value} ± {error} nats)"
        assert f"{value} ± {error}" in found._repr_html_()
        assert found._repr_html_().count("<tr>") == 13
        assert "a probability of binarized values" in found._repr_html_()
