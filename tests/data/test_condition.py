"""Conditions: labels and columns as contexts of conditional models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tfp_vae as tv
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.condition import Condition, Variable, check_present, condition_on, factors_of, with_context
from tfp_vae.data.dataset import Split


def table(n: int = 60) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "length": draw.normal(size=n),
            "city": np.array(["Rome", "Oslo", "Lima"])[np.arange(n) % 3],
            "age": draw.integers(20, 70, n),
            "kind": np.array(["x", "y"])[np.arange(n) % 2],
        }
    )


def test_labels_become_one_value_for_each_class_in_the_order_of_numbers() -> None:
    data = tv.data.load("digits", condition="label")
    assert data.condition is not None
    assert data.condition.classes == tuple(map(str, range(10)))
    for split in data.splits.values():
        np.testing.assert_array_equal(split.context, np.eye(10)[split.y])
        np.testing.assert_array_equal(split[3:5].batch.context, split.context[3:5])
    plain = tv.data.load("digits")
    assert plain.fingerprint() != data.fingerprint()
    np.testing.assert_array_equal(plain.train.x, data.train.x)
    assert str(data.condition) == "label (10 classes)"


@pytest.mark.parametrize("suffix", [None, ".csv"])
def test_columns_are_no_features_and_words_become_classes_and_numbers_are_standardized(
    suffix: str | None, tmp_path: Path
) -> None:
    frame = table()
    source: object = frame
    if suffix is not None:
        source = tmp_path / f"rows{suffix}"
        frame.to_csv(source, index=False)
    data = tv.data.load(source, condition=["city", "age"], label_column="kind")
    assert data.reading.columns == ("length",)
    condition, context = data.condition, data.train.context
    assert condition is not None
    assert context is not None
    assert (condition.names, condition.size) == (("city", "age"), 4)
    np.testing.assert_array_equal(context[:, :3].sum(axis=1), 1)
    assert context[:, 3].mean() == pytest.approx(0, abs=1e-6)
    assert context[:, 3].std() == pytest.approx(1, abs=1e-6)


def test_label_column_is_a_condition_by_either_name() -> None:
    x, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "kind": y})
    for name in ("label", "kind"):
        data = tv.data.load(frame, label_column="kind", condition=name)
        assert data.train.context is not None
        np.testing.assert_array_equal(data.train.context.argmax(axis=1), data.train.y)
        assert data.reading.columns == ("a", "b")
    assert tv.data.load((x, y), condition="label").condition == data.condition


def test_texts_of_contexts_are_read_and_written() -> None:
    condition = Condition(
        variables=(Variable(name="city", classes=("Lima", "Rome")), Variable(name="age", loc=40.0, scale=10.0))
    )
    y = condition.parse("city=Rome,age=55")
    np.testing.assert_allclose(y, [0, 1, 1.5])
    assert condition.text(y) == "city=Rome,age=55"
    np.testing.assert_array_equal(condition.typical(), [1, 0, 0])
    for text, problem in (
        ("city=Roma,age=5", "'Roma' is not a class of 'city'. Choose from Lima, Rome"),
        ("city=Rome,age=old", "expected a number for 'age', found 'old'"),
        ("city=Rome", "'age' is missing. Write `given=city=Lima,age=40`"),
        ("town=Rome,age=4", "unknown variable 'town'"),
    ):
        with pytest.raises(UsageError, match=problem.replace(".", r"\.")):
            condition.parse(text)


@pytest.mark.parametrize(
    ("texts", "given"),
    [(["$5", "-$1", "$1,205"], ["$5", "5"]), (["5,5 €", "1,25 €"], ["5,5 €", "5,5", "5.5"]), (["5%", "7%"], ["5"])],
)
def test_numbers_with_units_and_decimal_commas_are_numbers(texts: list[str], given: list[str]) -> None:
    variable = Variable.learn("price", np.array(texts), "rows.csv")
    assert not variable.classes
    y = variable.encode(np.array(texts), "rows.csv")
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-12)
    for text in given:
        np.testing.assert_allclose(variable.parse(text), y[0])
    condition = Condition(variables=(variable,))
    np.testing.assert_allclose(condition.parse(condition.text(y[0])), y[0], rtol=1e-6)
    with pytest.raises(DataError, match=r"expected numbers such as .* in 'price', found '5 kg'"):
        variable.encode(np.array([texts[0], "5 kg"]), "new.csv")


def test_classes_may_hold_commas() -> None:
    city = Variable(name="city", classes=("Lima, Peru", "Rome, Italy"))
    for text in ("Rome, Italy", "city=Rome, Italy"):
        np.testing.assert_array_equal(Condition(variables=(city,)).parse(text), [0, 1])
    both = Condition(variables=(city, Variable(name="age")))
    for text in ("city=Rome, Italy,age=2", "age=2, city=Rome, Italy"):
        np.testing.assert_array_equal(both.parse(text), [0, 1, 2])


@pytest.mark.parametrize(("lines", "first"), [(None, "row 2, counted from 0"), ([9, 4, 7], "line 4")])
def test_the_first_row_without_a_condition_is_the_first_in_the_file(lines: list[int] | None, first: str) -> None:
    shuffled = Split(
        np.zeros((3, 1)),
        rows=np.array([7, 2, 5]),
        ids={"city": np.array(["", "", "Rome"])},
        lines=None if lines is None else np.array(lines),
    )
    with pytest.raises(DataError, match=rf"2 rows have no 'city', .* \(first: {first}\)"):
        check_present(shuffled, ["city"], "people.csv")


def test_missing_and_unseen_values_and_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"`condition`: digits has no 'colour' to condition on\. Choose from label"):
        tv.data.load("digits", condition="colour")
    with pytest.raises(UsageError, match=r"has no 'label' to condition on\. The data have no labels"):
        tv.data.load(np.zeros((20, 2)), condition="label")
    frame = table().astype({"age": object})
    frame.loc[5, "age"] = "n/a"
    with pytest.raises(DataError, match=r"1 row has no 'age', which the model is conditioned on \(first: .* 5"):
        tv.data.load(frame, condition="age")
    condition = Condition(variables=(Variable(name="city", classes=("Lima", "Rome")),))
    with pytest.raises(DataError, match=r"new\.csv: the training data have no 'Oslo' among the 2 classes of 'city'"):
        condition.encode({"city": np.array(["Rome", "Oslo"])}, "new.csv")
    with pytest.raises(DataError, match="conditioned on column 'city', which these data lack"):
        condition.encode({}, "new.csv")
    with pytest.raises(DataError, match="all training rows have the same 'age'"):
        Variable.learn("age", np.full(4, "3"), "rows.csv")


class TestFactors:
    """Known factors of examples: labels, columns of labels, and columns of ids."""

    def split(self, y: np.ndarray, **ids: list[str]) -> Split:
        return Split(np.zeros((3, 2), np.float32), y=y, ids={name: np.array(each) for name, each in ids.items()})

    def test_are_labels_and_columns_and_numbers_are_numbers(self) -> None:
        split = self.split(np.array([1, 0, 1]), angle=["0.5", "1", "2"], shape=["a", "b", "a"])
        found = factors_of(split, ("kind", "angle", "shape"), "kind", "here")
        np.testing.assert_array_equal(found["kind"], [1, 0, 1])
        np.testing.assert_array_equal(found["angle"], [0.5, 1, 2])
        assert found["shape"].tolist() == ["a", "b", "a"]
        assert factors_of(split, (), None, "here") == {}

    def test_of_several_columns_of_labels_have_numbers(self) -> None:
        split = self.split(np.array([[1, 4], [2, 5], [3, 6]]))
        np.testing.assert_array_equal(factors_of(split, ("label_2",), None, "here")["label_2"], [4, 5, 6])

    def test_must_exist_in_every_row(self) -> None:
        split = self.split(np.array([1, 0, 1]), shape=["a", "", "a"])
        with pytest.raises(UsageError, match=r"has no 'shap'. Choose from label, shape. Did you mean 'shape'"):
            factors_of(split, ("shap",), None, "here")
        with pytest.raises(DataError, match="1 row has no 'shape'"):
            factors_of(split, ("shape",), None, "here")


def test_labelled_keeps_as_many_of_each_class_and_hides_the_others_in_training_only() -> None:
    data = tv.data.load("digits", condition="label", labelled=25)
    assert data.condition is not None
    assert data.condition.is_partial
    assert data.train.context is not None
    known = data.train.context.any(axis=1)
    assert known.sum() == 25
    np.testing.assert_array_equal(data.train.context[known], np.eye(10)[data.train.y[known]])
    assert set(data.train.context.sum(axis=0)) == {2, 3}
    np.testing.assert_allclose(data.condition.frequencies, data.train.context.sum(axis=0) / 25)
    np.testing.assert_array_equal(data.test.context, np.eye(10)[data.test.y])
    again, other = (tv.data.load("digits", condition="label", labelled=25, labelled_seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.train.context, data.train.context)
    assert (other.train.context != data.train.context).any()


def test_rows_without_their_class_have_contexts_of_zeros() -> None:
    frame = table()
    frame["city"] = np.where(np.arange(60) % 4 > 0, frame["city"], "n/a")
    data = tv.data.load(frame, condition="city")
    assert data.condition is not None
    assert data.condition.classes == ("Lima", "Oslo", "Rome")
    for split in data.splits.values():
        assert split.context is not None
        np.testing.assert_array_equal(~split.context.any(axis=1), split.ids["city"] == "n/a")
    assert sum(data.condition.frequencies) == pytest.approx(1)
    unknown = with_context(Split(np.zeros((2, 1)), ids={"city": np.array(["Rome", ""])}), data.condition, "new.csv")
    np.testing.assert_array_equal(unknown.context, [[0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(with_context(Split(np.zeros((2, 1))), data.condition, "new.csv").context, 0)
    with pytest.raises(DataError, match="have no 'Bonn' among the 3 classes"):
        with_context(Split(np.zeros((1, 1)), ids={"city": np.array(["Bonn"])}), data.condition, "new.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labelled": 20}, r"`labelled` needs a condition\. Set `condition=label`"),
        ({"condition": "city", "labelled_seed": 3}, "`labelled_seed` has no effect without `labelled`"),
        ({"condition": "age", "labelled": 20}, "`labelled` needs a condition with classes, but 'age' has numbers"),
        ({"condition": ["city", "age"], "labelled": 20}, "`labelled` needs a condition of one variable"),
        ({"condition": "city", "labelled": 2}, "must be between 3, one for each class, and 48"),
        ({"condition": "city", "labelled": 49}, "must be between 3, one for each class, and 48.* found 49"),
    ],
)
def test_labelled_needs_classes_and_enough_rows(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tv.data.load(table(), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("labelled", [None, 6])
def test_a_condition_needs_one_label_for_each_example(labelled: int | None) -> None:
    data = tv.data.load(np.arange(60.0).reshape(20, 3))
    data = replace(data, train=replace(data.train, y=np.zeros((len(data.train), 2))))
    with pytest.raises(UsageError, match="has several labels for each example, but a condition needs one"):
        condition_on(data, ("label",), labelled)
