"""Numerals: numbers as people write them, with decimal commas, thousands separators, units and a number of decimals."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

__all__ = ["NOTATIONS", "NO_UNIT", "PLAIN", "Notation", "Style", "Unit", "without_unit"]

MOST_DECIMALS = 15
"""Numbers with more decimals are written in full, as Python does."""

EXACT = 2.0**53
"""Whole numbers beyond this one cannot be told apart in float64."""

PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

DIGITS = frozenset("0123456789+-eE\n")
"""The characters of plain numbers on lines of their own, except the decimal mark."""

CODES = re.compile(r"^[+-]?0\d|[eE][+-]?\d{4}", re.ASCII | re.MULTILINE)
"""Codes on lines of their own, and exponents of many digits."""

CODE = re.compile(r"[+-]?0\d", re.ASCII)
"""The start of a code such as the postcode 02130, which is no number."""


class Notation(NamedTuple):
    """The marks in numbers.

    decimal: the decimal mark, a point or a comma.
    thousands: the separator between groups of three digits, or an empty text.
    """

    decimal: str = "."
    thousands: str = ""

    def parse(self, text: str) -> float | None:
        """Return the number in a text without surrounding spaces, or None if it holds none.

        ```python
        from tfp_vae.data.schema.numerals import Notation

        Notation(",", ".").parse("1.234,5")  # 1234.5
        Notation().parse("02130")  # None, because it is a code
        ```
        """
        if self.thousands and self.thousands in text:
            if not self.grouped.fullmatch(text):
                return None
            text = text.replace(self.thousands, "")
        if self.decimal != ".":
            if "." in text:
                return None
            text = text.replace(self.decimal, ".", 1)
        if not PLAIN_NUMBER.fullmatch(text) or CODE.match(text):
            return None
        number = float(text)
        return number if np.isfinite(number) and not (abs(number) > EXACT and text.lstrip("+-").isdecimal()) else None

    def parse_all(self, texts: Sequence[str]) -> np.ndarray:
        """Return the number in each text, float64 [N], and NaN for a text without one.

        It is `parse` for all texts, but ten times as fast if none of them has a thousands separator.
        """
        joined = "\n".join(texts)
        if not set(joined) - {*DIGITS, self.decimal} and not CODES.search(joined):
            with contextlib.suppress(ValueError):
                numbers = np.array([float(text) for text in joined.replace(self.decimal, ".").split("\n")])
                if (np.abs(numbers) <= EXACT).all() and len(numbers) == len(texts):
                    return numbers
        return np.array([np.nan if (number := self.parse(text)) is None else number for text in texts])

    @property
    def grouped(self) -> re.Pattern[str]:
        """The pattern of a number with thousands separators."""
        group, decimal = re.escape(self.thousands), re.escape(self.decimal)
        return re.compile(rf"[+-]?\d{{1,3}}({group}\d{{3}})+({decimal}\d*)?", re.ASCII)


PLAIN = Notation()
"""The notation of programs."""

NOTATIONS = (
    Notation(",", ""),
    Notation(".", ","),
    Notation(",", "."),
    Notation(".", " "),
    Notation(",", " "),
    Notation(".", "'"),
)
"""The other notations of numbers, the first to try first."""


CURRENCY = r"(?:[A-Z]{1,3}\s?)?[$€£¥₹₽₩₪₫₱₺₴₦฿]|CHF|EUR|USD|GBP|JPY|Fr\.|Rs\.?"
"""Texts before an amount of money."""

WITH_UNIT = re.compile(
    rf"(?P<sign>[+-]?)(?P<prefix>(?:(?:{CURRENCY})\s?)?)"
    r"(?P<number>[+-]?(?:[0-9](?:[0-9.,' ]*[0-9])?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)"
    r"(?P<suffix>(?:\s?(?:[^\W\d_]|[%‰°$€£¥₹₽₩₪₫₱₺₴₦฿/·]){1,12})?)"
)
"""A number between an amount's currency and a unit such as `%`, `kg` or `km/h`. Each of them may be empty."""

SAMPLE = 1_000
"""The number of texts that decide on the unit of a column."""

LEAST_SHARE = 0.9
"""The smallest share of texts with the unit of a column. The others are mistakes."""


class Unit(NamedTuple):
    """The text around each number of a column, such as the `%` in 12%.

    prefix: the text before it. A sign comes first, as in -$5.
    suffix: the text after it.
    """

    prefix: str = ""
    suffix: str = ""

    def __str__(self) -> str:
        return self.prefix.strip() + self.suffix.strip()

    @classmethod
    def find(cls, texts: Sequence[str]) -> Unit:
        """Return the unit of at least 90% of the numbers in texts, or an empty one.

        ```python
        from tfp_vae.data.schema.numerals import Unit

        Unit.find(["$5", "-$7.50", "$12"])  # Unit("$", "")
        ```

        Args:
          texts: without surrounding spaces. The first 1,000 decide.
        """
        found = [WITH_UNIT.fullmatch(text) for text in texts[:SAMPLE]]
        units = Counter(cls(each["prefix"], each["suffix"]) for each in found if each)
        unit, count = units.most_common(1)[0] if units else (NO_UNIT, 0)
        return unit if count >= LEAST_SHARE * len(found) else NO_UNIT

    def strip(self, text: str) -> str:
        """Return a text without the unit, or an empty text if the unit is absent."""
        sign = text[:1] if self.prefix and text[:1] in ("+", "-") else ""
        rest = text[len(sign) :]
        if not rest.startswith(self.prefix) or not rest.endswith(self.suffix):
            return ""
        return sign + rest[len(self.prefix) : len(rest) - len(self.suffix)]

    def strip_all(self, texts: Sequence[str]) -> Sequence[str]:
        """Return texts without the unit."""
        return [self.strip(text) for text in texts] if self != NO_UNIT else texts

    def wrap(self, number: str) -> str:
        """Return a number as text with its unit."""
        sign = "-" if number.startswith("-") else ""
        return f"{sign}{self.prefix}{number.removeprefix(sign)}{self.suffix}"


NO_UNIT = Unit()


def without_unit(text: str) -> str:
    """Return a number in a text without its unit, or any other text unchanged.

    ```python
    from tfp_vae.data.schema.numerals import without_unit

    without_unit("-$5")  # "-5"
    ```
    """
    found = WITH_UNIT.fullmatch(text.strip())
    return found["sign"] + found["number"] if found else text


class Style(NamedTuple):
    """How the numbers of a column are written.

    decimals: the most decimals, or None to write each number in full.
    padded: whether every number has all of them.
    """

    decimals: int | None = None
    padded: bool = False

    @classmethod
    def of(cls, texts: Sequence[str], notation: Notation) -> Style:
        """Return the style of numbers.

        ```python
        from tfp_vae.data.schema.numerals import PLAIN, Style

        Style.of(["1.50", "2.25"], PLAIN)  # Style(decimals=2, padded=True)
        ```

        Args:
          texts: numbers without surrounding spaces.
          notation: their notation.
        """
        if not any("e" in text or "E" in text for text in texts):
            places = {len(text.partition(notation.decimal)[2]) for text in texts}
        else:
            plain = [text.replace(notation.thousands or " ", "").replace(notation.decimal, ".") for text in texts]
            exponents = [Decimal(text).as_tuple().exponent for text in plain]
            places = {max(0, -exponent) for exponent in exponents if isinstance(exponent, int)}
        most = max(places, default=0)
        if most > MOST_DECIMALS:
            return cls()
        return cls(most, len(places) == 1 and most > 0)

    def text(self, number: float, notation: Notation = PLAIN) -> str:
        """Return a number as text.

        ```python
        from tfp_vae.data.schema.numerals import Notation, Style

        Style(2, padded=False).text(1234.5, Notation(",", "."))  # "1.234,5"
        ```
        """
        if self.decimals is None:
            text = repr(float(number)).removesuffix(".0")
        else:
            text = f"{number:,.{self.decimals}f}" if notation.thousands else f"{number:.{self.decimals}f}"
            if not self.padded and "." in text:
                text = text.rstrip("0").rstrip(".")
        if text.startswith("-0") and not text.strip("-0."):
            text = text[1:]
        if notation == PLAIN:
            return text
        return "".join({",": notation.thousands, ".": notation.decimal}.get(mark, mark) for mark in text)
