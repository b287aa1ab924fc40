"""Variational families over the latent variable z: parameters -> q(z|x), a `tfd.Distribution`.

`POSTERIORS` names the families. Their positional parameters are what a model decides (the latent dimension, a seed),
the keyword-only ones are settings that a person may choose, checked against their limits by pydantic when a value is
made. A family says how many numbers it needs of each example, `params_size`, and makes q(z|x) of them; drawing, the
density and, between Normals, the KL are TFP's. Training draws by `q.sample`; evaluation by `draw_each`, which gives an
example the same draws in whatever batch it comes.
"""

from __future__ import annotations

import abc
import functools
from dataclasses import field
from typing import Annotated, Any, ClassVar, final

import pydantic
from pydantic.dataclasses import dataclass

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import from_each
from tfp_vae.core.registry import Depth, Positive, Table, Width
from tfp_vae.core.seeds import Seed
from tfp_vae.model.latent import Capabilities, Latent

__all__ = [
    "POSTERIORS",
    "DiagonalNormal",
    "FullCovarianceNormal",
    "HouseholderFlow",
    "InverseAutoregressiveFlow",
    "Posterior",
    "RealNVP",
]

SCALE_FLOOR = 1e-4
MEAN_SAMPLES = 64
"""Samples whose average stands for E_q[z|x] of a flow."""


class Posterior(abc.ABC):
    """A variational family: a value that turns an encoder's output into q(z|x).

    A new family is a frozen dataclass with `params_size` and `__call__`, entered into `POSTERIORS`. Making one of
    settings outside their limits raises `pydantic.ValidationError`, which is a ValueError.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    """Properties of q(z|x). A family that is reparameterized has to declare it."""

    latent_dim: int

    @property
    def latent(self) -> Latent:
        """The space of z, R^D."""
        return Latent.vector(self.latent_dim)

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """How many numbers the encoder's network gives for each example."""

    @property
    def learned(self) -> tuple[Any, ...]:
        """What the family itself learns, beside the network: modules, variables.

        They are made once and belong to this value: encoders that are given the same value share them, and learn them
        together. For weights of its own, give each encoder a value of its own.
        """
        return ()

    @abc.abstractmethod
    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, params_size]."""

    def mean(self, params: Any, *, seed: Seed) -> Any:
        """Return E_q[z|x], [B, D], of params [B, params_size]: closed-form, or from draws by the seed.

        Args:
          params: what the encoder's network gives.
          seed: a stateless seed, two integers; not looked at where the mean has a closed form.
        """
        del seed
        return self(params).mean()

    def draw_each(self, params: Any, n: int, seeds: Any) -> tuple[Any, Any]:
        """Return n draws of z for each example from a seed of its own, and log q(z|x): [n, B, D] and [n, B].

        An example's draws do not depend on the others in its batch, which is what makes an evaluation independent of
        the batch size. This one runs example by example, as any family can; families made of Normal noise do it at
        once.

        Args:
          params: [B, params_size].
          n: how many draws.
          seeds: [B, 2].
        """

        def of_one(example: tuple[Any, Any]) -> tuple[Any, Any]:
            row, seed = example
            q = self(row[tf.newaxis])
            z = q.sample(n, seed=seed)  # [n, 1, D]
            return z[:, 0], q.log_prob(z)[:, 0]

        z, log_q = tf.map_fn(of_one, (params, seeds), fn_output_signature=(params.dtype, params.dtype))
        return tf.transpose(z, [1, 0, 2]), tf.transpose(log_q)


class _OfNormalNoise(Posterior):
    """A family all of whose randomness is the noise of a multivariate Normal of `normals`.

    Then draws of many examples, each from a seed of its own, are one call whose noise `noise.from_each` replaces; a
    family with other randomness (a choice of component, rejection) inherits the slower way.
    """

    @final
    def draw_each(self, params: Any, n: int, seeds: Any) -> tuple[Any, Any]:
        """Return what `Posterior.draw_each` does, the same draws, of all examples at once."""
        with from_each(seeds):
            q = self(params)
            z = q.sample(n, seed=(0, 0))
            return z, q.log_prob(z)


def _diagonal(params: Any, floor: float) -> Any:
    """Return N(loc, diag(scale^2)) of params [B, 2 D]; raw scales of 0 give log 2 + floor, near the prior's 1."""
    from tfp_vae.model.distributions.normals import MultivariateNormalDiag

    loc, s = tf.split(params, 2, axis=-1)
    return MultivariateNormalDiag(loc, floor + tf.nn.softplus(s))


@final
@dataclass(frozen=True)
class DiagonalNormal(_OfNormalNoise):
    """Normal with diagonal covariance, q(z|x) = N(z; loc, diag(scale^2)).

    params = (loc, s);  scale = scale_floor + softplus(s). The floor keeps the density finite however sure the
    encoder becomes.

    Sampling, density and KL cost O(D) for each example. The mean-field family: correlations between dimensions of z
    given x are left out, which loosens the ELBO wherever p(z|x) has them.

    ```python
    posterior = tv.posteriors.DiagonalNormal(latent_dim=2)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))  # loc 0, scale log 2
    q.stddev()  # [16, 2]
    ```

    Args:
      latent_dim: D, the dimension of z.
      scale_floor: the smallest scale, in units of z.

    Returns (when called on params [B, 2 D]):
      `tfd.MultivariateNormalDiag`, batch [B], event [D]. Its KL to another multivariate Normal is closed-form.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, diagonal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    scale_floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    @property
    def params_size(self) -> int:
        """2 D: a loc and a scale for each dimension."""
        return 2 * self.latent_dim

    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D].

        Args:
          params: [B, 2 D], the locs first; float32 or float64, which q(z|x) then has too.
        """
        return _diagonal(params, self.scale_floor)


@final
@dataclass(frozen=True)
class FullCovarianceNormal(_OfNormalNoise):
    """Normal with full covariance, q(z|x) = N(z; loc, L L^T), L lower triangular.

    params = (loc, entries of L, as `tfp.math.fill_triangular` places them); the diagonal is scale_floor + softplus, the
    rest is divided by D, so that q begins near a diagonal one. Costs O(D^2) numbers for each example.

    Sampling and density cost O(D^2) for each example, the KL to a diagonal Normal too. It holds any Gaussian p(z|x),
    such as that of a linear decoder with Normal noise, for which the ELBO can be tight; with D in the hundreds the
    encoder's last layer is most of the model, and `HouseholderFlow` is the cheaper way to correlations.

    Args:
      latent_dim: D, the dimension of z.
      scale_floor: the smallest diagonal entry of L.

    Returns (when called on params [B, D + D (D + 1) / 2]):
      `tfd.MultivariateNormalTriL`, batch [B], event [D]. Its KL to another multivariate Normal is closed-form.

    References:
      Kingma and Welling (2019), An introduction to variational autoencoders.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    scale_floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    @property
    def params_size(self) -> int:
        """D + D (D + 1) / 2."""
        return self.latent_dim + self.latent_dim * (self.latent_dim + 1) // 2

    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, D + D (D + 1) / 2]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalTriL

        loc, entries = tf.split(params, [self.latent_dim, -1], axis=-1)
        lower = tfp.math.fill_triangular(entries)
        diagonal = self.scale_floor + tf.nn.softplus(tf.linalg.diag_part(lower))
        return MultivariateNormalTriL(loc, tf.linalg.set_diag(lower / self.latent_dim, diagonal))


@final
@dataclass(frozen=True)
class HouseholderFlow(_OfNormalNoise):
    """Normal whose covariance is turned by Householder reflections, z = H_K ... H_1 z_0.

    z_0 ~ N(loc, diag(scale^2));  H_k = I - 2 v_k v_k^T / |v_k|^2, all from the encoder. As U = H_K ... H_1 is
    orthogonal, q(z|x) = N(z; U loc, U diag(scale^2) U^T): a Normal with correlations from K D numbers. Its KL to
    N(0, I) is that of z_0. Samples and density cost O(K D) each, a KL O(K D^2).

    K = D - 1 reach every covariance whose scales are above the floor of 0.0001; fewer give a family between the
    diagonal and the full one. A reflection is the same for v and for any multiple of it, and 1e-6 is added to each
    entry of v so that none is the zero vector, whose direction is not defined.

    ```python
    posterior = tv.posteriors.HouseholderFlow(latent_dim=2, reflections=1)
    params = np.random.default_rng(0).normal(size=(16, posterior.params_size)).astype(np.float32)
    q = posterior(params)
    q.covariance()  # [16, 2, 2], with correlations
    q.kl_divergence(tv.priors.StandardNormal(2)())  # [16], closed-form
    ```

    Args:
      latent_dim: D, the dimension of z.
      reflections: K.

    Returns (when called on params [B, (2 + K) D], in the order loc, s, v_1, ..., v_K):
      `tfd.MultivariateNormalLinearOperator`, batch [B], event [D]. Its KL to another multivariate Normal is
      closed-form.

    References:
      Tomczak and Welling (2016), Improving variational auto-encoders using Householder flow.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    reflections: Depth = field(default=4, kw_only=True)

    @property
    def params_size(self) -> int:
        """(2 + K) D: loc, scale, and the vector of each reflection."""
        return (2 + self.reflections) * self.latent_dim

    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, (2 + K) D]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalLinearOperator

        base, *vectors = tf.split(params, [2 * self.latent_dim] + [self.latent_dim] * self.reflections, axis=-1)
        loc, s = tf.split(base, 2, axis=-1)
        turns = [tf.linalg.LinearOperatorHouseholder(vector + 1e-6) for vector in reversed(vectors)]
        stretch = tf.linalg.LinearOperatorDiag(SCALE_FLOOR + tf.nn.softplus(s), is_non_singular=True)
        return MultivariateNormalLinearOperator(_product(turns).matvec(loc), _product([*turns, stretch]))


def _product(operators: list[Any]) -> Any:
    """Return the product of operators, the last of which is applied first."""
    return tf.linalg.LinearOperatorComposition(operators, is_square=True, is_non_singular=True)


class _ConditionedFlow(_OfNormalNoise):
    """A flow from a diagonal Normal, whose layers see a context that the encoder gives.

    The layers belong to the value: two encoders that are given one value share what its flow learns.

    log q(z|x) = log N(z_0; loc, diag(scale^2)) - log |det dz/dz_0|, z_0 the flow's pre-image of z. A sample remembers
    its z_0, as the bijector keeps the last pair it mapped: the density of one's own draws costs nothing more. Not so at
    another tensor of the same values, such as `tf.stop_gradient(z)`: there the map is inverted.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True)
    context: int

    @property
    @abc.abstractmethod
    def flow(self) -> Any:
        """The layers."""

    @abc.abstractmethod
    def bijector(self, context: Any) -> Any:
        """Return the map from z_0 to z, given the context [B, C]."""

    @property
    @final
    def params_size(self) -> int:
        """2 D + context."""
        return 2 * self.latent_dim + self.context

    @property
    @final
    def learned(self) -> tuple[Any, ...]:
        """The networks of the layers."""
        networks: tuple[Any, ...] = self.flow.networks
        return networks

    @final
    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D + context]."""
        base, context = tf.split(params, [2 * self.latent_dim, self.context], axis=-1)
        return tfd.TransformedDistribution(_diagonal(base, SCALE_FLOOR), self.bijector(context))

    @final
    def mean(self, params: Any, *, seed: Seed) -> Any:
        """Return E_q[z|x], [B, D], of params [B, params_size], as the average of 64 samples.

        The Monte Carlo error of each entry is the standard deviation of q(z|x) over 8.
        """
        return tf.reduce_mean(self(params).sample(MEAN_SAMPLES, seed=seed), axis=0)


@final
@dataclass(frozen=True)
class InverseAutoregressiveFlow(_ConditionedFlow):
    """Inverse autoregressive flow from a diagonal Normal, conditioned on x.

    z_0 ~ N(loc, diag(scale^2));  z_t = (z_{t-1} - m_t) exp(-a_t), with m_t and a_t masked networks of z_{t-1} and of
    a context from the encoder. Each a_t is bounded to (-2, 2), as 2 tanh(. / 2), so that no layer scales by more than
    e^2. Sampling, and the density of one's own samples, take one pass; the density of any other z takes D passes.

    There is no closed-form KL: train with `MonteCarloELBO` or an importance-weighted bound. Objectives that need the
    density at a held z (`StickingTheLanding`, `DReG`) and the mixture of a `Vamp` prior pay the D passes at every step.

    ```python
    posterior = tv.posteriors.InverseAutoregressiveFlow(latent_dim=2, hidden=8, context=4)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    z = q.sample(3, seed=(0, 0))  # [3, 16, 2]
    q.log_prob(z)  # [3, 16], without an inversion
    ```

    Args:
      latent_dim: D, the dimension of z.
      seed: decides the initial weights.
      depth: number of flow layers.
      hidden: width of the two hidden layers of each masked network.
      context: how many numbers the encoder gives the layers to see, beside loc and scale.

    Returns (when called on params [B, 2 D + context]):
      `tfd.TransformedDistribution`, batch [B], event [D].

    Raises:
      pydantic.ValidationError: a depth beyond 1 to 100, or a width beyond 1 to 65,536.

    References:
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    depth: Depth = field(default=2, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)
    context: Width = field(default=64, kw_only=True)

    @functools.cached_property
    def flow(self) -> Any:
        """The masked autoregressive layers, from z to z_0."""
        from tfp_vae.model.distributions.flows import MaskedFlow

        return MaskedFlow(self.latent_dim, self.context, self.seed, depth=self.depth, hidden=self.hidden)

    def bijector(self, context: Any) -> Any:
        """Return their inverse."""
        return tfp.bijectors.Invert(self.flow(context))


@final
@dataclass(frozen=True)
class RealNVP(_ConditionedFlow):
    """Coupling flow from a diagonal Normal, conditioned on x; sampling and density both take one pass.

    z_0 ~ N(loc, diag(scale^2)); each layer keeps the first half of z_{t-1} and takes the second to
    z exp(a) + m, with m and a a network of the first half and of a context from the encoder, a bounded to (-2, 2); the
    dimensions are reversed between layers.

    A layer is less flexible than an autoregressive one of the same width, as half of z is only copied; in exchange the
    density at any z is as cheap as a sample, which suits `StickingTheLanding`, `DReG` and a `Vamp` prior. There is no
    closed-form KL.

    Args:
      latent_dim: D, the dimension of z, at least 2.
      seed: decides the initial weights.
      depth: number of coupling layers.
      hidden: width of the two hidden layers of each network.
      context: size of the context that the encoder gives.

    Returns (when called on params [B, 2 D + context]):
      `tfd.TransformedDistribution`, batch [B], event [D].

    Raises:
      pydantic.ValidationError: D under 2, where there is no half to keep.

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP.
    """

    latent_dim: Annotated[int, pydantic.Field(ge=2)]
    seed: int = 0
    depth: Depth = field(default=4, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)
    context: Width = field(default=64, kw_only=True)

    @functools.cached_property
    def flow(self) -> Any:
        """The coupling layers."""
        from tfp_vae.model.distributions.flows import CouplingFlow

        return CouplingFlow(self.latent_dim, self.context, self.seed, depth=self.depth, hidden=self.hidden)

    def bijector(self, context: Any) -> Any:
        """Return them."""
        return self.flow(context)


POSTERIORS = Table(
    "posterior",
    {
        "diagonal-normal": DiagonalNormal,
        "full-covariance-normal": FullCovarianceNormal,
        "householder-flow": HouseholderFlow,
        "inverse-autoregressive-flow": InverseAutoregressiveFlow,
        "real-nvp": RealNVP,
    },
)
