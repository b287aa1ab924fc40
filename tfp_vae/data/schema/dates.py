"""Dates: texts in one format <-> days since 1970-01-01, or shares of a day for times without a date."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

__all__ = ["FORMATS", "date_text", "find_formats", "parse_date"]

DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y")

TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H.%M.%S")

FORMATS = (
    *DAYS,
    *(f"{day}{between}{time}" for day in DAYS for between in (" ", "T") for time in TIMES[:3]),
    *(f"{day}T{time}Z" for day in DAYS[:1] for time in TIMES[:3]),
    *TIMES,
    "%d-%b-%Y",
    "%d-%b-%y",
    "%B %d, %Y",
    "%Y-%m",
    "%b %Y",
    "%d/%m/%y",
    "%m/%d/%y",
)
"""Formats of dates and times, the first to try first. A day before a month comes before a month before a day."""

EPOCH = datetime(1970, 1, 1)

NO_DATE = datetime(1900, 1, 1)
"""The date that Python gives to a time without a date."""

SIGNS = re.compile(r"[-/.:, ]")

TRIED = 100
"""The texts that every format is tried on before all are."""


def parse_date(text: str, form: str) -> float | None:
    """Return the days since 1970-01-01, or the share of a day for a time, or None if the text has another format.

    ```python
    from tfp_vae.data.schema.dates import parse_date

    parse_date("02/01/1970 06:00", "%d/%m/%Y %H:%M")  # 1.25
    ```
    """
    with contextlib.suppress(ValueError):
        moment = datetime.strptime(text, form)
        return (moment - (EPOCH if has_day(form) else NO_DATE)) / timedelta(days=1)
    return None


def date_text(days: float, form: str, *, padded: bool = True) -> str:
    """Return a date or a time as text, rounded to the smallest unit of its format.

    Args:
      days: as `parse_date` returns them.
      form: the format.
      padded: whether days, months and hours below 10 begin with a 0.
    """
    unit = next((unit for mark, unit in UNITS.items() if mark in form), timedelta(days=1))
    moment = (EPOCH if has_day(form) else NO_DATE) + timedelta(days=days)
    past = (moment - NO_DATE) % unit
    moment += unit - past if 2 * past >= unit else -past
    text = moment.strftime(form.replace("%Y", f"{moment.year:04d}"))
    return text if padded else re.sub(r"(?<!\d)0(?=\d)", "", text)


UNITS = {
    "%f": timedelta(microseconds=1),
    "%S": timedelta(seconds=1),
    "%M": timedelta(minutes=1),
    "%H": timedelta(hours=1),
}
"""The units of times, the smallest first."""


def has_day(form: str) -> bool:
    """Return whether a format has a date."""
    return "%Y" in form or "%y" in form


def find_formats(texts: Sequence[str], share: float = 1.0) -> list[str]:
    """Return the formats that all texts have. There are several if no text tells days from months.

    If no format fits all texts, the result is the one that fits most of them.

    ```python
    from tfp_vae.data.schema.dates import find_formats

    find_formats(["13/02/2004", "01/02/2004"])  # ["%d/%m/%Y"]
    ```

    Args:
      texts: without surrounding spaces.
      share: the smallest share of texts that a format must fit.
    """
    first = texts[:TRIED]
    like_dates = [any(map(str.isdigit, text)) and SIGNS.search(text) and len(text) < 40 for text in first]
    if not first or sum(map(bool, like_dates)) < share * len(first):
        return []
    near = [form for form in FORMATS if date_share(first, form) >= share]
    shares = {form: date_share(texts, form) for form in near}
    most = max(shares.values(), default=0.0)
    best = [form for form, fitting in shares.items() if fitting == most >= share]
    return best if most == 1 else best[:1]


def date_share(texts: Sequence[str], form: str) -> float:
    """Return the share of texts that are dates of a format."""
    return sum(parse_date(text, form) is not None for text in texts) / len(texts)
