"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pydantic
from numpy.typing import ArrayLike

from tfp_vae.core.lazy import keras
from tfp_vae.core.registry import Widths, check_keywords
from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import FloatType
from tfp_vae.model.networks.base import Activation, Network, layer_seeds

__all__ = ["mlp"]


@check_keywords
def mlp(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    dtype: FloatType | None = None,
    *,
    hidden: Widths = (512, 512),
    activation: Activation = "gelu",
    normalization: Literal["none", "layer"] = "none",
    dropout: Annotated[float, pydantic.Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0,
) -> Network:
    """Multilayer perceptron on the flattened input.

    h_0 = vec(x);  h_l = drop(a(norm(W_l h_{l-1} + b_l)));  output = W h_L + b, linear.

    Each layer costs one product of matrices. For inputs of M values and outputs of P values, a batch takes
    B (M h_1 + h_1 h_2 + ... + h_L P) multiplications. XLA fuses them well.

    ```python
    network = tv.networks.mlp((8, 8, 1), 4, hidden=(32, 32), activation="tanh", dropout=0.1)
    network(x)  # [16, 4]
    with tv.networks.dropping((0, 1)):
        network(x)  # [16, 4], with some units dropped
    ```

    Args:
      input_shape: shape of one input, without the batch axis.
      output_size: P, the number of values per output, usually the `params_size` of a family.
      output_bias: initial bias of the last layer, a scalar or [P]. Zero if None.
      seed: seed of the initial weights, which are Glorot uniform, or He uniform before a relu.
      dtype: type of the weights. Keras' default type if None, which is float32.
      hidden: width of each hidden layer. An empty tuple makes the network linear.
      activation: a, the function after each hidden layer.
      normalization: `layer` normalizes each hidden layer before its activation.
      dropout: share of the units of each hidden layer that training drops, see `dropping`. Networks that differ in
        seed or size drop different units.

    Returns:
      A `tf_keras.Sequential`, [B, *input_shape] -> [B, P].

    Raises:
      UsageError: an unknown keyword.

    References:
      Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
      He et al. (2015), Delving deep into rectifiers: surpassing human-level performance on ImageNet classification.
      Hendrycks and Gimpel (2016), Gaussian error linear units (GELUs).
      Ba, Kiros and Hinton (2016), Layer normalization.
      Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.
    """
    from tfp_vae.model.networks.layers import Dropout, Layer, initializer, output

    seeds, own = layer_seeds(seed), integer(seed, Purpose.DROPOUT, *input_shape, output_size)
    layers: list[Layer] = [keras.Input(tuple(input_shape), dtype=dtype), keras.layers.Flatten(dtype=dtype)]
    for i, width in enumerate(hidden):
        start = initializer(activation, next(seeds))
        layers.append(keras.layers.Dense(width, kernel_initializer=start, name=f"hidden_{i}", dtype=dtype))
        if normalization == "layer":
            layers.append(keras.layers.LayerNormalization(name=f"normalization_{i}", dtype=dtype))
        layers.append(keras.layers.Activation(activation, dtype=dtype))
        if dropout:
            layers.append(Dropout(dropout, own, i, dtype))
    network: Network = keras.Sequential([*layers, output(output_size, output_bias, next(seeds), dtype)])
    return network
