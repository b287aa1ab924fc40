"""Types of the arguments and results of this package, for editors and type checkers.

At run time they are `Any`, so reading them imports neither TensorFlow nor TFP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

__all__ = ["Array", "Bijector", "Distribution", "Seed", "Tensor", "TensorShape", "Variable"]

if TYPE_CHECKING:
    from tensorflow import Tensor, TensorShape, Variable
    from tensorflow_probability.python.bijectors import Bijector
    from tensorflow_probability.python.distributions import Distribution
else:
    Tensor = TensorShape = Variable = Bijector = Distribution = Any

if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray | Tensor
else:
    Array = Any
"""An array or a tensor; either serves."""

Seed: TypeAlias = "tuple[int, int] | Tensor"
"""A stateless seed: two integers."""
