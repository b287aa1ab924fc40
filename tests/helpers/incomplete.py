"""Models of tables with missing cells whose conditional distributions are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
import tensorflow as tf
from scipy import special

from tests.helpers.oracles import LinearGaussian
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import Missingness, Random
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal

POINT_MEMBERS = {
    "normal": "normal:scale=per-element",
    "fixed": "normal:scale=0.8",
    "log-normal": "log-normal",
    "laplace": "laplace",
    "student-t": "student-t",
    "categorical": "categorical:levels=3",
    "ordinal": "ordinal:levels=4",
    "bernoulli": "bernoulli",
    "poisson": "poisson",
    "negative-binomial": "negative-binomial",
    "inflated": "inflated-negative-binomial:at=0,5",
}
"""A likelihood of each kind that may mask itself."""


@final
class IncompleteGaussian:
    """The rows of `LinearGaussian` with missing cells: x ~ N(b, W W^T + scale^2 I), one Normal for each column.

    The encoder knows E[z|x_observed] and the marginal variances of z. It ignores their correlations.
    """

    def __init__(self, dtype: str = "float64") -> None:
        self.full = LinearGaussian(dtype)
        self.covariance = self.full.weights @ self.full.weights.T + self.full.scale**2 * np.eye(self.full.size)

    def vae(
        self,
        widen: float = 1.2,
        log_scale: tuple[float, ...] | None = None,
        missingness: Callable[[Columns], Missingness] = Random,
    ) -> VAE:
        """Return the model, with scales of q(z|x) that are `widen` times the exact ones."""
        full, posterior = self.full, DiagonalNormal(self.full.latent_dim)
        columns = {f"c{j}": f"normal:scale={full.scale}" for j in range(full.size)}
        likelihood = Columns(columns, dtype=full.dtype, missing=True, log_scale=log_scale)
        w = full.weights

        def encode(features: Any) -> Any:
            x, mask = tf.split(tf.cast(features, tf.float64), 2, axis=-1)
            precision = np.eye(full.latent_dim) + tf.einsum("bj,jd,je->bde", mask, w, w) / full.scale**2
            covariance = tf.linalg.inv(precision)
            loc = tf.einsum("bde,je,bj->bd", covariance, w, mask * (x - full.offset)) / full.scale**2
            scale = widen * tf.sqrt(tf.linalg.diag_part(covariance)) - posterior.scale_floor
            return tf.cast(tf.concat([loc, tf.math.log(tf.math.expm1(scale))], axis=-1), features.dtype)

        def decode(z: Any) -> Any:
            return tf.matmul(z, tf.cast(w.T, z.dtype)) + tf.cast(full.offset, z.dtype)

        return VAE(
            Encoder(Fixed(encode), posterior, sees=likelihood),
            Decoder(Fixed(decode), likelihood, missingness(likelihood)),
            StandardNormal(full.latent_dim, full.dtype),
        )

    def data(self, n: int, share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
        """Return n rows, and the same rows with a share of their cells missing."""
        x = self.full.data(n)
        holes = np.random.default_rng(23).random(x.shape) < share
        return x, np.where(holes, np.nan, x)

    def conditional(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the covariance of the missing cells of a row, given the others."""
        hidden, seen = np.isnan(row), ~np.isnan(row)
        gain = np.linalg.solve(self.covariance[np.ix_(seen, seen)], self.covariance[np.ix_(seen, hidden)]).T
        mean = self.full.offset[hidden] + gain @ (row[seen] - self.full.offset[seen])
        return mean, self.covariance[np.ix_(hidden, hidden)] - gain @ self.covariance[np.ix_(seen, hidden)]

    def moments(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the conditional means and standard deviations of all missing cells, NaN elsewhere, [N, C] each."""
        mean, deviation = np.full(rows.shape, np.nan), np.full(rows.shape, np.nan)
        for i, row in enumerate(rows):
            mean[i, np.isnan(row)], covariance = self.conditional(row)
            deviation[i, np.isnan(row)] = np.sqrt(np.diag(covariance))
        return mean, deviation


@final
class TwoWords:
    """Two columns of words that depend on each other.

    z ~ N(0, 1), and the logits of all columns are linear in z. Gauss and Hermite's rule gives the table of p(x).
    """

    def __init__(self, levels: tuple[int, int] = (3, 4)) -> None:
        self.levels = levels
        draw = np.random.default_rng(29)
        self.slope, self.start = 1.5 * draw.normal(size=(2, sum(self.levels)))

    def vae(self) -> VAE:
        """Return the model, with the prior as encoder."""
        columns = {f"w{i}": f"categorical:levels={count}" for i, count in enumerate(self.levels)}
        likelihood = Columns(columns, dtype="float64", missing=True)

        def encode(features: Any) -> Any:
            s = np.log(np.expm1(1 - DiagonalNormal(1).scale_floor))
            return tf.zeros_like(features[:, :2]) + np.array([0.0, s])

        def decode(z: Any) -> Any:
            return z * self.slope + self.start

        return VAE(
            Encoder(Fixed(encode), DiagonalNormal(1), sees=likelihood),
            Decoder(Fixed(decode), likelihood),
            StandardNormal(1, "float64"),
        )

    def table(self) -> np.ndarray:
        """Return p(first, second), one row for each word of the first column."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(100)
        logits = nodes[:, np.newaxis] * self.slope + self.start
        first, second = (special.softmax(part, axis=-1) for part in np.split(logits, [self.levels[0]], axis=-1))
        return np.einsum("s,sa,sb->ab", weights / weights.sum(), first, second)
