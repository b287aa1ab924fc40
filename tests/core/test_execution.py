"""Arrays that TensorFlow can use without a copy: aligned, equal and sharing their memory."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import builders
from tfp_vae.core import execution
from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import (
    ALIGNMENT,
    align,
    choose,
    compile_function,
    compile_with_xla,
    has_alignment,
    pad_rows,
    to_device,
)
from tfp_vae.core.lazy import tf, tfp
from tfp_vae.data.loading import load
from tfp_vae.data.transforms.binarization import BINARIZATIONS, prepare
from tfp_vae.evaluation.importance import Estimator


def beginning_at(offset: int, shape: tuple[int, ...] = (5, 7), dtype: type = np.float32) -> np.ndarray:
    """An array whose memory begins `offset` bytes after an aligned address."""
    room = align(np.zeros(4 * ALIGNMENT + 8 * int(np.prod(shape)), np.uint8))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    x = room[offset : offset + size].view(dtype).reshape(shape)
    x[...] = np.arange(x.size).reshape(shape)
    return x


@pytest.mark.parametrize("offset", [0, 8, 16, 56])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_align_copies_only_unaligned_arrays(offset: int, dtype: type) -> None:
    x = beginning_at(offset, dtype=dtype)
    found = align(x)
    assert has_alignment(found)
    assert found.ctypes.data % 64 == 0
    assert (found is x) == (offset == 0)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (), (1,), (2, 3, 4)])
def test_align_supports_any_shape(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = align(x)
    assert found.shape == shape
    np.testing.assert_array_equal(found, x)


def test_align_copies_transposed_and_reversed_views() -> None:
    x = beginning_at(0)
    for view in (x.T, x[::-1], x[:, 1:]):
        assert not has_alignment(view)
        np.testing.assert_array_equal(align(view), view)
        assert has_alignment(align(view))


def test_align_does_not_change_object_arrays() -> None:
    x = np.array([{}, []], dtype=object)
    assert align(x) is x


@pytest.mark.parametrize("binarization", ["dynamic", "static", "threshold", "none"])
def test_training_data_of_a_run_has_alignment(binarization: str) -> None:
    data = load("digits")
    unaligned = replace(data, train=replace(data.train, x=beginning_at(16, data.train.x.shape) % 2))
    made = BINARIZATIONS.build(BINARIZATIONS.member(binarization))
    assert has_alignment(prepare(unaligned, made, run_seed=0).train.x)


def test_reading_data_takes_at_most_twice_their_memory(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((2_000, 28, 28, 1), np.float32)
    np.save(tmp_path / "x.npy", x)
    tracemalloc.start()
    try:
        data = prepare(load(str(tmp_path / "x.npy")), BINARIZATIONS.build(BINARIZATIONS.member("none")), run_seed=0)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(part.nbytes for part in data.parts) == x.nbytes
    assert held < 1.1 * x.nbytes
    assert peak < 2.5 * x.nbytes


def test_aligned_array_and_its_tensor_share_memory() -> None:
    x = beginning_at(0)
    tensor = to_device(x)
    np.testing.assert_array_equal(tensor, x)
    x[2, 3] = -1
    if not tf.config.list_logical_devices("GPU"):
        assert float(tensor[2, 3]) == -1
    del x
    assert float(tf.reduce_sum(tensor[:2])) == sum(range(14))  # the tensor keeps the memory alive


@pytest.mark.parametrize("offset", [16, 0])
def test_to_device_copies_unaligned_and_read_only_arrays(offset: int) -> None:
    x = beginning_at(offset)
    x.flags.writeable = offset != 0
    tensor, before = to_device(x), x.copy()
    x.flags.writeable = True
    x[:] = -1
    np.testing.assert_array_equal(tensor, before)


@pytest.mark.parametrize("dtype", [">f4", "<f4", "?", "S3", "f8", "u2"])
def test_to_device_supports_every_type_of_tensorflow(dtype: str) -> None:
    x = align(np.ones([4, 16]).astype(dtype))
    assert np.asarray(to_device(x)).tolist() == tf.convert_to_tensor(x).numpy().tolist()


def test_to_device_accepts_tensors_and_lists() -> None:
    np.testing.assert_array_equal(to_device(tf.constant([1.0, 2.0])), [1, 2])
    np.testing.assert_array_equal(to_device([1.0, 2.0]), [1, 2])


@pytest.mark.parametrize(("rows", "padded"), [(1, 64), (63, 64), (64, 64), (65, 65)])
def test_pad_rows_repeats_the_first_row_up_to_the_fewest(rows: int, padded: int) -> None:
    x = np.arange(2.0 * rows).reshape(rows, 2)
    found = np.asarray(pad_rows(x))
    np.testing.assert_array_equal(found[:rows], x)
    np.testing.assert_array_equal(found[rows:], np.broadcast_to(x[0], (padded - rows, 2)))


def test_unknown_execution_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`execution`: expected .* found 'grph'. Did you mean 'graph'?"):
        choose(tf.Module(), "grph")
    with pytest.raises(UsageError, match="`execution`: expected 'xla' or 'graph' or 'eager', found 'auto'"):
        compile_function(abs, "auto")


@pytest.mark.slow
def test_estimators_that_threads_make_and_call_at_once_agree() -> None:
    """Each thread compiles with XLA while the others still set its flags."""
    x = np.random.default_rng(0).integers(0, 2, (5, *builders.SHAPE)).astype(np.float32)
    vae, barrier = builders.model(), threading.Barrier(6)
    execution.read_xla_flags.cache_clear()

    def estimate(i: int) -> np.ndarray:
        barrier.wait()
        return Estimator(vae, iw_samples=3, execution="xla")(x, seed=(0, 0)).log_likelihood

    with ThreadPoolExecutor(6) as pool:
        first, *others = pool.map(estimate, range(6))
    assert np.isfinite(first).all()
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize("own", [None, "--xla_cpu_enable_fast_math=false"])
def test_threads_that_compile_at_once_leave_the_environment_unchanged(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if own is not None:
        monkeypatch.setenv("XLA_FLAGS", own)
    execution.read_xla_flags.cache_clear()
    barrier = threading.Barrier(6)

    def compile_at_once(i: int) -> float:
        barrier.wait()
        return float(compile_with_xla(lambda: tf.constant(i))())

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(compile_at_once, range(6))) == list(range(6))
    assert os.environ.get("XLA_FLAGS") == own


@tf.custom_gradient
def tripled(x: tf.Tensor) -> tuple[tf.Tensor, object]:
    """Return x, whose gradient is given as three."""
    return x, lambda upstream: 3 * upstream


def slope(x: tf.Tensor) -> tf.Tensor:
    """Return the gradient of a function with a bijector and with a gradient of its own, which is six."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tripled(tfp.bijectors.Chain([tfp.bijectors.Shift(x), tfp.bijectors.Scale(2.0)])(x) - x)
    return tape.gradient(y, x)


@pytest.mark.parametrize("ways", ["graph", "xla"])
def test_a_function_that_is_gone_leaves_no_graph_in_memory(ways: str) -> None:
    graphs = []

    def traced(x: tf.Tensor) -> tf.Tensor:
        graphs.append(weakref.ref(tf.compat.v1.get_default_graph()))
        return slope(x)

    compiled = compile_function(traced, ways)
    assert float(compiled(tf.constant(1.0))) == 6
    assert graphs[0]() is not None
    del compiled
    gc.collect()
    assert [graph() for graph in graphs] == [None]


def test_a_function_within_another_keeps_its_gradient() -> None:
    inner = compile_function(lambda x: tripled(tfp.bijectors.Shift(x)(x)), "graph")

    def outer(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = inner(x)
        return tape.gradient(y, x)

    assert float(compile_function(outer, "graph")(tf.constant(1.0))) == 6
    assert float(tf.function(outer, autograph=False)(tf.constant([1.0]))[0]) == 6


def test_your_own_functions_and_bijections_are_kept() -> None:
    own = tf.function(tripled, autograph=False)
    softplus, x = tfp.bijectors.Softplus(), tf.constant(1.0)
    own(x)  # traced without a tape, so the gradient is looked up later
    y = softplus.forward(x)
    compile_function(slope, "graph")(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = own(x)
    assert float(tape.gradient(value, x)) == 3
    assert softplus.inverse(y) is x
