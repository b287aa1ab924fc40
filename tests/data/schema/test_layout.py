"""Layout: schemas encode and decode tables, and their TOML files return the same schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.schema.cells import Cells, text_array
from tfp_vae.data.schema.columns import Column
from tfp_vae.data.schema.layout import Schema

SCHEMA = Schema(
    columns=(
        Column(name="name", kind="id"),
        Column(name="age", kind="count", low=0.0, high=99.0),
        Column(name="size", kind="ordinal", levels=("S", "M", "L")),
        Column(name="country", kind="constant", levels=("FR",)),
        Column(name="born", kind="date", format="%d.%m.%Y", reason='said "so"\n\x7fé', suspicious=("-200",)),
    )
)


def cells(**columns: list[str]) -> Cells:
    size = len(next(iter(columns.values())))
    return Cells("t.csv", tuple(columns), tuple(map(text_array, columns.values())), np.arange(2, size + 2))


PEOPLE = cells(name=["Ann", "Bob"], age=["39", ""], size=["M", "L"], country=["FR", "FR"], born=["NA", "02.01.1970"])


def test_encode_gives_one_number_per_cell() -> None:
    np.testing.assert_array_equal(SCHEMA.encode(PEOPLE), [[39, 0.5, np.nan], [np.nan, 1.0, 1.0]])


def test_encode_finds_columns_by_name_in_any_order() -> None:
    mixed = cells(more=["1"], born=["02.01.1970"], size=["S"], age=["7"])
    assert SCHEMA.encode(mixed).tolist() == [[7.0, 0.0, 1.0]]


def test_decode_returns_words_numbers_dates_and_constants_in_the_order_of_the_table() -> None:
    decoded = SCHEMA.decode(np.array([[38.6, 0.9, 1.2], [150.0, 0.0, np.nan]]))
    assert {name: texts.tolist() for name, texts in decoded.items()} == {
        "age": ["39", "99"],
        "size": ["L", "S"],
        "country": ["FR", "FR"],
        "born": ["02.01.1970", ""],
    }


def test_fill_changes_missing_cells_only() -> None:
    table = cells(name=["Ann", "Bob"], age=[" 39 ", "?"], size=["M", ""], country=["FR", "FR"], born=["", "01.01.1970"])
    filled = SCHEMA.fill(table, np.array([[50.0, 0.0, 3.0], [41.2, 1.0, 9.0]]))
    assert filled["age"].tolist() == [" 39 ", "41"]
    assert filled["size"].tolist() == ["M", "L"]
    assert filled["born"].tolist() == ["04.01.1970", "01.01.1970"]
    assert filled["name"].tolist() == ["Ann", "Bob"]


def test_fill_leaves_a_cell_without_a_value_as_it_is() -> None:
    filled = SCHEMA.fill(PEOPLE, np.full((2, 3), np.nan))
    assert filled["born"].tolist() == ["NA", "02.01.1970"]


def test_one_error_lists_all_cells_that_do_not_fit() -> None:
    with pytest.raises(DataError) as caught:
        SCHEMA.encode(cells(age=["39", "old"], size=["XL", "XXL"]))
    assert str(caught.value) == (
        "t.csv: 3 problems.\n"
        "  there is no column 'born'\n"
        "  column 'age': expected whole numbers of at least 0, found 'old' (line 3)\n"
        "  column 'size': expected one of S, M, L, found 'XL' (line 2), 'XXL' (line 3)\n"
        "Correct these cells, or change the schema."
    )


def test_columns_that_no_model_learns_are_listed() -> None:
    assert [column.name for column in SCHEMA.not_modelled] == ["name", "country"]


def test_absent_columns_may_be_added_without_values() -> None:
    with pytest.raises(DataError, match=r"there is no column 'size'\n.*'born'\nAdd them[.] Their cells may be empty"):
        SCHEMA.encode(cells(age=["39"]))


def test_decode_refuses_another_number_of_columns() -> None:
    with pytest.raises(UsageError, match="expected values for 3 columns"):
        SCHEMA.decode(np.zeros((2, 4)))


def test_schema_file_returns_the_same_schema(tmp_path: Path) -> None:
    SCHEMA.save(tmp_path / "people.schema.toml")
    assert Schema.load(tmp_path / "people.schema.toml") == SCHEMA


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"s.toml: expected \[\[columns\]\], found none"),
        ("[[columns]]\nname = 'x'", "s.toml: column 'x': .*`kind`"),
        ("[[columns]]\nname = 'x'\nkind = 'counts'", "s.toml: column 'x': .*`kind`"),
        ("[[columns]]\nname = 'x'\nkind = 'count'\nlow_ = 1", "Did you mean `low`"),
        ("[[columns]]\nname = 'x'\nkind = 'date'", "s.toml: column 'x': expected a `format` of dates"),
        ("columns = 3", "found none"),
        ("columns = [3]", "expected the settings of a column, found 3"),
        ("heading = 'yes'\n[[columns]]\nname = 'x'\nkind = 'count'", "no setting `heading`. Did you mean `header`"),
        ("[[columns]", "s.toml: "),
    ],
)
def test_a_malformed_schema_file_is_an_error_that_names_the_column(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Schema.from_toml(text, "s.toml")


def test_a_missing_schema_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, found none"):
        Schema.load(tmp_path / "none.toml")


def test_columns_are_found_by_name() -> None:
    assert SCHEMA["age"].kind == "count"
    with pytest.raises(UsageError, match=r"no column 'agee'. Did you mean 'age'"):
        SCHEMA["agee"]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="found 'x' twice"):
        Schema(columns=(Column(name="x", kind="real"), Column(name="x", kind="count")))
