"""Types of the arguments and results of this package, for editors and type checkers.

At run time they are `Any`, so reading them imports neither TensorFlow nor TFP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

__all__ = ["Array", "Distribution", "Seed", "Tensor", "Variable"]

if TYPE_CHECKING:
    from tensorflow import Tensor, Variable
    from tensorflow_probability.python.distributions import Distribution
else:
    Tensor = Variable = Distribution = Any

if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray | Tensor
else:
    Array = Any
"""An array or a tensor; either serves."""

Seed: TypeAlias = "tuple[int, int] | Tensor"
"""A stateless seed: two integers."""
