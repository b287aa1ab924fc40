"""TensorFlow and TensorFlow Probability, imported on first use.

Importing TensorFlow takes seconds. Modules import `tf`, `tfd`, `tfp` and `keras` from here, so the import happens when
an attribute is first read. A class that inherits from one of TensorFlow's reads it at once, so its module does need
TensorFlow.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, final

__all__ = ["LazyModule", "framework", "import_module", "keras", "tf", "tfd", "tfp"]


NOTICE = re.compile(rb"(WARNING: All log messages before absl::InitializeLog|I\d{4} |[\d-]{10} [\d:.]+: I ).*\n?")
"""A line that TensorFlow prints while it starts, before it reads its log level: tensorflow/tensorflow#100442."""


_LOCK = threading.Lock()
"""Held while stderr is redirected."""


@functools.cache
def import_module(name: str) -> ModuleType:
    """Import TensorFlow without its notices on stderr, then the module `name`.

    Errors still arrive as exceptions. TensorFlow's warning that a function is traced again is dropped, because a
    process that uses several models traces several functions.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "retracing" not in str(record.msg)

    if name != "tensorflow":
        import_module("tensorflow")
        return importlib.import_module(name)
    verbose = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0"
    with _LOCK, contextlib.nullcontext() if verbose else drop_notices(), skip_keras_3():
        tensorflow = importlib.import_module(name)
    with answer_for_keras_3(importlib.import_module("tensorflow.compat.v2")):
        importlib.import_module("tensorflow_probability.python.internal.tf_keras")
    tensorflow.get_logger().addFilter(keep)
    return tensorflow


@contextmanager
def drop_notices() -> Iterator[None]:
    """Drop TensorFlow's notices on stderr in this block. All other lines follow at its end, also after an error."""
    with contextlib.ExitStack() as stack:
        try:
            lines = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
        except OSError:  # without a temporary file or a stderr, nothing can be dropped
            yield
            return
        os.dup2(lines.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            lines.seek(0)
            kept = b"".join(line for line in lines if not NOTICE.fullmatch(line))
            with contextlib.suppress(OSError):
                os.write(stderr, kept)
            os.close(stderr)


@contextmanager
def skip_keras_3() -> Iterator[None]:
    """Let TensorFlow skip Keras 3 in this block, a quarter of its start-up time. `tf.keras` loads it when used."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras.src"] = None  # type: ignore[assignment]  # TensorFlow passes over the ImportError
    try:
        yield
    finally:
        sys.modules.pop("keras.src", None)


@contextmanager
def answer_for_keras_3(namespace: ModuleType) -> Iterator[None]:
    """Let TensorFlow Probability find Keras 3 in this block without loading it. It then takes `tf_keras`."""
    own = namespace.keras
    namespace.keras = SimpleNamespace(version=lambda: "3.")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        namespace.keras = own  # type: ignore[attr-defined]


@final
class LazyModule:
    """A stand-in for a module that is imported when an attribute is first read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_probability as tfp
    import tf_keras as keras
    from tensorflow.python.framework import ops as framework
    from tensorflow_probability import distributions as tfd
else:
    tf = LazyModule("tensorflow")
    tfp = LazyModule("tensorflow_probability")
    tfd = LazyModule("tensorflow_probability.python.distributions")
    keras = LazyModule("tf_keras")
    framework = LazyModule("tensorflow.python.framework.ops")
