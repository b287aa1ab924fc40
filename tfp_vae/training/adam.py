"""Adam with the numbers of Keras' and fewer operations.

Keras computes the size of a step for each variable, which is two fifths of all operations of a small model's step. Each
takes time to trace and to run. XLA merges them, so it compiles Keras' own update.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from tfp_vae.core.execution import running
from tfp_vae.core.lazy import keras, tf
from tfp_vae.core.types import DType, Tensor

__all__ = ["Adam"]


@final
class Adam(keras.optimizers.Adam):
    """Adam, see `optimizers.adam`. Weights are bit-for-bit those of `tf_keras.optimizers.Adam`."""

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, Any]], *arguments: object, **keywords: object
    ) -> object:
        """Take one step."""
        pairs = [(gradient, variable) for gradient, variable in grads_and_vars if gradient is not None]
        if running() == "xla" or not all(tf.is_tensor(g) and not isinstance(g, tf.IndexedSlices) for g, _ in pairs):
            return super().apply_gradients(pairs, *arguments, **keywords)
        with tf.init_scope():
            self.build([variable for _, variable in pairs])
        constants = {dtype: self._constants(dtype) for dtype in {variable.dtype for _, variable in pairs}}
        for gradient, variable in pairs:
            alpha, rest_1, rest_2, epsilon = constants[variable.dtype]
            place = self._index_dict[self._var_key(variable)]
            m, v = self._momentums[place], self._velocities[place]
            m.assign_add((gradient - m) * rest_1)
            v.assign_add((tf.square(gradient) - v) * rest_2)
            variable.assign_sub((m * alpha) / (tf.sqrt(v) + epsilon))
        return self.iterations.assign_add(1)

    def _constants(self, dtype: DType) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the size of the step, 1 - beta_1, 1 - beta_2 and epsilon, which all variables of a type share."""
        step = tf.cast(self.iterations + 1, dtype)
        powers = (tf.pow(tf.cast(beta, dtype), step) for beta in (self.beta_1, self.beta_2))
        first, second = (1 - power for power in powers)
        alpha = tf.cast(self.learning_rate, dtype) * tf.sqrt(second) / first
        rests = (tf.constant(value, dtype) for value in (1 - self.beta_1, 1 - self.beta_2, self.epsilon))
        return alpha, *rests
