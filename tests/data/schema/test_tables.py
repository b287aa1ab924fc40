"""`read_table`: schema, numbers, ids and cells of a file, and new tables with the schema of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.data.schema import Overrides, Schema, read_table

PEOPLE = """person_id;Größe;born;member;grade;weight;score
P1;1,75;13.02.1990;yes;high;70,5;-200
P2;1,80;01.12.1985;no;low;81,0;12
P3;NA;03.03.2000;yes;medium;;13
P4;1,60;;no;low;55,5;-200
P5;1,61;01.02.2003;no;high;61,5;-200
P6;1,65;01.02.2003;;low;66,0;14
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path / "people.csv"


def test_a_spreadsheet_becomes_numbers_with_ids_and_lines(people: Path) -> None:
    table = read_table(people)
    kinds = {column.name: column.kind for column in table.schema.columns}
    assert kinds == {
        "person_id": "id",
        "Größe": "real",
        "born": "date",
        "member": "binary",
        "grade": "ordinal",
        "weight": "real",
        "score": "real",
    }
    assert table.values.shape == (6, 6)
    assert table.values[0].tolist() == [1.75, 7348.0, 1.0, 1.0, 70.5, -200.0]
    assert np.isnan(table.values).sum() == 4
    assert table.ids["person_id"].tolist() == [f"P{i}" for i in range(1, 7)]
    assert table.lines.tolist() == [2, 3, 4, 5, 6, 7]


def test_observed_cells_return_byte_for_byte(people: Path) -> None:
    table = read_table(people)
    decoded = table.schema.decode(table.values)
    for name in table.schema.names:
        original = table.cells.column(name)
        observed = np.isin(original, ["", "NA"], invert=True)
        assert decoded[name][observed].tolist() == original[observed].tolist()


def test_a_guessed_schema_reads_the_table_alike_from_its_file(people: Path, tmp_path: Path) -> None:
    table = read_table(people)
    table.schema.save(tmp_path / "s.toml")
    again = read_table(people, schema=Schema.load(tmp_path / "s.toml"))
    np.testing.assert_array_equal(again.values, table.values)
    assert again.schema == table.schema


def test_overrides_change_a_given_schema(people: Path) -> None:
    table = read_table(people)
    revised = read_table(people, schema=table.schema, overrides=Overrides(missing="-200", drop_columns="member"))
    assert "member" not in revised.schema.names
    assert np.isnan(revised.values[0, revised.schema.names.index("score")])


def test_a_new_table_with_an_unknown_word_is_an_error_that_names_it(people: Path) -> None:
    schema = read_table(people).schema
    people.write_text(PEOPLE.replace("medium", "huge"))
    with pytest.raises(DataError, match=r"column 'grade': expected one of low, medium, high, found 'huge' \(line 4\)"):
        read_table(people, schema=schema)


def test_a_table_without_names_is_read_again_by_position(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("39,Rome\n50,Oslo\n28,Rome\n")
    (tmp_path / "b.csv").write_text("age,city\n41,Oslo\n")
    schema = read_table(tmp_path / "a.csv").schema
    assert read_table(tmp_path / "b.csv", schema=schema).values.tolist() == [[41.0, 0.0]]


def test_doubtful_guesses_are_logged_once(people: Path, caplog: pytest.LogCaptureFixture) -> None:
    schema = read_table(people).schema
    assert "-200 is far from the other values of 1 column ('score')" in caplog.text
    assert "read with decimal commas" in caplog.text
    caplog.clear()
    read_table(people, schema=schema)
    assert not caplog.records


def test_columns_outside_the_schema_are_reported(people: Path, caplog: pytest.LogCaptureFixture) -> None:
    schema = read_table(people).schema
    people.write_text("\n".join(line + (";more" if not i else ";1") for i, line in enumerate(PEOPLE.splitlines())))
    caplog.clear()
    read_table(people, schema=schema)
    assert "1 column is not in the schema and left out: 'more'" in caplog.text


def test_a_table_without_a_column_to_learn_from_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("person_id,country\nA1,FR\nA2,FR\nA3,FR\nA4,FR\n")
    with pytest.raises(DataError, match="expected a column to learn from"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a,b\n1,x\n1,x\n1,NA\n", "A constant column has the same value in every row"),
        ("a b\n0.5 x\n0.7 y\n0.9 x\n0.1 z\n", "Commas, semicolons, tabs or bars separate the cells"),
        ("code,note_id\nq1,A1\nq2,A2\nq3,A3\nq4,A4\n", "Choose a kind for a column, such as `column=NAME=category`"),
    ],
)
def test_the_error_of_a_table_without_such_a_column_has_a_remedy(tmp_path: Path, text: str, remedy: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=f"expected a column to learn from, found .*{remedy}"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["t.xlsx", "t.json", "t"])
def test_files_of_other_kinds_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(PEOPLE)
    with pytest.raises(DataError, match=r"expected a \.csv, \.tsv, \.txt, \.tab or \.parquet file"):
        read_table(tmp_path / name)


def test_a_frame_and_its_file_give_equal_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.5, None, -2.25], "city": ["Rome", "Oslo", "Rome"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(read_table(frame).values, read_table(tmp_path / "t.csv").values)
