"""Inspection: what is said of a data set is what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import PIXELS, dataset
from tfp_vae.data import inspection
from tfp_vae.data.dataset import SPLITS, Dataset, Split
from tfp_vae.data.inspection import find_duplicates, pick_examples
from tfp_vae.data.loading import read
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.runs.recipe import inspect, likelihoods_that_fit


def split_into(train: np.ndarray, held_out: np.ndarray) -> Dataset:
    return Dataset("some", "", Split(train), Split(held_out), Split(held_out))


class TestDuplicates:
    """Examples that are in two splits."""

    def test_no_feature_outweighs_the_others_by_its_unit(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(200, 8)).astype(np.float32), rng.normal(size=(50, 8)).astype(np.float32)
        x[:, 0], y[:, 0] = 1e5 * x[:, 0], 1e5 * y[:, 0]
        y[7] = x[3]
        found = find_duplicates(Dataset("own", "", Split(x), Split(y), Split(y)), "test")
        assert (found.identical, found.near) == (1, 1)

    def test_brute_force_finds_the_same_neighbours(self, rng: np.random.Generator) -> None:
        a, b = rng.normal(40, 1, (300, 7)).astype(np.float32), rng.normal(40, 1, (90, 7)).astype(np.float32)
        places, distances = inspection.nearest_rows(a, b)
        every = np.sqrt(np.mean((a[None].astype(float) - b[:, None]) ** 2, axis=2))
        np.testing.assert_array_equal(places, every.argmin(axis=1))
        np.testing.assert_allclose(distances, every.min(axis=1))

    def test_blocks_change_nothing(self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
        a, b = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(20, 3)).astype(np.float32)
        whole = inspection.nearest_rows(a, b)
        monkeypatch.setattr(inspection, "BLOCK", 7)
        for found, expected in zip(inspection.nearest_rows(a, b), whole, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_planted_ones_are_found_and_named(self, rng: np.random.Generator) -> None:
        train = rng.normal(size=(200, 30)).astype(np.float32)
        held_out = rng.normal(size=(50, 30)).astype(np.float32)
        held_out[[4, 9]] = train[[17, 120]]
        held_out[23] = train[55] + 0.01 * rng.normal(size=30)
        found = find_duplicates(split_into(train, held_out), "test")
        assert (found.identical, found.near, found.searched, found.among) == (2, 3, 50, 200)
        assert [(each.held_out, each.train) for each in found.nearest] == [
            ("row 4", "row 17"),
            ("row 9", "row 120"),
            ("row 23", "row 55"),
        ]
        assert found.nearest[2].distance == pytest.approx(0.01, rel=0.5)
        typical = np.sqrt(2.0)  # of two independent standard Normal vectors, for each element
        assert found.radius == pytest.approx(inspection.NEAR * typical, rel=0.05)

    def test_a_search_too_long_is_made_among_a_part(
        self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspection, "MOST_PRODUCTS", 200 * 5 * 10)
        train, held_out = rng.normal(size=(200, 5)), rng.normal(size=(60, 5))
        held_out[:] = train[:60]
        found = find_duplicates(split_into(train, held_out), "validation")
        assert (found.identical, found.searched, found.near) == (60, 10, 10)

    def test_zero_and_minus_zero_are_the_same(self) -> None:
        assert find_duplicates(split_into(np.zeros((4, 2)), -np.zeros((1, 2))), "test").identical == 1


class TestInspect:
    """What there is to say."""

    def test_of_the_digits(self) -> None:
        raw = read("digits")
        found = inspect(raw)
        assert found["trainable"]
        assert found["kind"] == "grey images of 8x8x1, values in [0, 1]"
        assert found["range"]["max"] == 1
        every = np.concatenate([getattr(raw, name).x for name in SPLITS])
        assert found["range"]["mean"] == pytest.approx(every.mean(), rel=1e-6)
        assert found["range"]["std"] == pytest.approx(every.std(), rel=1e-5)
        assert found["labels"]["classes"] == 10
        assert sum(sum(sizes.values()) for sizes in found["labels"]["examples"].values()) == 1797
        assert found["constant"] == 3
        assert found["likelihoods"] == likelihoods_that_fit(raw.profile)
        assert found["likelihoods_if_binarized"] == ["bernoulli"]
        assert found["picked"]["binarization"] == "dynamic"

    def test_examples_that_are_all_the_same(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=3).repeat(40).reshape(3, 40).T
        assert inspect(dataset(x))["lack"] == "all examples are identical, so there is nothing to learn"
        other = x.copy()
        other[-1, -1] += 1
        assert inspect(dataset(other))["lack"] is None
        found = inspect(Dataset("some", "", Split(x), Split(x[:5]), Split(other)))["lack"]
        assert found == "all 40 training examples are identical, so there is nothing to learn from them"
        constant = rng.normal(size=(40, 1)).repeat(5, axis=1)  # each example its own value
        assert inspect(dataset(constant))["lack"] is None

    def test_labels_are_written_in_the_digits_that_they_have(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(20, 3)), np.float32([0.3, 1.5] * 10)
        found = inspect(Dataset("some", "", Split(x, y), Split(x[:4]), Split(x[4:8])))["labels"]
        assert found["examples"].keys() == {"0.3", "1.5"}

    @pytest.mark.parametrize(
        ("count", "said"), [(1, "there is only one training example"), (2, "2 training examples are too few"),
                            (9, "9 training examples are too few to learn"), (10, None)],
    )  # fmt: skip
    def test_few_examples(self, count: int, said: str | None, rng: np.random.Generator) -> None:
        x = rng.normal(size=(count + 8, 3))
        found = inspect(Dataset("some", "", Split(x[8:]), Split(x[:4]), Split(x[4:8])))
        assert found["trainable"]
        assert found["lack"] is None if said is None else found["lack"].startswith(said)

    def test_missing_values_are_counted_and_named(self, tmp_path: Path, rng: np.random.Generator) -> None:
        x = rng.normal(size=(40, 3))
        x[[3, 3, 11], [0, 2, 1]] = np.nan, np.nan, np.inf
        np.savez(tmp_path / "a.npz", x_train=x, x_validation=x[20:], x_test=x[20:])
        found = inspect(read(str(tmp_path / "a.npz")))
        assert found["missing"] == {"values": 2, "examples": 1, "first": "train: row 3"}
        assert found["infinite"] == {"values": 1, "examples": 1, "first": "train: row 11"}
        assert found["trainable"] is False
        assert "found nan in row 3" in found["problem"]
        assert np.isfinite(list(found["range"].values())).all()
        assert "likelihoods" not in found

    def test_nothing_but_missing_values(self) -> None:
        found = inspect(dataset(np.full((9, 2), np.nan)))
        assert np.isnan(found["range"]["mean"])
        assert not found["trainable"]
        assert "found only missing or infinite values" in found["problem"]

    @pytest.mark.parametrize(
        ("largest", "dtype", "scaling", "said"),
        [(16, np.uint8, None, "largest of its 8-bit pixels is 16, but they are divided by 255, so values end at 0.063"),
         (127, np.uint8, None, "values end at 0.5. If 127 is full, multiply by 2.00787 first, or"),
         (1, np.uint8, None, "is 1, so they are not divided"),
         (128, np.uint8, None, None), (255, np.uint8, None, None), (0, np.uint8, None, None),
         (16, np.uint8, "pixels", None), (16, np.int64, None, None), (16, np.float32, None, None),
         (255, np.int64, None, "64-bit whole numbers, up to 255, are treated as counts"),
         (4_000, np.uint16, None, "If they are pixels, set `scaling=divided:by=4095`"),
         (65_535, np.uint16, None, "`scaling=divided:by=65535`. If they are counts, set `scaling=none`"),
         (65_535, np.uint16, "none", None), (70_000, np.int64, None, None), (127, np.uint16, None, None),
         (4_000, np.float32, None, None)],
    )  # fmt: skip
    def test_what_is_taken_for_granted_of_whole_numbers(
        self, largest: int, dtype: type, scaling: str | None, said: str | None
    ) -> None:
        x = (largest * (np.arange(20 * 16).reshape(20, 4, 4, 1) % 2)).astype(dtype)
        found = inspect(dataset(x), scaling)["assumed"]
        assert found is None if said is None else said in found

    def test_every_likelihood_that_is_said_to_fit_has_a_finite_density(self) -> None:
        data = dataset(PIXELS[..., None])
        x = (PIXELS[..., None] / np.float32(255))[:2]
        for name in inspect(data)["likelihoods"]:
            settings = LIKELIHOODS[name].settings_from(LIKELIHOODS.member(name).settings, data.train.x / 255)
            likelihood = LIKELIHOODS.build(LIKELIHOODS.member({"name": name, **settings}), (4, 5, 1))
            p = likelihood(np.zeros((2, likelihood.params_size), np.float32))
            assert np.isfinite(p.log_prob(x)).all(), name

    @pytest.mark.parametrize(
        ("x", "unbounded", "likely"),
        [(np.arange(400) % 2, ["continuous-bernoulli", "normal", "laplace"], ["bernoulli"]),
         (np.arange(400) % 17 / 16, ["normal", "laplace"],
          ["categorical", "discretized-logistic", "discretized-logistic-mixture"]),
         (np.arange(400) % 9, ["normal", "laplace"], ["poisson", "negative-binomial"]),
         (np.arange(400) % 3 - 1, ["normal", "laplace"], []),
         (0.2 + np.arange(400) % 2 / np.pi, ["normal", "laplace", "beta"], [])],
    )  # fmt: skip
    def test_densities_that_can_stand_on_few_values(
        self, x: np.ndarray, unbounded: list[str], likely: list[str]
    ) -> None:
        found = inspect(dataset(x.reshape(100, 4)))["few_values"]
        assert found == {"size": len(np.unique(x)), "likely": likely, "unbounded": unbounded}

    def test_pixels_of_few_levels_are_few_as_they_are_scaled(self) -> None:
        x = (85 * (np.arange(20 * 16).reshape(20, 4, 4, 1) % 4)).astype(np.uint8)
        assert inspect(dataset(x))["few_values"]["likely"][0] == "categorical"

    def test_many_values_or_few_examples_are_not_few_values(self, rng: np.random.Generator) -> None:
        many = (np.arange(66).repeat(10) // 2).reshape(66, 10)  # 33 values, each of them twenty times
        for x in (rng.normal(size=(10, 3)), many, PIXELS[..., None]):
            assert inspect(dataset(x))["few_values"] is None

    @pytest.mark.parametrize("scaling", ["none", "standard"])
    def test_a_scaling_may_be_told(self, scaling: str) -> None:
        assert inspect(dataset(PIXELS[..., None]), scaling)["picked"]["scaling"] == scaling


class TestPictured:
    """Which examples are shown."""

    def test_as_many_of_each_class(self) -> None:
        x, y = np.arange(60.0).reshape(60, 1), np.repeat(["b", "a", "c"], [40, 15, 5])
        split = Split(x, y)
        shown = pick_examples(Dataset("some", "", split, split, split), 30)
        assert [y[int(value)] for value in shown[:, 0]] == ["a"] * 10 + ["b"] * 10 + ["c"] * 5

    def test_evenly_spread_without_classes(self) -> None:
        np.testing.assert_array_equal(pick_examples(dataset(np.arange(11.0)[:, None]), 3)[:, 0], [0, 5, 10])
