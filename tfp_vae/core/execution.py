"""How a function is run: through XLA, as a TensorFlow graph, or eagerly.

The three give the same mathematics and other draws: XLA has another generator and another order of sums. What is
compiled knows how, by `running`, when it is traced. A call with new shapes is traced and compiled again, which takes
from a second to many under XLA.
"""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tfp_vae.core.lazy import keras, tf

__all__ = [
    "ALIGNMENT",
    "AUTO",
    "EXECUTIONS",
    "align",
    "choose",
    "compile_function",
    "is_aligned",
    "running",
    "to_device",
]

AUTO = "auto"

XLA_FLAGS = "--xla_cpu_prefer_vector_width=512"
"""What XLA is told before its first compilation: to use the whole width of AVX-512, where there is any."""

_RUNNING: contextvars.ContextVar[str] = contextvars.ContextVar("running", default="eager")


def _xla(function: Callable[..., Any]) -> Callable[..., Any]:
    _set_up_xla()
    wrapped: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
    return wrapped


@functools.cache
def _set_up_xla() -> None:
    """Have XLA read `XLA_FLAGS`, which it does once in a process; a user's own come after and so overrule ours.

    The environment is left as it was: other libraries of this process, and its children, have an XLA of their own.

    The flag is one of XLA on a CPU alone.
    """
    own = os.environ.get("XLA_FLAGS")
    os.environ["XLA_FLAGS"] = f"{XLA_FLAGS} {own or ''}"
    try:
        tf.function(lambda: tf.zeros([]), jit_compile=True, autograph=False)()
    finally:
        del os.environ["XLA_FLAGS"]
        os.environ.update({} if own is None else {"XLA_FLAGS": own})


def _graph(function: Callable[..., Any]) -> Callable[..., Any]:
    wrapped: Callable[..., Any] = tf.function(function, autograph=False)
    return wrapped


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


EXECUTIONS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "xla": _xla,
    "graph": _graph,
    "eager": _eager,
}


def compile_function(function: Callable[..., Any], execution: str) -> Callable[..., Any]:
    """Return `function` prepared for one of `EXECUTIONS`. The three do not draw the same numbers from the same seed.

    Args:
      function: of tensors, by position; what else it needs it closes over.
      execution: `xla`, `graph` or `eager`.
    """

    def known(*args: Any) -> Any:
        token = _RUNNING.set(execution)
        try:
            return function(*args)
        finally:
            _RUNNING.reset(token)

    return EXECUTIONS[execution](known)


def running() -> str:
    """Return the execution that what is being traced was prepared for; `eager` outside of `compile_function`."""
    return _RUNNING.get()


def to_device(x: Any) -> Any:
    """Return an array as a tensor on the device, of the array's own memory where that can be.

    On a CPU a NumPy array that begins at a multiple of `ALIGNMENT` bytes, as that of a run's training data does,
    is not copied: what is written to it later shows in the tensor.

    Args:
      x: a tensor, or what one can be made of.
    """
    if isinstance(x, np.ndarray) and _can_be_shared(x) and not tf.config.list_logical_devices("GPU"):
        return tf.experimental.dlpack.from_dlpack(x.__dlpack__())
    return tf.convert_to_tensor(x)


def _can_be_shared(x: np.ndarray) -> bool:
    return is_aligned(x) and x.flags.writeable and x.dtype.isnative and x.dtype.kind in "fiu"


def choose(model: Any, execution: str = AUTO) -> str:
    """Return `execution`, or for `auto` the path that suits the model.

    XLA fuses a dense model into few kernels. On a CPU it has no fast convolution, so a model with convolutions
    (any `tf_keras` layer with a `kernel_size`) takes the graph path there, which uses oneDNN.

    Args:
      model: a `tf.Module` with the networks in it.
      execution: as asked.

    Returns:
      `xla`, `graph` or `eager`.
    """
    if execution != AUTO:
        return execution
    on_cpu = not tf.config.list_logical_devices("GPU")
    return "graph" if on_cpu and any(map(_is_convolution, model.submodules)) else "xla"


def _is_convolution(module: Any) -> bool:
    return isinstance(module, keras.layers.Layer) and hasattr(module, "kernel_size")


ALIGNMENT = 64
"""Bytes of a line of the cache, and of the widest vector."""


def is_aligned(x: np.ndarray) -> bool:
    """Return whether x lies in one piece, and begins at a multiple of `ALIGNMENT` bytes."""
    return bool(x.flags.c_contiguous) and x.ctypes.data % ALIGNMENT == 0


def align(x: np.ndarray) -> np.ndarray:
    """Return x if it is aligned, else a copy that is.

    NumPy's own memory begins 16 bytes after such a place if it is much.
    """
    if is_aligned(x) or x.dtype.hasobject:
        return x
    room = np.empty(x.nbytes + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    found: np.ndarray = room[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    found[...] = x
    return found
