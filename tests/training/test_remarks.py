"""Remarks on a trained model: overfitting, idle latent units and too few of them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.models import SHAPE, make
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.model.vae import VAE
from tfp_vae.training import fit
from tfp_vae.training.history import Epoch, History
from tfp_vae.training.remarks import few_units, idle_units, overfitting, prior_variance, remarks


@pytest.fixture(scope="module")
def vae() -> VAE:
    return builders.model()


def epoch(elbo: float, validation: float) -> Epoch:
    return Epoch(1, 1, elbo, -elbo, 0.0, validation, -validation, 0.0, validation, 1e-3, 0.5)


@pytest.mark.parametrize(
    ("last", "overfits"),
    [((-49.0, -96.0), True), ((-90.0, -93.0), False), ((-49.0, -48.0), False), ((-49.0, float("nan")), False)],
)
def test_overfitting_is_a_large_part_of_the_gain(last: tuple[float, float], overfits: bool, vae: VAE) -> None:
    said = overfitting(vae, 199, epoch(-200.0, -200.0), epoch(*last))
    assert bool(said) == overfits
    assert not overfits or "its ELBO is 47.0 nats lower on validation data than on training data" in said
    moved = (epoch(value - 1e4, held_out - 1e4) for value, held_out in ((-200.0, -200.0), last))
    assert overfitting(vae, 199, *moved) == said  # other units move both ELBOs


def test_small_gaps_and_first_epochs_are_no_overfitting(vae: VAE) -> None:
    assert not overfitting(vae, 199, epoch(-3.0, -3.0), epoch(-2.0, -2.9))
    assert not overfitting(vae, 199, epoch(-3.0, -30.0), epoch(-3.0, -30.0))


@pytest.mark.parametrize(("width", "advice"), [(512, "`hidden=64`"), (64, "`hidden=32`"), (8, "Use more data, or")])
def test_a_smaller_network_is_smaller_than_the_one_in_use(width: int, advice: str) -> None:
    x = np.zeros((4, *SHAPE), np.float32)
    data = Dataset("zeros", "as given", Split(x), Split(x), Split(x[:0]))
    text = overfitting(tv.build(data, latent_dim=2, hidden=(width,)), 199, epoch(-200.0, -200.0), epoch(-49.0, -96.0))
    assert advice in text
    assert ("a smaller network" in text) == (width > 8)


@pytest.mark.parametrize(
    ("validation", "overfits"),
    [((-99, -98, -97, -96, -97), True), ((-99, -98, -97, -96, -95), False), ((-99, -96, -97), False)],
)
def test_a_model_overfits_only_once_validation_gets_worse(validation: tuple[float, ...], overfits: bool) -> None:
    vae, x = make(), np.zeros((4, *SHAPE), np.float32)
    data = Dataset("zeros", "as given", Split(x), Split(x), Split(x[:0]))
    train = np.linspace(-200, -20, len(validation))
    records = (epoch(elbo, held_out) for elbo, held_out in zip(train, validation, strict=True))
    history = History([each._replace(epoch=i) for i, each in enumerate(records, start=1)])
    assert any("overfits" in remark for remark in remarks(vae, data, history, best=False)) == overfits


@pytest.mark.parametrize("size", [0, 1])
def test_one_validation_example_tells_nothing_about_idle_units(size: int) -> None:
    """The variance over one example is 0 for every unit, so training examples tell instead."""
    vae, x = make(), np.random.default_rng(0).integers(0, 2, (20, *SHAPE)).astype(np.float32)
    for weight in vae.encoder.trainable_variables:
        weight.assign(10 * weight)
    data = Dataset("spread", "as given", Split(x), Split(x[:size]), Split(x[:0]))
    assert remarks(vae, data, History([epoch(-2, -2)]), best=False) == ()


def test_idle_units_are_named_with_remedies() -> None:
    assert "all 5 latent units are idle" in idle_units(0, 5)
    assert "14 of 50 are in use. `kl_warmup_epochs=20`" in idle_units(14, 50)
    assert "`latent_dim` of 14" in idle_units(14, 50)
    assert not idle_units(25, 50)
    assert not idle_units(1, 1)


def test_units_in_full_use_may_be_too_few(rng: np.random.Generator) -> None:
    full = rng.normal(size=(200, 2))
    assert "all 2 units are in full use" in few_units(full, 6)
    assert "`latent_dim=4`" in few_units(full, 6)
    assert "`latent_dim=3`" in few_units(full, 3)
    assert not few_units(full, 2)
    assert not few_units(full * [1.0, 0.5], 6)


def test_units_are_measured_in_deviations_of_the_prior() -> None:
    vae = make()
    assert prior_variance(vae) == 1
    mixture = tv.priors.NormalMixture(2, components=2)
    mixture.learned[1].assign([[-3.0, -6.0], [3.0, 6.0]])  # the locs of two components with scales of 1
    found = prior_variance(tv.VAE(vae.encoder, vae.decoder, mixture))
    np.testing.assert_allclose(found, [10, 37], rtol=0.1)


def test_fit_reports_a_model_that_ignores_z(caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(0).integers(0, 2, (20, *SHAPE)).astype(np.float32)
    vae = make()
    for weight in vae.encoder.trainable_variables:
        weight.assign(0 * weight)
    with caplog.at_level(logging.WARNING, "tfp_vae"):
        history = fit(vae, x, epochs=1, learning_rate=1e-30, execution="eager")
    (remark,) = history.remarks
    assert "The model ignores z: all 2 latent units are idle" in remark
    assert remark in caplog.text
    assert "latent units are idle" in history._repr_html_()
