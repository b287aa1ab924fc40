"""The models whose log p(x) is estimated: their data, their training and their held-out examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

import tfp_vae as tv
from tfp_vae.core.supports import BINARY
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import BINARIZATIONS, transform_held_out

EXAMPLES = 50
"""Number of test examples of each model, which form one batch."""

EXAMPLES_SEED = 0
"""Seed of the random choice of held-out examples, which is the same for every method."""


def digit_counts() -> Dataset:
    """Return the digits of scikit-learn as counts from 0 to 16."""
    from sklearn.datasets import load_digits

    return tv.data.load(load_digits().images.astype(np.int64), scaling="none")


def breast_cancer() -> Dataset:
    """Return 569 rows of 30 positive numbers, standardized."""
    from sklearn.datasets import load_breast_cancer

    return tv.data.load(load_breast_cancer().data, scaling="standard")


MADE: dict[str, Callable[[], Dataset]] = {"digit counts": digit_counts, "breast cancer": breast_cancer}
"""Data sets that come with scikit-learn, by name. All other names are those of `tv.data.load`."""


@final
@dataclass(frozen=True)
class Case:
    """A model, its data, and the length of its training.

    name: names the case, and its run.
    source: a name from `MADE`, or a data set of `tv.data.load`.
    latent_dim: the dimension of z.
    epochs: the length of the training, with Adam at 1e-3 along a cosine.
    likelihood, posterior, hidden, encoder: see `tv.build`.
    annealing: the steps and the chains of annealing.
    """

    name: str
    source: str
    latent_dim: int
    epochs: int
    likelihood: str = "bernoulli"
    posterior: str = "diagonal-normal"
    hidden: tuple[int, ...] = (128,)
    encoder: str | None = None
    annealing: tuple[int, int] = (500, 8)

    def data(self, data_dir: str | None) -> Dataset:
        """Return the data set."""
        return MADE[self.source]() if self.source in MADE else tv.data.load(self.source, data_dir=data_dir)

    def vae(self, runs: Path, data_dir: str | None) -> tv.VAE:
        """Return the trained model. If the folder of runs does not hold it, it is trained and saved there."""
        folder = runs / self.name.replace(" ", "-").lower()
        if folder.exists():
            return tv.load(folder)
        data = self.data(data_dir)
        vae = tv.build(
            data,
            latent_dim=self.latent_dim,
            likelihood=self.likelihood,
            posterior=self.posterior,
            encoder=self.encoder,
            hidden=self.hidden,
        )
        tv.fit(vae, data, epochs=self.epochs, lr_schedule="cosine", objective=self.objective)
        tv.save(vae, folder)
        return vae

    @property
    def objective(self) -> str:
        """The bound to maximize. Without a closed-form rate it is an estimate."""
        normal = self.posterior in {"diagonal-normal", "full-covariance-normal"}
        return "elbo" if normal else "monte-carlo-elbo"

    def examples(self, count: int, data_dir: str | None, vae: tv.VAE) -> np.ndarray:
        """Return random test examples as the model sees them, at most `count`. Fewer are the first of more.

        Grey values are binarized once.
        """
        test = self.data(data_dir).test
        way = "dynamic" if vae.decoder.likelihood.support is BINARY else "none"
        x = transform_held_out(test, BINARIZATIONS.resolve(way)).x
        order = np.random.default_rng(EXAMPLES_SEED).permutation(len(x))
        return np.asarray(x[order[:count]])


MNIST = "MNIST 50"
"""The case of the section about dynamically binarized MNIST in docs/benchmarks.md."""

CASES = (
    Case("digits 2", "digits", 2, 100),
    Case("digits full", "digits", 10, 150, posterior="full-covariance-normal"),
    Case("table", "breast cancer", 5, 300, "normal"),
    Case(MNIST, "mnist", 50, 200, hidden=(200, 200), annealing=(300, 8)),
    Case("digits poor", "digits", 20, 150, encoder="mlp:hidden=8"),
    Case("counts flow", "digit counts", 8, 150, "negative-binomial", "inverse-autoregressive-flow"),
    Case("static MNIST 100", "binarized-mnist", 100, 20, hidden=(200, 200), annealing=(300, 8)),
    Case("MNIST flow", "mnist", 20, 10, posterior="real-nvp", hidden=(200, 200), annealing=(300, 8)),
)
"""Eight models. The encoder of `digits poor` has one layer of eight units."""
