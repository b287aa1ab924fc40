"""Imputers: a VAE, and those of scikit-learn. No method sees a hidden cell."""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, final

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # scikit-learn hides the imputer without it
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import tfp_vae as tv
from benchmarks.imputation.cases import PROTOCOL, Case

__all__ = ["METHODS", "ONLY_FOR", "OURS", "WITHOUT_DROPOUT", "Filled", "Result", "measure"]

OURS, WITHOUT_DROPOUT = "tfp_vae", "tfp_vae without dropout"

LATENT_DIM, HIDDEN, DROPOUT = 10, (128, 128), 0.1
"""The model. With this dropout, held-out rows of breast cancer and wine had a greater bound than without.

The other numbers are those of the notebook of MIWAE's authors, whose model has no dropout.
"""

EPOCHS, MOST_STEPS, BATCH_SIZE = 200, 2_000, 64
"""The length of the training. Only the digits reach the limit of the steps."""

TRAINING_SAMPLES, IMPUTATION_SAMPLES = 20, 1_000
"""Importance samples of each row."""


@final
class Filled(NamedTuple):
    """A table without holes.

    values: the rows, [N, C].
    low, high: bounds of the 90% intervals of the hidden cells, [N, C] each, or None without intervals.
    """

    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@final
class Result(NamedTuple):
    """How well a method imputes the hidden cells.

    mse: the mean squared error, in variances of the columns.
    coverage: the share of hidden cells in their 90% interval. None without intervals.
    cpu_seconds: training and imputation, over all threads.
    """

    mse: float
    coverage: float | None
    cpu_seconds: float


def build_vae(columns: int, dropout: float) -> tv.VAE:
    """Return a VAE with one Normal for each column, before training."""
    likelihood = tv.likelihoods.Columns({f"c{j}": "normal:scale=per-element" for j in range(columns)})
    posterior = tv.posteriors.DiagonalNormal(LATENT_DIM)
    encoder = tv.networks.mlp(
        (likelihood.features_size,), posterior.params_size, hidden=HIDDEN, dropout=dropout, seed=0
    )
    decoder = tv.networks.mlp((LATENT_DIM,), likelihood.params_size, hidden=HIDDEN, dropout=dropout, seed=1)
    return tv.VAE(
        tv.Encoder(encoder, posterior, sees=likelihood),
        tv.Decoder(decoder, likelihood),
        tv.priors.StandardNormal(LATENT_DIM),
    )


def impute_by_vae(holes: np.ndarray, dropout: float = DROPOUT) -> Filled:
    """Impute by a VAE that is trained on the observed cells of all rows with MIWAE's bound."""
    x = holes.astype(np.float32)
    vae, steps = build_vae(x.shape[1], dropout), math.ceil(len(x) / BATCH_SIZE)
    objective = tv.objectives.IWAE(mc_samples=TRAINING_SAMPLES)
    epochs = min(EPOCHS, math.ceil(MOST_STEPS / steps))
    tv.fit(vae, x, objective, epochs=epochs, batch_size=BATCH_SIZE, execution="graph")
    found = tv.evaluation.impute(vae, x, iw_samples=IMPUTATION_SAMPLES, execution="graph")
    return Filled(found.values, found.low, found.high)


Imputer: TypeAlias = "SimpleImputer | KNNImputer | IterativeImputer"


def by_sklearn(make: Callable[[], Imputer]) -> Callable[[np.ndarray], Filled]:
    """Return a method that imputes by one of scikit-learn's imputers."""

    def impute(holes: np.ndarray) -> Filled:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of rounds is the method
            return Filled(make().fit_transform(holes))

    return impute


def iterate_trees() -> IterativeImputer:
    """Return the imputer that is like missForest, with few trees and rounds because it is by far the slowest."""
    trees = ExtraTreesRegressor(n_estimators=20, max_features="sqrt", random_state=0)
    return IterativeImputer(trees, max_iter=3, random_state=0)


METHODS: dict[str, Callable[[np.ndarray], Filled]] = {
    "mean": by_sklearn(SimpleImputer),
    "nearest neighbours": by_sklearn(KNNImputer),
    "iterative, Bayesian ridge": by_sklearn(lambda: IterativeImputer(random_state=0)),
    "iterative, extra trees": by_sklearn(iterate_trees),
    OURS: impute_by_vae,
    WITHOUT_DROPOUT: functools.partial(impute_by_vae, dropout=0.0),
}
"""The methods by name. Each fills in the NaN of a table."""

ONLY_FOR = {WITHOUT_DROPOUT: PROTOCOL}
"""The only mechanism for which a method is measured."""


def measure(case: Case, method: Callable[[np.ndarray], Filled]) -> Result:
    """Return how well a method imputes the hidden cells of a table."""
    started, hidden = time.process_time(), case.hidden
    filled = method(case.holes)
    cpu_seconds = time.process_time() - started
    coverage = None
    if filled.low is not None and filled.high is not None:
        inside = (filled.low <= case.full) & (case.full <= filled.high)
        coverage = float(np.mean(inside[hidden]))
    return Result(float(np.mean((filled.values - case.full)[hidden] ** 2)), coverage, cpu_seconds)
