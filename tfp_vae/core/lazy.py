"""TensorFlow and TensorFlow Probability, imported on first use, so that reading a table of names costs nothing.

Importing TensorFlow takes seconds. Modules name `tf`, `tfd`, `tfp` and `keras` from here at their top, and have them
imported when an attribute is first asked for; a class that subclasses one of TensorFlow's asks at once, which is why
some modules do need it.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Callable
from typing import Any, final

__all__ = ["keras", "tf", "tfd", "tfp"]


@final
class _Lazy:
    """A stand-in for a module: the first attribute asked of it imports the module."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


@functools.cache
def _tensorflow() -> Any:
    # Its notes of missing GPUs and the like go to stderr unasked; its errors come as exceptions all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found = importlib.import_module("tensorflow")
    found.get_logger().addFilter(_is_no_retracing)
    return found


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """Whether a warning is not that functions were traced anew, which several models in one process are by right."""
    return "retracing" not in str(record.msg)


@functools.cache
def _after_tensorflow(name: str) -> Any:
    _tensorflow()
    return importlib.import_module(name)


tf: Any = _Lazy(_tensorflow)
tfp: Any = _Lazy(lambda: _after_tensorflow("tensorflow_probability"))
tfd: Any = _Lazy(lambda: _after_tensorflow("tensorflow_probability").distributions)
keras: Any = _Lazy(lambda: _after_tensorflow("tf_keras"))
