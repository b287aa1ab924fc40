"""Doubts: properties of data that are probably mistakes, and data without them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from tests.helpers.files import PIXELS
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.doubts import Doubt, find_channels_first, find_placeholders
from tfp_vae.data.loading import load
from tfp_vae.data.readers.sources import Reading


def table(x: np.ndarray, columns: tuple[str, ...] | None = None, y: np.ndarray | None = None) -> Dataset:
    return Dataset("some", "", Split(x, y), Split(x[:2]), Split(x[:2]), Reading(columns=columns))


class TestPlaceholders:
    """Numbers that may mark missing values."""

    def test_reports_a_number_that_many_positive_columns_share(self, rng: np.random.Generator) -> None:
        x = rng.gamma(2.0, [300.0, 5.0, 1_000.0], size=(400, 3))
        x[:40, :2] = x[30:60, 2:] = -200.0
        (found,) = Doubt.find(table(x, ("CO", "NO", "O3")))
        assert found.text.startswith("-200 occurs up to 40 times in 3 of the columns ('CO', 'NO', 'O3'), far from")

    def test_reports_a_number_far_from_the_rest_of_one_column(self, rng: np.random.Generator) -> None:
        x = rng.normal([20.0, 5.0], [2.0, 1.0], size=(400, 2))
        x[:5, 0], x[3:9, 1] = 999.0, -99.0
        assert [each.text[:30] for each in Doubt.find(table(x))] == [
            "-99 occurs up to 6 times in 1 ",
            "999 occurs up to 5 times in 1 ",
        ]

    def test_blocks_give_the_same_placeholders(self, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
        x = rng.normal(20.0, 2.0, size=(400, 2))
        x[::50, 1] = -999.0
        expected = Doubt.find(table(x))
        monkeypatch.setattr("tfp_vae.data.profile.BLOCK_VALUES", 14)
        assert Doubt.find(table(x)) == expected != []

    def test_windows_of_signals_are_searched_too(self, rng: np.random.Generator) -> None:
        x = rng.normal(20.0, 2.0, size=(400, 6, 2, 1))
        x[:30, 4, 1] = -999.0
        (found,) = Doubt.find(table(x))
        assert "in 1 of the elements ('9')" in found.text

    @pytest.mark.parametrize(
        "x",
        [
            np.random.default_rng(0).normal(size=(400, 3)),
            np.random.default_rng(0).integers(0, 2, (400, 3)),
            np.random.default_rng(0).integers(-1, 2, (400, 3)),
            np.random.default_rng(0).integers(1, 6, (400, 3)).astype(float),
            np.random.default_rng(0).poisson(0.1, (400, 3)).astype(float),
            np.clip(np.random.default_rng(0).normal(size=(400, 3)), -1, 1),
            np.random.default_rng(0).integers(0, 256, (400, 3)).astype(float),
            (np.arange(1_200) % 97 == 0).reshape(400, 3) * -5.0,
        ],
        ids=["reals", "binary", "signs", "ratings", "sparse counts", "clipped", "pixels", "sparse"],
    )
    def test_usual_data_have_none(self, x: np.ndarray) -> None:
        assert not list(find_placeholders(table(x)))


class TestChannels:
    """Images with their channels first."""

    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
    def test_names_the_transpose(self, shape: tuple[int, ...], caplog: pytest.LogCaptureFixture) -> None:
        x = np.random.default_rng(0).random((20, *shape))
        with caplog.at_level(logging.WARNING, "tfp_vae"):
            load(x)
        assert "look like images in PyTorch's order" in caplog.text
        assert "np.transpose(x, (0, 2, 3, 1))" in caplog.text
        caplog.clear()
        load(np.transpose(x, (0, 2, 3, 1)))
        assert "PyTorch" not in caplog.text

    @pytest.mark.parametrize("shape", [(3, 3, 3), (28, 28, 1), (3, 32, 31), (4, 32, 32), (32, 32, 3), (3, 1, 1)])
    def test_other_shapes_cause_no_doubt(self, shape: tuple[int, int, int]) -> None:
        assert not list(find_channels_first(shape))


def test_pixels_and_digits_cause_no_doubt() -> None:
    assert Doubt.find(Dataset("some", "", *[Split(PIXELS[..., None])] * 3)) == []
    assert Doubt.find(load("digits")) == []
