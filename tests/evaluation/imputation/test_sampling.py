"""The stream of tiles: which samples a study sees, and how rows are split into batches."""

from __future__ import annotations

from dataclasses import field
from typing import final

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.incomplete import IncompleteGaussian
from tfp_vae import VAE
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import record
from tfp_vae.core.types import Tensor
from tfp_vae.evaluation.importance import estimate
from tfp_vae.evaluation.imputation.sampling import Sample, Sampler, Study, default_batch_size
from tfp_vae.evaluation.imputation.weights import Weights

MODEL = IncompleteGaussian()


@final
@record
class Total(Study[tuple[Tensor, Tensor, Weights]]):
    """The number of samples with weight, the sum of the targets over tiles, and the weights."""

    label: str = field(default="", kw_only=True)

    def empty(self, vae: VAE, rows: int) -> tuple[Tensor, Tensor, Weights]:
        zeros = tf.zeros([rows, *vae.decoder.likelihood.event_shape], tf.float64)
        return tf.zeros([rows], tf.int32), zeros, Weights.empty([rows], vae.dtype)

    def add(
        self, vae: VAE, state: tuple[Tensor, Tensor, Weights], sample: Sample, targets: Tensor
    ) -> tuple[Tensor, Tensor, Weights]:
        del vae
        count, total, weights = state
        live = tf.reduce_sum(tf.cast(sample.log_w > -np.inf, tf.int32), axis=0)
        return count + live, total + targets, weights.add(sample.log_w)


def sampler(iw_samples: int, batch_size: int | None = None) -> Sampler[tuple[Tensor, Tensor, Weights]]:
    return Sampler(MODEL.vae(), Total(), iw_samples=iw_samples, refine="none", batch_size=batch_size, execution="eager")


@pytest.mark.parametrize("iw_samples", [3, 230])
def test_every_row_gets_exactly_k_samples(iw_samples: int) -> None:
    rows, taken = MODEL.data(5)[1], []
    for part, (count, _, _) in sampler(iw_samples, 2)(rows, seed=(0, 1), places=np.arange(5), progress=taken.append):
        np.testing.assert_array_equal(count[: part.stop - part.start], iw_samples)
    assert sum(taken) == 5 * iw_samples


def test_weights_are_those_of_the_log_likelihood() -> None:
    """The same seed and places give the samples of `estimate`, so log p(x) is the same number."""
    rows = MODEL.data(4)[1]
    expected = estimate(MODEL.vae(), rows, iw_samples=230, seed=(0, 1), execution="eager")
    ((_, (_, _, weights)),) = sampler(230)(rows, seed=(0, 1), places=np.arange(4))
    np.testing.assert_allclose(weights.log_total - np.log(230), expected.log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(weights.ess, expected.ess, rtol=1e-6)


def test_targets_are_passed_with_their_rows() -> None:
    x, rows = MODEL.data(3)
    found = [
        total[: part.stop - part.start]
        for part, (_, total, _) in sampler(100, 2)(rows, seed=(0, 1), places=np.arange(3), targets=x)
    ]
    np.testing.assert_array_equal(np.concatenate(found), x)


def test_no_rows_give_no_batches() -> None:
    assert not list(sampler(100)(np.zeros([0, 5]), seed=(0, 1), places=np.arange(0)))


def test_batches_shrink_for_wide_rows_only() -> None:
    assert default_batch_size(MODEL.vae()) == 64


@pytest.mark.parametrize(("iw_samples", "batch_size"), [(0, 2), (3, 0)])
def test_empty_work_is_refused(iw_samples: int, batch_size: int) -> None:
    with pytest.raises(UsageError):
        sampler(iw_samples, batch_size)
