"""The tables of ADBench, divided as in the comparison that published figures for them."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from sklearn.preprocessing import StandardScaler

__all__ = ["DETECTORS_PUBLISHED", "TABLES", "Case", "divide", "published_aurocs", "read"]

TABLES = (
    "annthyroid",
    "breastw",
    "cardio",
    "fault",
    "Hepatitis",
    "InternetAds",
    "Lymphography",
    "optdigits",
    "Pima",
    "satellite",
    "satimage-2",
    "SpamBase",
    "thyroid",
    "vertebral",
    "Waveform",
    "WBC",
    "WDBC",
    "Wilt",
    "wine",
    "yeast",
)
"""The tables, in the order of the published figures."""

DETECTORS_PUBLISHED = ("IForest", "KNN", "LOF", "OCSVM", "PCA", "VAE", "PlanarFlow", "DDPM", "DTE-NP", "best_of_26")
"""The detectors with published figures. The last one is the best of 26, chosen by the test itself."""


@final
class Case(NamedTuple):
    """A table, divided by one seed.

    train: half of the normal rows, standardized by their own mean and standard deviation, [N, C].
    test: all other rows, in the same units, [M, C].
    is_anomaly: whether a row of the test is an anomaly, bool [M].
    """

    train: np.ndarray
    test: np.ndarray
    is_anomaly: np.ndarray


@functools.lru_cache(maxsize=1)
def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a table, [N, C], and whether each is an anomaly, bool [N]."""
    with np.load(folder / f"{name}.npz") as file:
        return file["X"].astype(np.float64), file["y"].astype(bool)


def divide(folder: Path, name: str, seed: int) -> Case:
    """Return a table with a random half of its normal rows for training. The detectors never see a label."""
    x, is_anomaly = read(folder, name)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~is_anomaly))
    is_train = np.zeros(len(x), bool)
    is_train[normal[: len(normal) // 2]] = True
    scaler = StandardScaler().fit(x[is_train])
    return Case(scaler.transform(x[is_train]), scaler.transform(x[~is_train]), is_anomaly[~is_train])


def published_aurocs(folder: Path) -> dict[str, dict[str, float]]:
    """Return the published AUROCs in per cent, by table and by detector. Empty if the folder lacks them."""
    path = folder / "published.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["dataset"]: {name: float(row[name]) for name in DETECTORS_PUBLISHED} for row in csv.DictReader(file)
        }
