"""Disentanglement: whether each dimension of z follows one known factor of the data.

MIG uses the information between single dimensions and factors, SAP how well one dimension alone predicts a factor, and
DCI the importance of each dimension in a prediction from all of them. The predictors come from scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.probes import has_classes

__all__ = ["Disentanglement", "disentangle"]

BINS = 20
"""Bins of equal counts into which measurements and dimensions of z are sorted for their information."""

TREES, LEAF = 50, 5
"""Number of trees of a forest, and the fewest examples in a leaf."""

MOST_EXAMPLES = 10_000


@check_keywords
class Disentanglement(NamedTuple):
    """Measures of K factors and D dimensions of z, each from 0 to 1, averaged over the factors or the dimensions.

    mig: mutual information gap: the information of the best dimension about a factor minus that of the second best, as
      a share of the factor's entropy.
    sap: how much better the best dimension alone predicts a factor than the second best: the difference of their
      balanced accuracies, or of their R^2.
    disentanglement: whether each dimension is important for one factor only (the D of DCI).
    completeness: whether one dimension only is important for each factor (the C of DCI).
    informativeness: how well all dimensions together predict a factor of held-out examples: the accuracy, or R^2, and
      at least 0 (the I of DCI).
    """

    mig: float
    sap: float
    disentanglement: float
    completeness: float
    informativeness: float


@check_keywords
def disentangle(z: np.ndarray, factors: Mapping[str, np.ndarray], *, seed: int = 0) -> Disentanglement:
    """Return how far each dimension of z follows one factor, given N examples of both.

    Half of the examples, chosen at random, teach the predictors of SAP and DCI, and the others measure them. Factors
    with few distinct values are classes, and other numbers are measurements.

    ```python
    from tfp_vae.evaluation.disentanglement import disentangle

    draw = np.random.default_rng(0)
    factors = {"shape": draw.integers(3, size=400), "size": draw.integers(4, size=400)}
    z = np.stack([factors["size"], factors["shape"]], axis=1) + 0.01 * draw.normal(size=(400, 2))
    disentangle(z, factors).mig  # near 1
    ```

    Args:
      z: embeddings, [N, D]. Only the first 10,000 are used.
      factors: values [N] by the name of the factor: classes or measurements.
      seed: decides the halves and the forests.

    Raises:
      DataError: fewer than 10 examples, no factor, or a factor that does not vary or is text with too many values.

    References:
      Chen, Li, Grosse and Duvenaud (2018), Isolating sources of disentanglement in variational autoencoders.
      Kumar, Sattigeri and Balakrishnan (2018), Variational inference of disentangled latent concepts.
      Eastwood and Williams (2018), A framework for the quantitative evaluation of disentangled representations.
      Locatello et al. (2019), Challenging common assumptions in the unsupervised learning of disentangled
        representations.
    """
    z = np.asarray(z[:MOST_EXAMPLES], np.float64)
    known = [_Factor.of(name, np.asarray(values)[:MOST_EXAMPLES]) for name, values in factors.items()]
    if len(z) < 10 or not known:
        raise DataError(f"Disentanglement needs a factor and at least 10 examples, found {len(known)} and {len(z)}.")
    z = (z - z.mean(axis=0)) / np.maximum(z.std(axis=0), 1e-12)
    order = np.random.default_rng(seed).permutation(len(z))
    halves = order[: len(z) // 2], order[len(z) // 2 :]
    binned = [_bins(column) for column in z.T]
    predictions = [factor.forest(z, halves, seed) for factor in known]
    importance = np.stack([each for each, _ in predictions], axis=1)  # [D, K]
    weights = importance.sum(axis=1) / max(importance.sum(), 1e-12)
    return Disentanglement(
        mig=float(np.mean([_gap(factor.information(binned)) for factor in known])),
        sap=float(np.mean([_gap(factor.alone(z, halves)) for factor in known])),
        disentanglement=float(np.sum(weights * _concentration(importance))),
        completeness=float(np.mean(_concentration(importance.T))),
        informativeness=float(np.mean([score for _, score in predictions])),
    )


class _Factor(NamedTuple):
    """A factor: its codes 0, 1, ... for classes, or its values."""

    values: np.ndarray
    is_class: bool

    @classmethod
    def of(cls, name: str, values: np.ndarray) -> _Factor:
        if len(np.unique(values)) < 2:
            raise DataError(f"The factor {name!r} has the same value in every example. Leave it out.")
        if has_classes(values):
            return cls(np.unique(values, return_inverse=True)[1], True)
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise DataError(f"The factor {name!r} has neither classes nor finite numbers. Leave it out.")
        return cls(values.astype(np.float64), False)

    def information(self, binned: list[np.ndarray]) -> np.ndarray:
        """Return I(z_d; v) / H(v) of each dimension, sorted into bins, [D]."""
        own = self.values if self.is_class else _bins(self.values)
        return np.array([_information(own, other) for other in binned]) / _information(own, own)

    def alone(self, z: np.ndarray, halves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return how well each dimension alone predicts the factor in the second half, at least 0, [D]."""
        from sklearn.linear_model import LinearRegression
        from sklearn.metrics import balanced_accuracy_score, r2_score
        from sklearn.tree import DecisionTreeClassifier

        taught, tested = halves
        classes = len(np.unique(self.values)) if self.is_class else 2
        predictor = (
            DecisionTreeClassifier(max_leaf_nodes=2 * classes, class_weight="balanced", random_state=0)
            if self.is_class
            else LinearRegression()
        )
        measure = balanced_accuracy_score if self.is_class else r2_score
        fitted = (predictor.fit(column[taught, np.newaxis], self.values[taught]) for column in z.T)
        columns = (column[tested, np.newaxis] for column in z.T)
        scores = [measure(self.values[tested], each.predict(x)) for each, x in zip(fitted, columns, strict=True)]
        return np.maximum(scores, 0)

    def forest(self, z: np.ndarray, halves: tuple[np.ndarray, np.ndarray], seed: int) -> tuple[np.ndarray, float]:
        """Return the importance of each dimension for a random forest, [D], and its score in the second half."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        taught, tested = halves
        family = RandomForestClassifier if self.is_class else RandomForestRegressor
        found = family(TREES, min_samples_leaf=LEAF, max_features=None, random_state=seed)
        found.fit(z[taught], self.values[taught])
        return found.feature_importances_, max(float(found.score(z[tested], self.values[tested])), 0.0)


def _bins(values: np.ndarray) -> np.ndarray:
    """Return the bin of each value, from 0, of at most 20 bins with equal counts. Values that vary have two or more."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    ties = edges[0] == values.min()  # a frequent smallest value has a bin of its own
    return np.searchsorted(edges, values, side="left" if ties else "right")


def _information(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mutual information of two columns of codes, in nats. That of a column with itself is its entropy."""
    joint = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(joint, (first, second), 1 / len(first))
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    held = joint > 0
    return float(np.sum(joint[held] * np.log(joint[held] / independent[held])))


def _gap(scores: np.ndarray) -> float:
    """Return the best score minus the second best, or minus 0 if there is one only."""
    *_, second, best = np.sort(np.append(scores, 0.0))
    return float(best - second)


def _concentration(importance: np.ndarray) -> np.ndarray:
    """Return 1 minus the entropy of each row [R, C] as a share of log C: 1 if one entry has all, 0 if all are alike."""
    totals = importance.sum(axis=1, keepdims=True)
    rows = np.where(totals > 0, importance / np.maximum(totals, 1e-12), 1 / importance.shape[1])
    logarithms = np.log(np.where(rows > 0, rows, 1))
    return np.asarray(1 + np.sum(rows * logarithms, axis=1) / np.log(max(importance.shape[1], 2)))
