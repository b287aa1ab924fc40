"""Scalings: the choice of one, the scaled values, and facts about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import PIXELS, dataset
from tfp_vae.core import registry
from tfp_vae.core.errors import DataError, RunError, UsageError
from tfp_vae.core.registry import Member
from tfp_vae.core.supports import COUNTS, REAL, UNIT
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.loading import load
from tfp_vae.data.profile import array_facts, measure, profile_arrays
from tfp_vae.data.transforms.scaling import SCALINGS, choose_scaling, scale, scaling_doubt

REALS = np.random.default_rng(0).normal(size=(12, 48))
VALUES = {
    "binary values": (REALS > 0).astype(np.float32),
    "values in [0, 1]": (1 / (1 + np.exp(-REALS))).astype(np.float32),
    "counts": np.floor(np.exp(REALS)).astype(np.float32),
    "real values": REALS.astype(np.float32),
}


@pytest.mark.parametrize("name", list(SCALINGS))
def test_every_scaling_gives_float32_of_the_same_shape(name: str, rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (30, 4, 3, 1)).astype(np.uint8)
    settings = SCALINGS[name].settings_from(SCALINGS.member(name).settings, x)
    member = SCALINGS.member({"name": name, **settings})
    scaled = SCALINGS.build(member)(x)
    assert scaled.dtype == np.float32
    assert scaled.shape == x.shape
    assert SCALINGS.member({"name": name, **SCALINGS[name].settings_from(settings, 2 * x)}) == member
    unscaled = SCALINGS.build(member).inverse(scaled, SCALINGS.build(member).full(x) or 1.0)
    assert unscaled.dtype == np.float64
    np.testing.assert_allclose(unscaled, x, atol=1e-4)


def test_standard_values_have_mean_0_and_standard_deviation_1(rng: np.random.Generator) -> None:
    x = rng.normal([5, -1e6, 3], [2, 1e3, 0], (400, 3))
    scaling = SCALINGS["standard"](**SCALINGS["standard"].settings_from({"loc": (), "scale": ()}, x))
    scaled = scaling(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-5)
    np.testing.assert_allclose(scaled * scaling.scale + scaling.loc, x, rtol=1e-6, atol=1e-6)


def test_windows_of_signals_are_standardized_element_by_element(rng: np.random.Generator) -> None:
    windows = rng.normal([1e5, -40.0, 3.0], [900.0, 12.0, 0.01], (200, 5, 3))
    data = load(windows)
    assert data.scaling.name == "standard"
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1, atol=1e-4)


def test_examples_of_many_values_share_one_mean_and_deviation(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfp_vae.data.transforms.scaling.MOST_FEATURES", 20)
    x = rng.normal(7, 3, (40, 4, 6, 1))
    data = scale(dataset(x), "standard")
    assert data.scaling.settings == {"loc": (pytest.approx(x.mean()),), "scale": (pytest.approx(x.std()),)}
    scaling = SCALINGS.build(data.scaling)
    np.testing.assert_allclose(scaling.inverse(data.train.x), x, atol=1e-5)
    np.testing.assert_array_equal(data.profile.train.high, data.train.x.max(axis=0))


def test_only_training_data_decide_loc_and_scale(tmp_path: Path) -> None:
    x = np.concatenate([np.zeros((10, 1)), np.ones((10, 1)), np.full((4, 1), 9.0)])
    np.savez(tmp_path / "a.npz", x_train=x[:20], x_validation=x[20:22], x_test=x[22:])
    data = load(str(tmp_path / "a.npz"), scaling="standard")
    assert data.scaling.settings == {"loc": (0.5,), "scale": (0.5,)}
    assert data.test.x[0, 0] == 17


def test_pixels_divides_8_bits_only() -> None:
    pixels = SCALINGS["pixels"]()
    np.testing.assert_array_equal(pixels(np.uint8([[0, 51, 255]])), np.float32([[0, 0.2, 1]]))
    np.testing.assert_array_equal(pixels(np.float64([[0, 51, 255]])), [[0, 51, 255]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
def test_division_does_not_depend_on_the_type(dtype: type) -> None:
    x = np.array([[0, 51, 255]], dtype)
    np.testing.assert_array_equal(SCALINGS["divided"](by=510.0)(x), np.float32([[0, 0.1, 0.5]]))
    full = np.array([[0, 65_535]], np.uint16)
    np.testing.assert_array_equal(SCALINGS["divided"](by=65_535.0)(full), [[0, 1]])


@pytest.mark.parametrize("name", ["none", "pixels", "divided"])
def test_full_value_becomes_1(name: str) -> None:
    scaling = SCALINGS[name]()
    x = np.uint8([[255]])
    full = scaling.full(x)
    assert (full is None) == (name == "none")
    assert full is None or scaling(x * full / 255 if name == "divided" else x)[0, 0] == 1


def test_error_for_numbers_beyond_float32_names_the_row(tmp_path: Path) -> None:
    x = np.ones((20, 2))
    x[3, 1] = 1e300
    np.save(tmp_path / "a.npy", x)
    with pytest.raises(
        DataError, match=r"found 1e\+300 in row 3 \(counted from 0\)[.] Such a value usually marks a missing"
    ):
        load(str(tmp_path / "a.npy"), scaling="none")


@pytest.mark.parametrize("name", list(SCALINGS))
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16", "float64"])
def test_scales_every_type_of_number(name: str, dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", (np.arange(60).reshape(20, 3) % 2).astype(dtype))
    data = load(str(tmp_path / "a.npy"), scaling=name)
    assert [len(np.unique(column)) for column in data.train.x.T] == [2, 2, 2]


def test_refuses_settings_of_another_size() -> None:
    with pytest.raises(DataError, match="for each of 3 values of an example, found 2 and 2"):
        SCALINGS["standard"](loc=(1.0, 2.0), scale=(1.0, 1.0))(np.zeros((5, 3)))


@pytest.mark.parametrize(
    ("x", "support", "scaling"),
    [
        (VALUES["real values"], None, "standard"),
        (VALUES["real values"], REAL, "standard"),
        (VALUES["real values"], UNIT, "none"),
        (VALUES["counts"], None, "none"),
        (VALUES["counts"], REAL, "standard"),
        (VALUES["counts"], COUNTS, "none"),
        (VALUES["values in [0, 1]"], REAL, "none"),
        (VALUES["real values"].reshape(12, 6, 8, 1), None, "standard"),
        (VALUES["real values"].reshape(12, 4, 4, 3), REAL, "standard"),
        (VALUES["counts"].reshape(12, 4, 4, 3), REAL, "none"),
        (PIXELS[..., None], None, "pixels"),
        (PIXELS[..., None], COUNTS, "none"),
        (PIXELS[..., None], REAL, "pixels"),
        ((PIXELS > 99)[..., None].astype(np.uint8), None, "none"),
    ],
)
def test_scaling_suits_values_and_likelihood(x: np.ndarray, support: object, scaling: str) -> None:
    assert choose_scaling(dataset(x).profile, support) == scaling


def test_settings_are_read_from_text() -> None:
    assert SCALINGS.member("standard:loc=1,2,scale=3,4") == Member("standard", {"loc": (1.0, 2.0), "scale": (3.0, 4.0)})


@pytest.mark.parametrize("scale", ["0", "-1", "2,0", "inf"])
def test_refuses_scales_that_are_not_positive(scale: str, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="scale"):
        load(rng.normal(size=(60, 2)), scaling=f"standard:loc=0,scale={scale}")


def test_elements_that_differ_by_next_to_nothing_have_scale_1(rng: np.random.Generator) -> None:
    x = np.stack([rng.normal(size=60), 1e-200 * rng.normal(size=60)], axis=1)
    assert load(x).scaling.settings["scale"][1] == 1


@pytest.mark.parametrize(
    ("largest", "dtype", "scaling", "said"),
    [(16, np.uint8, None, "largest of its 8-bit pixels is 16, but they are divided by 255, so values end at 0.063"),
     (127, np.uint8, None, "values end at 0.5. If 127 is the full range, multiply by 2.00787 first, or"),
     (1, np.uint8, None, "is 1, so they are not divided"),
     (128, np.uint8, None, None), (255, np.uint8, None, None), (0, np.uint8, None, None),
     (16, np.uint8, "pixels", None), (16, np.int64, None, None), (16, np.float32, None, None),
     (255, np.int64, None, "64-bit whole numbers, up to 255, are treated as counts"),
     (4_000, np.uint16, None, "If they are pixels, set `scaling=divided:by=4095`"),
     (65_535, np.uint16, None, "`scaling=divided:by=65535`. If they are counts, set `scaling=none`"),
     (65_535, np.uint16, "none", None), (70_000, np.int64, None, None), (127, np.uint16, None, None),
     (255, np.float32, None, "its values, up to 255, are treated as counts. If they are pixels, set `scaling=divided"),
     (254.5, np.float64, None, "its values, up to 254.5, are standardized. If they are pixels, set `scaling="),
     (4_000, np.float32, None, None)],
)  # fmt: skip
def test_reports_doubtful_scalings_of_whole_numbers(
    largest: float, dtype: type, scaling: str | None, said: str | None
) -> None:
    x = (largest * (np.arange(20 * 16).reshape(20, 4, 4, 1) % 2)).astype(dtype)
    profile = dataset(x).profile
    found = None if scaling else scaling_doubt(profile, choose_scaling(profile))
    assert found is None if said is None else said in found


MAPS = ["none", "pixels", "divided", "divided:by=7"]


@pytest.mark.parametrize("scaling", MAPS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_facts_after_scaling_equal_those_of_the_scaled_values(scaling: str, dtype: type) -> None:
    x = (PIXELS % 40).astype(dtype)[..., None]
    data = scale(dataset(x), scaling)
    fresh = array_facts(data.train.x)
    for name in ("low", "high", "values"):
        np.testing.assert_array_equal(getattr(data.profile.train, name), getattr(fresh, name))
    assert data.profile.train.whole == fresh.whole
    assert data.profile.kind == measure(data).kind


def test_range_after_standardization_equals_that_of_the_scaled_values(rng: np.random.Generator) -> None:
    data = scale(dataset(rng.normal(3, 5, (40, 6))), "standard")
    np.testing.assert_array_equal(data.profile.train.low, data.train.x.min(axis=0))
    np.testing.assert_array_equal(data.profile.train.high, data.train.x.max(axis=0))
    assert data.profile.kind.values == "real values"


def test_open_standardization_may_give_any_real_number() -> None:
    open_ended = SCALINGS.build(SCALINGS.member("standard")).rescale(profile_arrays({"train": np.ones((9, 2))}))
    assert [open_ended.fits(support) for support in (REAL, UNIT, COUNTS)] == [True, False, False]


@pytest.mark.parametrize("scaling", [*MAPS, "standard"])
def test_fingerprint_equals_that_of_the_scaled_values(scaling: str, rng: np.random.Generator) -> None:
    data = scale(dataset(rng.integers(0, 256, (3_000, 60))), scaling)
    assert data.fingerprint() == Dataset("some", "", data.train, data.validation, data.test).fingerprint()


@pytest.mark.parametrize("scaling", [*MAPS, "standard"])
def test_block_size_changes_no_bit(scaling: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    raw = dataset(rng.normal(size=(50, 6)))
    expected = scale(raw, scaling)
    monkeypatch.setattr("tfp_vae.data.transforms.scaling.BLOCK_VALUES", 13)
    found = scale(raw, scaling)
    np.testing.assert_array_equal(found.train.x, expected.train.x)
    assert found.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("scaling", ["none", "pixels"])
def test_float32_values_that_stay_the_same_are_not_copied(scaling: str) -> None:
    raw = dataset(np.zeros((9, 4, 4, 1), np.float32))
    assert scale(raw, scaling).train.x is raw.train.x


def test_standard_settings_agree_with_numpy(rng: np.random.Generator) -> None:
    x = rng.normal(3, 5, (101, 4)).astype(np.float32)
    settings = scale(dataset(x), "standard").scaling.settings
    assert settings["loc"] == tuple(x.mean(axis=0, dtype=np.float64))
    assert settings["scale"] == tuple(x.std(axis=0, dtype=np.float64))


def test_scaling_of_binary_pixels_follows_the_likelihood() -> None:
    facts = dataset(np.tile(np.uint8([0, 255]), (9, 8)).reshape(9, 4, 4, 1)).profile
    assert choose_scaling(facts) == "pixels"
    assert SCALINGS.build(SCALINGS.member("pixels")).rescale(facts).kind.values == "binary values"


def test_a_recorded_scaling_never_allows_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        pytest.fail("a recorded scaling allowed imports")

    monkeypatch.setattr(registry, "allow_code", refuse)
    for member in (Member("none", {}), Member("standard", {"loc": (), "scale": ()})):
        assert scale(dataset(PIXELS), member).scaling.name == member.name
    with pytest.raises(RunError, match="loading a run never imports code by itself"):
        scale(dataset(PIXELS), Member("no_such_module:Scaling", {}))


@pytest.mark.parametrize(
    ("scaling", "shape", "expected"),
    [
        ("none", (3,), 0.0),
        ("pixels", (2, 2, 1), 0.0),
        ("divided:by=255", (2, 2, 1), 0.0),  # densities of images are those of intensities from 0 to 1
        ("divided:by=10", (3,), 3 * np.log(10)),
        (Member("standard", {"loc": (5.0, 1e9, -1.0), "scale": (2.0, 1e-3, 40.0)}), (3,), np.log(2 * 1e-3 * 40)),
    ],
)
def test_log_scale_is_the_logarithm_of_the_change_of_volume(
    scaling: str | Member, shape: tuple[int, ...], expected: float
) -> None:
    assert SCALINGS.build(SCALINGS.member(scaling)).log_scale(shape) == pytest.approx(expected, rel=1e-12)


def test_splits_keep_the_scale_of_their_data_set(rng: np.random.Generator) -> None:
    data = scale(dataset(rng.normal(size=(30, 3)) * [1.0, 10.0, 0.1]), "standard")
    expected = np.sum(np.log(data.scaling.settings["scale"]))
    assert data.train.log_scale == pytest.approx(expected)
    assert data.test[:1].log_scale == pytest.approx(expected)
