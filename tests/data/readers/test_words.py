"""Tables with words: facts about their columns, and errors that name what to do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.data.loading import load
from tfp_vae.data.readers.tables import parse_number, read_csv
from tfp_vae.data.readers.words import ColumnFacts, WordsFound, describe_columns

ROWS = [["red", "1.5", f"note {i}", "NA" if i % 3 else "7"] for i in range(9)] + [["blue", "2", "last", "x"]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["color,size,note,age", *map(",".join, ROWS)]) + "\n")
    return path


def test_columns_are_counted_by_kind_of_cell() -> None:
    color, size, note, age = describe_columns(("color", "size", "note", "age"), ROWS, parse_number)
    assert color == ColumnFacts("color", 0, 0, 10, ("red", "blue"))
    assert size == ColumnFacts("size", 10, 0, 0, ())
    assert (age.numbers, age.missing, age.words) == (3, 6, 1)
    assert [each.is_text for each in (color, size, note, age)] == [True, False, True, False]
    assert [each.is_class for each in (color, size, note, age)] == [True, False, False, False]


def test_error_names_the_columns_of_words_and_the_settings(table: Path) -> None:
    with pytest.raises(DataError, match="columns color, note hold words, such as 'red'") as caught:
        read_csv(table)
    assert str(caught.value).endswith("Set `label_column=color` and `drop_columns=note`.")
    data = read_csv(table, label_column="color", drop_columns=["note", "age"])
    assert data.names == ("size",)


@pytest.mark.parametrize("names", [("a name", "note's"), ("x,y", 'a "note"'), ("$HOME", "no*te")])
def test_settings_in_the_error_work_in_a_shell(names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame = pd.DataFrame(ROWS).set_axis([names[0], "size", names[1], "age"], axis=1).drop(columns="age")
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match="hold words") as caught:
        read_csv(path)
    settings = dict(shlex.split(text)[0].split("=", 1) for text in re.findall("`([^`]+)`", str(caught.value)))
    assert settings.keys() == {"label_column", "drop_columns"}
    assert load(str(path), **settings).reading.columns == ("size",)


def test_a_word_among_numbers_is_a_mistake_in_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("size,age\n" + "1.5,7\n" * 9 + "2,x\n")
    with pytest.raises(DataError, match="line 11: expected a number in column 'age', found 'x'") as caught:
        load(str(path))
    assert isinstance(caught.value.__cause__, WordsFound)
    assert not caught.value.__cause__.are_columns
    assert caught.value.__cause__.columns[1].numbers == 9


def test_a_table_with_a_column_of_words_is_a_mixed_one(table: Path) -> None:
    data = load(str(table), drop_columns="note")
    assert (data.profile.columns[0].name, data.profile.columns[0].kind) == ("color", "binary")


def test_columns_that_are_not_read_cause_no_error(table: Path) -> None:
    assert load(str(table), columns="size", label_column="color").event_shape == (1,)
