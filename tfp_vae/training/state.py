"""The state of a training as named arrays: the model, the optimizer and the averaged weights.

A name is `part/number/variable`, where the part is `encoder`, `decoder` or `prior`. An encoder that the prior uses too
is named once, as the encoder. Optimizer variables are `optimizer/number`, and averaged weights repeat the weight's name
after `average/`. The names are the same in every process, so a file of arrays restores a model built elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np

from tfp_vae.core.errors import RunError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Variable

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE
    from tfp_vae.training.average import Average
    from tfp_vae.training.optimizers import Optimizer

__all__ = ["AVERAGE", "OPTIMIZER", "Shapes", "State", "model_arrays", "weights_in_use"]

OPTIMIZER, AVERAGE = "optimizer/", "average/"
"""Prefixes of the names of optimizer variables and of averaged weights."""

Shapes: TypeAlias = Mapping[str, "tuple[tuple[int, ...], type[np.generic]]"]
"""The shape and type of each variable, by name."""


@final
@check_keywords
class State:
    """All variables that a training changes, by name.

    ```python
    state = tv.training.State(vae)
    kept = state.capture()  # {"encoder/000/kernel": ..., ...}, copies
    state.restore(kept)  # back to those weights
    ```

    Args:
      vae: the model.
      optimizer: its optimizer, already built for the model. Without one, the state holds the weights in use.
      average: the moving average of the trainable weights, if there is one.
    """

    def __init__(self, vae: VAE, optimizer: Optimizer | None = None, average: Average | None = None) -> None:
        named: dict[str, Variable] = {}
        known: set[int] = set()
        for part, module in (("encoder", vae.encoder), ("decoder", vae.decoder), ("prior", vae)):
            new = [variable for variable in module.variables if id(variable) not in known]
            for i, variable in enumerate(new):
                # Keras and graphs number names as they come, so the numbers are left out.
                label = re.sub(r"_\d+$", "", str(variable.name).split(":")[0].split("/")[-1])
                named[f"{part}/{i:03d}/{label}"] = variable
            known |= set(map(id, new))
        if average is not None:
            follows = {id(w): a for w, a in zip(vae.trainable_variables, average.variables, strict=True)}
            averages = {AVERAGE + name: follows[id(w)] for name, w in named.items() if id(w) in follows}
        else:
            averages = {}
        slots = [] if optimizer is None else optimizer.variables
        self.variables = named | {f"{OPTIMIZER}{i:03d}": v for i, v in enumerate(slots)} | averages
        self._resumes = optimizer is not None

    def __repr__(self) -> str:
        return f"State({len(self.variables)} variables)"

    def capture(self) -> dict[str, np.ndarray]:
        """Return a copy of the value of each variable, by name."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Give the variables the captured values. If one does not fit, none changes.

        Args:
          arrays: from `capture`. A state without an optimizer takes the weights in use from a training's arrays:
            the averaged weights if there are any.

        Raises:
          RunError: a variable is missing, unknown, or has another shape or type.
        """
        given = arrays if self._resumes else weights_in_use(arrays)
        if given.keys() != self.variables.keys():
            raise RunError(
                f"The weights do not fit the model: only one of them has {min(given.keys() ^ self.variables.keys())!r}."
            )
        for name, expected in self.shapes().items():
            found = (given[name].shape, given[name].dtype.type)
            if found != expected:
                raise RunError(
                    f"The weights do not fit the model: expected {name} with shape and type {expected}, found {found}."
                )
        for name, variable in self.variables.items():
            variable.assign(given[name])

    def shapes(self) -> Shapes:
        """Return the shape and type of each variable, by name."""
        return {name: (tuple(v.shape), v.dtype.as_numpy_dtype) for name, v in self.variables.items()}


def model_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the model's own arrays, as the last step left them, without averages and optimizer."""
    return {name: array for name, array in arrays.items() if not name.startswith((OPTIMIZER, AVERAGE))}


def weights_in_use(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays that samples and evaluations use: the averages where there are any, else the weights.

    Args:
      arrays: from `State.capture`.

    Returns:
      Arrays under the names of the model.
    """
    averages = {name.removeprefix(AVERAGE): array for name, array in arrays.items() if name.startswith(AVERAGE)}
    return model_arrays(arrays) | averages
