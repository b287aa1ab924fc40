"""Ways to run a function: compiled by XLA, as a TensorFlow graph, or eagerly.

All three compute the same mathematics. Their random numbers differ, because XLA has another generator, and so does the
order in which they sum. A function can ask `running` which way it runs. Each new shape of the arguments traces and
compiles the function again, which takes seconds, or many seconds under XLA.
"""

from __future__ import annotations

import abc
import contextlib
import contextvars
import functools
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, cast, final

import numpy as np

from tfp_vae.core.errors import pick
from tfp_vae.core.lazy import framework, keras, tf, tfp
from tfp_vae.core.types import Array, Tensor

__all__ = [
    "ALIGNMENT",
    "AUTO",
    "EXECUTIONS",
    "FEWEST_ROWS",
    "align",
    "choose",
    "compile_function",
    "compile_with_xla",
    "has_alignment",
    "pad_rows",
    "running",
    "temporary_graph",
    "to_device",
]

P = ParamSpec("P")
R = TypeVar("R")

AUTO = "auto"

XLA_FLAGS = "--xla_cpu_prefer_vector_width=512"
"""Flags for XLA on a CPU: use the full width of AVX-512 if the CPU has it."""

_ENVIRONMENT_LOCK = threading.Lock()
"""Held while `os.environ` is changed, so that a second thread neither sees nor undoes the change."""


@final
class Traces:
    """The traces that run, in all threads, and what TFP and TensorFlow kept before the first of them began."""

    def __init__(self) -> None:
        self.lock, self.running = threading.Lock(), 0
        self.bijections: dict[object, object] = {}
        self.gradients: set[str] = set()

    def begin(self) -> None:
        """Put TFP's bijections aside, and note the gradients that TensorFlow has."""
        self.bijections, self.gradients = bijection_cache().storage, set(gradient_registry())
        bijection_cache().clear()

    def forget(self, *, nested: bool) -> None:
        """Forget the bijections of the traces, and their gradients unless a function around them is still traced."""
        bijection_cache().storage = self.bijections
        for name in [] if nested else set(gradient_registry()) - self.gradients:
            if name.startswith("CustomGradient-"):
                gradient_registry().pop(name, None)


_TRACES = Traces()


_RUNNING: contextvars.ContextVar[str] = contextvars.ContextVar("running", default="eager")


def set_xla_flags() -> None:
    """Make XLA read `XLA_FLAGS`, which it does once per process. Other threads wait until it has read them.

    Your own flags in the environment follow ours, so they take precedence. The environment is restored, because other
    libraries and child processes may have an XLA of their own.
    """
    with _ENVIRONMENT_LOCK:
        read_xla_flags()


@functools.cache
def read_xla_flags() -> None:
    """Compile a small function while the environment holds our flags."""
    own = os.environ.get("XLA_FLAGS")
    os.environ["XLA_FLAGS"] = f"{XLA_FLAGS} {own or ''}"
    try:
        tf.function(lambda: tf.zeros([]), jit_compile=True, autograph=False)()
    finally:
        del os.environ["XLA_FLAGS"]
        os.environ.update({} if own is None else {"XLA_FLAGS": own})


def compile_with_xla(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that XLA compiles when it is called."""
    set_xla_flags()
    return cast("Callable[P, R]", tf.function(function, jit_compile=True, autograph=False))


EXECUTIONS: dict[str, Callable[[Callable[..., object]], Callable[..., object]]] = {
    "xla": compile_with_xla,
    "graph": lambda function: tf.function(function, autograph=False),
    "eager": lambda function: function,
}
"""The ways to run a function, by name."""


def compile_function(
    function: Callable[..., R], execution: str, signature: Sequence[object] | None = None
) -> Callable[..., R]:
    """Return a function that runs in one of `EXECUTIONS`.

    Args:
      function: a function of tensors, passed by position.
      execution: `xla`, `graph` or `eager`.
      signature: a `tf.TensorSpec` for each argument, or a tuple of them. A graph then serves all sizes of an axis
        whose size is None. XLA compiles again for each size.

    Raises:
      UsageError: `execution` is none of these.
    """

    def call(*args: object) -> R:
        with contextlib.nullcontext() if execution == "eager" else trace():
            token = _RUNNING.set(execution)
            try:
                return function(*args)
            finally:
                _RUNNING.reset(token)

    compiled = pick(EXECUTIONS, execution, "execution")
    if signature is not None and execution == "graph":
        return cast("Callable[..., R]", tf.function(call, input_signature=signature, autograph=False))
    return cast("Callable[..., R]", compiled(call))


@contextlib.contextmanager
def trace() -> Iterator[None]:
    """Trace a function in this block, and forget its bijections and gradients at the end of the last trace.

    TFP keeps each bijection, and TensorFlow the gradient of each function that has its own. Both hold tensors of the
    graph, so the graph and its compiled code would stay in memory for as long as the process lives. A trace within
    another one, or in another thread, still needs them. Your own functions keep theirs.
    """
    with _TRACES.lock:
        if not _TRACES.running:
            _TRACES.begin()
        _TRACES.running += 1
    try:
        yield
    finally:
        with _TRACES.lock:
            _TRACES.running -= 1
            if not _TRACES.running:
                _TRACES.forget(nested=is_inside_another(tf.compat.v1.get_default_graph()))


def is_inside_another(graph: tf.Graph) -> bool:
    """Return whether the graph of a function is built while that of another function is."""
    return getattr(getattr(graph, "outer_graph", None), "outer_graph", None) is not None


def bijection_cache() -> Any:
    """Return TFP's cache of bijections, a `BijectorCache` that every bijector shares."""
    return vars(tfp.bijectors.Bijector)["_cache"]


def gradient_registry() -> dict[str, object]:
    """Return the gradients that functions and operations have registered with TensorFlow, by name."""
    return cast("dict[str, object]", framework.gradient_registry._registry)  # noqa: SLF001


def running() -> str:
    """Return the execution of the function that is being traced or run, or `eager` outside of `compile_function`."""
    return _RUNNING.get()


def to_device(x: Array) -> Tensor:
    """Return an array as a tensor on the device.

    On a CPU, an aligned NumPy array is not copied, so later changes to the array also change the tensor. The training
    data of a run are aligned.
    """
    if isinstance(x, np.ndarray) and not tf.config.list_logical_devices("GPU"):
        numeric = x.dtype.isnative and x.dtype.kind in "fiu"
        if numeric and x.flags.writeable and has_alignment(x):
            return tf.experimental.dlpack.from_dlpack(x.__dlpack__())
    return tf.convert_to_tensor(x)


class HasSubmodules(Protocol):
    """An object that lists its modules, such as a `tf.Module`."""

    @property
    @abc.abstractmethod
    def submodules(self) -> Iterable[object]:
        """All modules within it."""


FEW_EXAMPLES, FEW_STEPS = 1_000, 500
"""A training of so few examples and steps takes less time than XLA takes to compile it."""


def choose(model: HasSubmodules, execution: str = AUTO, *, examples: float = math.inf, steps: float = math.inf) -> str:
    """Return `execution`, or for `auto` the one that finishes first: `xla` or `graph`.

    XLA fuses a dense model into few kernels, but it compiles for seconds, so short trainings run as a graph. On a CPU
    XLA has no fast convolution, so a model with convolutions (any `tf_keras` layer with a `kernel_size`) runs as a
    graph there, which uses oneDNN.

    Args:
      model: the model.
      execution: `auto` or one of `EXECUTIONS`.
      examples, steps: the number of training examples and of all steps. With more than a thousand examples, a short
        training gives the same weights as the beginning of a long one, because the number of steps has no effect.

    Raises:
      UsageError: `execution` is neither `auto` nor one of `EXECUTIONS`.
    """
    if execution != AUTO:
        pick({AUTO: None, **EXECUTIONS}, execution, "execution")
        return execution
    if examples <= FEW_EXAMPLES and steps <= FEW_STEPS:
        return "graph"
    layers = [module for module in model.submodules if isinstance(module, keras.layers.Layer)]
    convolves = any(hasattr(layer, "kernel_size") for layer in layers)
    return "graph" if convolves and not tf.config.list_logical_devices("GPU") else "xla"


FEWEST_ROWS = 64
"""Fewest rows of a matrix whose products do not depend on the number of cores.

On a CPU, XLA passes smaller products to Eigen, which adds them up in an order that depends on the number of threads.
Larger products go to XNNPACK, which splits rows among threads, so a row also does not depend on the other rows. As a
graph, only the product of a single row differs.
"""


def pad_rows(x: Array, rows: int = FEWEST_ROWS) -> Array:
    """Return x [B, ...] with copies of its first row appended, so that it has at least `rows`.

    B is at least 1 and known when the function is traced.
    """
    missing = rows - x.shape[0]
    return x if missing <= 0 else tf.concat([x, tf.repeat(x[:1], missing, axis=0)], axis=0)


ALIGNMENT = 64
"""The bytes of a cache line, and of the widest vector."""


def has_alignment(x: np.ndarray) -> bool:
    """Return whether x is contiguous and begins at a multiple of `ALIGNMENT` bytes."""
    return bool(x.flags.c_contiguous) and x.ctypes.data % ALIGNMENT == 0


def align(x: np.ndarray) -> np.ndarray:
    """Return x if it is aligned, else an aligned copy.

    NumPy aligns its own memory to 16 bytes only.
    """
    if has_alignment(x) or x.dtype.hasobject:
        return x
    room = np.empty(x.nbytes + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    copy: np.ndarray = room[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


@contextlib.contextmanager
def temporary_graph() -> Iterator[None]:
    """Build models in a graph in this block, and leave the models outside of it as they were.

    Keras replaces the base class of a class whenever it makes a layer of this class in a graph. Layers of the class
    that were made before would then raise an error when they are called.
    """
    bases = {kind: kind.__bases__ for kind in subclasses(keras.layers.Layer)}
    try:
        with tf.Graph().as_default():
            yield
    finally:
        for kind, before in bases.items():
            kind.__bases__ = before


def subclasses(kind: type) -> Iterator[type]:
    """Return the subclasses of a class that exist now, with theirs."""
    found: list[type] = type.__subclasses__(kind)
    for each in found:
        yield each
        yield from subclasses(each)
