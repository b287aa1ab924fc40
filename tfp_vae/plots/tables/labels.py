"""The texts of plots of tables: names, words, and ticks of numbers and dates, each cut to the room that it has.

Widths are measured with the fonts that draw the text, because a name of twenty letters may be one inch wide or four.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from matplotlib.dates import AutoDateLocator
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import Locator, MaxNLocator

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import escape_math, number_text, shorten
from tfp_vae.plots.fonts import families_for, readable

__all__ = [
    "ColumnLabel",
    "Ticks",
    "date_ticks",
    "decade_ticks",
    "fit_text",
    "number_ticks",
    "percent_ticks",
    "text_width",
]

POINTS = 72
"""Points in an inch."""

TICK_GAP, OVERHANG = 0.12, 0.13
"""Least distance between the labels of two ticks, and how far a label may reach beyond its axis, in inches."""

SHORT, MOST_DECIMALS = 1e4, 6
"""Numbers from this one on may have an exponent, and numbers with more decimals always have one."""

DATE_RANGE = (-719_000.0, 2_932_000.0)
"""The days since 1970-01-01 that have a date, approximately."""

DATE_FORMS = ((365.0, "%Y"), (28.0, "%Y-%m"), (1.0, "%Y-%m-%d"), (0.0, "%m-%d %H:%M"))
"""Formats of dates, each with the smallest distance between ticks in days."""

Ticks: TypeAlias = "tuple[np.ndarray, list[str]]"
"""The places of ticks, and their labels."""


@check_keywords
class ColumnLabel(NamedTuple):
    """The name of a column and the meaning of its numbers.

    name: its name.
    words: the L words of a column of words. The number of the k-th word is k / (L - 1), from k = 0 on.
    is_date: whether numbers are days since 1970-01-01.
    """

    name: str
    words: tuple[str, ...] = ()
    is_date: bool = False

    def indices(self, values: np.ndarray) -> np.ndarray:
        """Return the index of the word of each number that is not missing."""
        places = values[np.isfinite(values)] * max(len(self.words) - 1, 1)
        return np.asarray(np.rint(places), int)

    def ticks(self, low: float, high: float, width: float, size: float) -> Ticks:
        """Return ticks between two numbers whose labels have room on an axis of some inches."""
        return (date_ticks if self.is_date else number_ticks)(low, high, width, size)


@functools.cache
def text_width(text: str, size: float) -> float:
    """Return the width of a text in inches, at a size in points."""
    font = FontProperties(family=families_for(text), size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / POINTS


def fit_text(text: str, width: float, size: float) -> str:
    """Return a text on one line, cut in the middle if it is wider than `width` inches, and never a formula.

    ```python
    from tfp_vae.plots.tables.labels import fit_text

    fit_text("a long name of a column", 1.0, 8)  # "a long n… column"
    ```
    """
    text = readable(" ".join(text.split()))
    letters = len(text)
    short = text
    while letters > 1 and text_width(short, size) > width:
        letters = max(1, min(letters - 1, int(letters * width / text_width(short, size)) + 1))
        short = shorten(text, letters)
    return escape_math(short)


def number_ticks(low: float, high: float, width: float, size: float) -> Ticks:
    """Return ticks for numbers whose labels have room on an axis of some inches.

    Five ticks are tried first, then fewer, and numbers with an exponent if long ones leave room for two ticks only.
    """
    attempts = [(bins, form) for form in (plain_text, short_text) for bins in (5, 4, 3)]
    return first_fit(low, high, width, size, [*attempts, (2, plain_text), (2, short_text)])


def decade_ticks(low: float, high: float, width: float, size: float) -> Ticks:
    """Return ticks for the decimal logarithms of numbers, labelled with the numbers themselves.

    The ticks are 1, 2 and 5 in each decade if they have room, else whole decades, or each second or third of them.
    """
    decades = np.arange(math.floor(low), math.ceil(high) + 1)
    attempts = [np.add.outer(decades, np.log10([1, 2, 5])).ravel(), *(decades[::n] for n in range(1, len(decades) + 1))]
    ticks, texts = np.zeros(0), list[str]()
    for candidates in attempts:
        ticks = candidates[(candidates >= low) & (candidates <= high)]
        texts = [short_text(float(f"{10.0**tick:.1g}"), float(f"{10.0**tick:.1g}")) for tick in ticks]
        ticks, texts = on_axis(ticks, texts, (low, high), width, size)
        if len(texts) > 1 and have_room(ticks, texts, width / (high - low), size):
            return ticks, texts
    return ticks[:1], texts[:1]


def percent_ticks(high: float, width: float, size: float) -> Ticks:
    """Return ticks for shares from 0 to `high`."""
    return first_fit(0.0, high, width, size, [(bins, percent_text) for bins in (4, 3, 2)])


TickText: TypeAlias = Callable[[float, float], str]
"""Returns the label of a number, given the distance between ticks."""


def first_fit(low: float, high: float, width: float, size: float, attempts: list[tuple[int, TickText]]) -> Ticks:
    """Return the ticks of the first attempt whose labels have room, or one tick.

    If none has room, every second tick may have, or every third.
    """
    first: Ticks = np.zeros(0), []
    for every, (bins, form) in itertools.product((1, 2, 3), attempts):
        ticks = np.asarray(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
        margin = 1e-9 * (high - low)
        step = float(ticks[1] - ticks[0])
        ticks = ticks[(ticks >= low - margin) & (ticks <= high + margin)]
        texts = [form(float(tick), step) for tick in ticks]
        ticks, texts = on_axis(ticks, texts, (low, high), width, size)
        ticks, texts = ticks[::every], texts[::every]
        if len(texts) > 1 and len(set(texts)) == len(texts) and have_room(ticks, texts, width / (high - low), size):
            return ticks, texts
        if len(texts) and not first[1]:
            first = ticks[:1], texts[:1]
    return first


def on_axis(ticks: np.ndarray, texts: list[str], ends: tuple[float, float], width: float, size: float) -> Ticks:
    """Return the ticks whose labels do not reach far beyond the ends of an axis of some inches."""
    inches = width / ((ends[1] - ends[0]) or 1.0)
    halves = np.array([text_width(text, size) for text in texts]) / 2 - OVERHANG
    inside = ((ticks - ends[0]) * inches >= halves) & ((ends[1] - ticks) * inches >= halves)
    return ticks[inside], [text for text, chosen in zip(texts, inside, strict=True) if chosen]


def have_room(ticks: np.ndarray, texts: list[str], inches: float, size: float) -> bool:
    """Return whether centred labels do not meet, given the inches of a unit."""
    widths = np.array([text_width(text, size) for text in texts])
    needed = (widths[:-1] + widths[1:]) / 2 + TICK_GAP
    return bool(np.all(np.diff(ticks) * inches >= needed))


def plain_text(value: float, step: float) -> str:
    """Return a number with as many decimals as its ticks need, or with an exponent if these are many."""
    decimals = max(0, math.ceil(-math.log10(step) - 1e-6))
    decimals += round(step, decimals) != round(step, decimals + 2)  # for steps such as 2.5
    return number_text(value, f",.{decimals}f") if decimals <= MOST_DECIMALS else with_exponent(value)


def short_text(value: float, step: float) -> str:
    """Return a number with three digits, such as 1.5e6, if it is long and this changes nothing."""
    is_exact = math.isclose(float(f"{value:.3g}"), value, rel_tol=1e-6, abs_tol=1e-6 * step)
    return with_exponent(value) if is_exact and max(abs(value), 1e3 * step) >= SHORT else plain_text(value, step)


def with_exponent(value: float) -> str:
    """Return a number with three digits, such as 1.5e6 or 2e-7."""
    digits, _, exponent = f"{value:.3g}".partition("e")
    text = f"{digits}e{int(exponent)}" if exponent else digits
    return text.replace("-", "\N{MINUS SIGN}", 1) if value < 0 else text


def percent_text(value: float, step: float) -> str:
    """Return a share as a percentage."""
    return f"{value:.0%}" if step >= 0.01 else f"{value:.1%}"


def date_ticks(low: float, high: float, width: float, size: float) -> Ticks:
    """Return ticks for days since 1970-01-01 whose labels have room on an axis of some inches."""
    whole = (high - low) or 1.0
    low, high = max(low, DATE_RANGE[0]), min(high, DATE_RANGE[1])
    width *= (high - low) / whole
    locator: Locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]
    ticks = np.asarray(locator.tick_values(date_of(low), date_of(high)), np.float64)  # type: ignore[arg-type]
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    distance = float(np.diff(ticks).min()) if len(ticks) > 1 else high - low
    form = next(form for days, form in DATE_FORMS if distance >= days)
    texts = [date_of(float(tick)).strftime(form) for tick in ticks]
    ticks, texts = on_axis(ticks, texts, (low, high), width, size)
    for every in range(1, len(ticks)):
        if have_room(ticks[::every], texts[::every], width / ((high - low) or 1.0), size):
            return ticks[::every], texts[::every]
    return ticks[:1], texts[:1]


def date_of(days: float) -> dt.datetime:
    """Return the date that is some days after 1970-01-01."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(days=days)
