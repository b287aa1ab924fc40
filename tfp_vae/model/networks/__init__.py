"""Networks: functions from tensors to tensors. The only file that builds Keras layers.

`NETWORKS` names those that a config can ask for. Each takes the shape of its input and how many numbers it has to give,
and knows nothing of distributions; positional parameters are context, keyword-only ones settings. Layers are those of
`tf_keras`, which `tf.Module` tracks. Any callable with `tf.Variable`s that a `tf.Module` shows will do in their place:
see `adapters`.
"""

from __future__ import annotations

import abc
import contextlib
import contextvars
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol, final

import numpy as np
import pydantic
from numpy.typing import ArrayLike

from tfp_vae.core.errors import UsageError
from tfp_vae.core.exports import lazy_exports
from tfp_vae.core.lazy import keras, tf
from tfp_vae.core.registry import Depth, Table, Width, Widths, split_numbers
from tfp_vae.core.seeds import Purpose, Seed, fold, integer
from tfp_vae.core.types import Array, Tensor

__all__ = [
    "NETWORKS",
    "Activation",
    "Network",
    "apply_to_last_axis",
    "conv",
    "dropping",
    "mlp",
    "resnet",
]


class Network(Protocol):
    """A callable from tensors [B, *input_shape] to tensors [B, output_size] that shows its weights as variables."""

    @abc.abstractmethod
    def __call__(self, x: Array, /) -> Tensor:
        """Return the output for x."""


Activation = Literal["gelu", "relu", "tanh", "elu", "silu", "softplus"]
Normalization = Literal["none", "layer"]
Rate = Annotated[float, pydantic.Field(ge=0, lt=1, allow_inf_nan=False)]
Channels = Annotated[
    tuple[Annotated[Width, pydantic.Field(le=4_096)], ...],
    pydantic.Field(min_length=1, max_length=16),
    pydantic.BeforeValidator(split_numbers),
]
"""Channels of each size of an image, at least one; 16 halvings bring 65,536 pixels to one."""


def mlp(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    *,
    hidden: Widths = (512, 512),
    activation: Activation = "gelu",
    normalization: Normalization = "none",
    dropout: Rate = 0.0,
) -> Network:
    """Multilayer perceptron on the flattened input.

    h_0 = vec(x);  h_l = drop(a(norm(W_l h_{l-1} + b_l)));  output = W h_L + b, linear.

    Costs a product of matrices for each layer: B (M h_1 + h_1 h_2 + ... + h_L P) multiplications for inputs of M values
    and outputs of P. XLA fuses them well.

    ```python
    network = tv.networks.mlp((8, 8, 1), 4, hidden=(32, 32), activation="tanh", dropout=0.1)
    network(x)  # [16, 4]
    with tv.networks.dropping((0, 1)):
        network(x)  # [16, 4], some units dropped
    ```

    Args:
      input_shape: shape of one input, without the batch.
      output_size: numbers per output, usually a family's `params_size`.
      output_bias: where the last bias starts, a scalar or `output_size` numbers; zero if not given.
      seed: decides the initial weights (Glorot uniform, He uniform before a relu).
      hidden: width of each hidden layer.
      activation: the function `a` after each hidden layer.
      normalization: `layer` normalizes each hidden layer before its activation.
      dropout: the share of each hidden layer that is dropped while training; see `dropping`. Which units, is this
        network's own draw: networks of another seed or of other sizes drop others.

    Returns:
      A `tf_keras.Sequential`, [B, *input_shape] -> [B, output_size].

    References:
      Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
      He et al. (2015), Delving deep into rectifiers.
      Hendrycks and Gimpel (2016), Gaussian error linear units (GELUs).
      Ba, Kiros and Hinton (2016), Layer normalization.
      Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.
    """
    seeds, own = _seeds(seed), integer(seed, Purpose.DROPOUT, *input_shape, output_size)
    layers = [keras.Input(tuple(input_shape)), keras.layers.Flatten()]
    for i, width in enumerate(hidden):
        initializer = _initializer(activation)(next(seeds))
        layers.append(keras.layers.Dense(width, kernel_initializer=initializer, name=f"hidden_{i}"))
        layers.extend(_NORMALIZATIONS[normalization](i))
        layers.append(keras.layers.Activation(activation))
        layers.extend([_dropout_layer()(dropout, own, i)] if dropout else [])
    return _sequential([*layers, _output(output_size, output_bias, next(seeds))])


def conv(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    image_shape: Sequence[int] | None = None,
    *,
    channels: Channels = (32, 64),
    dense: Widths = (256,),
    activation: Activation = "gelu",
) -> Network:
    """Convolutions: down from an image to a vector, or up from a vector to an image.

    Down, each layer of 3x3 convolutions halves height and width; the dense layers follow. Up, the dense layers
    come first, and each layer of transposed convolutions doubles height and width, cropped to the image in the end.

    Sides need not be powers of two: down, an odd side is rounded up, and up, rows and columns beyond the image are
    cropped. The output has a bias for each element, so that it can start at the data's mean image. On a CPU it is run
    as a graph, as XLA has no fast convolution there: see `execution.choose`.

    ```python
    encoder = tv.networks.conv((8, 8, 1), 4, channels=(8,), dense=(16,))  # down: [B, 8, 8, 1] -> [B, 4]
    decoder = tv.networks.conv((2,), 64, image_shape=(8, 8, 1), channels=(8,), dense=(16,))  # up: [B, 2] -> [B, 64]
    decoder(encoder(x)[:, :2])  # [16, 64]
    ```

    Args:
      input_shape: [H, W, C] of an image, or [D] of a vector.
      output_size: numbers per output; up, a multiple of H W C of `image_shape`, an element's own numbers last.
      output_bias: where the last bias starts; zero if not given.
      seed: decides the initial weights.
      image_shape: [H, W, C], of the image to be made; needed to go up.
      channels: of each layer down; up, in the opposite order.
      dense: widths of the dense layers between.
      activation: after each layer but the last.

    Returns:
      A `tf_keras.Model`, [B, *input_shape] -> [B, output_size].

    Raises:
      UsageError: a vector as input without an `image_shape` [H, W, C] to go up to.

    References:
      Radford, Metz and Chintala (2016), Unsupervised representation learning with deep convolutional generative
      adversarial networks.
    """
    plan = _Plan(output_size, output_bias, seed, channels, dense, activation, _no_blocks)
    return _down(input_shape, plan) if len(input_shape) == 3 else _up(input_shape, image_shape, plan)


def resnet(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    image_shape: Sequence[int] | None = None,
    *,
    channels: Channels = (32, 64),
    blocks: Depth = 1,
    block: Literal["residual", "gated"] = "residual",
    dense: Widths = (256,),
    activation: Activation = "gelu",
) -> Network:
    """Convolutions as in `conv`, with residual or gated blocks after each change of size.

    residual: h + W_2 a(W_1 a(h));  gated: h + W_1 a(h) * sigmoid(W_2 a(h)), W 3x3 convolutions.

    Each block adds two 3x3 convolutions at the full number of channels of its size, 18 C^2 weights: four times the
    multiplications of the convolution before it, where that doubles the channels.

    Args:
      input_shape: [H, W, C] of an image, or [D] of a vector.
      output_size: numbers per output; up, a multiple of H W C of `image_shape`.
      output_bias: where the last bias starts; zero if not given.
      seed: decides the initial weights.
      image_shape: [H, W, C], of the image to be made; needed to go up.
      channels: of each size down; up, in the opposite order.
      blocks: how many blocks at each size.
      block: which kind.
      dense: widths of the dense layers between.
      activation: the function `a`.

    Returns:
      A `tf_keras.Model`, [B, *input_shape] -> [B, output_size].

    Raises:
      UsageError: a vector as input without an `image_shape` [H, W, C] to go up to.

    References:
      He et al. (2016), Identity mappings in deep residual networks.
      van den Oord et al. (2016), Conditional image generation with PixelCNN decoders.
    """
    add = functools.partial(_blocks, blocks=blocks, block=_BLOCKS[block], activation=activation)
    plan = _Plan(output_size, output_bias, seed, channels, dense, activation, add)
    return _down(input_shape, plan) if len(input_shape) == 3 else _up(input_shape, image_shape, plan)


def apply_to_last_axis(network: Network, x: Array) -> Tensor:
    """Return network(x) for x [..., M] with any leading axes, which are folded into the one batch axis of a network.

    Args:
      network: [N, M] -> [N, P].
      x: [..., M].

    Returns:
      [..., P].
    """
    leading = tf.shape(x)[:-1]
    y = network(tf.reshape(x, [-1, x.shape[-1]]))
    return tf.reshape(y, tf.concat([leading, [y.shape[-1]]], axis=0))


_DROPPING: contextvars.ContextVar[Seed | None] = contextvars.ContextVar("dropping", default=None)


@contextlib.contextmanager
def dropping(seed: Seed) -> Iterator[None]:
    """Let dropout layers drop, by draws from `seed`; outside of this they change nothing.

    It is a context, and not an argument, as layers deep in a network of any kind need to hear of it. `training.Trainer`
    opens one in every step, with a seed folded from the step; validation and evaluation do not, so there dropout plays
    no part.

    Args:
      seed: a stateless seed, two integers. Within one context, a second call of the same network drops the same units.
    """
    token = _DROPPING.set(seed)
    try:
        yield
    finally:
        _DROPPING.reset(token)


@functools.cache
def _dropout_layer() -> Any:
    """Return the class of dropout layers, made on first use, as it is a subclass of one of Keras."""

    @final
    class Dropout(keras.layers.Layer):  # type: ignore[name-defined]
        """Dropout whose draws come from the seed of `dropping`, as Keras's own are not stateless."""

        def __init__(self, rate: float, network: int, place: int) -> None:
            super().__init__(name=f"dropout_{place}")
            self.rate, self.network, self.place = rate, network, place

        def call(self, x: Any) -> Any:
            seed = _DROPPING.get()
            if seed is None:
                return x
            return tf.nn.experimental.stateless_dropout(x, self.rate, fold(seed, self.network, self.place))

    return Dropout


_NORMALIZATIONS: dict[str, Callable[[int], list[Any]]] = {
    "none": lambda place: [],
    "layer": lambda place: [keras.layers.LayerNormalization(name=f"normalization_{place}")],
}


def _seeds(seed: int) -> Iterator[int]:
    """Give a seed for each layer.

    A layer more at the end leaves the seeds of those before it as they are.
    """
    draw = np.random.default_rng(seed)
    while True:
        yield int(draw.integers(2**31))


def _initializer(activation: str) -> Any:
    return keras.initializers.HeUniform if activation == "relu" else keras.initializers.GlorotUniform


def _sequential(layers: Sequence[Any]) -> Network:
    network: Network = keras.Sequential(list(layers))
    return network


def _dense(width: int, activation: str, seed: int, name: str) -> Any:
    return keras.layers.Dense(width, activation, kernel_initializer=_initializer(activation)(seed), name=name)


def _output(size: int, bias: ArrayLike | None, seed: int) -> Any:
    return keras.layers.Dense(
        size,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        bias_initializer=_constant(bias),
        name="output",
    )


def _constant(bias: ArrayLike | None) -> Any:
    return keras.initializers.Constant(0.0 if bias is None else np.asarray(bias))


def _convolution(kind: Any, channels: int, stride: int, activation: str | None, seed: int, name: str) -> Any:
    """Return a layer of 3x3 convolutions, or transposed ones, padded so that a stride of 1 keeps the size."""
    initializer = _initializer(activation or "")(seed)
    return kind(channels, 3, stride, "same", activation=activation, kernel_initializer=initializer, name=name)


def _no_blocks(h: Any, seeds: Iterator[int], name: str) -> Any:
    del seeds, name
    return h


def _blocks(h: Any, seeds: Iterator[int], name: str, blocks: int, block: Any, activation: str) -> Any:
    """Return h after so many blocks of one size.

    Of residual and gated ones alike the sum is of what no activation has touched, so that the identity goes through
    all.
    """
    for i in range(blocks):
        first, second = (
            _convolution(keras.layers.Conv2D, h.shape[-1], 1, None, next(seeds), f"{name}_block_{i}_{part}")
            for part in "ab"
        )
        h = block(h, first, second, keras.layers.Activation(activation))
    return h


_BLOCKS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "residual": lambda h, first, second, a: h + second(a(first(a(h)))),
    "gated": lambda h, first, second, a: h + first(a(h)) * keras.layers.Activation("sigmoid")(second(a(h))),
}


class _Plan(NamedTuple):
    """What convolutions down and up have in common.

    output_size, output_bias, seed: see `conv`.
    channels: of each size, the largest image first.
    dense: widths of the dense layers.
    activation: its name.
    """

    output_size: int
    output_bias: ArrayLike | None
    seed: int
    channels: Sequence[int]
    dense: Sequence[int]
    activation: str
    add: Callable[[Any, Iterator[int], str], Any]  # what follows each change of size: (h, seeds, name) -> h


def _down(input_shape: Sequence[int], plan: _Plan) -> Network:
    """Return a network from images to vectors, [B, output_size]."""
    seeds = _seeds(plan.seed)
    x = h = keras.Input(tuple(input_shape))
    for i, width in enumerate(plan.channels):
        h = _convolution(keras.layers.Conv2D, width, 2, plan.activation, next(seeds), f"down_{i}")(h)
        h = plan.add(h, seeds, f"down_{i}")
    h = keras.layers.Flatten()(h)
    for i, width in enumerate(plan.dense):
        h = _dense(width, plan.activation, next(seeds), f"dense_{i}")(h)
    network: Network = keras.Model(x, _output(plan.output_size, plan.output_bias, next(seeds))(h))
    return network


def _up(input_shape: Sequence[int], image_shape: Sequence[int] | None, plan: _Plan) -> Network:
    """Return a network from vectors to images, flattened to [B, output_size], an element's own numbers last."""
    if image_shape is None or len(image_shape) != 3:
        found = [*(input_shape if image_shape is None else image_shape)]
        raise UsageError(f"convolutions need images: expected a shape [H, W, C], found {found}; use an mlp.")
    height, width, seeds = *image_shape[:2], _seeds(plan.seed)
    small = [math.ceil(side / 2 ** len(plan.channels)) for side in (height, width)]
    z = h = keras.Input(tuple(input_shape))
    for i, size in enumerate((*plan.dense, math.prod(small) * plan.channels[-1])):
        h = _dense(size, plan.activation, next(seeds), f"dense_{i}")(h)
    h = keras.layers.Reshape((*small, plan.channels[-1]))(h)
    for i, size in enumerate(reversed(plan.channels)):
        h = plan.add(h, seeds, f"up_{i}")
        h = _convolution(keras.layers.Conv2DTranspose, size, 2, plan.activation, next(seeds), f"up_{i}")(h)
    last = _convolution(keras.layers.Conv2D, plan.output_size // (height * width), 1, None, next(seeds), "output")
    whole = h if h.shape[1:3] == (height, width) else h[:, :height, :width]  # a crop of nothing costs a copy
    picture = keras.layers.Flatten()(last(whole))
    network: Network = keras.Model(z, _bias_layer()(plan.output_bias)(picture))
    return network


@functools.cache
def _bias_layer() -> Any:
    """Return the class of layers that add a bias, made on first use, as that of `_dropout_layer`."""

    @final
    class Bias(keras.layers.Layer):  # type: ignore[name-defined]
        """A bias for each output, which convolutions share between places."""

        def __init__(self, start: ArrayLike | None) -> None:
            super().__init__(name="output_bias")
            self.start = start

        def build(self, shape: Any) -> None:
            self.bias = self.add_weight("bias", shape[-1:], initializer=_constant(self.start))

        def call(self, x: Any) -> Any:
            return x + self.bias

    return Bias


def needs_images(name: str) -> bool:
    """Return whether a network of `NETWORKS` is for images [H, W, C] alone, as its parameter `image_shape` declares.

    ```python
    tv.networks.needs_images("conv"), tv.networks.needs_images("mlp")  # True, False
    ```
    """
    return "image_shape" in inspect.signature(NETWORKS[name]).parameters


NETWORKS: Table[Network] = Table(
    "network", {"mlp": mlp, "conv": conv, "resnet": resnet}, base=Network, takes=("input_shape", "output_size")
)
"""What maps between events and vectors, by name.

The parameter `image_shape` is a declaration: a network that has it is for images [H, W, C] alone, and is refused for
other events by way of `needs_images`. One that takes any event must not have a parameter of that name.
"""

__getattr__, _ = lazy_exports(__name__, ["Fixed"], {"Fixed": "adapters"})
