"""Invertible maps of z whose parts are networks: each gives a `tfb.Bijector`, conditioned on a context or not.

`posteriors` inverts or conditions them, `priors` takes them as they are. A flow holds the networks of its layers and is
called to get a bijector, once for each context: z = f_T(... f_1(u)), log p(z) = log p(u) - sum_t log |det df_t|. TFP's
bijectors do the mapping and its determinant; what is here are the networks, which begin small, and the order of layers.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, final

import numpy as np

from tfp_vae.core.lazy import tf, tfp
from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import Tensor
from tfp_vae.model.networks import apply_to_last_axis, mlp

__all__ = ["CouplingFlow", "Flow", "MaskedAffine", "MaskedFlow", "MaskedNetwork"]


class Flow(abc.ABC):
    """A stack of layers with the order of the dimensions reversed between them.

    networks: what it learns.

    A layer changes a dimension by those before it, or the second half by the first; reversing the order between layers
    gives each dimension its turn, so that from the second layer on none is left as it was. Permutations add nothing to
    the determinant.
    """

    networks: tuple[Callable[..., Tensor], ...]
    latent_dim: int

    @abc.abstractmethod
    def layer(self, network: Any, context: Any) -> Any:
        """Return one layer as a bijector, given its network and a context [..., C] or None."""

    @final
    def __call__(self, context: Any = None) -> Any:
        """Return the stack as a `tfb.Bijector` of z [..., D].

        Args:
          context: what the layers see beside z, [..., C], its leading axes broadcast to those of z; None for a flow
            without.
        """
        tfb = tfp.bijectors
        reverse = tfb.Permute(list(reversed(range(self.latent_dim))))
        layers = [part for network in self.networks for part in (self.layer(network, context), reverse)]
        return tfb.Chain(layers[:-1])


def _bounded(a: Any) -> Any:
    """Return a log-scale within (-2, 2), zero at zero.

    2 tanh(a / 2) has slope 1 at zero; without a bound one layer can scale by more than float32 holds.
    """
    return 2 * tf.tanh(a / 2)


@final
class MaskedNetwork(tf.Module):
    """Masked autoregressive network, (z [..., D], h [..., C] or None) -> [..., D, 2], whose output i sees z_1..z_{i-1}.

    Each unit has a degree, the number of dimensions of z it may see; a weight between units whose degrees forbid it is
    multiplied by zero. The degrees are spread evenly over 1..D-1, and over 0..D-1 with a context, which units of degree
    0 see alone. (TFP's own network keeps its masks by constraints that only a Keras optimizer applies.)

    Two hidden layers of `hidden` elu units. Costs the products of full matrices, as masks save no time.

    Args:
      latent_dim: D.
      context_size: C, or 0 for none.
      seed: decides the initial weights, Normals of variance 0.1 over the number of inputs.
      hidden: units in each hidden layer.

    References:
      Germain et al. (2015), MADE: masked autoencoder for distribution estimation.
    """

    def __init__(self, latent_dim: int, context_size: int, seed: int, *, hidden: int) -> None:
        super().__init__()
        units, outputs = _degrees(hidden, 0 if context_size else 1, latent_dim - 1), np.arange(latent_dim)
        inputs, draw = np.arange(1, latent_dim + 1), np.random.default_rng(seed)
        pairs = [(inputs, units), (units, units), (units, np.repeat(outputs, 2))]
        self._masks = [(after >= before[:, np.newaxis]).astype(np.float32) for before, after in pairs]
        sizes = [mask.shape for mask in self._masks]
        self.kernels = [tf.Variable(_small(draw, rows, columns), name="kernel") for rows, columns in sizes]
        self.biases = [tf.Variable(tf.zeros([columns]), name="bias") for _, columns in sizes]
        widths = [columns for _, columns in sizes if context_size]
        self.from_context = [tf.Variable(_small(draw, context_size, columns), name="context") for columns in widths]

    def __call__(self, z: Any, context: Any = None) -> Any:
        """Return the outputs, [..., D, 2]; the context's leading axes are broadcast to z's."""
        h = z
        for i, (kernel, mask, bias) in enumerate(zip(self.kernels, self._masks, self.biases, strict=True)):
            h = tf.tensordot(h, kernel * mask, axes=1) + bias
            if context is not None:
                h += tf.tensordot(context, self.from_context[i], axes=1)
            h = tf.nn.elu(h) if i < len(self.kernels) - 1 else h
        return tf.reshape(h, tf.concat([tf.shape(h)[:-1], [h.shape[-1] // 2, 2]], axis=0))


def _degrees(units: int, lowest: int, highest: int) -> np.ndarray:
    """Return the degree of each unit, from the lowest to the highest: all of them in turn, or as many as there are.

    Args:
      units: how many.
      lowest: 0 for units that may see the context alone, else 1.
      highest: D - 1.
    """
    count = max(highest - lowest + 1, 1)
    spread = np.linspace(lowest, highest, units) if units < count else lowest + np.arange(units) % count
    return np.minimum(np.round(spread), highest).astype(int)


def _small(draw: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return initial weights small enough that a flow begins near the identity."""
    return np.asarray(draw.normal(size=(rows, columns)) * np.sqrt(0.1 / max(rows, 1)), np.float32)


@final
class MaskedAffine(tfp.bijectors.MaskedAutoregressiveFlow):
    """Masked autoregressive layer, z_i = u_i exp(a_i) + m_i, as `tfb.MaskedAutoregressiveFlow` but with its own loop.

    TFP's loop opens a variable scope. Eager TensorFlow refuses to open one if the current scope caches variables, and
    `tf.map_fn` leaves such a scope behind when the function that it traces raises. So one failed trace would make every
    later eager call fail. Our layers create no variables in a scope, so this loop opens none.

    Args:
      affine: z [..., D] -> the bijector u -> u exp(a) + m, whose a_i and m_i depend on z_1..z_{i-1} only.
    """

    def __init__(self, affine: Callable[[Tensor], Any]) -> None:
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
class MaskedFlow(Flow):
    """Masked autoregressive flow: z_i = u_i exp(a_i) + m_i, (m_i, a_i) a function of z_1..z_{i-1}. Fast density.

    log |det dz/du| = sum_i a_i. From z to u all dimensions are found in one pass, as each needs those of z before it;
    from u to z one after another, in D passes.

    ```python
    from tfp_vae.model.distributions.flows import MaskedFlow

    bijector = MaskedFlow(3, 0, seed=0, depth=2, hidden=8)()
    z = bijector.forward(np.zeros([16, 3], np.float32))  # [16, 3], one pass for each dimension
    bijector.inverse_log_det_jacobian(z, event_ndims=1)  # [16], one pass
    ```

    Args:
      latent_dim: D.
      context_size: C, or 0 for none.
      seed: decides the initial weights.
      depth: number of layers.
      hidden: width of the two hidden layers of each.

    References:
      Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow for density estimation.
    """

    def __init__(self, latent_dim: int, context_size: int, seed: int, *, depth: int, hidden: int) -> None:
        self.latent_dim = latent_dim
        self.networks = tuple(
            MaskedNetwork(latent_dim, context_size, integer(seed, Purpose.INITIALIZATION, 2, i), hidden=hidden)
            for i in range(depth)
        )

    def layer(self, network: Any, context: Any) -> Any:
        """Return one masked layer."""

        def affine(z: Any) -> Any:
            shift, a = tf.unstack(network(z, context), axis=-1)
            steps = [tfp.bijectors.Shift(shift), tfp.bijectors.Scale(log_scale=_bounded(a))]
            return tfp.bijectors.Chain(steps, validate_event_size=False)

        return MaskedAffine(affine)


@final
class CouplingFlow(Flow):
    """Real NVP: the first half of z stays, the second is scaled and shifted by a function of it. Fast both ways.

    log |det dz/du| = sum of a over the half that changes. Of an odd D the half that stays is the smaller one.

    Args:
      latent_dim: D, at least 2.
      context_size: C, or 0 for none.
      seed: decides the initial weights.
      depth: number of layers.
      hidden: width of the two hidden layers of each, GELU as in `networks.mlp`.

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP.
    """

    def __init__(self, latent_dim: int, context_size: int, seed: int, *, depth: int, hidden: int) -> None:
        self.latent_dim = latent_dim
        self._kept = latent_dim // 2
        self.networks = tuple(
            mlp(
                (self._kept + context_size,),
                2 * (latent_dim - self._kept),
                seed=integer(seed, Purpose.INITIALIZATION, 3, i),
                hidden=(hidden, hidden),
            )
            for i in range(depth)
        )

    def layer(self, network: Any, context: Any) -> Any:
        """Return one coupling layer."""

        def shift_and_log_scale(kept: Any, size: int, **unused: Any) -> tuple[Any, Any]:
            del size, unused
            shift, a = tf.split(apply_to_last_axis(network, _joined(kept, context)), 2, axis=-1)
            return shift, _bounded(a)

        return tfp.bijectors.RealNVP(num_masked=self._kept, shift_and_log_scale_fn=shift_and_log_scale)


def _joined(z: Any, context: Any) -> Any:
    """Return z [..., M] and the context [B, C] side by side, the context repeated along z's leading axes.

    The shape is known to the networks behind, which is why it is ensured: broadcasting forgets the last axis.
    """
    if context is None:
        return z
    shape = tf.concat([tf.broadcast_dynamic_shape(tf.shape(z)[:-1], tf.shape(context)[:-1]), [0]], axis=0)
    wide = [tf.broadcast_to(part, tf.concat([shape[:-1], tf.shape(part)[-1:]], axis=0)) for part in (z, context)]
    joined = tf.concat(wide, axis=-1)
    return tf.ensure_shape(joined, [*joined.shape[:-1], z.shape[-1] + context.shape[-1]])
