"""The variational autoencoder: three maps that return distributions, each a network joined to a family."""

from __future__ import annotations

import math
from typing import Any, final

from tfp_vae._lazy import tf
from tfp_vae.adapters import checked
from tfp_vae.display import table
from tfp_vae.errors import UsageError
from tfp_vae.likelihoods import Likelihood
from tfp_vae.networks import Network, folded
from tfp_vae.posteriors import Posterior
from tfp_vae.priors import Prior
from tfp_vae.seeds import Seed, fold

__all__ = ["VAE", "Decoder", "Encoder"]


@final
class Encoder(tf.Module):
    """The encoder, x -> q(z|x): a network that gives the parameters of a variational family.

    Args:
      network: tensor -> tensor, [B, *event_shape] -> [B, posterior.params_size].
      posterior: the family of q(z|x).

    Raises:
      UsageError: a network that would not learn.
    """

    def __init__(self, network: Network, posterior: Posterior) -> None:
        super().__init__()
        self.network = checked(network, "encoder")
        self.posterior = posterior
        self._learned = posterior.learned  # where tf.Module sees it

    def __repr__(self) -> str:
        return f"Encoder({_network(self)}, {self.posterior})"

    def __call__(self, x: Any) -> Any:
        """Return q(z|x), batch [B], event [D], for x [B, *event_shape]."""
        return self.posterior(self.network(x))

    def mean(self, x: Any, *, seed: Seed = (0, 0)) -> Any:
        """Return E_q[z|x], [B, D], for x [B, *event_shape]; see `Posterior.mean`."""
        return self.posterior.mean(self.network(x), seed=seed)


@final
class Decoder(tf.Module):
    """The decoder, z -> p(x|z): a network that gives the parameters of an observation model.

    Args:
      network: tensor -> tensor, [B, D] -> [B, likelihood.params_size].
      likelihood: the family of p(x|z).

    Raises:
      UsageError: a network that would not learn.
    """

    def __init__(self, network: Network, likelihood: Likelihood) -> None:
        super().__init__()
        self.network = checked(network, "decoder")
        self.likelihood = likelihood
        self._learned = likelihood.learned

    def __repr__(self) -> str:
        return f"Decoder({_network(self)}, {self.likelihood})"

    def __call__(self, z: Any) -> Any:
        """Return p(x|z), batch [...], event `event_shape`, for z [..., D] with any leading axes."""
        return self.likelihood(folded(self.network, z))


@final
class VAE(tf.Module):
    """A variational autoencoder, p(x, z) = p(x|z) p(z) with the approximate posterior q(z|x).

    It knows nothing of training: objectives and evaluation are functions of it.

    Args:
      encoder: x [B, *event_shape] -> q(z|x), batch [B], event [D].
      decoder: z [..., D] -> p(x|z), batch [...], event `event_shape`.
      prior: () -> p(z), batch [], event [D].
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, prior: Prior) -> None:
        super().__init__()
        if encoder.posterior.latent_dim != prior.latent_dim:
            raise UsageError(
                "expected posterior and prior over one latent space, found "
                f"{encoder.posterior.latent_dim} and {prior.latent_dim} dimensions."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self._learned = prior.learned

    def __repr__(self) -> str:
        lines = (f"\n  {name:<8} {symbol:<7} {made}" for name, symbol, made in self._parts())
        return f"VAE of {_size(self):,} parameters{''.join(lines)}"

    def _repr_html_(self) -> str:
        return table(f"VAE of {_size(self):,} parameters", self._parts())

    def _parts(self) -> list[tuple[str, str, str]]:
        """Return what there is to say of each map: its name, what it returns, and what it is made of."""
        return [
            ("encoder", "q(z|x)", f"{self.encoder.posterior}, {_network(self.encoder)}"),
            ("decoder", "p(x|z)", f"{self.decoder.likelihood}, {_network(self.decoder)}"),
            ("prior", "p(z)", str(self.prior)),
        ]

    def generate(self, n: int, *, seed: Seed, temperature: float = 1.0) -> Any:
        """Return p(x|z_i) for z_1..z_n drawn from the prior: batch [n], event `event_shape`."""
        return self.decoder(self.prior(temperature).sample(n, seed=fold(seed, 0)))

    def sample(self, n: int, *, seed: Seed, temperature: float = 1.0) -> Any:
        """Return n draws from p(x) by ancestral sampling, z ~ p(z), x ~ p(x|z): [n, *event_shape]."""
        return self.generate(n, seed=seed, temperature=temperature).sample(seed=fold(seed, 1))

    def reconstruct(self, x: Any) -> Any:
        """Return E[x'|z] at z = E_q[z|x], for x [B, *event_shape]: [B, *event_shape]."""
        return self.decoder(self.encoder.mean(x)).mean()


def _size(module: tf.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(math.prod(variable.shape) for variable in module.trainable_variables)


def _network(part: Encoder | Decoder) -> str:
    return f"{type(part.network).__name__} of {_size(part):,} parameters"
