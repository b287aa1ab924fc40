"""How useful synthetic rows are: the AUROC of classifiers that learn from them, next to real rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, final

import numpy as np
from pandas import DataFrame, Series
from pandas.api.types import is_numeric_dtype
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

__all__ = [
    "CLASSIFIERS",
    "TARGETS",
    "Target",
    "Usefulness",
    "boosting",
    "compare",
    "logistic",
    "placements",
    "predict",
]


@final
class Target(NamedTuple):
    """Two classes of rows. The classifier does not see the column that decides between them.

    column: the name of that column.
    holds: whether a cell of the column is in the positive class, for the whole column.
    """

    column: str
    holds: Callable[[Series], Series]


TARGETS = {
    "sex": Target("9-cat", lambda column: column == "word 1"),
    "married": Target("5-cat", lambda column: column == "word 1"),
    "capital gain > 0": Target("10-pos", lambda column: column > 0),
    "hours > 40": Target("12-count", lambda column: column > 40),
    "education ≥ 13": Target("4-ordinal", lambda column: column >= 13),
}
"""The targets of Adult by name. HI-VAE's table lacks the label of the usual task, which is the income."""


@final
class Usefulness(NamedTuple):
    """The AUROC of a classifier that learns from real rows, and of one that learns from synthetic rows.

    error: the standard error of the difference over the test rows.
    """

    real: float
    synthetic: float
    error: float

    @property
    def loss(self) -> float:
        """How much lower the AUROC is with synthetic rows."""
        return self.real - self.synthetic


Classifier: TypeAlias = Callable[[list[str], list[str], int], ClassifierMixin]
"""A function that makes a classifier for columns of words, columns of numbers, and a seed."""


def boosting(words: list[str], numbers: list[str], seed: int) -> ClassifierMixin:
    """Return boosted trees that split words as a set. Missing cells and unknown words go to a branch of their own."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    trees = HistGradientBoostingClassifier(categorical_features=list(range(len(words))), random_state=seed)
    return make_pipeline(make_column_transformer((codes, words), ("passthrough", numbers)), trees)


def logistic(words: list[str], numbers: list[str], seed: int) -> ClassifierMixin:
    """Return a logistic regression on one-hot codes and standardized numbers. Unknown words have no code."""
    del seed
    codes = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer((codes, words), (StandardScaler(), numbers)), LogisticRegression(max_iter=1_000)
    )


CLASSIFIERS: dict[str, Classifier] = {"boosted trees": boosting, "logistic regression": logistic}
"""The classifiers by name."""


def compare(real: DataFrame, synthetic: DataFrame, test: DataFrame, target: Target, name: str, seed: int) -> Usefulness:
    """Return the AUROC of a classifier that learns from real rows, and from synthetic rows.

    Args:
      real, synthetic, test: tables with equal columns. Numbers have no missing cells, but words may.
      target: the classes.
      name: of `CLASSIFIERS`.
      seed: of the classifier.
    """
    truth = target.holds(test[target.column]).to_numpy()
    found = [placements(truth, predict(rows, test, target, name, seed)) for rows in (real, synthetic)]
    variance = sum(np.var(first - second, ddof=1) / len(first) for first, second in zip(*found, strict=True))
    return Usefulness(float(found[0][0].mean()), float(found[1][0].mean()), math.sqrt(variance))


def predict(rows: DataFrame, test: DataFrame, target: Target, name: str, seed: int) -> np.ndarray:
    """Return the probability of the positive class for test rows [N], after learning from other rows."""
    x, unseen = rows.drop(columns=target.column), test.drop(columns=target.column)
    numbers = [column for column in x if is_numeric_dtype(x[column])]
    words = [column for column in x if column not in numbers]
    model = CLASSIFIERS[name](words, numbers, seed)
    with threadpool_limits(1):  # more threads wait for each other, at each of many small steps
        model.fit(x, target.holds(rows[target.column]))
        return np.asarray(model.predict_proba(unseen)[:, 1])


def placements(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of rows of the other class on the right side of each row: of the positives and the negatives.

    The mean of either is the AUROC. Their variances give its standard error, and those of the differences of two
    classifiers the error of the difference.

    Args:
      truth: whether a row is positive, [N].
      scores: larger for rows that look positive, [N]. Ties count as one half.

    References:
      DeLong et al. (1988), Comparing the areas under two or more correlated receiver operating characteristic curves.
    """
    positives, negatives = np.sort(scores[truth]), np.sort(scores[~truth])

    def below(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
        return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2

    return (
        below(scores[truth], negatives) / len(negatives),
        1 - below(scores[~truth], positives) / len(positives),
    )
