"""Numerals: notations with commas and thousands, and numbers that keep their decimals."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.data.schema.numerals import NOTATIONS, PLAIN, Notation, Style


@pytest.mark.parametrize(
    ("notation", "text", "number"),
    [
        (PLAIN, "12", 12.0),
        (PLAIN, "-0.5", -0.5),
        (PLAIN, ".5", 0.5),
        (PLAIN, "2.1565e+05", 215650.0),
        (PLAIN, "1,5", None),
        (PLAIN, "1_0", None),
        (PLAIN, "02130", None),
        (PLAIN, "nan", None),
        (PLAIN, "1e999", None),
        (PLAIN, "٣", None),
        (PLAIN, "12345678901234567890", None),
        (Notation(",", ""), "1,5", 1.5),
        (Notation(",", ""), "1.5", None),
        (Notation(",", "."), "1.234,50", 1234.5),
        (Notation(".", ","), "1,234", 1234.0),
        (Notation(".", ","), "1,23", None),
        (Notation(".", " "), "12 345.5", 12345.5),
        (Notation(".", "'"), "1'000'000", 1e6),
    ],
)
def test_notation_reads_numbers_and_refuses_other_texts(notation: Notation, text: str, number: float | None) -> None:
    assert notation.parse(text) == number
    assert notation.parse_all([text, text]).tolist() == pytest.approx(
        [number, number] if number is not None else [np.nan] * 2, nan_ok=True
    )
    assert notation.parse_all(["1", text])[0] == 1


@pytest.mark.parametrize("notation", [PLAIN, *NOTATIONS])
@pytest.mark.parametrize("number", [0.0, -1.25, 1234.5, 1e6, -98765.43])
def test_every_notation_reads_its_own_numbers(notation: Notation, number: float) -> None:
    assert notation.parse(Style(2, padded=True).text(number, notation)) == number


@pytest.mark.parametrize(
    "texts", [["1.50", "2.25"], ["1.5", "2.25", "3"], ["10", "-3"], ["0.001", "1"], ["1e-30", "2.5"]]
)
def test_style_writes_numbers_as_they_were(texts: list[str]) -> None:
    style = Style.of(texts, PLAIN)
    assert [style.text(float(text)) for text in texts] == texts


def test_style_writes_no_minus_zero() -> None:
    assert Style(1, padded=True).text(-0.04) == "0.0"
    assert Style(0).text(-0.4) == "0"
