"""Training with self-masking: how far imputed cells lie from hidden ones."""

from __future__ import annotations

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.oracles import LinearGaussian
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import Missingness, Random, SelfMasking

HALF = ("c0", "c1")
"""The columns whose larger values are hidden."""


def errors(kind: type[Missingness], **settings: object) -> np.ndarray:
    """Return the imputed minus the true values of all hidden cells, after training."""
    full = LinearGaussian("float32").data(400)
    x = (full - full.mean(axis=0)) / full.std(axis=0)
    hidden = (x > 0) & (np.arange(x.shape[1]) < len(HALF))
    rows = np.where(hidden, np.nan, x).astype(np.float32)
    table = Columns({f"c{j}": "normal:scale=per-element" for j in range(x.shape[1])}, missing=True)
    posterior = tv.posteriors.DiagonalNormal(3)
    encoder = tv.networks.mlp((table.features_size,), posterior.params_size, hidden=(32,), seed=0)
    decoder = tv.networks.mlp((3,), table.params_size, hidden=(32,), seed=1)
    vae = tv.VAE(
        tv.Encoder(encoder, posterior, table),
        tv.Decoder(decoder, table, kind(table, **settings)),
        tv.priors.StandardNormal(3),
    )
    objective = tv.objectives.IWAE(mc_samples=20)
    tv.fit(vae, rows, objective, epochs=120, batch_size=100, learning_rate=3e-3, execution="graph")
    found = tv.evaluation.impute(vae, rows, iw_samples=500, interval=None, execution="graph")
    return np.asarray((found.values - x)[hidden])


@pytest.mark.slow
def test_self_masking_reduces_the_bias_of_cells_that_hide_because_they_are_large() -> None:
    random, learned = errors(Random), errors(SelfMasking, columns=HALF)
    known = errors(SelfMasking, columns=HALF, hides="high")
    assert random.mean() < -0.5  # because only the smaller values are seen
    for found in (learned, known):
        assert abs(found.mean()) < 0.5 * abs(random.mean())
        assert np.sqrt(np.mean(found**2)) < 0.85 * np.sqrt(np.mean(random**2))
