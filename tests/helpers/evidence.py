"""Made-up evidence for tests of scores."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import tensorflow as tf

from tfp_vae.evaluation.anomalies import Evidence
from tfp_vae.evaluation.importance import Estimates
from tfp_vae.model.likelihoods import Likelihood
from tfp_vae.model.missingness import Missingness, Random
from tfp_vae.model.vae import VAE


def evidence_of(log_px: np.ndarray, distortion: np.ndarray, surprise: np.ndarray | None = None) -> Evidence:
    """Return evidence with these values of log p(x) and distortion, [N] each."""
    zeros = np.zeros(len(log_px))
    known = {"log_likelihood": log_px, "distortion": distortion}
    return Evidence(zeros[:, np.newaxis], Estimates(*(known.get(name, zeros) for name in Estimates._fields)), surprise)


def model_of(likelihood: Likelihood, missingness: Missingness | None = None) -> VAE:
    """Return the parts of a model that a background needs."""
    decoder = SimpleNamespace(likelihood=likelihood, missingness=missingness or Random(likelihood))
    return cast("VAE", SimpleNamespace(decoder=decoder, dtype=tf.float32))
