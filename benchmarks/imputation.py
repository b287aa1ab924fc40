"""Imputation of standard tables with half of their cells hidden, next to scikit-learn's imputers.

`python -m benchmarks.imputation` hides the cells as the authors of MIWAE did, trains a VAE on the rest, and prints the
errors of the hidden cells in standard deviations of their columns. No method sees a hidden cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import click
import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # scikit-learn hides the imputer without it
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import scale

import tfp_vae as tv

__all__ = ["TABLES", "Case", "Result", "breast_cancer", "impute_by_vae", "main", "wine"]


class Case(NamedTuple):
    """A table with hidden cells.

    full: the standardized rows, [N, C].
    holes: the same rows with NaN in the hidden cells, [N, C].
    """

    full: np.ndarray
    holes: np.ndarray


class Result(NamedTuple):
    """How well a method imputes the hidden cells.

    mse: the mean squared error, in variances of the columns.
    coverage: the share of hidden cells in their 90% interval. NaN without intervals.
    seconds: training and imputation.
    """

    mse: float
    coverage: float
    seconds: float


def breast_cancer() -> Case:
    """Return scikit-learn's breast cancer data with the half of the cells hidden that MIWAE's notebook hides."""
    x = load_breast_cancer().data
    full = (x - x.mean(axis=0)) / x.std(axis=0)
    np.random.seed(1234)  # the generator of the notebook
    hidden = np.random.choice(full.size, full.size // 2, replace=False)
    holes = full.ravel().copy()
    holes[hidden] = np.nan
    return Case(full, holes.reshape(full.shape))


def wine() -> Case:
    """Return scikit-learn's wines with about half of the cells hidden."""
    full = scale(load_wine().data)
    np.random.seed(42)
    return Case(full, np.where(np.random.rand(*full.shape) < 0.5, np.nan, full))


TABLES: dict[str, Callable[[], Case]] = {"breast_cancer": breast_cancer, "wine": wine}
"""The tables by name."""

IMPUTERS = {
    "mean": SimpleImputer,
    "nearest neighbours": KNNImputer,
    "iterative, Bayesian ridge": lambda: IterativeImputer(random_state=0, max_iter=20),
}
"""scikit-learn's imputers by name."""


def build_vae(columns: int) -> tv.VAE:
    """Return a VAE with one Normal for each column, before training."""
    likelihood = tv.likelihoods.Columns({f"c{j}": "normal:scale=per-element" for j in range(columns)})
    posterior, hidden = tv.posteriors.DiagonalNormal(10), (128, 128)
    encoder = tv.networks.mlp((likelihood.features_size,), posterior.params_size, hidden=hidden, seed=0)
    decoder = tv.networks.mlp((10,), likelihood.params_size, hidden=hidden, seed=1)
    return tv.VAE(
        tv.Encoder(encoder, posterior, sees=likelihood), tv.Decoder(decoder, likelihood), tv.priors.StandardNormal(10)
    )


def impute_by_vae(case: Case) -> Result:
    """Return the errors of a VAE that is trained on the observed cells with MIWAE's bound of 20 samples."""
    started = time.perf_counter()
    x, hidden = case.holes.astype(np.float32), np.isnan(case.holes)
    vae = build_vae(x.shape[1])
    tv.fit(vae, x, tv.objectives.IWAE(mc_samples=20), epochs=200, batch_size=64, seed=0)
    found = tv.evaluation.impute(vae, x, iw_samples=2_000)
    inside = (found.low <= case.full) & (case.full <= found.high)
    mse = float(np.mean((found.values - case.full)[hidden] ** 2))
    return Result(mse, float(np.mean(inside[hidden])), time.perf_counter() - started)


def impute_by_sklearn(case: Case, name: str) -> Result:
    """Return the errors of one of `IMPUTERS`."""
    started, hidden = time.perf_counter(), np.isnan(case.holes)
    found = IMPUTERS[name]().fit_transform(case.holes)
    return Result(float(np.mean((found - case.full)[hidden] ** 2)), np.nan, time.perf_counter() - started)


@click.command()
def main() -> None:
    """Compare imputers on tables with half of their cells hidden, and print a table. It takes some minutes."""
    click.echo("| table | method | MSE | RMSE | cells in their 90% interval | seconds |\n|---|---|---|---|---|---|")
    for table, make in TABLES.items():
        case = make()
        results = {name: impute_by_sklearn(case, name) for name in IMPUTERS} | {"tfp_vae": impute_by_vae(case)}
        for name, (mse, coverage, seconds) in results.items():
            share = "" if np.isnan(coverage) else f"{coverage:.1%}"
            click.echo(f"| {table} | {name} | {mse:.4f} | {mse**0.5:.4f} | {share} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
