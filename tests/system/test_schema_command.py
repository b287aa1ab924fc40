"""`tfp-vae data inspect` of tables: columns with kinds and reasons, and schema files to edit and pass on."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.commands import answer, call, one_sentence
from tests.helpers.people import HEADER, people, write_people
from tfp_vae.data.loading import read
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.schema import Schema


def kinds(*arguments: str) -> dict[str, str]:
    return {column["name"]: column["kind"] for column in answer("data", "inspect", *arguments)["columns"]}


EXPECTED = {
    "patient": "id",
    "age": "count",
    "income": "positive",
    "height": "real",
    "city": "category",
    "smoker": "binary",
    "joined": "date",
}


def test_inspect_lists_each_column_with_its_kind_range_and_reason(here: Path) -> None:
    write_people(Path("people.csv"))
    assert kinds("people.csv") == EXPECTED
    shown = call("data", "inspect", "people.csv").stdout
    lines = {line.split()[0]: line for line in shown.splitlines() if line.split()}
    assert "a different word in every row" in lines["patient"]
    assert "whole numbers from" in lines["age"]
    assert "no, yes" in lines["smoker"]
    assert "%Y-%m-%d" in lines["joined"]
    assert "%" in lines["city"]
    city = next(c for c in answer("data", "inspect", "people.csv")["columns"] if c["name"] == "city")
    assert city["levels"] == ["Bern", "Genf, Stadt", "Zug"]
    assert city["share_missing"] > 0


def test_options_override_the_kinds(here: Path) -> None:
    write_people(Path("people.csv"))
    found = kinds("people.csv", "--column", "age=real", "--drop-columns", "in*,smoker", "--id", "joined")
    assert found == EXPECTED | {"age": "real", "income": "dropped", "smoker": "dropped", "joined": "id"}


def test_written_schema_reads_the_table_alike_and_can_be_edited(here: Path) -> None:
    write_people(Path("people.csv"))
    result = call("data", "inspect", "people.csv", "--write-schema", "s.toml")
    assert result.stdout.splitlines()[-1] == "s.toml"
    schema = Schema.load(Path("s.toml"))
    assert {column.name: column.kind for column in schema.columns} == EXPECTED
    again = read("people.csv", reading=Reading(schema_file="s.toml"))
    np.testing.assert_array_equal(again.train.x, read("people.csv").train.x)
    text = Path("s.toml").read_text()
    Path("s.toml").write_text(text.replace('kind = "count"', 'kind = "positive"'))
    assert kinds("people.csv", "--schema", "s.toml") == EXPECTED | {"age": "positive"}


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_labels_and_columns_that_are_left_out_are_not_modelled(missing: float, here: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"x": draw.normal(size=60), "n": draw.poisson(9, 60), "z": draw.normal(size=60), "y": 1})
    frame["y"] = np.where(np.arange(60) % 3, "a", "b")
    frame.loc[draw.random(60) < missing, "x"] = np.nan
    frame.to_csv("t.csv", index=False)
    found = answer("data", "inspect", "t.csv", "--label-column", "y", "--columns", "x,n", "--write-schema", "s.toml")
    assert [column["kind"] for column in found["columns"]] == ["real", "count", "dropped", "dropped"]
    assert found["columns"][3]["reason"] == "labels"
    assert Schema.load(Path("s.toml")).names == ("x", "n")


def test_a_table_of_numbers_says_how_to_use_its_kinds(here: Path) -> None:
    draw = np.random.default_rng(0)
    pd.DataFrame({"x": draw.normal(size=60), "n": draw.poisson(9, 60)}).to_csv("t.csv", index=False)
    shown = call("data", "inspect", "t.csv", "--write-schema", "s.toml").stdout
    assert "All columns share one likelihood" in shown
    assert kinds("t.csv") == {"x": "real", "n": "count"}
    assert answer("data", "inspect", "t.csv", "--schema", "s.toml")["mixed"]


def test_numbers_that_may_mark_missing_cells_are_named_with_the_option(here: Path) -> None:
    rows = people(missing=0.0)
    for row in rows[::5]:
        row[1] = "-200"
    write_people(Path("people.csv"), rows)
    result = call("data", "inspect", "people.csv")
    assert "-200 is far from the other values of 1 column ('age')" in result.stderr
    assert "set --missing -200" in result.stderr
    age = answer("data", "inspect", "people.csv", "--missing", "-200")["columns"][1]
    assert age["kind"] == "count"
    assert age["share_missing"] == 0.2


@pytest.mark.parametrize("name", ["digits", "a.npy"])
def test_a_schema_of_other_data_is_refused(name: str, here: Path) -> None:
    np.save("a.npy", np.random.default_rng(0).normal(size=(30, 3)))
    assert "--write-schema needs a table" in one_sentence(
        call("data", "inspect", name, "--write-schema", "s.toml", code=2)
    )
    assert not Path("s.toml").exists()


def test_a_schema_file_ends_in_toml(here: Path) -> None:
    write_people(Path("people.csv"))
    result = call("data", "inspect", "people.csv", "--write-schema", "s.csv", code=2)
    assert "--write-schema: expected a file ending in .toml" in one_sentence(result)


TEXT = "\n".join(",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in [HEADER, *people()])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("T.CSV", TEXT.encode()),
        ("t.txt", TEXT.encode("utf-16")),
        ("t.csv", b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()),
        ("t.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("t.tsv", TEXT.replace('"Genf, Stadt"', "Genf; Stadt").replace(",", "\t").replace(";", ",").encode()),
        ("t.csv", b"sep=;\n" + TEXT.replace('"Genf, Stadt"', "Genf/ Stadt").replace(",", ";").encode()),
    ],
)
def test_every_kind_of_text_file_gives_the_same_numbers(name: str, content: bytes, here: Path) -> None:
    write_people(Path("people.csv"))
    Path(name).write_bytes(content)
    x, wanted = read(name).train.x, read("people.csv").train.x
    np.testing.assert_array_equal(x, wanted)


def test_a_parquet_file_gives_the_numbers_of_its_csv_file(here: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(people(), columns=HEADER).replace("", None)
    frame.to_parquet("t.parquet")
    write_people(Path("people.csv"))
    np.testing.assert_array_equal(read("t.parquet").train.x, read("people.csv").train.x)
    assert read("t.parquet").train.lines is None
    draw = np.random.default_rng(0)
    numbers = pd.DataFrame({"x": draw.normal(size=60), "n": draw.poisson(9, 60), "y": np.arange(60) % 2})
    numbers.to_parquet("n.parquet")
    data = read("n.parquet", reading=Reading(label_column="y"))
    assert data.reading.table is None
    assert data.reading.columns == ("x", "n")
    assert data.train.y is not None


def test_one_error_lists_all_problems_of_a_table(here: Path) -> None:
    rows = people(missing=0.0)
    rows[3][1], rows[7][2] = "old", "much"
    write_people(Path("people.csv"), rows)
    result = call("data", "inspect", "people.csv", code=3)
    assert "2 problems" in result.stderr
    assert "column 'age': expected whole numbers of at least 0, found 'old' (line 5)" in result.stderr
    assert "found 'much' (line 9)" in result.stderr
    assert "set --missing to the texts of missing cells" in result.stderr


def test_one_error_lists_all_words_among_the_numbers_of_a_table(here: Path) -> None:
    rows = [f"{i}.5,{i}" for i in range(40)]
    rows[4], rows[30], rows[31] = "4.5,o", "x,30", "31.5,p"
    Path("t.csv").write_text("a,b\n" + "\n".join(rows))
    result = call("data", "inspect", "t.csv", code=3)
    assert "2 problems" in result.stderr
    assert "column 'a': expected real numbers, found 'x' (line 32)" in result.stderr
    assert "found 'o' (line 6), 'p' (line 33)" in result.stderr
    rows[30] = rows[31] = "1.5,1"
    Path("t.csv").write_text("a,b\n" + "\n".join(rows))
    assert "line 6: expected a number in column 'b', found 'o'" in call("data", "inspect", "t.csv", code=3).stderr


def test_wide_tables_list_their_first_columns(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(40, 60))
    pd.DataFrame(x, columns=[f"x{i}" for i in range(60)]).to_csv("t.csv", index=False)
    shown = call("data", "inspect", "t.csv").stdout
    assert "and 10 more columns" in shown
    assert "x49" in shown
    assert "x50" not in shown
    assert len(answer("data", "inspect", "t.csv")["columns"]) == 60
    monkeypatch.setattr("tfp_vae.cli.commands.data.MOST_CELLS", 2_399)
    assert "columns" not in answer("data", "inspect", "t.csv")
    assert len(answer("data", "inspect", "t.csv", "--write-schema", "s.toml")["columns"]) == 60
