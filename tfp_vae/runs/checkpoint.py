"""Variables to named arrays and back.

`capture` before `archive.write`, `archive.read` before `restore`; `shapes` says what a config's checkpoint has to hold,
and so how many bytes may be read of it. Names are `part/number/name`, part one of encoder, decoder and prior; an
encoder that a `Vamp` prior holds too is named once, as the encoder's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfp_vae.core.errors import RunError
from tfp_vae.core.lazy import tf
from tfp_vae.model.vae import VAE
from tfp_vae.runs.archive import AVERAGE, OPTIMIZER, Shapes, in_use
from tfp_vae.runs.config import RunConfig, build
from tfp_vae.training.optimizers import OPTIMIZERS

__all__ = ["capture", "restore", "shapes"]


def capture(vae: VAE, optimizer: Any = None, averaged: VAE | None = None) -> dict[str, np.ndarray]:
    """Return the values of all variables of the model, and of the optimizer if there is one, by name.

    ```python
    from tfp_vae.runs.checkpoint import capture, restore

    kept = capture(vae)  # {"encoder/000/kernel": ..., ...}, copies
    restore(kept, vae)  # back to those weights
    ```

    Args:
      vae: the model.
      optimizer: it has been built for the model.
      averaged: a second model of the same kind, whose trainable variables are the averaged weights.
    """
    return {name: variable.numpy() for name, variable in _named(vae, optimizer, averaged).items()}


def restore(arrays: Mapping[str, np.ndarray], vae: VAE, optimizer: Any = None, averaged: VAE | None = None) -> None:
    """Give the variables the values that `capture` returned; nothing is changed unless all of them fit.

    Without an optimizer the model is not to be trained on: it is given the weights in use, averaged where there are
    averages.

    Args:
      arrays: names and values, of a model alone or of a training.
      vae: the model, built as when they were captured.
      optimizer: built for the model, where training is to go on.
      averaged: the model of averaged weights, where training has one.

    Raises:
      RunError: a variable that is missing, unknown or of another shape or type.
    """
    variables = _named(vae, optimizer, averaged)
    given = arrays if optimizer is not None else in_use(arrays)
    if given.keys() != variables.keys():
        raise RunError(
            f"the checkpoint does not fit the model: only one of them has {min(given.keys() ^ variables.keys())!r}."
        )
    for name, variable in variables.items():
        _check(name, given[name], variable)
    for name, variable in variables.items():
        variable.assign(given[name])


def shapes(config: RunConfig, *, optimizer: bool = True) -> Shapes:
    """Return the shape and type of every variable of a run's model and optimizer, and of its averages, by name.

    They are read off a graph in which nothing is run: no variable is allocated, however large the config asks it.

    Args:
      config: the run's.
      optimizer: whether its state is in the checkpoint too.
    """
    with tf.Graph().as_default():
        vae = build(config)
        state = OPTIMIZERS.build(config.training.optimizer, config.training.learning_rate) if optimizer else None
        if state is not None:
            state.build(vae.trainable_variables)
        averaged = None if config.training.ema is None else vae  # it has the same shapes
        return {name: _signature(variable) for name, variable in _named(vae, state, averaged).items()}


def _signature(variable: Any) -> tuple[tuple[int, ...], Any]:
    return tuple(variable.shape), variable.dtype.as_numpy_dtype


def _check(name: str, array: np.ndarray, variable: Any) -> None:
    expected = _signature(variable)
    found = (array.shape, array.dtype.type)
    if found != expected:
        raise RunError(
            f"the checkpoint does not fit the model: expected {name} of shape and type {expected}, found {found}."
        )


def _named(vae: VAE, optimizer: Any, averaged: VAE | None) -> dict[str, Any]:
    """Return all variables by name: of the model, of the optimizer, and the averages.

    Within a part they are in the order of `tf.Module`, which sorts attributes by name, wherever the model was built.
    """
    state = {} if optimizer is None else {f"{OPTIMIZER}{i:03d}": v for i, v in enumerate(optimizer.variables)}
    averages = {} if averaged is None else {AVERAGE + name: v for name, v in _of(averaged).items() if v.trainable}
    return _of(vae) | state | averages


def _of(vae: VAE) -> dict[str, Any]:
    parts: dict[str, Any] = {"encoder": vae.encoder.variables, "decoder": vae.decoder.variables}
    known = {id(variable) for variables in parts.values() for variable in variables}
    parts["prior"] = [variable for variable in vae.variables if id(variable) not in known]
    return {f"{part}/{i:03d}/{_label(v)}": v for part, variables in parts.items() for i, v in enumerate(variables)}


def _label(variable: Any) -> str:
    """Return the last part of a variable's name, without numbers: Keras and graphs give those as they come."""
    return re.sub(r"_\d+$", "", str(variable.name).split(":")[0].split("/")[-1])
