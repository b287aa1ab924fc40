"""Files of mixed tables: encodings, delimiters, headers and malformed lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.data.readers.tables import Header
from tfp_vae.data.schema.cells import Cells
from tfp_vae.data.schema.files import find_delimiter, is_header, read_cells

TABLE = "name,age\nAnn,39\nBob,\n"


def read(folder: Path, content: str | bytes, name: str = "t.csv", header: Header = "auto") -> Cells:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    return read_cells(folder / name, header)


def rows(cells: Cells) -> list[list[str]]:
    return [list(row) for row in zip(*(column.tolist() for column in cells.columns), strict=True)]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (TABLE.encode(), "t.csv"),
        (TABLE.encode(), "T.CSV"),
        (b"\xef\xbb\xbf" + TABLE.encode(), "t.csv"),
        (TABLE.encode("utf-16"), "t.txt"),
        (TABLE.replace("\n", "\r\n").encode(), "t.csv"),
        (TABLE.replace("\n", "\r").encode(), "t.csv"),
        (TABLE.replace(",", ";").encode(), "t.csv"),
        (TABLE.replace(",", "\t").encode(), "t.tsv"),
        (TABLE.replace(",", "\t").encode(), "t.txt"),
        (TABLE.replace(",", "|").encode(), "t.txt"),
        (b"sep=;\n" + TABLE.replace(",", ";").encode(), "t.csv"),
        (gzip.compress(TABLE.encode(), mtime=0), "t.csv.gz"),
        (TABLE.rstrip("\n").encode(), "t.csv"),
        (TABLE.replace("\n", "\n\n").encode(), "t.csv"),
        (TABLE.encode() + b",\n,\n", "t.csv"),
        (TABLE.replace("\n", ",\n").replace("age,", "age", 1).encode(), "t.csv"),
    ],
)
def test_one_table_is_read_from_every_way_to_write_it(tmp_path: Path, content: bytes, name: str) -> None:
    cells = read(tmp_path, content, name)
    assert cells.names == ("name", "age")
    assert rows(cells) == [["Ann", "39"], ["Bob", ""]]


def test_cells_keep_every_character_and_the_first_line_of_their_row(tmp_path: Path) -> None:
    cells = read(tmp_path, 'name,remark\n" Ann ","two\nlines, and a ""quote"""\nBob,x\n')
    assert rows(cells) == [[" Ann ", 'two\nlines, and a "quote"'], ["Bob", "x"]]
    assert cells.lines.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("sample", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("1,5;2,5\n3,5;4,0\n", ";"),
        ('a;b\n"x;y, z";1\n', ";"),
        ("a,b\n1;2,3\n4,5\n", ","),
        ("x\n1\n2\n", ","),
        ("a\tb,c\n1\t2\n", "\t"),
        ("x;y\n1,5 €;2,5%\n3,5 €;4,0%\n", ";"),
    ],
)
def test_delimiter_splits_all_rows_alike(sample: str, delimiter: str) -> None:
    assert find_delimiter(sample) == delimiter


@pytest.mark.parametrize(
    ("first", "below", "named"),
    [
        (["city", "size"], [["Rome", "big"]], True),
        (["Rome", "big"], [["Paris", "big"]], False),
        (["age", "city"], [["39", "Rome"]], True),
        (["39", "Rome"], [["50", "Rome"]], False),
        (["2001", "2002", "2003", "name"], [["1", "2", "4", "x"]], True),
        (["0", "1", "2"], [["0.5", "1.5", "0"]], True),
        (["", ""], [["a", "b"]], False),
        (["n", "c"], [["1.5", "a"], ["NA", "b"], ["3", "c"]], True),
        (["NA", "Rome"], [["1.5", "Rome"]], False),
        (["x", "Rome"], [["1.5", "Rome"], ["y", "Oslo"]], False),
        (["price", "city"], [["$5", "Rome"], ["$7", "price"]], True),
        (["$5", "12%"], [["$7", "13%"], ["", "14%"]], False),
        (["name", "5 km"], [["Ann", "25.3"], ["Bob", "31.0"]], True),
        (["$5", "Rome"], [["$7", "Oslo"]], False),
    ],
)
def test_header_is_told_by_its_cells_and_those_below(first: list[str], below: list[list[str]], named: bool) -> None:
    assert is_header(first, below) is named


def test_a_table_without_names_counts_its_columns_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cells = read(tmp_path, "39,Rome\n50,Oslo\n28,Rome\n")
    assert cells.names == ("1", "2")
    assert len(cells.lines) == 3
    assert cells.header == "no"
    assert "is read as an example" in caplog.text
    assert "`header=yes`" in caplog.text


def test_header_setting_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(read(tmp_path, "39,Rome\n50,Oslo\n", header="yes").lines) == 1
    assert len(read(tmp_path, "a,b\n50,Oslo\n", header="no").lines) == 2
    assert not caplog.records


def test_rows_of_empty_cells_are_left_out_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,city\n1,Rome\n\n , \n2,\n,\n")
    assert read_cells(path).lines.tolist() == [2, 5]
    assert caplog.messages == [f"{path}: 2 rows without any text (first: line 4) are left out."]


def test_columns_without_a_name_get_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, ",x,\n0,1.5,a\n1,2.5,b\n").names == ("column_1", "x", "column_3")
    (message,) = caplog.messages
    assert message.endswith(
        "2 columns without a name are called column_1, column_3. To choose a name, write it into the first line."
    )


def test_names_of_rows_as_r_writes_them_are_a_column(tmp_path: Path) -> None:
    cells = read(tmp_path, '"x","y"\n"r1",1,2\n"r2",3,4\n')
    assert cells.names == ("column_1", "x", "y")
    assert rows(cells) == [["r1", "1", "2"], ["r2", "3", "4"]]


def test_new_data_for_a_table_without_names_are_numbered_even_if_they_have_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,city\n39,Rome\n")
    cells = read_cells(tmp_path / "t.csv", is_numbered=True)
    assert cells.names == ("1", "2")
    assert rows(cells) == [["39", "Rome"]]


def test_first_line_with_a_known_name_is_no_example(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.csv").write_text("city,size\nRome,big\n")
    cells = read_cells(tmp_path / "t.csv", known=["size", "colour"])
    assert cells.names == ("city", "size")
    assert not caplog.records


def test_first_line_without_a_known_name_is_an_error_that_shows_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Rome,39\nOslo,50\n")
    with pytest.raises(DataError, match=r"names of columns in the first line \(city, age\), found Rome, 39\. .* add a"):
        read_cells(tmp_path / "t.csv", known=["city", "age"])


def test_one_error_lists_all_problems_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a,b,a\n1,2,3\n4,5\n6,7,8,9\n1,2,3\n")
    assert str(caught.value) == (
        f"{tmp_path / 't.csv'}: 3 problems.\n"
        "  2 columns are named 'a'\n"
        "  line 3: expected 3 cells, found 2\n"
        "  line 4: expected 3 cells, found 4\n"
        "Correct the file."
    )


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "t.csv", "found an empty file"),
        (b"\n\n", "t.csv", "expected a table with 1 to"),
        (b"a,b\n", "t.csv", "found only the names of the columns"),
        (b'a,b\n1,2\n"x,3\n', "t.csv", "line 3: not a readable CSV file, because the cells of this row cannot be"),
        (b"a,b\n\xe4,1\n", "t.csv", "not a readable table in UTF-8 .it has the byte 0xe4.. Save it again as text"),
        (b"\x1f\x8b\x08broken", "t.csv.gz", "damaged or cut short"),
    ],
)
def test_a_malformed_file_is_an_error(tmp_path: Path, content: bytes, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, name)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, found none"):
        read_cells(tmp_path / "none.csv")
