"""Numerals: notations with commas and thousands, and numbers that keep their decimals."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.data.schema.numerals import NO_UNIT, NOTATIONS, PLAIN, Notation, Style, Unit


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


@pytest.mark.parametrize(
    ("texts", "unit", "numbers"),
    [
        (["12%", "-7.5%", "0%"], Unit("", "%"), ["12", "-7.5", "0"]),
        (["$5", "-$7.50", "$1,200"], Unit("$", ""), ["5", "-7.50", "1,200"]),
        (["5 €", "1.200,50 €"], Unit("", " €"), ["5", "1.200,50"]),
        (["€5", "€-3"], Unit("€", ""), ["5", "-3"]),
        (["CHF 5", "CHF 12"], Unit("CHF ", ""), ["5", "12"]),
        (["US$ 3"], Unit("US$ ", ""), ["3"]),
        (["72 kg", "80.5 kg"], Unit("", " kg"), ["72", "80.5"]),
        (["90 km/h", "1e2 km/h"], Unit("", " km/h"), ["90", "1e2"]),
        (["20.5°C", "-3°C"], Unit("", "°C"), ["20.5", "-3"]),
    ],
)
def test_unit_is_found_and_stripped(texts: list[str], unit: Unit, numbers: list[str]) -> None:
    assert Unit.find(texts) == unit
    assert unit.strip_all(texts) == numbers
    assert unit.strip("7") == unit.strip("7 lb") == ""


@pytest.mark.parametrize(
    "texts", [["12", "7.5"], ["Q1", "Q2"], ["12%", "$5"], ["5 kg", "6 lb"], ["1st", "2nd", "3rd"], ["kg"], [""], []]
)
def test_texts_without_a_common_unit_have_none(texts: list[str]) -> None:
    assert Unit.find(texts) == NO_UNIT


@pytest.mark.parametrize("unit", [NO_UNIT, Unit("$", ""), Unit("", "%"), Unit("", " kg"), Unit("€", " per day")])
@pytest.mark.parametrize("number", ["5", "-7.50", "1.200,5"])
def test_unit_strips_what_it_wraps(unit: Unit, number: str) -> None:
    assert unit.strip(unit.wrap(number)) == number
