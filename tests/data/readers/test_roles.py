"""Roles: names of arrays tell which split they belong to, and no array is ignored silently."""

from __future__ import annotations

import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.data.readers.roles import SPLIT_WORDS, Assignment, role_of, split_of, suggest_roles


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ("x X data Images arr-x features inputs", "x"),
        ("y labels target TARGETS", "y"),
        ("x_train X_train xTrain trainX train_images xtrain Training TRAIN-IMAGES train.x", "x_train"),
        ("y_train train_labels ytrain Target_Train", "y_train"),
        ("x_val x_valid x_validation x_dev valX Dev", "x_validation"),
        ("x_test test_images XTest testing", "x_test"),
        ("test_labels Y_TEST", "y_test"),
    ],
)
def test_common_names(names: str, role: str) -> None:
    for name in names.replace("arr-x", "x").split():
        assert str(role_of(name)) == role


@pytest.mark.parametrize("name", ["x_unlabeled", "x_extra", "a", "arr_0", "train_test", "x_y", "x_train_2", "", "mean"])
def test_other_names_have_no_role(name: str) -> None:
    assert role_of(name) is None


def test_words_of_splits_ignore_case() -> None:
    assert {split_of(word.upper()) for word in SPLIT_WORDS} == {"train", "validation", "test"}
    assert split_of("car") is None


def test_assigns_each_array_and_lists_the_others() -> None:
    found, unused = Assignment.of("a", ["X_train", "Y_train", "x_val", "feature_names", "created"])
    assert {str(role): name for role, name in found.items()} == {
        "x_train": "X_train",
        "y_train": "Y_train",
        "x_validation": "x_val",
    }
    assert unused == ["feature_names", "created"]


def test_the_only_array_may_have_any_name() -> None:
    for name in ("arr_0", "labels", "x_unlabeled"):
        assert [str(role) for role in Assignment.of("a", [name])[0]] == ["x"]
    assert [str(role) for role in Assignment.of("a", ["x_test"])[0]] == ["x_test"]


def test_given_roles_come_first() -> None:
    found, unused = Assignment.of("a", ["x", "first", "second"], ["x_train=first", "x_test=second"])
    assert list(found.values()) == ["first", "second"]
    assert unused == ["x"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "x_unlabeled x_test y_test x_train y_train",
            "such as `arrays=x_train=x_train,y_train=y_train,x_test=x_test,y_test=y_test`",
        ),
        ("x_train x_test x_unlabeled", "cannot tell the role of x_unlabeled among x_train, x_test, x_unlabeled"),
        ("x holdout_images", "cannot tell the role of holdout_images"),
        ("arr_0 arr_1", r"Name each role with `arrays`, such as `arrays=x_train=arr_0`"),
        ("x X y", "arrays x and X are both x"),
        ("x data", "arrays x and data are both x"),
        ("x_val x_dev x_train", "arrays x_val and x_dev are both x_validation"),
        ("x x_test", "cannot tell whether x is for training only"),
        ("x_train y_train y_test", "expected examples for the labels y_test, found none"),
        ("y labels", "arrays y and labels are both y"),
        ("y y_test", "found only the labels y, y_test"),
        ("", "found nothing"),
    ],
)
def test_refuses_roles_in_doubt(names: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Assignment.of("a", names.split())


@pytest.mark.parametrize(
    "names",
    [
        "x_train x_test x_unlabeled",
        "x holdout_images",
        "arr_0 arr_1",
        "x X y",
        "x_val x_dev x_train",
        "x x_test",
        "y labels",
        "x_train y_train y_test",
        "y y_test",
    ],
)
def test_suggested_roles_work(names: str) -> None:
    suggested = suggest_roles(names.split())
    assert Assignment.of("a", names.split(), suggested).found


def test_suggested_names_with_spaces_are_quoted() -> None:
    with pytest.raises(DataError, match=r"such as `arrays='x_train=train data,y_train=y_train'`[.]$"):
        Assignment.of("a", ["train data", "x_unlabeled", "y_train"])


def test_refuses_given_names_that_are_missing() -> None:
    with pytest.raises(DataError, match=r"expected an array named third, found first, second[.] Check `arrays`"):
        Assignment.of("a", ["first", "second"], ["x=third"])
