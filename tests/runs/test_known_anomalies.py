"""Labels of known anomalies: where they are, and which values mark an anomaly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.people import write_people
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.dataset import Split
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.examples import new_examples
from tfp_vae.runs.known_anomalies import AnomalyLabel, which_are_anomalies, with_label_column
from tfp_vae.runs.recipe import plan


def split_of(labels: list[object]) -> Split:
    return Split(np.zeros((len(labels), 1)), np.array(labels))


@pytest.mark.parametrize(
    ("labels", "text", "expected", "values"),
    [
        ([0, 1, 0], "y", [False, True, False], ("1",)),
        (["no", "Yes", "no"], "y", [False, True, False], ("Yes",)),
        (["normal", "attack", "normal"], "y", [False, True, False], ("attack",)),
        ([3, 5, 6], "y=5,6", [False, True, True], ("5", "6")),
        ([0.0, 1.0, 2.0], "y=2", [False, False, True], ("2",)),
        (["a", "b", ""], "y=b", [False, True, False], ("b",)),
    ],
)
def test_values_that_mark_an_anomaly(
    labels: list[object], text: str, expected: list[bool], values: tuple[str, ...]
) -> None:
    found, named = which_are_anomalies(split_of(labels), AnomalyLabel.parse(text), "here")
    assert found.tolist() == expected
    assert named == values


@pytest.mark.parametrize(
    ("labels", "text", "message"),
    [
        ([3, 5, 6], "y", "not clear which labels"),
        (["true", "yes"], "y", "not clear which labels"),
        (["no", "no"], "y", "every row has the label 'no' of y"),
        ([1, -1], "y=2", "no row has the label '2'"),
        ([1, -1], "y=2,-1,3", "no row has the label '2', '3' of y. Its labels: '-1', '1'"),
        (["cat", "dog"], "y=dogs", "Did you mean 'dog'"),
        ([1, 1], "y=1", "all rows are anomalies"),
    ],
)
def test_labels_that_leave_a_doubt_are_refused(labels: list[object], text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        which_are_anomalies(split_of(labels), AnomalyLabel.parse(text), "here")


def test_missing_labels_are_an_error() -> None:
    with pytest.raises(DataError, match="no column or labels 'kind'"):
        which_are_anomalies(Split(np.zeros((2, 1))), AnomalyLabel("kind"), "here")


@pytest.mark.parametrize("text", ["", "=", "kind=", "=fraud"])
def test_label_without_a_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a label"):
        AnomalyLabel.parse(text)


def config_of(path: Path) -> RunConfig:
    return plan(str(path), None, None, small_model(), small_training(epochs=1), open_choices=("likelihood",))[0]


def test_column_of_a_mixed_table_is_read_as_labels_and_is_no_part_of_x(tmp_path: Path) -> None:
    config = config_of(write_people(tmp_path / "people.csv"))
    lines = (tmp_path / "people.csv").read_text().splitlines()
    marked = [f"{line},{'fraud' if i else 'kind'}" for i, line in enumerate(lines[:3])] + [f"{lines[3]},fine"]
    (tmp_path / "new.csv").write_text("\n".join(marked) + "\n")
    changed = with_label_column(config, AnomalyLabel("kind"))
    found = new_examples(changed, str(tmp_path / "new.csv"))
    assert found.x.shape == (3, *config.data.event_shape)
    np.testing.assert_array_equal(found.x, new_examples(config, str(tmp_path / "new.csv")).x)
    anomalous, _ = which_are_anomalies(found, AnomalyLabel("kind"), "new.csv")
    assert anomalous.tolist() == [True, True, False]
    with pytest.raises(UsageError, match="one of the features"):
        with_label_column(config, AnomalyLabel("height"))


def test_column_of_a_table_of_numbers_is_read_as_labels(tmp_path: Path, rng: np.random.Generator) -> None:
    numbers = rng.normal(size=(30, 2))
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in numbers))
    config = config_of(tmp_path / "t.csv")
    (tmp_path / "n.csv").write_text("odd,b,a\n1,0.5,0.25\n0,0.5,0.75\n")
    found = new_examples(with_label_column(config, AnomalyLabel("odd")), str(tmp_path / "n.csv"))
    assert which_are_anomalies(found, AnomalyLabel("odd"), "n.csv")[0].tolist() == [True, False]
    with pytest.raises(UsageError, match="one of the features"):
        with_label_column(config, AnomalyLabel("a"))


def test_images_have_labels_without_a_column(tmp_path: Path) -> None:
    config, _ = plan("digits", None, None, small_model(), small_training(epochs=1))
    assert with_label_column(config, AnomalyLabel("label", ("5",))) == config
    with pytest.raises(UsageError, match="no column 'kind'"):
        with_label_column(config, AnomalyLabel("kind"))
