"""How faithful the synthetic rows of a mixed table are: marginals, associations, a classifier, and exact copies.

Synthetic rows have no missing cells. Before a comparison, each gets the missing cells of a real row, because a
classifier could tell the rows apart by their holes alone.

References:
  Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.schema.columns import LEVEL_KINDS
from tfp_vae.runs.config import DataConfig

__all__ = [
    "Fidelity",
    "associations",
    "classifier_auroc",
    "compare_rows",
    "compare_samples",
    "marginal_distances",
    "share_of_copies",
]

MOST_ROWS = 10_000
"""The most rows of each kind that are compared. More take longer and change little."""

FOLDS = 5
"""The number of parts of the rows. A classifier learns from all parts except one, and is tested on that one."""

FEWEST_ROWS = 2 * FOLDS
"""The fewest rows of each kind that a classifier can be tested on."""


@check_keywords
class Fidelity(NamedTuple):
    """The differences between synthetic and real rows.

    distances: for each column the greatest difference of the two cumulative distributions, or for words half the sum
      of the differences of their frequencies. 0 is the same, 1 entirely different. [C]
    real, synthetic: the associations of all pairs of columns, [C, C], see `associations`.
    auroc: the area under the ROC curve of a classifier that tells synthetic rows from real ones. 0.5 is chance, and 1
      means that it tells all of them. NaN if there are too few rows.
    copies: the share of synthetic rows that equal a training row.
    real_copies: the share of held-out rows that do, for comparison. NaN without held-out rows.
    """

    distances: np.ndarray
    real: np.ndarray
    synthetic: np.ndarray
    auroc: float
    copies: float
    real_copies: float

    def summary(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the figures as a JSON object. A figure that is not known is None, with the reason.

        Args:
          names: the names of the columns.
        """
        pairs = np.triu_indices(len(names), 1)
        gaps = np.abs(self.real - self.synthetic)[pairs]
        return {
            "marginal_distance": {name: float(distance) for name, distance in zip(names, self.distances, strict=True)},
            "association_difference": float(gaps.mean()) if len(gaps) else 0.0,
            "largest_association_difference": float(gaps.max(initial=0.0)),
            **figure_or_reason("auroc", self.auroc, f"fewer than {FEWEST_ROWS} samples or rows"),
            "copies": self.copies,
            **figure_or_reason("real_copies", self.real_copies, "the data have no held-out rows"),
        }


def figure_or_reason(name: str, value: float, reason: str) -> dict[str, float | str | None]:
    """Return a figure by its name. NaN becomes None, with the reason."""
    return {name: None, f"{name}_reason": reason} if np.isnan(value) else {name: value}


@check_keywords
def compare_samples(data: DataConfig, dataset: Dataset, x: np.ndarray, *, seed: int = 0) -> Fidelity:
    """Return the differences between samples of a run and the rows of its table.

    Both are rounded to the decimals, whole numbers and words of the columns, and clipped to their ranges.

    Args:
      data: the config of the run's data, which are a table.
      dataset: these data, from `recipe.reload`.
      x: samples as a model returns them, [N, C].
      seed: see `compare_rows`.
    """
    schema = data.reading.table
    kinds = [] if schema is None else [column.kind for column in schema.modelled]
    words = np.array([kind in LEVEL_KINDS for kind in kinds] or [False] * x.shape[1])

    def rows(values: np.ndarray) -> np.ndarray:
        natural = data.unscaled(values)
        if schema is None:
            return natural
        columns = zip(schema.modelled, natural.T, strict=True)
        return np.stack([column.encode(column.decode(numbers)) for column, numbers in columns], axis=1)

    held_out = np.concatenate([rows(split.x) for split in (dataset.validation, dataset.test)])
    return compare_rows(rows(x), rows(dataset.train.x), held_out, words=words, seed=seed)


@check_keywords
def compare_rows(
    synthetic: np.ndarray, train: np.ndarray, held_out: np.ndarray, *, words: np.ndarray, seed: int = 0
) -> Fidelity:
    """Return the differences between synthetic rows and real ones, in the units of the data.

    The real rows are the held-out ones, so a model that repeats its training rows gains nothing. If there are too few
    of them for a classifier, they are the training rows.

    ```python
    from tfp_vae.runs.tables.fidelity import compare_rows

    rows = np.random.default_rng(0).normal(size=(300, 2))
    found = compare_rows(rows[:100], rows[100:200], rows[200:], words=np.array([False, False]))
    found.auroc, found.copies  # about 0.5, and 0.0
    ```

    Args:
      synthetic: samples, [N, C].
      train, held_out: real rows [M, C], in which NaN is a missing cell.
      words: whether each column holds words, [C].
      seed: decides which rows are compared if there are more than 10,000, and on the folds of the classifier.

    Raises:
      DataError: there are no rows to compare.
    """
    if not len(synthetic) or not len(train):
        raise DataError("fidelity: expected synthetic rows and training rows, found none.")
    draw = generator(FIXED_SEED, Purpose.SUBSET, seed)
    real = held_out if len(held_out) >= FEWEST_ROWS else train
    real, made = (rows[draw.permutation(len(rows))[:MOST_ROWS]] for rows in (real, synthetic))
    holes = np.isnan(real)[draw.permutation(max(len(real), len(made)))[: len(made)] % len(real)]
    made = np.where(holes, np.nan, made)
    few = min(len(real), len(made)) < FEWEST_ROWS
    return Fidelity(
        marginal_distances(real, made, words),
        associations(real, words),
        associations(made, words),
        float("nan") if few else classifier_auroc(real, made, words, seed),
        share_of_copies(synthetic, train),
        share_of_copies(held_out, train) if len(held_out) else float("nan"),
    )


def marginal_distances(real: np.ndarray, made: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the distance of the distributions of each column, [C], see `Fidelity`. Columns without cells have 0."""
    distances = np.zeros(real.shape[1])
    for place, is_word in enumerate(words):
        first, second = (rows[~np.isnan(rows[:, place]), place] for rows in (real, made))
        if not len(first) or not len(second):
            continue
        values = np.unique(np.concatenate([first, second]))
        shares = [
            np.bincount(np.searchsorted(values, each), minlength=len(values)) / len(each) for each in (first, second)
        ]
        gaps = shares[0] - shares[1]
        distances[place] = np.abs(gaps).sum() / 2 if is_word else np.abs(np.cumsum(gaps)).max()
    return distances


def associations(rows: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the strength of the association of each pair of columns, from 0 to 1, [C, C].

    It is Spearman's |rho| for two columns of numbers, Cramer's V for two of words, and for one of each the correlation
    ratio of the ranks.

    Args:
      rows: [N, C], in which NaN is a missing cell. Pairs with one are left out, or count as average numbers.
      words: whether each column holds words, [C].
    """
    found = np.eye(rows.shape[1])
    numbers, texts = np.flatnonzero(~words), np.flatnonzero(words)
    ranks = (
        np.stack([standard_ranks(rows[:, place]) for place in numbers], axis=1) if len(numbers) else np.zeros([0, 0])
    )
    if len(numbers):
        found[np.ix_(numbers, numbers)] = np.abs(ranks.T @ ranks) / len(rows)
    codes = [np.unique(np.where(np.isnan(rows[:, place]), -1, rows[:, place]), return_inverse=True) for place in texts]
    for i, (values, code) in zip(range(len(texts)), codes, strict=True):
        seen = values[code] >= 0
        if len(numbers):
            sums = np.stack([np.bincount(code[seen], column[seen], len(values)) for column in ranks.T])
            sizes = np.maximum(np.bincount(code[seen], minlength=len(values)), 1)
            ratio = np.sqrt(np.clip((sums**2 / sizes).sum(axis=1) / max(1, seen.sum()), 0, 1))
            found[texts[i], numbers] = found[numbers, texts[i]] = ratio
        for j in range(i):
            found[texts[i], texts[j]] = found[texts[j], texts[i]] = cramers_v(*codes[i], *codes[j])
    np.fill_diagonal(found, 1.0)
    return np.clip(found, 0.0, 1.0)


def standard_ranks(column: np.ndarray) -> np.ndarray:
    """Return the ranks of numbers [N] with mean 0 and variance 1. Ties share one, and missing cells have 0."""
    seen = ~np.isnan(column)
    ranks = np.zeros(len(column))
    _, codes, counts = np.unique(column[seen], return_inverse=True, return_counts=True)
    ranks[seen] = (np.cumsum(counts) - counts / 2)[codes]
    ranks[seen] -= ranks[seen].mean() if seen.any() else 0.0
    spread = np.sqrt(np.mean(ranks**2))
    return np.asarray(ranks / spread if spread > 0 else ranks)


def cramers_v(values: np.ndarray, codes: np.ndarray, other_values: np.ndarray, other_codes: np.ndarray) -> float:
    """Return Cramer's V of two columns of words. Rows in which one of them is missing do not count.

    Args:
      values, codes: the different values of a column, with -1 for a missing one, and the index of each cell's value.
      other_values, other_codes: those of the other column.
    """
    seen = (values[codes] >= 0) & (other_values[other_codes] >= 0)
    pairs = np.bincount(codes[seen] * len(other_values) + other_codes[seen], minlength=len(values) * len(other_values))
    table = pairs.reshape(len(values), len(other_values)).astype(np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    least = min(table.shape) - 1 if table.size else 0
    if least < 1:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / (table.sum() * least)))


def classifier_auroc(real: np.ndarray, made: np.ndarray, words: np.ndarray, seed: int = 0) -> float:
    """Return the AUROC of boosted trees that tell synthetic rows from real ones, tested on rows that they did not see.

    Args:
      real, made: rows [N, C]. As many of each are used as the smaller number.
      words: whether each column holds words, [C].
      seed: of the folds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    count = min(len(real), len(made))
    x = np.concatenate([real[:count], made[:count]])
    y = np.repeat([0, 1], count)
    few_words = [
        bool(is_word) and len(np.unique(column)) <= MOST_WORDS for is_word, column in zip(words, x.T, strict=True)
    ]
    for place in np.flatnonzero(few_words):  # as codes 0, 1, 2 and so on, which the trees split as a set
        seen = ~np.isnan(x[:, place])
        x[seen, place] = np.unique(x[seen, place], return_inverse=True)[1]
    trees = HistGradientBoostingClassifier(categorical_features=few_words, random_state=seed, max_iter=100)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1, user_api="openmp"):  # more threads wait for each other, at each of many small steps
        scores = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, scores))


MOST_WORDS = 250
"""The most different words of a column that the trees split as a set. Others count as numbers."""


def share_of_copies(rows: np.ndarray, train: np.ndarray) -> float:
    """Return the share of rows [N, C] that equal a training row [M, C] in every cell. Missing cells are equal."""
    known = {row.tobytes() for row in np.nan_to_num(train.astype(np.float64), nan=-np.inf) + 0.0}
    return float(np.mean([row.tobytes() in known for row in np.nan_to_num(rows.astype(np.float64), nan=-np.inf) + 0.0]))
