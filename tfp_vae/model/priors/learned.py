"""A learned Normal prior, which depends on the context in a conditional model."""

from __future__ import annotations

import functools
import math
from dataclasses import field
from typing import ClassVar, final

import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Widths, record
from tfp_vae.core.types import Array, Distribution, FloatType, Tensor
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.networks import Network, apply_to_last_axis, mlp
from tfp_vae.model.networks.context import bind
from tfp_vae.model.priors.base import Prior

__all__ = ["LearnedNormal"]

SCALE_FLOOR = 1e-3
"""Smallest scale of the prior."""

UNIT = math.log(math.expm1(1 - SCALE_FLOOR))
"""softplus of this number and the floor are a scale of 1."""


@final
@record
class LearnedNormal(Prior):
    """Learned diagonal Normal, p(z) = N(z; loc, diag(scale^2)), or p(z|y) with loc(y) and scale(y).

    scale = 0.001 + softplus(s). In a conditional model, a network of the context y returns loc and s. In others they
    are variables. The prior starts at N(0, I). With a Normal posterior the rate has a closed form.

    With the standard Normal, z has the same distribution for every y, so the decoder alone models how x depends on y.
    With this prior, different y may also use different regions of z.

    ```python
    prior = tv.priors.LearnedNormal(2, context_size=3)
    p = prior.given(np.eye(3, dtype=np.float32))()  # p(z|y) of three classes: batch [3], event [2]
    ```

    Args:
      latent_dim: D, the dimension of z.
      context_size: C, the number of values of y. 0 for a model without a condition.
      seed: seed of the initial weights of hidden layers.
      dtype: type of the weights and of z.
      hidden: width of each hidden layer. By default there is none, so loc and s are linear in y, which is general if y
        is a class.

    Returns (when called, with a temperature T):
      `tfd.MultivariateNormalDiag`, batch [], event [D], with its scales multiplied by T. After `given` with the
      contexts of B examples, batch [B].

    Raises:
      UsageError: the prior of a conditional model is called before `given`.

    References:
      Sohn, Lee and Yan (2015), Learning structured output representation using deep conditional generative models.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, diagonal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    context_size: pydantic.NonNegativeInt = 0
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    hidden: Widths = field(default=(), kw_only=True)

    @functools.cached_property
    def learned(self) -> tuple[object]:
        """The network from y [B, C] to loc and s [B, 2 D], or loc and s [2 D] themselves. Both start at 0."""
        size = 2 * self.latent_dim
        if not self.context_size:
            return (tf.Variable(tf.zeros([size], self.dtype), name="prior"),)
        network: Network = mlp((self.context_size,), size, seed=self.seed, dtype=self.dtype, hidden=self.hidden)
        for weight in network.layers[-1].trainable_variables:  # type: ignore[attr-defined]  # of Keras
            weight.assign(tf.zeros_like(weight))
        return (network,)

    def given(self, context: Array) -> Prior:
        """Return p(z|y) for a context [C], or for one context of each example, [B, C]. It shares the weights."""
        if not self.context_size:
            return self
        return bind(self, learned=self.learned, _context=context)  # made before the copy, so that both have the same

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return the prior, batch [], or [B] for the contexts of B examples, event [D]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalDiag

        loc, s = tf.split(self._params(), 2, axis=-1)
        return MultivariateNormalDiag(loc, temperature * (SCALE_FLOOR + tf.nn.softplus(UNIT + s)))

    def _params(self) -> Tensor:
        """Return loc and s, [2 D] or [B, 2 D]."""
        (learned,) = self.learned
        if not self.context_size:
            return tf.convert_to_tensor(learned)
        context = vars(self).get("_context")
        if context is None:
            raise UsageError(
                "The prior of a conditional model needs a context. Condition the model with `vae.given(y)`."
            )
        return apply_to_last_axis(learned, tf.cast(context, self.dtype))  # type: ignore[arg-type]  # a network
