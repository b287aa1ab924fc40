"""Dates: every format is read and written without a change."""

from __future__ import annotations

from datetime import datetime

import pytest

from tfp_vae.data.schema.dates import FORMATS, date_text, find_formats, parse_date

MOMENTS = [datetime(2004, 11, 23, 18, 5, 7, 250_000), datetime(1969, 1, 2, 0, 0, 1), datetime(2031, 12, 31, 23, 59, 59)]


@pytest.mark.parametrize("form", FORMATS)
def test_dates_return_in_their_format(form: str) -> None:
    for moment in MOMENTS:
        text = moment.strftime(form)
        days = parse_date(text, form)
        assert days is not None
        assert date_text(days, form) == text


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_found_from_its_dates(form: str) -> None:
    assert form in find_formats([moment.strftime(form) for moment in MOMENTS])


def test_days_are_counted_from_1970() -> None:
    assert parse_date("1970-01-02", "%Y-%m-%d") == 1
    assert parse_date("31/12/1969 12:00", "%d/%m/%Y %H:%M") == -0.5
    assert parse_date("18.00.00", "%H.%M.%S") == 0.75


def test_a_day_above_12_tells_days_from_months() -> None:
    assert find_formats(["10/03/2004", "13/03/2004"]) == ["%d/%m/%Y"]
    assert find_formats(["10/03/2004", "03/13/2004"]) == ["%m/%d/%Y"]
    assert find_formats(["10/03/2004", "01/02/2004"])[:2] == ["%d/%m/%Y", "%m/%d/%Y"]


@pytest.mark.parametrize("texts", [[], ["12"], ["1.5"], ["Monday"], ["2004-13-01"], ["2004-01-01", "soon"]])
def test_other_texts_are_no_dates(texts: list[str]) -> None:
    assert find_formats(texts) == []


def test_a_few_mistakes_leave_the_format_that_fits_most_dates() -> None:
    dates = [f"{day:02d}/02/2004" for day in range(1, 29)]
    assert find_formats([*dates, "30/02/2004"], share=0.9) == ["%d/%m/%Y"]
    assert find_formats([*dates, "soon"], share=0.9) == ["%d/%m/%Y"]
    assert find_formats([*dates, "30/02/2004"]) == []
    assert find_formats(dates[:12], share=0.9)[:2] == ["%d/%m/%Y", "%m/%d/%Y"]


def test_dates_between_days_are_rounded_to_the_unit_of_the_format() -> None:
    assert date_text(0.6, "%Y-%m-%d") == "1970-01-02"
    assert date_text(0.5001, "%Y-%m-%d %H:%M") == "1970-01-01 12:00"


def test_dates_without_leading_zeros_return_without_them() -> None:
    days = parse_date("1/3/2004", "%d/%m/%Y")
    assert days is not None
    assert date_text(days, "%d/%m/%Y", padded=False) == "1/3/2004"
