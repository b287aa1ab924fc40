"""Backgrounds: closed forms of independent elements, and compressed sizes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.evidence import model_of
from tfp_vae.evaluation.anomalies.backgrounds import Complexity, Independent, compressed_size
from tfp_vae.model.likelihoods import Bernoulli, Columns, Normal
from tfp_vae.model.missingness import SelfMasking


def test_pixels_have_their_frequencies(rng: np.random.Generator) -> None:
    frequency = np.array([0.2, 0.5, 0.9])
    train = (rng.random((2_000, 3)) < frequency).astype(np.float32)
    vae, x = model_of(Bernoulli((3,))), np.array([[1, 1, 1], [0, 1, 0]], np.float32)
    background = Independent()
    found = background.log_prob(vae, x, background.fit(vae, train))
    seen = train.mean(axis=0)
    np.testing.assert_allclose(found, np.log(np.where(x == 1, seen, 1 - seen)).sum(axis=1), atol=0.01)


def test_pixel_that_is_always_off_may_be_on_elsewhere() -> None:
    vae, background = model_of(Bernoulli((1,))), Independent()
    state = background.fit(vae, np.zeros((500, 1), np.float32))
    assert -15 < background.log_prob(vae, np.ones((1, 1), np.float32), state)[0] < -5


def test_shared_scale_is_that_of_the_data_and_not_of_the_decoder(rng: np.random.Generator) -> None:
    likelihood = Normal((2,))
    vae, background = model_of(likelihood), Independent()
    before = likelihood.learned[0].numpy()
    train = rng.normal([1, -3], 2, (2_000, 2)).astype(np.float32)
    found = background.log_prob(vae, train, background.fit(vae, train))
    spread = np.sqrt(((train - train.mean(0)) ** 2).mean())
    expected = -0.5 * ((train - train.mean(0)) / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found, expected.sum(axis=1), atol=0.02)
    assert likelihood.learned[0].numpy() == before


def test_missing_cells_do_not_count() -> None:
    likelihood = Columns((2,), columns={"a": "normal:scale=per-element", "b": "bernoulli"})
    train = np.array([[0.0, 1.0], [2.0, np.nan], [np.nan, 0.0], [4.0, 1.0]], np.float32)
    vae, background = model_of(likelihood), Independent()
    state = background.fit(vae, train)
    whole, part = background.log_prob(vae, np.array([[2.0, 1.0], [2.0, np.nan]], np.float32), state)
    assert whole - part == pytest.approx(np.log(2 / 3), abs=0.1)


def test_mask_counts_if_cells_hide_because_of_their_value(rng: np.random.Generator) -> None:
    likelihood = Columns((2,), columns={"a": "bernoulli", "b": "normal:scale=1"})
    mask = SelfMasking(likelihood, columns="a")
    mask.learned[0].assign([[-0.1]])
    share, shown = np.array([0.4, 0.6]), np.array([0.5, 1 / (1 + np.e)])  # of 0 and 1
    x = np.stack([rng.random(4_000) < 0.6, rng.normal(size=4_000)], axis=1).astype(np.float32)
    x[rng.random(4_000) > shown[x[:, 0].astype(int)], 0] = np.nan
    vae, background = model_of(likelihood, mask), Independent()
    rows = np.array([[0, 0], [1, 0], [np.nan, 0]], np.float32)
    *observed, missing = background.log_prob(vae, rows, background.fit(vae, x))
    expected = np.log(share * shown) - np.log(share @ (1 - shown))
    np.testing.assert_allclose(np.array(observed) - missing, expected, atol=0.2)  # about 3.5 standard errors


def test_noise_is_longer_than_a_plain_image(rng: np.random.Generator) -> None:
    noise = rng.integers(256, size=(28, 28, 1), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(28, dtype=np.uint8)[:, np.newaxis, np.newaxis], (28, 28, 1))
    assert compressed_size(noise) > 7 * compressed_size(ramp)
    images = np.stack([noise / 255, 0 * noise / 255])
    vae, background = model_of(Bernoulli((28, 28, 1))), Complexity()
    noisy, blank = background.log_prob(vae, images, background.fit(vae, images))
    assert noisy < 20 * blank
