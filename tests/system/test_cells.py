"""Simulated single-cell counts: the default settings find the clusters of cells, whatever their depth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import tfp_vae as tv

CELLS, GENES, CLUSTERS, MARKERS = 500, 200, 3, 20


def simulate(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts [500, 200], the cluster of each cell, and its depth, which varies by a factor of ten and more.

    In each cluster, 20 genes have e times their usual share. Given its mean m, a count has the variance m + m^2 / 2.
    """
    rng = np.random.default_rng(seed)
    logits = np.tile(rng.normal(0, 1.2, GENES), (CLUSTERS, 1))
    for each in logits:
        each[rng.choice(GENES, MARKERS, replace=False)] += 1 + rng.normal(0, 0.5, MARKERS)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    clusters, depth = rng.integers(CLUSTERS, size=CELLS), np.exp(rng.normal(np.log(1_000), 0.6, CELLS))
    mean = depth[:, np.newaxis] * shares[clusters]
    return rng.poisson(rng.gamma(2, mean / 2)).astype(np.float32), clusters, depth


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_defaults_find_the_clusters_of_cells_and_leave_their_depth_out(seed: int) -> None:
    x, clusters, depth = simulate(seed)
    data = tv.data.load(x)
    vae = tv.build(data, seed=seed)
    tv.fit(vae, data, seed=seed, execution="graph")
    z = vae.encoder.mean(x).numpy()
    found = KMeans(CLUSTERS, n_init=10, random_state=0).fit_predict(z)
    assert adjusted_rand_score(clusters, found) >= 0.95
    assert np.abs(np.corrcoef(z.T, np.log(depth))[:-1, -1]).max() < 0.3
