"""Profiles: facts about the values, found in one pass and block by block."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.files import PIXELS, dataset
from tfp_vae.core.supports import BINARY, COUNTS, OPEN_UNIT, REAL, UNIT, Support, levels
from tfp_vae.data import profile
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.profile import MOST_VALUES, NOT_FINITE, array_facts, column_facts, distinct_values, profile_arrays
from tfp_vae.data.schema.columns import Column

RNG = np.random.default_rng(7)

ARRAYS = {
    "pixels": PIXELS[..., None],
    "divided pixels": (PIXELS / np.float32(255))[..., None],
    "bools": RNG.random((30, 4)) > 0.5,
    "signed": RNG.integers(-5, 5, (30, 4)).astype(np.int8),
    "large counts": RNG.integers(0, 2**40, (30, 4)),
    "float counts": RNG.integers(0, 9, (30, 4)).astype(np.float32),
    "half precision": RNG.integers(0, 60_000, (30, 4)).astype(np.float16),
    "reals": RNG.normal(size=(30, 4)),
    "one value": np.full((30, 4), 2.5),
}


@pytest.mark.parametrize("name", list(ARRAYS))
@pytest.mark.parametrize("block", [1, 13, 1 << 20])
def test_facts_equal_those_of_whole_array_reductions(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "BLOCK_VALUES", block)
    x = ARRAYS[name]
    facts = array_facts(x)
    assert facts.size == len(x)
    np.testing.assert_array_equal(facts.low, x.min(axis=0))
    np.testing.assert_array_equal(facts.high, x.max(axis=0))
    np.testing.assert_array_equal(facts.values, np.unique(x))
    assert facts.values is not None
    assert facts.values.dtype == facts.low.dtype == x.dtype
    assert facts.whole == bool((x == np.round(x)).all())
    assert facts.finite


@pytest.mark.parametrize("name", list(ARRAYS))
def test_distinct_values_equal_numpy_unique(name: str) -> None:
    found = distinct_values(ARRAYS[name])
    np.testing.assert_array_equal(found, np.unique(ARRAYS[name]))
    assert found.dtype == ARRAYS[name].dtype


@pytest.mark.parametrize("name", list(ARRAYS))
@pytest.mark.parametrize("block", [1, 13, 1 << 20])
def test_ends_equal_those_of_the_whole_array(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "BLOCK_VALUES", block)
    x = ARRAYS[name]
    facts = array_facts(x)
    assert facts.at_ends == np.isin(x, [x.min(), x.max()]).sum()
    if facts.ends is None:
        assert x.dtype.kind in "ub"
        return
    for ends, values in zip(facts.ends, (x.astype(float), -x.astype(float)), strict=True):
        np.testing.assert_array_equal(ends.value, values.min(axis=0))
        np.testing.assert_array_equal(ends.count, (values == values.min(axis=0)).sum(axis=0))
        rest = np.where(values == values.min(axis=0), np.inf, values)
        np.testing.assert_array_equal(ends.following, rest.min(axis=0))


@pytest.mark.parametrize(
    ("share", "shape", "is_digits"),
    [(0.5, (8, 8, 1), True), (0.3, (8, 8, 1), False), (0.5, (40, 40, 1), False), (0.8, (40, 40, 1), True)],
)
def test_images_of_mostly_black_and_white_pixels_look_like_digits(
    share: float, shape: tuple[int, ...], is_digits: bool
) -> None:
    x = RNG.uniform(0.01, 0.99, (30, *shape))
    x[RNG.random(x.shape) < share] = 0.0
    assert dataset(x).profile.looks_like_digits == is_digits


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 9.97e36, -1e15])
@pytest.mark.parametrize("row", [0, 29])
def test_missing_and_infinite_values_are_not_finite(value: float, row: int) -> None:
    x = np.zeros((30, 4))
    x[row, 2] = value
    assert not array_facts(x).finite
    assert not dataset(x).profile.fits(REAL)
    assert np.isfinite(value) or dataset(x).profile.kind.values == NOT_FINITE


def test_more_than_65536_distinct_values_are_not_listed() -> None:
    x = np.arange(MOST_VALUES, dtype=np.float64)[:, None]
    assert array_facts(x).values is not None
    more = array_facts(np.append(x, [[-1.0]], axis=0))
    assert more.values is None
    assert more.whole


@pytest.mark.parametrize("name", list(ARRAYS))
@pytest.mark.parametrize("support", [BINARY, UNIT, OPEN_UNIT, COUNTS, REAL, levels(256)], ids=lambda each: each.text)
def test_fit_agrees_with_a_scan_of_the_values(name: str, support: Support) -> None:
    x = ARRAYS[name].astype(np.float64)
    assert array_facts(x).fits(support) == bool(support.contains(x).all())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e305])
def test_facts_about_a_column_hold_in_any_unit(unit: float) -> None:
    facts = column_facts(Column(name="x", kind="real"), np.array([1.0, 2.0, np.nan, 3.0, 6.0]) * unit, 0.2)
    assert facts.mean / unit == pytest.approx(3.0)
    assert facts.deviation / unit == pytest.approx(np.sqrt(3.5))


@pytest.mark.parametrize(
    ("x", "fits"),
    [(RNG.normal(size=(70_000, 1)), {"the real numbers"}), (RNG.random((70_000, 1)), {"the real numbers", "[0, 1]"}),
     (np.arange(70_000.0)[:, None], {"the real numbers", "{0, 1, 2, ...}"})],
)  # fmt: skip
def test_fit_of_many_values_follows_from_range_and_wholeness(x: np.ndarray, fits: set[str]) -> None:
    facts = array_facts(x)
    assert facts.values is None
    assert {support.text for support in (BINARY, UNIT, COUNTS, REAL) if facts.fits(support)} == fits


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (np.zeros((9, 3)), "vectors of 3, binary values"),
        (np.full((9, 3), 0.5), "vectors of 3, values in [0, 1]"),
        (np.full((9, 3), 7), "vectors of 3, counts"),
        (np.full((9, 3), -0.5), "vectors of 3, real values"),
        (np.zeros((9, 4, 5, 1)), "grey images of 4x5x1, binary values"),
        (np.full((9, 4, 5, 3), 0.5), "colour images of 4x5x3, values in [0, 1]"),
        (np.full((9, 4, 5, 7), 2), "images of many channels of 4x5x7, counts"),
    ],
)
def test_kind_is_the_narrowest_that_holds_all_values(x: np.ndarray, kind: str) -> None:
    assert str(dataset(x).profile.kind) == kind


def test_kind_covers_all_splits() -> None:
    train, test = np.zeros((9, 3)), np.full((3, 3), 0.5)
    data = Dataset("some", "", Split(train), Split(train), Split(test))
    assert data.profile.kind.values == "values in [0, 1]"
    assert not data.profile.grey


def test_largest_and_smallest_cover_all_splits() -> None:
    parts = {"train": np.array([[1.0], [2.0]]), "validation": np.array([[-3.0]]), "test": np.array([[9.0]])}
    facts = profile_arrays(parts)
    assert (facts.smallest, facts.largest) == (-3, 9)
    assert (facts.train.low[0], facts.train.high[0]) == (1, 2)


def test_empty_splits_have_no_facts() -> None:
    facts = profile_arrays({"train": np.ones((4, 2)), "validation": np.ones((0, 2)), "test": np.ones((0, 2))})
    assert list(facts.splits) == ["train"]
    assert facts.fits(BINARY)


def test_constant_elements_refer_to_the_training_data() -> None:
    x = np.array([[1.0, 2.0, 3.0], [1.0, 5.0, 3.0]])
    data = Dataset("some", "", Split(x), Split(x + 1), Split(x))
    assert data.profile.constant == 2


@pytest.mark.parametrize("dtypes", [(np.uint8, np.uint8), (np.uint8, np.uint16), (np.float32, np.float32)])
def test_eight_bits_means_that_all_splits_are_stored_as_uint8(dtypes: tuple[type, type]) -> None:
    train, test = (np.ones((9, 4, 4, 1), dtype) for dtype in dtypes)
    data = Dataset("some", "", Split(train), Split(train), Split(test))
    assert data.profile.eight_bits == (dtypes == (np.uint8, np.uint8))


@pytest.mark.parametrize(("count", "repeats", "few"), [(32, 10, True), (33, 10, False), (32, 9, False), (1, 10, True)])
def test_few_values_are_at_most_32_that_repeat_ten_times(count: int, repeats: int, few: bool) -> None:
    x = np.arange(float(count)).repeat(repeats)[:, None]
    facts = profile_arrays({"train": x})
    assert (facts.few_values is not None) == few
    if few:
        np.testing.assert_array_equal(facts.few_values, np.arange(count))


def test_few_values_are_counted_over_all_splits() -> None:
    parts = {name: np.full((20, 1), value) for name, value in (("train", 0.5), ("validation", 1.5), ("test", 2.5))}
    np.testing.assert_array_equal(profile_arrays(parts).few_values, [0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    ("train", "lack"),
    [
        (np.ones((20, 3)), "all examples are identical"),
        (np.arange(3.0)[None], "only one training example"),
        (np.full((20, 3), 2.0), "all 20 training examples are identical"),
        (np.arange(27.0).reshape(9, 3), "9 training examples are too few"),
        (np.arange(30.0).reshape(10, 3), None),
    ],
)
def test_lack_names_the_worst_reason(train: np.ndarray, lack: str | None) -> None:
    data = Dataset("some", "", Split(train), Split(np.ones((4, 3))), Split(np.ones((4, 3))))
    found = data.profile.lack
    assert found is None if lack is None else lack in str(found)
