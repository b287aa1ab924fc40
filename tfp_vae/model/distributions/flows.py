"""Normalizing flows: stacks of invertible layers of z whose parameters come from networks.

z = f_T(... f_1(u)),  log p(z) = log p(u) - sum_t log |det df_t|.

A flow holds the networks of its layers. Calling it with a context returns a `tfb.Bijector`. Posteriors pass a context
from the encoder, priors pass none. TFP's bijectors compute the map and its determinant.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, final

import numpy as np

from tfp_vae.core.lazy import tf, tfp
from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import Array, Bijector, FloatType, Tensor
from tfp_vae.model.networks import Network, apply_to_last_axis, mlp

__all__ = ["CouplingFlow", "Flow", "MaskedAffine", "MaskedFlow", "MaskedNetwork", "bounded_log_scale", "bounded_shift"]

N = TypeVar("N")

LARGEST_SHIFT = 8.0
"""Bound of the shift of a layer. Near it, float32 numbers are 10^-6 apart."""


def bounded_log_scale(a: Tensor) -> Tensor:
    """Return 2 tanh(a / 2), a log-scale in (-2, 2) with slope 1 at zero.

    Without a bound, one layer could scale z by more than float32 can hold.
    """
    return 2 * tf.tanh(a / 2)


def bounded_shift(m: Tensor) -> Tensor:
    """Return 8 tanh(m / 8), a shift in (-8, 8) with slope 1 at zero.

    Inverting a layer subtracts the shift from z. Without a bound, the difference would lose all digits of a small u.
    """
    return LARGEST_SHIFT * tf.tanh(m / LARGEST_SHIFT)


class Flow(abc.ABC, Generic[N]):
    """A stack of layers with the order of the dimensions reversed between them.

    A layer changes a dimension based on those before it, or the second half based on the first. Reversing the order
    between layers lets every dimension change from the second layer on. Permutations do not affect the determinant.

    networks: the network of each layer.
    """

    networks: tuple[N, ...]
    latent_dim: int

    @abc.abstractmethod
    def layer(self, network: N, context: Array | None) -> Bijector:
        """Return one layer, given its network and a context [..., C] or None."""

    @final
    def __call__(self, context: Array | None = None) -> Bijector:
        """Return the stack as a bijector of z [..., D].

        Args:
          context: more inputs of the layers, [..., C], whose leading axes broadcast to those of z. None for a flow
            without a context.
        """
        tfb = tfp.bijectors
        reverse = tfb.Permute(list(reversed(range(self.latent_dim))))
        layers = [part for network in self.networks for part in (self.layer(network, context), reverse)]
        return tfb.Chain(layers[:-1])


@final
class MaskedNetwork(tf.Module):
    """Masked autoregressive network, (z [..., D I], h [..., C]) -> [..., D, O], whose output i sees z_1..z_{i-1} and h.

    Each unit has a degree, the number of dimensions of z that it may see. The weights between two units are multiplied
    by zero if their degrees forbid a connection. The degrees are spread evenly over 1..D-1. With a context they start
    at 0, and units of degree 0 see the context only.

    It has two hidden layers of elu units. The cost is that of full matrix products, because masks save no time. TFP's
    `AutoregressiveNetwork` keeps its masks with constraints that only a Keras optimizer applies, so it is not used.

    Args:
      latent_dim: D.
      context_size: C, or 0 for no context.
      seed: seed of the initial weights, Normals whose variance is 0.1 divided by the number of inputs. They are so
        small that a flow starts near the identity.
      hidden: number of units in each hidden layer.
      dtype: type of the weights.
      inputs: I, the number of elements of z in each dimension, which is more than 1 for one-hot vectors.
      outputs: O, the number of outputs for each dimension.

    References:
      Germain et al. (2015), MADE: masked autoencoder for distribution estimation.
    """

    def __init__(
        self,
        latent_dim: int,
        context_size: int,
        seed: int,
        *,
        hidden: int,
        dtype: FloatType = "float32",
        inputs: int = 1,
        outputs: int = 2,
    ) -> None:
        super().__init__()
        self._outputs = outputs
        generator = np.random.default_rng(seed)

        def small(rows: int, columns: int) -> np.ndarray:
            return np.asarray(generator.normal(size=(rows, columns)) * np.sqrt(0.1 / max(rows, 1)), dtype)

        first, last = np.repeat(np.arange(1, latent_dim + 1), inputs), np.repeat(np.arange(latent_dim), outputs)
        units = self.spread_degrees(hidden, 0 if context_size else 1, latent_dim - 1)
        pairs = [(first, units), (units, units), (units, last)]
        self._masks = [(after >= before[:, np.newaxis]).astype(dtype) for before, after in pairs]
        self.kernels = [tf.Variable(small(*mask.shape), name="kernel") for mask in self._masks]
        self.biases = [tf.Variable(tf.zeros([mask.shape[1]], dtype), name="bias") for mask in self._masks]
        widths = [mask.shape[1] for mask in self._masks if context_size]
        self.from_context = [tf.Variable(small(context_size, width), name="context") for width in widths]

    @staticmethod
    def spread_degrees(units: int, lowest: int, highest: int) -> np.ndarray:
        """Return a degree for each unit: every degree from lowest to highest in turn, or evenly spaced ones if few."""
        count = max(highest - lowest + 1, 1)
        spread = np.linspace(lowest, highest, units) if units < count else lowest + np.arange(units) % count
        return np.minimum(np.round(spread), highest).astype(int)

    def __call__(self, z: Array, context: Array | None = None) -> Tensor:
        """Return the outputs, [..., D, O]. The leading axes of the context broadcast to those of z."""
        h = z
        for i, (kernel, mask, bias) in enumerate(zip(self.kernels, self._masks, self.biases, strict=True)):
            h = tf.tensordot(h, kernel * mask, axes=1) + bias
            if context is not None:
                h += tf.tensordot(context, self.from_context[i], axes=1)
            h = tf.nn.elu(h) if i < len(self.kernels) - 1 else h
        return tf.reshape(h, tf.concat([tf.shape(h)[:-1], [h.shape[-1] // self._outputs, self._outputs]], axis=0))


@final
class MaskedAffine(tfp.bijectors.MaskedAutoregressiveFlow):
    """Masked autoregressive layer, z_i = u_i exp(a_i) + m_i, as `tfb.MaskedAutoregressiveFlow` but with its own loop.

    TFP's loop opens a variable scope. Eager TensorFlow refuses to open one if the current scope caches variables, and
    `tf.map_fn` leaves such a scope behind when the function that it traces raises. So one failed trace would make every
    later eager call fail. Our layers create no variables in a scope, so this loop opens none.

    Args:
      affine: z [..., D] -> the bijector u -> u exp(a) + m, whose a_i and m_i depend on z_1..z_{i-1} only.
    """

    def __init__(self, affine: Callable[[Tensor], Bijector]) -> None:
        super().__init__(bijector_fn=affine)
        self._affine = affine

    def _forward(self, x: Tensor) -> Tensor:
        """Return z for u = x [..., D]: each of the D passes completes one more dimension."""
        (z,) = tf.while_loop(
            cond=lambda z: True,
            body=lambda z: (self._affine(z).forward(x),),
            loop_vars=(tf.zeros_like(x),),
            maximum_iterations=x.shape[-1],
        )
        return z


@final
class MaskedFlow(Flow[MaskedNetwork]):
    """Masked autoregressive flow, z_i = u_i exp(a_i) + m_i, with (m_i, a_i) a function of z_1..z_{i-1}.

    log |det dz/du| = sum_i a_i. From z to u, all dimensions are computed in one pass, because each needs the z before
    it. From u to z, it takes D passes, one for each dimension. So the density is fast and sampling is slow.

    ```python
    from tfp_vae.model.distributions.flows import MaskedFlow

    bijector = MaskedFlow(3, 0, seed=0, depth=2, hidden=8)()
    z = bijector.forward(np.zeros([16, 3], np.float32))  # [16, 3], three passes
    bijector.inverse_log_det_jacobian(z, event_ndims=1)  # [16], one pass
    ```

    Args:
      latent_dim: D.
      context_size: C, or 0 for no context.
      seed: seed of the initial weights.
      depth: number of layers.
      hidden: width of the two hidden layers of each network.
      dtype: type of the weights.

    References:
      Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow for density estimation.
    """

    def __init__(
        self, latent_dim: int, context_size: int, seed: int, *, depth: int, hidden: int, dtype: FloatType = "float32"
    ) -> None:
        self.latent_dim = latent_dim
        self.networks = tuple(
            MaskedNetwork(
                latent_dim, context_size, integer(seed, Purpose.INITIALIZATION, 2, i), hidden=hidden, dtype=dtype
            )
            for i in range(depth)
        )

    def layer(self, network: MaskedNetwork, context: Array | None) -> Bijector:
        """Return one masked layer."""

        def affine(z: Tensor) -> Bijector:
            shift, a = tf.unstack(network(z, context), axis=-1)
            steps = [tfp.bijectors.Shift(bounded_shift(shift)), tfp.bijectors.Scale(log_scale=bounded_log_scale(a))]
            return tfp.bijectors.Chain(steps, validate_event_size=False)

        return MaskedAffine(affine)


@final
class CouplingFlow(Flow[Network]):
    """Real NVP: z = (u_1, u_2 exp(a) + m), with (m, a) a function of the first half u_1.

    log |det dz/du| is the sum of a. Both directions take one pass. If D is odd, the first half is the smaller one.

    ```python
    from tfp_vae.model.distributions.flows import CouplingFlow

    bijector = CouplingFlow(3, 0, seed=0, depth=2, hidden=8)()
    bijector.inverse(bijector.forward(np.ones([16, 3], np.float32)))  # ones, [16, 3]
    ```

    Args:
      latent_dim: D, at least 2.
      context_size: C, or 0 for no context.
      seed: seed of the initial weights.
      depth: number of layers.
      hidden: width of the two hidden layers of each network, an `mlp` with GELU.
      dtype: type of the weights.

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP.
    """

    def __init__(
        self, latent_dim: int, context_size: int, seed: int, *, depth: int, hidden: int, dtype: FloatType = "float32"
    ) -> None:
        self.latent_dim = latent_dim
        self._kept = latent_dim // 2
        self.networks = tuple(
            mlp(
                (self._kept + context_size,),
                2 * (latent_dim - self._kept),
                seed=integer(seed, Purpose.INITIALIZATION, 3, i),
                dtype=dtype,
                hidden=(hidden, hidden),
            )
            for i in range(depth)
        )

    def layer(self, network: Network, context: Array | None) -> Bijector:
        """Return one coupling layer."""

        def shift_and_log_scale(first: Tensor, size: int, **unused: object) -> tuple[Tensor, Tensor]:
            del size, unused
            inputs = first if context is None else self.concatenate([first, context])
            shift, a = tf.split(apply_to_last_axis(network, inputs), 2, axis=-1)
            return bounded_shift(shift), bounded_log_scale(a)

        return tfp.bijectors.RealNVP(num_masked=self._kept, shift_and_log_scale_fn=shift_and_log_scale)

    @staticmethod
    def concatenate(parts: Sequence[Tensor]) -> Tensor:
        """Return two tensors joined along the last axis, after their leading axes are broadcast to each other."""
        one, other = parts
        leading = tf.broadcast_dynamic_shape(tf.shape(one)[:-1], tf.shape(other)[:-1])
        wide = [tf.broadcast_to(part, tf.concat([leading, tf.shape(part)[-1:]], axis=0)) for part in parts]
        joined = tf.concat(wide, axis=-1)
        # broadcasting loses the static size of the last axis, which networks need
        return tf.ensure_shape(joined, [*joined.shape[:-1], one.shape[-1] + other.shape[-1]])
