"""Tables: round trips with every delimiter, and errors with the line and the column."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.data.readers.tables import DELIMITERS, MISSING, csv_bytes, read_csv


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


def test_tables_of_numbers_have_no_header(write: Callable[..., Path]) -> None:
    table = read_csv(write("1,2,0\n3,4,1\n"), label_column="3")
    assert table.names == ("1", "2")
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    assert table.y.tolist() == [0, 1]


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
    assert read_csv(path, label_column="y", label_optional=True).y is None
    with pytest.raises(DataError, match="expected one column named 'y', found 0 among a, b"):
        read_csv(path, label_column="y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found an empty file"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 cells, found 1"),
        ("a,b\n1,2\n3,4,5\n", "line 3: expected 2 cells, found 3"),
        ("a,b\n1,two\n", "line 2: expected a number in column 'b', found 'two'"),
        ("a,a\n1,2\n", "expected one column named 'a', found 2"),
        (b"a,b\n1,\xff\n", "not a readable CSV file in UTF-8"),
        ('a,b\n1,"2\n', "not a readable CSV file"),
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
    table = read_csv(write(csv_bytes({"first": x[:, 0], "label": y, "second": x[:, 1]})), label_column="label")
    np.testing.assert_array_equal(table.x, x)
    np.testing.assert_array_equal(table.y, y)


def test_refuses_header_without_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"expected a line of numbers .*, found only the names of the columns"):
        read_csv(tmp_path / "t.csv")
