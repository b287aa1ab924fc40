"""Variables to named arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfp_vae.errors import RunError
from tfp_vae.vae import VAE

__all__ = ["capture", "restore"]

_OPTIMIZER = "optimizer"


def capture(vae: VAE, optimizer: Any = None) -> dict[str, np.ndarray]:
    """Return the values of all variables of the model, and of the optimizer if there is one, by name."""
    return {name: variable.numpy() for name, variable in _named(vae, optimizer).items()}


def restore(arrays: Mapping[str, np.ndarray], vae: VAE, optimizer: Any = None) -> None:
    """Give the variables the values that `capture` returned; nothing is changed unless all of them fit.

    Raises:
      RunError: a variable that is missing, unknown or of another shape or type.
    """
    variables = _named(vae, optimizer)
    given = {name: array for name, array in arrays.items() if optimizer is not None or not name.startswith(_OPTIMIZER)}
    if given.keys() != variables.keys():
        raise RunError(
            f"the checkpoint does not fit the model: only one of them has {min(given.keys() ^ variables.keys())!r}."
        )
    for name, variable in variables.items():
        _check(name, given[name], variable)
    for name, variable in variables.items():
        variable.assign(given[name])


def _check(name: str, array: np.ndarray, variable: Any) -> None:
    expected = (tuple(variable.shape), variable.dtype.as_numpy_dtype)
    found = (array.shape, array.dtype.type)
    if found != expected:
        raise RunError(
            f"the checkpoint does not fit the model: expected {name} of shape and type {expected}, found {found}."
        )


def _named(vae: VAE, optimizer: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {"encoder": vae.encoder.variables, "decoder": vae.decoder.variables}
    known = {id(variable) for variables in parts.values() for variable in variables}
    parts["prior"] = [variable for variable in vae.variables if id(variable) not in known]
    named = {f"{part}/{i:03d}/{_label(v)}": v for part, variables in parts.items() for i, v in enumerate(variables)}
    state = {} if optimizer is None else {f"{_OPTIMIZER}/{i:03d}": v for i, v in enumerate(optimizer.variables)}
    return named | state


def _label(variable: Any) -> str:
    """Return the last part of a variable's name: Keras numbers the layers before it as they come."""
    return str(variable.name).split(":")[0].split("/")[-1]
