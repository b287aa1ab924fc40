"""Networks: functions from tensors to tensors. The only file that builds Keras layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tfp_vae._lazy import keras
from tfp_vae.members import Table, Widths

__all__ = ["NETWORKS", "Activation", "Network", "mlp"]

Network: TypeAlias = Callable[[Any], Any]
"""Any callable tensor -> tensor, [B, *input_shape] -> [B, output_size]; a `tf.Module` if it learns."""

Activation = Literal["gelu", "relu", "tanh", "elu", "silu", "softplus"]


def mlp(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    *,
    hidden: Widths = (512, 512),
    activation: Activation = "gelu",
) -> Network:
    """Multilayer perceptron on the flattened input.

    h_0 = vec(x);  h_l = a(W_l h_{l-1} + b_l);  output = W h_L + b, linear.

    Args:
      input_shape: shape of one input, without the batch.
      output_size: numbers per output, usually a family's `params_size`.
      output_bias: where the last bias starts, a scalar or `output_size` numbers; zero if not given.
      seed: decides the initial weights (Glorot uniform, He uniform before a relu).
      hidden: width of each hidden layer.
      activation: the function `a` after each hidden layer.

    Returns:
      A `tf_keras.Sequential`, [B, *input_shape] -> [B, output_size].

    References:
      Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
      He et al. (2015), Delving deep into rectifiers.
    """
    *hidden_seeds, last_seed = _layer_seeds(seed, len(hidden) + 1)
    inner = [
        keras.layers.Dense(
            width, activation, kernel_initializer=_initializer(activation)(layer_seed), name=f"hidden_{i}"
        )
        for i, (width, layer_seed) in enumerate(zip(hidden, hidden_seeds, strict=True))
    ]
    last = keras.layers.Dense(
        output_size,
        kernel_initializer=keras.initializers.GlorotUniform(last_seed),
        bias_initializer=keras.initializers.Constant(0.0 if output_bias is None else np.asarray(output_bias)),
        name="output",
    )
    network: Network = keras.Sequential([keras.Input(tuple(input_shape)), keras.layers.Flatten(), *inner, last])
    return network


def _layer_seeds(seed: int, layers: int) -> list[int]:
    return [int(s) >> 1 for s in np.random.SeedSequence(seed).generate_state(layers)]


def _initializer(activation: str) -> Any:
    return keras.initializers.HeUniform if activation == "relu" else keras.initializers.GlorotUniform


NETWORKS = Table("network", {"mlp": mlp})
