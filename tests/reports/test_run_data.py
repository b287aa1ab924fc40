"""A run as its pictures see it: shared results, computed once and reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.evaluation.projections import projection
from tfp_vae.model.latent import ACTIVE_VARIANCE
from tfp_vae.reports import RunData
from tfp_vae.reports import run_data as module
from tfp_vae.runs.examples import held_out_view


def test_test_examples_equal_the_input_of_the_model(flat: RunData) -> None:
    np.testing.assert_array_equal(flat.test.x, held_out_view(flat.config, flat.dataset, "test").x)
    assert flat.seen == "data, binarized"
    assert set(np.unique(flat.test.x)) == {0, 1}


def test_large_splits_are_spread_evenly(flat: RunData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EMBEDDED", 10)
    few = RunData(flat.restored, flat.dataset)
    rows = np.linspace(0, len(flat.test) - 1, 10).astype(int)
    np.testing.assert_array_equal(few.test.x, flat.test.x[rows])
    np.testing.assert_array_equal(few.test.y, flat.test.y[rows])


def test_embeddings_are_posterior_means(flat: RunData) -> None:
    np.testing.assert_allclose(flat.embeddings.mean, flat.vae.encoder.mean(flat.test.x), atol=1e-5)
    assert flat.embeddings.samples.shape == (1, len(flat.test), 2)


def test_results_are_computed_once(flat: RunData) -> None:
    assert flat.embeddings is flat.embeddings
    assert flat.scores is flat.scores


def test_seed_changes_draws_but_not_means(flat: RunData) -> None:
    other = RunData(flat.restored, flat.dataset, seed=5)
    assert "seed 5" in other.description
    np.testing.assert_array_equal(other.embeddings.mean, flat.embeddings.mean)
    assert (other.embeddings.samples != flat.embeddings.samples).any()


def test_dimensions_are_sorted_by_the_variance_of_their_means(deep: RunData) -> None:
    variances = deep.embeddings.mean.var(axis=0)
    assert (np.diff(variances[deep.by_activity]) <= 0).all()
    assert sorted(deep.by_activity) == [0, 1, 2]
    assert set(deep.active) == set(np.flatnonzero(variances > ACTIVE_VARIANCE))


def test_kind_of_examples_follows_from_the_data(flat: RunData, vectors: RunData) -> None:
    assert flat.has_images
    assert flat.tones == {"unit": True, "ink": True}
    assert not vectors.has_images
    assert vectors.tones == {"unit": False, "ink": False}
    for each in (flat, vectors):
        assert each.look == {"features": each.config.data.features, **each.tones}


def test_decoding_gives_the_mean_of_the_likelihood(deep: RunData) -> None:
    z = np.zeros((2, 3), np.float32)
    np.testing.assert_allclose(deep.decode(z), deep.vae.decoder(z).mean(), atol=1e-5)


def test_scores_are_finite_and_named_in_titles(flat: RunData) -> None:
    examples, values = flat.scores
    assert len(examples) == len(values) == 180
    assert np.isfinite(values).all()
    assert flat.scoring == "180 test examples, K = 100"


def test_ellipses_have_the_covariances_of_the_posterior(flat: RunData) -> None:
    spread = flat.spread(projection(flat.embeddings.mean))
    q = flat.vae.encoder(flat.test.x[spread.rows])
    assert len(spread.rows) == module.ELLIPSES
    np.testing.assert_allclose(spread.covariances, q.covariance(), atol=0.35 * float(np.max(q.variance())))
    ratio = np.einsum("nii->n", spread.covariances) / np.sum(q.variance(), axis=1)
    assert ratio.mean() == pytest.approx(1, abs=0.05)
