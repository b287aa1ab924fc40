"""Detectors of anomalies: a VAE and others, each with the settings that its library has by default."""

from __future__ import annotations

import importlib.util
import math
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, final

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from benchmarks.anomalies.tables import Case
from tfp_vae.interop.sklearn.outliers import FALSE_ALARMS

__all__ = ["DETECTORS", "NEEDS", "OURS", "Found", "Result", "available", "measure", "promise"]

OURS = "tfp_vae"

NEIGHBOURS = 5
"""The detector by distance averages over this many nearest rows, as published ones do."""

BANDWIDTHS, COMPONENTS, FOLDS = np.geomspace(0.05, 2, 12), (1, 2, 4, 8, 16), 3
"""Held-out rows of the training decide the bandwidth of the kernel density, and the components of the mixture."""

MOST_CORRELATED = 200
"""With more columns, the mixture has diagonal covariances only, because full ones would take hours."""


@final
class Found(NamedTuple):
    """The rows of a test, as a detector sees them.

    scores: high for anomalies, [M].
    alarms: whether the detector calls a row an anomaly, bool [M]. None if it promises no rate of false alarms.
    held_out: the number of held-out rows of the training that decide the threshold of the alarms.
    """

    scores: np.ndarray
    alarms: np.ndarray | None = None
    held_out: int = 0


@final
class Result(NamedTuple):
    """How well a detector finds the anomalies of a test.

    auroc: the probability that an anomaly has a higher score than a normal row, in per cent.
    false_alarms: the share of normal rows that it calls anomalies. None if it promises no rate.
    cpu_seconds: of training and scoring, over all threads.
    promised: the mean and the standard deviation of that share if normal rows are exchangeable, see `promise`.
    """

    auroc: float
    false_alarms: float | None
    cpu_seconds: float
    promised: tuple[float, float] | None = None


Detector: TypeAlias = "Callable[[np.ndarray, np.ndarray, int], Found]"
"""Learns from normal rows, and scores others: (train [N, C], test [M, C], seed)."""


def by_vae(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by our VAE with its defaults."""
    from tfp_vae.interop.sklearn import VAE

    model = VAE(random_state=seed).fit(train)
    scores = model.score_samples(test)
    held_out = model.fitted_.held_out
    return Found(-scores, scores < model.offset_, 0 if held_out is None else len(held_out))


def by_pyod_vae(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by the VAE of PyOD."""
    from pyod.models.vae import VAE

    return Found(VAE(random_state=seed, verbose=0, device="cpu").fit(train).decision_function(test))


def by_forest(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by how few random cuts isolate a row."""
    return Found(-IsolationForest(random_state=seed).fit(train).score_samples(test))


def by_local_factor(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by the local outlier factor. It has no random numbers."""
    return Found(-LocalOutlierFactor(novelty=True).fit(train).score_samples(test))


def by_one_class(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by a one-class support vector machine. It has no random numbers."""
    return Found(-OneClassSVM().fit(train).score_samples(test))


def by_mixture(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by a Gaussian mixture, whose number of components and covariances have the best held-out log p(x)."""
    components = [count for count in COMPONENTS if count <= len(train) // FOLDS]
    covariances = ["full", "diag"] if train.shape[1] <= MOST_CORRELATED else ["diag"]
    grid = {"n_components": components, "covariance_type": covariances}
    mixture = GaussianMixture(reg_covar=1e-3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of rounds is the default
        return Found(-GridSearchCV(mixture, grid, cv=FOLDS).fit(train).best_estimator_.score_samples(test))


def by_kernels(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by a kernel density, whose bandwidth has the best held-out log p(x)."""
    search = GridSearchCV(KernelDensity(), {"bandwidth": BANDWIDTHS}, cv=FOLDS).fit(train)
    return Found(-search.best_estimator_.score_samples(test))


def by_distance(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by the mean distance to the nearest rows of the training."""
    return Found(NearestNeighbors(n_neighbors=NEIGHBOURS).fit(train).kneighbors(test)[0].mean(axis=1))


def by_components(train: np.ndarray, test: np.ndarray, seed: int) -> Found:
    """Score by the squared distance from the mean in principal components, each divided by its variance."""
    components = PCA(random_state=seed).fit(train)
    variances = np.maximum(components.explained_variance_, 1e-9)
    return Found(np.sum(components.transform(test) ** 2 / variances, axis=1))


DETECTORS: dict[str, Detector] = {
    OURS: by_vae,
    "kNN distance": by_distance,
    "KernelDensity": by_kernels,
    "GaussianMixture": by_mixture,
    "LocalOutlierFactor": by_local_factor,
    "IsolationForest": by_forest,
    "PCA": by_components,
    "PyOD's VAE": by_pyod_vae,
    "OneClassSVM": by_one_class,
}
"""The detectors by name."""

NEEDS = {"PyOD's VAE": ("pyod", "torch")}
"""The packages of a detector that are seldom installed."""


def available() -> list[str]:
    """Return the detectors whose packages are installed."""
    return [name for name in DETECTORS if all(map(importlib.util.find_spec, NEEDS.get(name, ())))]


def promise(held_out: int, normal: int) -> tuple[float, float]:
    """Return the mean and the standard deviation of the share of false alarms among the normal rows of a test.

    The threshold is the k-th lowest of n held-out scores. If these and the m normal rows of the test are exchangeable,
    the number of false alarms has a beta-binomial distribution with parameters k and n + 1 - k. Its spread is that of
    the threshold, a beta distribution, and that of m rows.

    References:
      Bates, Candes, Lei, Romano and Sesia (2023), Testing for outliers with conformal p-values.
    """
    rate = max(1, math.floor(FALSE_ALARMS * (held_out + 1))) / (held_out + 1)
    return rate, math.sqrt(rate * (1 - rate) * (held_out + 1 + normal) / (normal * (held_out + 2)))


def measure(case: Case, detector: Detector, seed: int) -> Result:
    """Return how well a detector finds the anomalies of a test. Only this function sees the labels."""
    started = time.process_time()
    found = detector(case.train, case.test, seed)
    cpu_seconds = time.process_time() - started
    auroc = 100 * float(roc_auc_score(case.is_anomaly, found.scores))
    if found.alarms is None:
        return Result(auroc, None, cpu_seconds)
    alarms = found.alarms[~case.is_anomaly]
    return Result(auroc, float(np.mean(alarms)), cpu_seconds, promise(found.held_out, len(alarms)))
