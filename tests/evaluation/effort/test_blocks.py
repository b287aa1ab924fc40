"""Finished parts of an evaluation: stages, and an estimate that goes on after an interrupt."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.blocks import MemoryBlocks
from tests.helpers.oracles import LinearGaussian
from tfp_vae.evaluation.effort.blocks import NO_BLOCKS, in_batches
from tfp_vae.evaluation.importance import Estimator


def test_parts_of_an_evaluation_have_stages_of_their_own() -> None:
    blocks = MemoryBlocks()
    blocks.within("none/pilot").keep("samples", [np.arange(3)])
    blocks.within("none").within("200").keep("samples", [np.arange(2)])
    assert list(blocks.stages) == ["none/pilot/samples", "none/200/samples"]
    np.testing.assert_array_equal(blocks.within("none/pilot").finished("samples")[0], np.arange(3))


def test_nothing_is_kept_by_default() -> None:
    NO_BLOCKS.within("part").keep("samples", [np.arange(3)])
    assert NO_BLOCKS.within("part").finished("samples") == []


def test_batches_continue_after_those_that_are_finished() -> None:
    blocks, computed, skipped = MemoryBlocks(), list[slice](), list[int]()
    blocks.keep("stage", [np.arange(4), np.zeros([4, 2])])

    def compute(rows: slice) -> list[np.ndarray]:
        computed.append(rows)
        return [np.arange(rows.start, rows.stop), np.ones([rows.stop - rows.start, 2])]

    for _ in range(2):
        first, second = in_batches(9, 2, compute, skipped.append, blocks, "stage")
        np.testing.assert_array_equal(first, np.arange(9))
        np.testing.assert_array_equal(second[:, 0], [0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert computed == [slice(4, 6), slice(6, 8), slice(8, 9)]
    assert skipped == [4, 9]


def test_interrupted_estimate_goes_on_after_the_last_batch(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.3), linear.data(11)
    estimator = Estimator(vae, iw_samples=20, batch_size=4, execution="graph")
    expected, blocks, taken = estimator(x, seed=(0, 1)), MemoryBlocks(most=2), list[int]()
    with pytest.raises(InterruptedError):
        estimator(x, seed=(0, 1), blocks=blocks)
    blocks.most = 3
    found = estimator(x, seed=(0, 1), blocks=blocks, progress=taken.append)
    for column, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(column, same)
    assert taken == [8 * 20, 3 * 20]
