"""Building a VAE from the settings of a model."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.runs import CONFIGS, assert_same, small_model
from tfp_vae.runs.build import build_model
from tfp_vae.runs.config import ModelConfig
from tfp_vae.training.state import State

SHAPE = (8, 8, 1)


def weights(model: ModelConfig, seed: int = 0, data_mean: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return State(build_model(model, SHAPE, seed, data_mean)).capture()


@pytest.mark.parametrize("changes", CONFIGS, ids=lambda changes: ",".join(map(str, changes.values())))
def test_every_member_is_built_with_equal_weights_from_equal_seeds(changes: dict[str, str]) -> None:
    model = small_model(**changes)
    vae = build_model(model, SHAPE)
    assert vae.encoder.posterior.latent.event_shape == (model.latent_dim,)
    assert tuple(vae.decoder.likelihood.event_shape) == SHAPE
    assert_same(State(vae).capture(), weights(model))


def test_another_seed_draws_other_kernels() -> None:
    first, second = weights(small_model(), seed=1), weights(small_model(), seed=2)
    kernels = [name for name in first if name.endswith("kernel")]
    assert len(kernels) == 4
    assert not any(np.array_equal(first[name], second[name]) for name in kernels)


def test_another_prior_leaves_the_weights_of_encoder_and_decoder() -> None:
    plain, mixture = weights(small_model()), weights(small_model(prior="normal-mixture:components=3"))
    assert_same(plain, {name: mixture[name] for name in plain})
    assert any(name.startswith("prior/") for name in mixture)


def test_the_decoder_starts_at_the_mean_of_the_data() -> None:
    mean = np.random.default_rng(0).uniform(0.1, 0.9, SHAPE)
    vae = build_model(small_model(), SHAPE, data_mean=mean)
    np.testing.assert_allclose(vae.decoder(np.zeros((1, 2), np.float32)).mean()[0], mean, atol=1e-5)


def test_the_encoder_of_counts_sees_their_logarithms() -> None:
    counts = np.random.default_rng(0).poisson(50.0, (3, *SHAPE)).astype(np.float32)
    plain, logs = (build_model(small_model(encoder_input=name), SHAPE).encoder for name in ("values", "log1p"))
    np.testing.assert_allclose(logs.mean(counts), plain.mean(np.log1p(counts)), rtol=1e-5)
