"""Guesses: the kind of a column by its cells and name, and choices that come before them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.schema.cells import Cells, text_array
from tfp_vae.data.schema.columns import Column
from tfp_vae.data.schema.guess import Overrides, guess_schema, guess_values, notices, revise
from tfp_vae.data.schema.layout import Schema


def cells(**columns: list[str]) -> Cells:
    size = len(next(iter(columns.values())))
    return Cells("t.csv", tuple(columns), tuple(map(text_array, columns.values())), np.arange(2, size + 2))


def guess(name: str, texts: list[str]) -> Column:
    return guess_schema(cells(**{name: texts})).columns[0]


DRAW = np.random.default_rng(0)

CASES = {
    "real": ("x", [f"{value:.2f}" for value in DRAW.normal(size=50)]),
    "positive": ("income", [f"{value:.1f}" for value in DRAW.lognormal(3, 1, size=50)]),
    "count": ("visits", [str(value) for value in DRAW.poisson(30, size=50)]),
    "binary": ("sex", ["f", "m", "f"]),
    "category": ("city", [["Rome", "Oslo", "Bern"][value] for value in DRAW.integers(3, size=50)]),
    "ordinal": ("grade", [str(value) for value in DRAW.integers(1, 6, size=50)]),
    "date": ("born", ["1990-02-13", "1985-12-01", "", "2001-03-03"]),
    "id": ("patient_id", [str(1_000 + 7 * i) for i in range(50)]),
    "index": ("", [str(i) for i in range(50)]),
    "constant": ("country", ["FR", "", "FR"]),
    "dropped": ("remark", [f"text {i // 2}" for i in range(500)]),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_guessed_from_typical_cells(kind: str) -> None:
    column = guess(*CASES[kind])
    assert column.kind == kind
    assert column.reason


@pytest.mark.parametrize(
    ("name", "texts", "kind"),
    [
        ("year", [str(year) for year in range(1990, 2020)][::-1] * 2, "real"),
        ("temperature", [f"{value:.1f}" for value in np.linspace(270, 310, 30)], "real"),
        ("zone_code", [str(i % 4) for i in range(40)], "category"),
        ("children", [str(i % 4) for i in range(40)], "count"),
        ("age", ["39", "50", "18", "53"], "count"),
        ("postcode", ["02130", "01001", "02130", "10115"] * 5, "category"),
        ("member", ["True", "False", "True"], "binary"),
        ("size", ["S", "M", "XL", "M", "S"], "ordinal"),
        ("name", ["Ann", "Bob", "Eve", "Tom"], "id"),
        ("date", ["20040310", "20040311", "20041231"], "date"),
        ("time", ["18.00.00", "19.00.00", "20.30.00"], "date"),
        ("weight", [f"{value:.3f}" for value in np.linspace(0.2, 0.5, 40)], "positive"),
        ("acid", [*(f"{value:.3f}" for value in np.linspace(0.2, 0.5, 40)), "0.001"], "real"),
        ("population", [str(1_000 * i**4 + 5_000) for i in range(2, 30)], "positive"),
        ("card", ["1234567890123456", "9934567890123457", "1234567890123459", "8234567890123456"], "id"),
    ],
)
def test_names_and_sizes_decide_between_kinds(name: str, texts: list[str], kind: str) -> None:
    assert guess(name, texts).kind == kind


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.0])
def test_numbers_above_zero_are_positive_if_a_log_normal_fits_them_nearly_as_well(shift: float) -> None:
    x = np.round(shift + np.random.default_rng(0).gamma(4, 0.2, size=400), 4)
    texts = [f"{value:.4f}" for value in x.tolist()]
    normal = stats.norm(x.mean(), x.std()).logpdf(x).mean()
    log_normal = stats.lognorm(np.log(x).std(), scale=np.exp(np.log(x).mean())).logpdf(x).mean()
    assert guess("x", texts).kind == ("positive" if log_normal > normal - 0.1 else "real")
    assert guess("x", [*texts, *["0.0001"] * 9]).kind == "real"


def test_binary_levels_put_the_negative_word_first() -> None:
    assert guess("x", ["yes", "no", "yes"]).levels == ("no", "yes")
    assert guess("x", ["True", "False"]).levels == ("False", "True")
    assert guess("x", ["10", "9"]).levels == ("9", "10")


def test_numbers_keep_their_notation_and_range() -> None:
    column = guess("x", ["1.234,50", "-3,25", "", "17,00"])
    assert (column.decimal, column.thousands, column.decimals, column.padded) == (",", ".", 2, True)
    assert (column.low, column.high, column.share_missing) == (-3.25, 1234.5, 0.25)


def test_a_comma_is_a_decimal_mark_if_another_column_says_so() -> None:
    both = cells(a=["1,234", "5,678", "9,012"], b=["1,5", "2,5", "3,5"])
    assert guess_schema(both).columns[0].low == 1.234
    assert guess_schema(both._replace(columns=both.columns[:1], names=("a",))).columns[0].low == 1234
    alone = both._replace(columns=both.columns[:1], names=("a",), delimiter=";")
    assert guess_schema(alone).columns[0].low == 1.234


def test_suspicious_numbers_are_kept_and_reported_with_the_setting() -> None:
    schema = guess_schema(cells(co=["-200"] * 4 + ["1.5", "2.5", "0.5", "3.1"]))
    assert schema["co"].suspicious == ("-200",)
    assert notices(schema) == [
        "-200 is far from the other values of 1 column ('co'). If it marks missing cells, set `missing=-200`."
    ]


def test_dates_that_fit_two_formats_are_reported() -> None:
    schema = guess_schema(cells(d=["10/03/2004", "01/02/2004"]))
    assert schema["d"].format == "%d/%m/%Y"
    assert "although %m/%d/%Y fits too. Change its `format` in a schema file" in notices(schema)[0]


def test_a_text_that_is_left_out_is_reported_with_the_setting() -> None:
    schema = guess_schema(cells(remark=CASES["dropped"][1]))
    assert notices(schema) == [
        "column 'remark' is left out: text with 250 different words in 500 cells. "
        "Set `column=remark=category` to use it."
    ]
    assert notices(guess_schema(cells(remark=["a"] * 4), Overrides(drop_columns="remark"))) == []


def test_the_order_of_words_that_you_call_ordinal_is_reported() -> None:
    schema = guess_schema(cells(taste=["ok", "bad", "good", "ok"]), Overrides(column={"taste": "ordinal"}))
    assert notices(schema) == ["the order of column 'taste' is bad, good, ok. A schema file can change that."]
    known = guess_schema(cells(size=["high", "low", "medium", "low"]))
    assert known["size"].levels == ("low", "medium", "high")
    assert notices(known) == []


def test_decimal_commas_are_reported() -> None:
    schema = guess_schema(cells(x=["1,5", "2,25", "3,0"], y=["0,5", "0,75", "1,5"], z=["1", "2", "5"]))
    assert notices(schema) == [
        "the numbers of 2 columns ('x', 'y') are read with decimal commas. A schema file can change that."
    ]


def test_units_are_kept_in_results_and_reported_with_the_setting() -> None:
    table = cells(
        rate=["12%", "7%", "", "30%"],
        price=["$1,200.50", "-$3.00", "$0.25", ""],
        dose=["5 mg", "10 mg", "20 mg", "5 mg"],
    )
    schema, values = guess_values(table, Overrides())
    assert [column.kind for column in schema.columns] == ["count", "real", "count"]
    assert schema["rate"].reason == "whole numbers from 7 to 30 with the unit %"
    assert schema["price"].span == "-$3.00 to $1,200.50"
    assert {name: texts.tolist() for name, texts in schema.decode(values).items()} == {
        name: texts.tolist() for name, texts in zip(table.names, table.columns, strict=True)
    }
    text = (
        "the cells of 1 column ('rate') are read as numbers with the unit %, such as 12%. "
        "Set `column=rate=category` to read them as words."
    )
    assert text in notices(schema)
    assert Schema.from_toml(schema.to_toml()) == schema
    assert guess_schema(table, Overrides(column={"dose": "category"}))["dose"].levels == ("5 mg", "10 mg", "20 mg")


def test_a_cell_without_the_unit_of_its_column_is_a_mistake() -> None:
    with pytest.raises(DataError, match=r"numbers of at least 0, written as 12%, found '0.5' \(line 32\)"):
        guess_schema(cells(rate=[*(f"{i}%" for i in range(30)), "0.5"]))


def test_one_error_lists_the_words_among_numbers_of_all_columns() -> None:
    numbers = [f"{i}.5" for i in range(40)]
    with pytest.raises(DataError) as caught:
        guess_schema(cells(a=[*numbers, "abc"], b=["x1", *numbers]))
    text = str(caught.value)
    assert text.startswith("t.csv: 2 problems.\n  column 'a': expected")
    assert "found 'abc' (line 42)" in text
    assert "found 'x1' (line 2)" in text
    assert "set `missing` to the texts of missing cells" in text


def test_overrides_come_before_guesses() -> None:
    table = cells(age=["1", "2", "2", "3"], pay_a=["5", "6", "9", "1"], pay_b=["1", "2", "7", "-9"], note=["a"] * 4)
    overrides = Overrides(column="age=category,pay_*=real", drop_columns="note", missing="-9")
    schema = guess_schema(table, overrides)
    assert [column.kind for column in schema.columns] == ["category", "real", "real", "dropped"]
    assert schema["age"].levels == ("1", "2", "3")
    assert schema["pay_b"].low == 1
    assert schema["pay_b"].share_missing == 0.25
    assert guess_schema(table, Overrides(id_column=("age",)))["age"].kind == "id"


def test_a_kind_that_does_not_fit_the_cells_is_an_error() -> None:
    with pytest.raises(DataError, match="column 'age': expected whole numbers of at least 0, found 'old'"):
        guess_schema(cells(age=["1", "old", "3"]), Overrides(column={"age": "count"}))


@pytest.mark.parametrize("text", ["age", "=count", "age=counts"])
def test_a_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a column and its kind, such as age=count"):
        Overrides.model_validate({"column": text})


def test_an_override_of_an_unknown_column_is_an_error() -> None:
    with pytest.raises(DataError, match="'agee'"):
        guess_schema(cells(age=["1", "2"]), Overrides(column={"agee": "count"}))


def test_revision_replaces_chosen_columns_and_keeps_the_rest() -> None:
    table = cells(age=["1", "2", "2", "3"], x=["0.5", "-9", "0.25", "1"])
    schema = guess_schema(table)
    revised = revise(schema, table, Overrides(column={"age": "ordinal"}, missing=("-9",)))
    assert revised["age"].levels == ("1", "2", "3")
    assert revised["x"].kind == schema["x"].kind
    assert np.isnan(revised.encode(table)[1, 1])
    assert (revised["x"].low, revised["x"].share_missing) == (0.25, 0.25)
    assert revise(schema, table, Overrides()) == schema


def test_hints_of_the_source_come_before_guesses() -> None:
    table = cells(x=["1", "2", "1"])._replace(hints={"x": {"kind": "ordinal", "levels": ["2", "1"], "reason": "known"}})
    column = guess_schema(table).columns[0]
    assert (column.kind, column.levels, column.reason) == ("ordinal", ("2", "1"), "known")


def test_ordinary_tables_need_no_notice() -> None:
    assert notices(guess_schema(cells(age=["39", "50", "28"], city=["Rome", "Oslo", "Rome"]))) == []


def test_values_of_a_guess_are_those_of_its_schema() -> None:
    table = cells(age=["39", "", "28"], city=["Rome", "Oslo", "NA"], born=["1990-02-13", "-9", "2001-03-03"])
    schema, values = guess_values(table, Overrides(missing="-9"))
    assert np.isnan(values).sum() == 3
    np.testing.assert_array_equal(values, schema.encode(table))


def test_impossible_date_among_dates_is_a_mistake_not_a_word() -> None:
    born = [f"2004-02-{day:02d}" for day in range(1, 30)]
    with pytest.raises(
        DataError, match=r"column 'born': expected dates such as 1970-01-01, found '2004-02-30' \(line 32"
    ):
        guess_schema(cells(x=[f"{i}.5" for i in range(31)], born=[*born, "", "2004-02-30"]))


def test_constant_column_with_missing_cells_describes_the_observed_ones() -> None:
    columns = guess_schema(cells(x=["1.5", "2.5"], all=["a", "a"], some=["a", ""])).columns
    assert [c.reason for c in columns[1:]] == [
        "every cell has the same value",
        "every observed cell has the same value",
    ]


def test_an_error_names_a_column_with_a_quote_in_its_name() -> None:
    table = cells(x=[f"{i}.5" for i in range(40)] + ["abc"])._replace(names=("it's",))
    with pytest.raises(DataError) as caught:
        guess_schema(table)
    assert """column "it's": expected""" in str(caught.value)
    assert str(caught.value).endswith("""such as `column='it'"'"'s=category'`.""")


def test_frequent_counts_are_recorded_and_named_in_the_reason() -> None:
    hours = [40] * 50 + [50] * 20 + DRAW.poisson(30, size=50).tolist()
    column = guess_schema(cells(hours=[str(value) for value in hours]))["hours"]
    assert (column.kind, column.spikes) == ("count", (40, 50))
    assert column.reason.endswith("often 40, 50")
    chosen = guess_schema(cells(hours=["0"] * 60 + ["5", "6", "7"] * 20), Overrides(column={"hours": "count"}))
    assert chosen["hours"].spikes == (0,)


def test_few_whole_numbers_that_vary_less_than_counts_are_levels() -> None:
    years = [str(value) for value in np.clip(np.round(DRAW.normal(10, 2.5, size=400)), 1, 16).astype(int)]
    column = guess_schema(cells(education=years))["education"]
    assert column.kind == "ordinal"
    assert column.reason.endswith(", which vary less than counts")
    visits = guess_schema(cells(visits=[str(value) for value in DRAW.poisson(10, size=400)]))["visits"]
    assert visits.kind == "count"
