"""Backgrounds: simple models of what is common to all rows, against which log p(x) is compared.

A VAE gives a plain image a high log p(x), because every model does: it has little to explain. The ratio to a simple
model cancels what both explain equally well.

References:
  Ren et al. (2019), Likelihood ratios for out-of-distribution detection.
  Serra et al. (2020), Input complexity and out-of-distribution detection with likelihood-based generative models.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import compile_function
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.core.types import Tensor, Variable
from tfp_vae.evaluation.anomalies.base import State
from tfp_vae.model.likelihoods import Likelihood

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["BACKGROUNDS", "Background", "Complexity", "Independent"]

MOST_ROWS = 2_000
"""Most training rows that a background is fitted to."""

MOST_STEPS = 200
"""Most steps of the optimizer."""

ROWS_AT_ONCE = 256
"""Rows whose density is computed at once."""

LEVELS = 255
"""Values are rounded to this many steps between the extremes of the training data before they are compressed."""


class Background(abc.ABC):
    """A simple model of rows."""

    def check(self, vae: VAE) -> None:
        """Raise UsageError if this background does not apply to a model."""
        del vae

    @abc.abstractmethod
    def fit(self, vae: VAE, train: np.ndarray) -> State:
        """Return what the background learns from training rows, [M, *event_shape]."""

    @abc.abstractmethod
    def log_prob(self, vae: VAE, x: np.ndarray, state: State) -> np.ndarray:
        """Return the log-probability of each row of x [N, *event_shape] under the background, in nats, [N]."""


@final
@record
class Independent(Background):
    """The decoder's likelihood with one value of its parameters for all z, so that elements are independent.

    It is fitted by maximum likelihood, with a weak pull towards the likelihood's initial parameters, which have the
    mean of the data. So a pixel that is always 0 does not get a probability of exactly 1.

    If log p(x) includes which cells are missing, so does the background, with the model's own p(mask|x).
    """

    def fit(self, vae: VAE, train: np.ndarray) -> State:
        """Return the parameters of the likelihood, and the values of the variables that it learns itself."""
        from scipy.optimize import minimize

        chosen = generator(FIXED_SEED, Purpose.SUBSET, 3).permutation(len(train))[:MOST_ROWS]
        x = tf.constant(train[np.sort(chosen)], vae.dtype)
        likelihood = own_likelihood(vae)
        params, variables = tf.Variable(initial_params(likelihood, np.asarray(x)), dtype=vae.dtype), likelihood.learned
        every = [params, *variables]
        start = np.concatenate([np.ravel(each.numpy()) for each in every]).astype(np.float64)
        weight = 1 / (2 * len(chosen))

        def loss_and_slopes() -> tuple[Tensor, list[Tensor]]:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(vae.decoder.missingness(likelihood(params)).log_prob(x))
            return loss, tape.gradient(loss, every, unconnected_gradients="zero")

        compiled = compile_function(loss_and_slopes, "graph")

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            assign(every, flat)
            loss, slopes = compiled()
            slope = np.concatenate([np.ravel(np.asarray(each)) for each in slopes]).astype(np.float64)
            pull = flat - start
            return float(np.asarray(loss)) + weight * float(pull @ pull), slope + 2 * weight * pull

        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}).x
        return {"parameters": found}

    def log_prob(self, vae: VAE, x: np.ndarray, state: State) -> np.ndarray:
        """Return the log-probability of each row, [N]."""
        likelihood = own_likelihood(vae)
        params = tf.Variable(np.zeros(likelihood.params_size), dtype=vae.dtype)
        assign([params, *likelihood.learned], state["parameters"])
        p = vae.decoder.missingness(likelihood(params))
        starts = range(0, len(x), ROWS_AT_ONCE)
        parts = [p.log_prob(tf.constant(x[start : start + ROWS_AT_ONCE], vae.dtype)) for start in starts]
        return np.concatenate([np.asarray(part, np.float64) for part in parts])


def own_likelihood(vae: VAE) -> Likelihood:
    """Return a likelihood like that of a model, with variables of its own."""
    likelihood = vae.decoder.likelihood
    if not likelihood.learned:
        return likelihood
    if dataclasses.is_dataclass(likelihood):
        return dataclasses.replace(likelihood)
    return copy.deepcopy(likelihood)


def initial_params(likelihood: Likelihood, x: np.ndarray) -> np.ndarray:
    """Return parameters at which elements have about the distribution of the rows x, [params_size]."""
    marginals = getattr(likelihood, "initial_marginals", None)
    if marginals is not None:
        return np.asarray(marginals(x))
    return likelihood.initial_params(x.mean(axis=0))


def assign(variables: Sequence[Variable], flat: np.ndarray) -> None:
    """Set variables to the numbers of one array."""
    start = 0
    for variable in variables:
        size = math.prod(variable.shape)
        variable.assign(flat[start : start + size].reshape(variable.shape))
        start += size


@final
@record
class Complexity(Background):
    """The length of an image after compression: log p = -bits log 2, for the best of three PNG filters and deflate.

    Plain images are short, and noise is long. The code has a fixed overhead, which no rank of scores notices.
    """

    def check(self, vae: VAE) -> None:
        """Raise UsageError if examples are no images."""
        shape = tuple(map(int, vae.decoder.likelihood.event_shape))
        if len(shape) != 3:
            raise UsageError(
                f"`background=complexity` needs images, but an example has the shape {'x'.join(map(str, shape))}. Use "
                "`background=independent`."
            )

    def fit(self, vae: VAE, train: np.ndarray) -> State:
        """Return the extremes of the training data."""
        return {"range": np.array([train.min(), train.max()], np.float64)}

    def log_prob(self, vae: VAE, x: np.ndarray, state: State) -> np.ndarray:
        """Return minus the compressed size of each image in nats, [N]."""
        low, high = state["range"]
        scaled = LEVELS * (x - low) / max(high - low, np.finfo(float).tiny)
        images = np.clip(np.rint(scaled), 0, LEVELS).astype(np.uint8)
        return np.array([-8 * math.log(2) * compressed_size(image) for image in images])


def compressed_size(image: np.ndarray) -> int:
    """Return the bytes of an image uint8 [H, W, C] after the best of three filters: none, left and above."""
    filtered = [image, np.diff(image, axis=1, prepend=np.uint8(0)), np.diff(image, axis=0, prepend=np.uint8(0))]
    return min(len(zlib.compress(each.tobytes(), 9)) for each in filtered)


BACKGROUNDS: Mapping[str, type[Background]] = {"independent": Independent, "complexity": Complexity}
"""The backgrounds by name."""
