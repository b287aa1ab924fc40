"""TensorFlow and TensorFlow Probability, imported on first use.

Importing TensorFlow takes seconds. Modules import `tf`, `tfd`, `tfp` and `keras` from here, so the import happens when
an attribute is first read. A class that inherits from one of TensorFlow's reads it at once, so its module does need
TensorFlow.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from types import ModuleType
from typing import TYPE_CHECKING, final

__all__ = ["LazyModule", "import_module", "keras", "tf", "tfd", "tfp"]


@functools.cache
def import_module(name: str) -> ModuleType:
    """Import TensorFlow without its notes on stderr, then the module `name`.

    Errors still arrive as exceptions. TensorFlow's warning that a function is traced again is dropped, because a
    process that uses several models traces several functions.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "retracing" not in str(record.msg)

    if name != "tensorflow":
        import_module("tensorflow")
        return importlib.import_module(name)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tensorflow = importlib.import_module(name)
    tensorflow.get_logger().addFilter(keep)
    return tensorflow


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
    from tensorflow_probability import distributions as tfd
else:
    tf = LazyModule("tensorflow")
    tfp = LazyModule("tensorflow_probability")
    tfd = LazyModule("tensorflow_probability.python.distributions")
    keras = LazyModule("tf_keras")
