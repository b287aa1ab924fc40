"""Compiled functions of a VAE, kept so that a later call does not compile again.

Compiling takes seconds, but functions such as `log_likelihood` are called many times for one model. The functions that
they compile are kept here, for as long as the VAE exists.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar, cast, final

import numpy as np

from tfp_vae.core.execution import compile_function
from tfp_vae.core.lazy import tf
from tfp_vae.model.vae import VAE

__all__ = ["MOST_KEPT", "compile_for"]

P = ParamSpec("P")
R = TypeVar("R")

MOST_KEPT = 8
"""Most functions kept for one VAE. A new one replaces the one that was not used for longest."""

_LOCK = threading.Lock()


class Structure(NamedTuple):
    """The parts of a model that its compiled functions contain, apart from the values of variables.

    parts: its modules, variables and families.
    settings: their attributes by name, in a form that compares as `comparable` says.
    """

    parts: tuple[object, ...]
    settings: tuple[dict[str, object], ...]

    @classmethod
    def of(cls, vae: VAE) -> Structure:
        """Return the structure of a model as it is now."""
        families = (vae.encoder.posterior, vae.decoder.likelihood, vae.prior)
        parts = (*vae.submodules, *vae.variables, *families, vae.encoder.network, vae.decoder.network)

        def settings(part: object) -> dict[str, object]:
            """Return the attributes, without variables and the private ones in which TensorFlow notes its use."""
            found = {}
            for name, v in getattr(part, "__dict__", {}).items():
                private, cached = name.startswith("_"), isinstance(getattr(type(part), name, None), cached_property)
                if type(v) in SIMPLE:
                    found.update({} if private and isinstance(v, bool) else {name: v})
                elif not (private or cached or v is vae or isinstance(v, tf.Variable)):
                    found[name] = comparable(v)
            return found

        return cls(parts, tuple(map(settings, parts)))

    def same(self, other: Structure) -> bool:
        """Return whether two structures have the same objects as parts, with the same settings."""
        alike = len(self.parts) == len(other.parts) and all(map(lambda a, b: a is b, self.parts, other.parts))
        return alike and self.settings == other.settings


SIMPLE = (bool, int, float, str, type(None))
"""Types of attributes that are compared by value."""

MOST_BYTES = 1 << 12
"""Largest array that is compared by its bytes, so that a change in place is seen."""


@final
class Same:
    """A value that equals itself only. It keeps the value, so that no other object takes its place in memory."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def comparable(value: object) -> object:
    """Return a value to compare: tuples of simple values by value, small arrays by bytes, and others by identity."""
    if isinstance(value, tuple) and all(type(each) in SIMPLE for each in value):
        return value
    if isinstance(value, np.ndarray) and value.nbytes <= MOST_BYTES and not value.dtype.hasobject:
        return value.shape, value.dtype.str, value.tobytes()
    return Same(value)


class Kept(NamedTuple):
    """The compiled functions of one model: its structure then, and the functions in the order of their last use."""

    structure: Structure
    functions: dict[object, Callable[..., object]]


_KEPT: weakref.WeakKeyDictionary[VAE, Kept] = weakref.WeakKeyDictionary()


def compile_for(
    vae: VAE, function: Callable[Concatenate[VAE, P], R], *fixed: Hashable, execution: str
) -> Callable[..., R]:
    """Return `function(vae, *fixed, ...)` as a compiled function of the other arguments, which are tensors.

    Equal arguments return the same compiled function. It uses the current weights. If you replaced a part of the model,
    or set an attribute of a part, it is compiled again. The caller keeps the VAE alive.

    ```python
    from tfp_vae.model.compilation import compile_for

    encode = compile_for(vae, lambda vae, x: vae.encoder.params(x), execution="graph")
    encode(x)  # [16, 4], compiled at the first call
    ```

    Args:
      vae: the model.
      function: a function of the model, of `fixed` and of tensors, passed by position.
      fixed: constants of the compiled function that compare by value, such as sizes.
      execution: `xla`, `graph` or `eager`.
    """
    model, structure = weakref.ref(vae), Structure.of(vae)

    def call(*tensors: object) -> R:
        return cast("Callable[..., R]", function)(model(), *fixed, *tensors)

    with _LOCK:
        kept = _KEPT.get(vae)
        if kept is None or not kept.structure.same(structure):
            kept = _KEPT[vae] = Kept(structure, {})
        key = function, fixed, execution
        found = kept.functions.pop(key, None) or compile_function(call, execution)
        kept.functions[key] = found
        for oldest in list(kept.functions)[:-MOST_KEPT]:
            del kept.functions[oldest]
    return cast("Callable[..., R]", found)
