"""Columns: cells become numbers and return as the same texts, for every kind."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.data.schema.columns import KINDS, MODELLED, Column

CASES = {
    "real": (Column(name="x", kind="real", decimals=2, padded=True), ["-1.50", "0.25", "", "3.00"]),
    "real with commas": (
        Column(name="x", kind="real", decimals=1, padded=False, decimal=",", thousands="."),
        ["1.234,5", "7", "", "-0,5"],
    ),
    "real with a currency": (
        Column(name="x", kind="real", decimals=2, thousands=",", prefix="$"),
        ["$1,234.50", "-$0.25", "", "$7.00"],
    ),
    "count with a unit": (Column(name="x", kind="count", suffix=" %"), ["12 %", "0 %", ""]),
    "positive": (Column(name="x", kind="positive"), ["0.001", "1", "", "1234.56789"]),
    "count": (Column(name="x", kind="count"), ["0", "7", "", "1234"]),
    "binary": (Column(name="x", kind="binary", levels=("no", "yes")), ["yes", "no", "", "no"]),
    "category": (Column(name="x", kind="category", levels=("blue", "green", "red")), ["red", "blue", "", "green"]),
    "ordinal": (Column(name="x", kind="ordinal", levels=("S", "M", "L")), ["M", "L", "", "S"]),
    "date": (Column(name="x", kind="date", format="%d.%m.%Y", padded=True), ["01.03.2004", "31.12.1969", ""]),
}


@pytest.mark.parametrize("case", CASES)
def test_observed_cells_return_unchanged(case: str) -> None:
    column, texts = CASES[case]
    values = column.encode(texts)
    assert np.isnan(values).tolist() == [not text for text in texts]
    assert column.decode(values).tolist() == texts


def test_every_modelled_kind_has_a_round_trip() -> None:
    assert {column.kind for column, _ in CASES.values()} == MODELLED
    assert KINDS.keys() - MODELLED == {"id", "index", "constant", "dropped"}


def test_levels_lie_evenly_between_0_and_1() -> None:
    column = Column(name="x", kind="category", levels=tuple("abcde"))
    assert column.encode(list("abcde")).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_draws_are_rounded_and_clipped_to_the_range_of_the_column() -> None:
    count = Column(name="x", kind="count", low=1.0, high=9.0)
    assert count.decode([3.4, -5.0, 1e9]).tolist() == ["3", "1", "9"]
    day = Column(name="x", kind="date", format="%Y-%m-%d", low=0.0, high=10.0)
    assert day.decode([-3.0, 1.6, 99.0]).tolist() == ["1970-01-01", "1970-01-03", "1970-01-11"]
    word = Column(name="x", kind="category", levels=("a", "b", "c"))
    assert word.decode([-3.0, 0.6, 7.0]).tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("kind", "text"), [("positive", "0"), ("positive", "-1"), ("count", "1.5"), ("count", "-1"), ("real", "word")]
)
def test_a_kind_refuses_numbers_outside_it(kind: str, text: str) -> None:
    assert np.isnan(Column.model_validate({"name": "x", "kind": kind}).numbers([text])[0])


def test_levels_that_are_numbers_match_other_spellings() -> None:
    column = Column(name="x", kind="ordinal", levels=("1", "2", "3"))
    assert column.encode(["2.0", "3"]).tolist() == [0.5, 1.0]
    assert np.isnan(column.numbers(["4"])[0])


def test_a_constant_returns_its_value() -> None:
    assert Column(name="x", kind="constant", levels=("EU",)).decode([np.nan, 1.0]).tolist() == ["EU", "EU"]
    assert Column(name="x", kind="constant").decode([1.0]).tolist() == [""]


def test_a_marker_that_is_a_level_is_a_word() -> None:
    column = Column(name="x", kind="category", levels=("FR", "NA"))
    assert column.encode(["NA", "FR", ""]).tolist()[:2] == [1.0, 0.0]


def test_description_has_the_range_in_the_format_of_the_table() -> None:
    day = Column(name="d", kind="date", format="%d.%m.%Y", low=0.0, high=31.0, share_missing=0.25)
    assert day.describe()["range"] == "01.01.1970 to 01.02.1970"
    assert day.describe()["share_missing"] == 0.25
    assert Column(name="x", kind="real", decimals=1, low=-0.5, high=2.0).span == "-0.5 to 2.0"
    assert Column(name="x", kind="category", levels=tuple("abcdefg")).span == "a, b, c, d, e and 2 more"
    assert Column(name="x", kind="id").describe()["range"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "binary", "levels": ["a", "b", "c"]}, "column 'x': expected two levels of a binary, found 3."),
        ({"kind": "category", "levels": ["a"]}, "expected at least two different levels"),
        ({"kind": "category", "levels": ["a", "a "]}, "expected at least two different levels"),
        ({"kind": "date"}, "expected a `format` of dates"),
        ({"kind": "real", "decimal": ",", "thousands": ","}, "different marks"),
        ({"kind": "category", "levels": ["1%", "2%"], "suffix": "%"}, "only around numbers"),
        ({"kind": "counts"}, "kind"),
    ],
)
def test_settings_that_do_not_fit_the_kind_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Column.model_validate({"name": "x", **settings})


@pytest.mark.parametrize(("kind", "spikes"), [("real", (3,)), ("count", (3, 3))])
def test_spikes_are_different_counts_of_a_count_column(kind: Literal["real", "count"], spikes: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="column 'x': expected different counts as `spikes` of a count column"):
        Column(name="x", kind=kind, spikes=spikes)
