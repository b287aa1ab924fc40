"""Arrays that TensorFlow takes as they lie: aligned, equal, and of one memory."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae._lazy import tf
from tfp_vae.arrays import ALIGNMENT, aligned, is_aligned
from tfp_vae.datasets import Split, load
from tfp_vae.execution import resident


def beginning_at(offset: int, shape: tuple[int, ...] = (5, 7), dtype: type = np.float32) -> np.ndarray:
    """Numbers in memory that begins `offset` bytes after an aligned place."""
    room = aligned(np.zeros(4 * ALIGNMENT + 8 * int(np.prod(shape)), np.uint8))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    x = room[offset : offset + size].view(dtype).reshape(shape)
    x[...] = np.arange(x.size).reshape(shape)
    return x


@pytest.mark.parametrize("offset", [0, 8, 16, 56])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_what_is_aligned_is_left_and_what_is_not_is_copied(offset: int, dtype: type) -> None:
    x = beginning_at(offset, dtype=dtype)
    found = aligned(x)
    assert is_aligned(found)
    assert found.ctypes.data % 64 == 0
    assert (found is x) == (offset == 0)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (), (1,), (2, 3, 4)])
def test_any_shape_can_be_aligned(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = aligned(x)
    assert found.shape == shape
    np.testing.assert_array_equal(found, x)


def test_columns_and_reversed_rows_are_laid_out_anew() -> None:
    x = beginning_at(0)
    for view in (x.T, x[::-1], x[:, 1:]):
        assert not is_aligned(view)
        np.testing.assert_array_equal(aligned(view), view)
        assert is_aligned(aligned(view))


def test_objects_are_left_as_they_are() -> None:
    x = np.array([{}, []], dtype=object)
    assert aligned(x) is x


def test_splits_are_aligned_however_they_are_cut() -> None:
    data = load("digits")
    for split in (data.train, data.validation, data.test, data.train[3:], data.train[np.arange(5)], data.test[::2]):
        assert is_aligned(split.x)
    np.testing.assert_array_equal(data.train[3:].x, data.train.x[3:])
    assert is_aligned(Split(beginning_at(16)).x)


def test_an_aligned_array_and_its_tensor_are_one_memory() -> None:
    x = beginning_at(0)
    tensor = resident(x)
    np.testing.assert_array_equal(tensor, x)
    x[2, 3] = -1
    if not tf.config.list_logical_devices("GPU"):
        assert float(tensor[2, 3]) == -1
    del x
    assert float(tf.reduce_sum(tensor[:2])) == sum(range(14))  # the tensor holds on to it


@pytest.mark.parametrize("offset", [16, 0])
def test_others_are_copied(offset: int) -> None:
    x = beginning_at(offset)
    x.flags.writeable = offset != 0
    tensor, before = resident(x), x.copy()
    x.flags.writeable = True
    x[:] = -1
    np.testing.assert_array_equal(tensor, before)


def test_a_tensor_and_a_list_are_taken_too() -> None:
    np.testing.assert_array_equal(resident(tf.constant([1.0, 2.0])), [1, 2])
    np.testing.assert_array_equal(resident([1.0, 2.0]), [1, 2])
