"""Names cut to their room, and ticks whose labels do not meet."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from tfp_vae.plots.tables import labels
from tfp_vae.plots.tables.labels import ColumnLabel, Ticks

SIZE = 8.0


def number(text: str) -> float:
    """The number in the label of a tick."""
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def gaps(ticks: Ticks, inches: float) -> np.ndarray:
    """The distances between neighbouring labels in inches, given the inches of a unit."""
    places, texts = ticks
    widths = np.array([labels.text_width(text, SIZE) for text in texts])
    return np.diff(places) * inches - (widths[:-1] + widths[1:]) / 2


@pytest.mark.parametrize("name", ["W" * 60, "i" * 60, "a name with spaces " * 5, "$" * 50, "\u732b" * 30, "x"])
@pytest.mark.parametrize("width", [0.4, 1.0, 2.4])
def test_cut_text_fits_into_its_room(name: str, width: float) -> None:
    text = labels.fit_text(name, width, SIZE)
    assert labels.text_width(text.replace(r"\$", "$"), SIZE) <= width
    assert text


def test_text_with_room_stays_as_it_is() -> None:
    assert labels.fit_text("age", 1.0, SIZE) == "age"
    assert labels.fit_text("two\n  lines, $", 2.0, SIZE) == r"two lines, \$"


def test_cut_text_uses_most_of_its_room() -> None:
    text = labels.fit_text("a long name of a column in a table", 1.0, SIZE)
    assert 0.85 < labels.text_width(text, SIZE) <= 1.0
    assert "\N{HORIZONTAL ELLIPSIS}" in text


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (17, 90), (-3, 3), (0, 1.5e6), (-2e9, 2e9), (1e-7, 3e-7), (-1e-3, 1e-3), (1e15, 3e15), (0.5, 0.501)],
)
@pytest.mark.parametrize("width", [1.2, 2.3])
def test_ticks_are_at_their_numbers_and_do_not_meet(low: float, high: float, width: float) -> None:
    ticks, texts = found = labels.number_ticks(low, high, width, SIZE)
    assert len(texts) >= 2
    assert np.all((ticks >= low - 1e-6 * (high - low)) & (ticks <= high + 1e-6 * (high - low)))
    np.testing.assert_allclose([number(text) for text in texts], ticks, atol=1e-9 * (high - low))
    assert np.all(gaps(found, width / (high - low)) > 0.1)


def test_numbers_with_a_common_beginning_keep_their_digits_or_have_one_tick() -> None:
    ticks, texts = labels.number_ticks(1.6e9 - 1, 1.6e9 + 11, 3.0, SIZE)
    assert len(texts) > 1
    assert [number(text) for text in texts] == ticks.tolist()
    _, texts = labels.number_ticks(1.6e9 - 1, 1.6e9 + 11, 1.0, SIZE)
    assert len(texts) == 1


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_labels_do_not_reach_far_beyond_their_axis(width: float) -> None:
    for ticks, texts in (
        labels.number_ticks(0, 3e6, width, SIZE),
        labels.date_ticks(18_262, 18_262 + 365, width, SIZE),
        labels.decade_ticks(0, 3, width, SIZE),
    ):
        low, high = (0, 3e6) if ticks.max() > 1e5 else (18_262, 18_627) if ticks.max() > 10 else (0, 3)
        for tick, text in zip(ticks, texts, strict=True):
            half = labels.text_width(text, SIZE) / 2 - labels.OVERHANG
            assert (tick - low) * width / (high - low) >= half
            assert (high - tick) * width / (high - low) >= half


@pytest.mark.parametrize(("low", "high"), [(0.1, 6.2), (2.0, 2.9), (-9.0, 12.0), (0.0, 0.4)])
def test_ticks_of_decades_are_at_the_logarithms_of_their_numbers(low: float, high: float) -> None:
    ticks, texts = found = labels.decade_ticks(low, high, 2.3, SIZE)
    np.testing.assert_allclose([math.log10(number(text)) for text in texts], ticks, atol=1e-12)
    assert np.all(gaps(found, 2.3 / (high - low)) > 0.1)
    assert len(texts) >= 2


@pytest.mark.parametrize("high", [0.004, 0.03, 0.4, 1.0])
def test_ticks_of_shares_are_percentages(high: float) -> None:
    ticks, texts = labels.percent_ticks(high, 1.2, SIZE)
    np.testing.assert_allclose([float(text.rstrip("%")) / 100 for text in texts], ticks, atol=1e-12)
    assert texts[0].startswith("0")


@pytest.mark.parametrize(
    ("days", "form"), [(20_000, "%Y"), (3_000, "%Y"), (120, "%Y-%m"), (12, "%Y-%m-%d"), (0.4, "%m-%d %H:%M")]
)
def test_ticks_of_dates_name_them(days: float, form: str) -> None:
    low = 18_000.0
    ticks, texts = found = labels.date_ticks(low, low + days, 2.3, SIZE)
    start = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    assert texts == [(start + dt.timedelta(days=float(tick))).strftime(form) for tick in ticks]
    assert len(ticks) >= 1
    assert np.all(gaps(found, 2.3 / days) > 0.1)


def test_days_without_a_date_are_left_out() -> None:
    ticks, texts = found = labels.date_ticks(-3e6, 3e6, 2.3, SIZE)
    assert len(ticks) == len(texts) > 0
    assert np.all((ticks > labels.DATE_RANGE[0]) & (ticks < labels.DATE_RANGE[1]))
    assert np.all(gaps(found, 2.3 / 6e6) > 0.1)


def test_numbers_of_words_are_fractions_of_the_last_index() -> None:
    label = ColumnLabel("size", ("S", "M", "L"))
    assert label.indices(np.array([0.0, 0.5, np.nan, 1.0])).tolist() == [0, 1, 2]
    assert ColumnLabel("size", ("only",)).indices(np.zeros(2)).tolist() == [0, 0]


def test_column_chooses_ticks_by_its_meaning() -> None:
    assert ColumnLabel("x").ticks(0, 20_000, 2.0, SIZE)[1][0] == "0"
    assert ColumnLabel("x", is_date=True).ticks(0, 20_000, 2.0, SIZE)[1][0] in {"1970", "1980"}
