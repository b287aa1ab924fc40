"""Tables: round trips with every delimiter, and errors with the line and the column."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.memory import at_most
from tfp_vae.core.errors import DataError
from tfp_vae.core.files import write_bytes
from tfp_vae.data.readers.tables import (
    DELIMITERS,
    MISSING,
    Header,
    TextFormat,
    csv_blocks,
    find_column,
    names_columns,
    read_csv,
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def written(content: str | bytes) -> Path:
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["a", "", "b", " "], "2 rows have no label, the first on line 3"),
        (["a", "b", ""], "1 row has no label, the first on line 4"),
        (["a", "na", "?"], None),
    ],
)
def test_rows_without_a_label_cause_a_warning(
    cells: list[str], said: str | None, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    table = read_csv(write("x,y\n" + "".join(f"1,{cell}\n" for cell in cells)), label_column="y")
    assert table.y is not None
    assert table.y.tolist() == [cell.strip() for cell in cells]
    assert (said in caplog.text) if said else not caplog.messages


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_columns_and_labels_by_name(delimiter: str, line_end: str, write: Callable[..., Path]) -> None:
    lines = ["width,kind,height", "1.5,cat,-2e3", "0,dog,7"]
    table = read_csv(write(line_end.join(lines).replace(",", delimiter)), label_column="kind")
    assert table.names == ("width", "height")
    assert table.y.tolist() == ["cat", "dog"]
    np.testing.assert_array_equal(table.x, [[1.5, -2000], [0, 7]])


def test_columns_keep_the_given_order(write: Callable[..., Path]) -> None:
    path = write("id,a,b,c\nx1,1,2,3\nx2,4,5,6\n")
    np.testing.assert_array_equal(read_csv(path, columns=("c", "a")).x, [[3, 1], [6, 4]])
    table = read_csv(path, columns=("b",), label_column="id")
    assert table.y.tolist() == ["x1", "x2"]


def test_row_with_line_breaks_has_the_number_of_its_first_line(write: Callable[..., Path]) -> None:
    path = write('a,note\n1,"two\nlines"\n2,x\n')
    np.testing.assert_array_equal(read_csv(path, label_column="note").lines, [2, 4])


def test_column_without_a_name_gets_one_that_no_other_column_has(
    write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    assert read_csv(write(",column_1,b\n1,2,3\n")).names == ("column_1_2", "column_1", "b")
    assert "1 column without a name is called column_1_2. " in caplog.text


def test_tables_of_numbers_have_no_header(write: Callable[..., Path]) -> None:
    table = read_csv(write("1,2,0\n3,4,1\n"), label_column="3")
    assert table.names == ("1", "2")
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    assert table.y.tolist() == [0, 1]


IRIS = "5.1,3.5,1.4,0.2,setosa\n4.9,3.0,1.4,0.2,setosa\n7.0,3.2,4.7,1.4,versicolor\n"


@pytest.mark.parametrize(
    ("content", "names", "rows"),
    [
        ("0,1,2,3\n0.5,1,2,7\n3,4,5,7\n", ("0", "1", "2", "3"), 2),
        ("1,2,3\n0.5,1,2\n", ("1", "2", "3"), 1),
        ("400,402,404,406,408,410,412,414\n" + "1,2,4,8,16,32,64,128\n", tuple(map(str, range(400, 415, 2))), 1),
        ("0,1,2,3\n1,2,3,4\n2,3,4,5\n", ("1", "2", "3", "4"), 3),  # windows of a series
        ("0,1\n1,1\n", ("1", "2"), 2),
        ("5.1,3.5\n4.9,3.0\n", ("1", "2"), 2),
        ("7,3,5\n4,3,0\n", ("1", "2", "3"), 2),
    ],
)
def test_numbers_in_the_first_line_are_names_only_if_they_count(
    content: str, names: tuple[str, ...], rows: int, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    table = read_csv(write(content))
    assert (table.names, len(table.x)) == (names, rows)
    assert f"Set `header={'no' if table.header == 'yes' else 'yes'}` if" in caplog.text


def test_file_without_names_keeps_its_first_row(write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    table = read_csv(write(IRIS), label_column="5")
    assert table.y.tolist() == ["setosa", "setosa", "versicolor"]
    assert "the first line (5.1, 3.5, 1.4, 0.2, setosa) is read as an example" in caplog.text
    assert read_csv(write(IRIS), label_column="-1").y.tolist() == table.y.tolist()


@pytest.mark.parametrize(("header", "rows"), [("yes", 2), ("no", 3)])
def test_header_setting_decides_without_a_warning(
    header: Header, rows: int, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for content in (IRIS, "0,1,2,3,4\n" * 3):
        table = read_csv(write(content), header=header, columns=[content.split(",")[0] if header == "yes" else "1"])
        assert len(table.x) == rows
    assert not caplog.messages


def test_texts_are_names_without_a_warning(write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    for content in ("a,b\n1,2\n", ",a\n1,2\n", "kind,a\nx,1\n"):
        assert read_csv(write(content), columns=["a" if "a\n" in content else "b"]).header == "auto"
    assert not caplog.messages


@pytest.mark.parametrize(
    ("first", "below", "is_header"),
    [
        (["id", "2019", "2020"], [["bob", "3", "4"]], True),
        (["id", "2019", "2020"], [["3", "3", "4"]], True),
        (["bob", "3", "4.5"], [["eve", "3", "4"]], False),
        (["cat", "1", "2"], [["cat", "3", "4"]], False),
        (["a", "b"], [], True),
        (["", "0", "1", "2"], [["0", "7", "7", "8"]], True),
        (["1", "1", "1"], [], False),
        (["", "NA"], [["1", "2"]], False),
    ],
)
def test_cells_below_tell_whether_the_first_line_is_names(
    first: list[str], below: list[list[str]], is_header: bool
) -> None:
    assert names_columns(first, below) == is_header


def test_new_data_have_a_header_if_they_name_all_features(
    write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for content, header in (("b,5\n1,2\n", "auto"), ("1,2,3\n7,8,7\n", "no")):
        names = tuple(content.split("\n", maxsplit=1)[0].split(","))
        assert len(read_csv(write(content), columns=names, header=header, again=True).x) == 1
    caplog.clear()
    assert len(read_csv(write("7,8,7\n"), columns=("1", "2", "3"), header="no", again=True).x) == 1
    assert not caplog.messages


@pytest.mark.parametrize(
    ("content", "columns", "header", "message"),
    [
        ("5,3,1\n4,2,0\n", ("column_1", "a", "b"), "auto",
         r"was trained on the columns column_1, a, b, but the first line \(5, 3, 1\) is read as an example. Add "),
        ("5,3,1\n4,2,0\n", ("0", "1", "2"), "yes", "columns 0, 1, 2, but the first line .* is read as an example"),
        ("0.5,0.3,0.1\n4,2,0\n", ("1", "2", "3"), "yes", "columns 1, 2, 3, but the first line .* is read as an "),
        ("a,c\n1,2\n", ("a", "b", "d"), "auto", r"The first line \(a, c\) is read as names and has no b, d[.] Correct"),
        ("1,2\n3,5\n", ("1", "2", "3"), "no", "columns 1, 2, 3 of a table without names, found 2 columns. Add the "),
    ],
)  # fmt: skip
def test_new_data_without_the_columns_of_the_run_are_refused_with_the_cause(
    content: str, columns: tuple[str, ...], header: Header, message: str, write: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with pytest.raises(DataError, match=message) as caught:
        read_csv(write(content), columns=columns, header=header, again=True)
    assert not caplog.messages
    assert "`header" not in str(caught.value)


@pytest.mark.parametrize("names", ["0,1,2", "a,b,c", "3,b,1"])
def test_new_names_are_matched_by_position_if_the_run_has_none(
    names: str, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(f"{names}\n7,8,2\n6,4,5\n")
    table = read_csv(path, columns=("1", "3"), label_column="2", header="no", again=True)
    np.testing.assert_array_equal(table.x, [[7, 2], [6, 5]])
    assert table.y.tolist() == [8, 4]
    assert "Columns are matched by position" in caplog.text


@pytest.mark.parametrize("first", [",0,1", "id,0,1"])
def test_warns_of_a_first_line_that_looks_like_names_but_is_read_as_an_example(
    first: str, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(f"{first}\n7,8,2\n6,4,5\n")
    with contextlib.suppress(DataError):
        read_csv(path, header="no")
    assert "has empty cells or words above numbers, as names of columns do. Set `header=yes` if" in caplog.text
    caplog.clear()
    read_csv(path, header="no", drop_columns=["1"])
    read_csv(write("1,,2\n7,,2\n"), header="no")
    assert not caplog.messages


def test_advice_for_words_in_new_data_has_no_setting(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"line 2: expected a number in column 'b', found 'two'[.] Correct it[.]$"):
        read_csv(write("a,b\n1,two\n2,three\n"), columns=("a", "b"), again=True)


@pytest.mark.parametrize(("content", "rows"), [("0,1,2\n7,8,2\n", 1), ("5,3,1\n7,8,2\n", 2)])
def test_warning_about_the_first_line_of_new_data_suggests_no_setting(
    content: str, rows: int, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    assert len(read_csv(write(content), again=True).x) == rows
    assert "is read as" in caplog.text
    assert "`header" not in caplog.text


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["px*"], ["px1", "px2", "px10"]),
        (["px?"], ["px1", "px2"]),
        (["c[1]", "*x1*"], ["c[1]", "px1", "px10"]),
        (["3", "1"], ["px2", "column_1"]),
        (["*"], ["column_1", "px1", "px2", "px10", "c[1]"]),
    ],
)
def test_columns_by_wildcard_or_position(wanted: list[str], names: list[str], write: Callable[..., Path]) -> None:
    path = write(",px1,px2,px10,c[1],kind\n" + "0,1,2,10,3,cat\n")
    table = read_csv(path, columns=wanted, label_column="kind")
    assert list(table.names) == names
    assert (table.label, table.y.tolist()) == ("kind", ["cat"])


@pytest.mark.parametrize(("drop", "names"), [(["column_1"], "b c"), (["1"], "b c"), (["?"], "column_1")])
def test_columns_left_out(drop: list[str], names: str, write: Callable[..., Path]) -> None:
    table = read_csv(write(",b,c,kind\n1,2,3,x\n"), drop_columns=drop, label_column="kind")
    assert table.names == tuple(names.split())


def test_refuses_a_table_without_features(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="at least one column to learn from, found none left of a, b"):
        read_csv(write("a,b\n1,2\n"), drop_columns=["a"], label_column="b")


def test_new_data_need_no_column_that_was_left_out(write: Callable[..., Path]) -> None:
    table = read_csv(write("b,c\n2,3\n"), columns=("b", "c"), drop_columns=("a",), again=True)
    np.testing.assert_array_equal(table.x, [[2, 3]])


def test_wildcards_without_a_column_are_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"expected columns like 'z\*', found none among a, b"):
        read_csv(write("a,b\n1,2\n"), columns=["z*"])


def test_positions_do_not_compete_with_names_of_whole_numbers() -> None:
    assert find_column(["0", "1", "2"], "1", "t.csv") == 1
    assert find_column(["0", "1", "2"], "-1", "t.csv") == 2
    assert find_column(["a", "b", "c"], "1", "t.csv") == 0
    for names, name in ((["0", "1", "2"], "3"), (["a", "b"], "3"), (["a", "b"], "0"), (["a", "b"], "-3")):
        with pytest.raises(DataError, match="expected one column named"):
            find_column(names, name, "t.csv")


@pytest.mark.parametrize("name", ["t.CSV", "t.tsv", "t.csv.gz", "t.TSV.GZ"])
def test_other_suffixes_give_the_same_table(name: str, tmp_path: Path) -> None:
    text = "a\tb,c\n1\t2\n3\t4\n" if "tsv" in name.lower() else '"a","b,c"\n1,2\n3,4\n'
    content = gzip.compress(text.encode()) if name.lower().endswith("gz") else text.encode()
    (tmp_path / name).write_bytes(content)
    table = read_csv(tmp_path / name)
    assert table.names == ("a", "b,c")
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.lines, [2, 3])


def test_refuses_gzipped_tables_that_unpack_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfp_vae.data.readers.tables.MOST_UNPACKED", 1_000)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 1_000))
    with pytest.raises(DataError, match="expected at most 1,000 bytes once unpacked, found more"):
        read_csv(tmp_path / "t.csv.gz")


def test_quotes_blank_lines_and_a_byte_order_mark(write: Callable[..., Path]) -> None:
    table = read_csv(write(b'\xef\xbb\xbf"a, in cm",b\n\n"1","2"\n\n'))
    assert table.names == ("a, in cm", "b")
    np.testing.assert_array_equal(table.x, [[1, 2]])


@pytest.mark.parametrize("text", sorted(MISSING))
def test_missing_values_are_nan(text: str, write: Callable[..., Path]) -> None:
    x = read_csv(write(f"a,b\n1,{text.upper()}\n{text},2\n")).x
    np.testing.assert_array_equal(np.isnan(x), [[False, True], [True, False]])


@pytest.mark.parametrize(
    ("labels", "kind"),
    [(["3", "-1", "2"], "i"), (["0.5", "1", "2"], "U"), (["a", "1", ""], "U"),
     (["01", "1", "10"], "U"), (["1_0", "10", "10"], "U"), (["02130", "10001", "+1"], "U"), (["-0", "0", "1"], "U"),
     ([str(2**63 - 1), str(-(2**63)), "0"], "i"), ([str(2**63), "1", "2"], "U")],
)  # fmt: skip
def test_labels_are_numbers_only_if_all_are(labels: list[str], kind: str, write: Callable[..., Path]) -> None:
    y = read_csv(write("x,y\n" + "".join(f"1,{label}\n" for label in labels)), label_column="y").y
    assert y.dtype.kind == kind
    assert [str(label) for label in y] == labels


def test_only_new_data_may_lack_labels(write: Callable[..., Path]) -> None:
    path = write("a,b\n1,2\n")
    assert read_csv(path, label_column="y", again=True).y is None
    with pytest.raises(DataError, match=r"expected one column named 'y', found none among a, b[.] Check the name"):
        read_csv(path, label_column="y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found an empty file"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 cells, found 1"),
        ("a\n1\n2,3\n", "line 3: expected 1 cell, found 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3: expected 2 cells, found 3"),
        ("a,b\n1,two\n", "line 2: .* column 'b', found 'two'. Correct it, set `missing=two` .* `drop_columns=b`[.]$"),
        ("a,b\n1,2\n1,12_34\n", "line 3: expected a number in column 'b', found '12_34'. Correct it"),
        ("a,a\n1,2\n", "expected one column named 'a', found 2 among a, a. Rename one of them"),
        (b"a,b\n1,\xff\n", "not a readable CSV file in UTF-8 .it has the byte 0xff.. Save it again as text in UTF-8"),
        ('a,b\n1,"2\n', "line 2: not a readable CSV file.* Check its quotes"),
        ("a,b\n" + "1" * 200_000 + ",2\n", "not a readable CSV file"),
    ],
)
def test_refuses_unusable_tables(content: str | bytes, message: str, write: Callable[..., Path]) -> None:
    path = write(content)
    with pytest.raises(DataError, match=message) as error:
        read_csv(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_refuses_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, found none"):
        read_csv(tmp_path / "none.csv")


def test_refuses_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(DataError, match="expected a file, found a pipe or a device"):
        read_csv(tmp_path / "p.csv")


def test_csv_files_are_read_back_bit_for_bit(write: Callable[..., Path], rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 2)) * 1e-7, np.array(["a,b", 'say "c"'] * 10)
    table = read_csv(
        write(b"".join(csv_blocks({"first": x[:, 0], "label": y, "second": x[:, 1]}))), label_column="label"
    )
    np.testing.assert_array_equal(table.x, x)
    np.testing.assert_array_equal(table.y, y)


def test_numbers_are_written_with_the_decimal_mark(rng: np.random.Generator) -> None:
    x, form = rng.normal(size=20) * 1e-7, TextFormat(delimiter=";", decimal=",")
    mixed = np.array([1.5, ""], dtype=object)
    text = b"".join(csv_blocks({"x": x, "n": np.arange(20), "name": np.full(20, "v1.0")}, form=form)).decode()
    rows = [line.split(";") for line in text.splitlines()[1:]]
    assert [float(cell.replace(",", ".")) for cell, _, _ in rows] == x.tolist()
    assert rows[7][1:] == ["7", "v1.0"]
    assert b"".join(csv_blocks({"a": mixed}, header=False, form=form)) == b'1,5\n""\n'


@pytest.mark.parametrize(
    ("name", "written", "given"),
    [("a.csv", ";", ";"), ("a.csv", "\t", "\t"), ("a.tsv", "\t", ","), ("a.txt", "\t", "\t")],
)
def test_the_delimiter_is_that_of_the_table_unless_its_name_tells(
    tmp_path: Path, name: str, written: str, given: str
) -> None:
    path = tmp_path / name
    path.write_text(f"a{written}b\n1.5{written}2\n2.5{written}3\n")
    mark = read_csv(path).delimiter
    assert mark == given
    form = TextFormat(delimiter=mark)
    assert form.of_file(Path("x.csv")).delimiter == given
    assert form.of_file(Path("x.tsv")).delimiter == "\t"


def test_refuses_header_without_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"expected a line of numbers .*, found only the names of the columns"):
        read_csv(tmp_path / "t.csv")


def test_writing_a_long_table_takes_the_memory_of_a_block(tmp_path: Path) -> None:
    columns = {"name": np.full(100_000, "columns"), "value": np.arange(100_000) + 0.25}
    with at_most(3_000_000):
        write_bytes(tmp_path / "long.csv", csv_blocks(columns))
    lines = (tmp_path / "long.csv").read_text().splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("name,value", "columns,0.25", "columns,99999.25")
    assert len(lines) == 100_001
