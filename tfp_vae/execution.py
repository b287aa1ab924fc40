"""How a function is run: through XLA, as a TensorFlow graph, or eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfp_vae._lazy import keras, tf

__all__ = ["AUTO", "EXECUTIONS", "choose", "compiled", "random_algorithm"]

AUTO = "auto"


def _xla(function: Callable[..., Any]) -> Callable[..., Any]:
    wrapped: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
    return wrapped


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


def compiled(function: Callable[..., Any], execution: str) -> Callable[..., Any]:
    """Return `function` prepared for one of `EXECUTIONS`. The three do not draw the same numbers from the same seed."""
    return EXECUTIONS[execution](function)


_RANDOM_ALGORITHMS = {"xla": "threefry", "graph": "auto_select", "eager": "auto_select"}


def random_algorithm(execution: str) -> str:
    """Return the generator for large draws: XLA vectorizes ThreeFry, and is several times slower with Philox."""
    return _RANDOM_ALGORITHMS[execution]


def choose(model: Any, execution: str = AUTO) -> str:
    """Return `execution`, or for `auto` the path that suits the model.

    XLA fuses a dense model into few kernels. On a CPU it has no fast convolution, so a model with convolutions
    (any `tf_keras` layer with a `kernel_size`) takes the graph path there, which uses oneDNN.
    """
    if execution != AUTO:
        return execution
    on_cpu = not tf.config.list_logical_devices("GPU")
    return "graph" if on_cpu and any(map(_is_convolution, model.submodules)) else "xla"


def _is_convolution(module: Any) -> bool:
    return isinstance(module, keras.layers.Layer) and hasattr(module, "kernel_size")
