"""The variational autoencoder: three maps that return distributions, each a network joined to a family.

An `Encoder` or `Decoder` is a network from `networks` (or one's own) whose last axis is as wide as the family's
`params_size` says; the family from `posteriors` or `likelihoods` makes a distribution of it. What a family learns
itself, beside the network, is held here too, so that the model's `trainable_variables` are all that training changes.
Objectives, evaluation and sampling see nothing but the distributions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

from tfp_vae.core.display import table
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.seeds import Seed, fold
from tfp_vae.model.likelihoods import Likelihood
from tfp_vae.model.networks import Network, folded
from tfp_vae.model.networks.adapters import checked
from tfp_vae.model.posteriors import Posterior
from tfp_vae.model.priors import Prior

__all__ = ["ENCODER_INPUTS", "VAE", "Decoder", "Encoder"]

ENCODER_INPUTS: dict[str, Callable[[Any], Any]] = {
    "values": lambda x: x,
    "log1p": lambda x: tf.math.log1p(tf.nn.relu(x)),
}
"""What an encoder's network is given of x: the values, or log(1 + x) of counts, which may be of any size."""


@final
class Encoder(tf.Module):
    """The encoder, x -> q(z|x): a network that gives the parameters of a variational family.

    ```python
    q = vae.encoder(x)  # q(z|x): batch [16], event [2]
    z = q.sample(5, seed=(0, 1))  # [5, 16, 2]
    kl = q.kl_divergence(vae.prior())  # [16], nats
    ```

    Args:
      network: tensor -> tensor, [B, *event_shape] -> [B, posterior.params_size].
      posterior: the family of q(z|x).
      sees: what the network is given of x, a name from `ENCODER_INPUTS`. What is modelled is x all the same.

    Raises:
      UsageError: a network that shows no trainable variable, see `adapters.checked`; or another name.

    References:
      Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics, for log(1 + x).
    """

    def __init__(self, network: Network, posterior: Posterior, sees: str = "values") -> None:
        super().__init__()
        if sees not in ENCODER_INPUTS:
            raise UsageError(f"sees: expected one of {', '.join(ENCODER_INPUTS)}, found {sees!r}.")
        self.network = checked(network, "encoder")
        self.posterior, self.sees = posterior, sees
        self._learned = posterior.learned  # where tf.Module sees it

    def __repr__(self) -> str:
        return f"Encoder({_network(self)}, {self.posterior})"

    def __call__(self, x: Any) -> Any:
        """Return q(z|x), batch [B], event [D], for x [B, *event_shape]."""
        return self.posterior(self.params(x))

    def params(self, x: Any) -> Any:
        """Return what the posterior's family makes q(z|x) of, [B, posterior.params_size], for x [B, *event_shape]."""
        return self.network(ENCODER_INPUTS[self.sees](x))

    def mean(self, x: Any, *, seed: Seed = (0, 0)) -> Any:
        """Return E_q[z|x], [B, D], for x [B, *event_shape]; see `Posterior.mean`.

        One pass of the network for a Normal family; a flow's mean is an average of draws, which the seed decides, and
        which the same seed gives again.

        Args:
          x: examples, [B, *event_shape].
          seed: a stateless seed; of Normal families not looked at.
        """
        return self.posterior.mean(self.params(x), seed=seed)


@final
class Decoder(tf.Module):
    """The decoder, z -> p(x|z): a network that gives the parameters of an observation model.

    Networks take one batch axis; the leading axes of z are folded into it and unfolded behind, so that [S, B, D] costs
    S B rows of one pass, and as much memory.

    ```python
    p = vae.decoder(np.zeros([5, 16, 2], np.float32))  # p(x|z): batch [5, 16], event [8, 8, 1]
    log_px = p.log_prob(x)  # [5, 16], nats, summed over the event
    ```

    Args:
      network: tensor -> tensor, [B, D] -> [B, likelihood.params_size].
      likelihood: the family of p(x|z).

    Raises:
      UsageError: a network that shows no trainable variable, see `adapters.checked`.
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

    log p(x) itself is an integral over z that has no closed form: `evaluation.log_likelihood` estimates it. A VAE is a
    `tf.Module`, so its `variables` can be saved as any module's are; `checkpoints.capture` gives them names that are
    the same in every process.

    ```python
    bound = tv.objectives.ELBO().bound(vae, x, seed=(0, 2)).value  # [16], nats
    images = vae.sample(64, seed=(0, 4))  # [64, 8, 8, 1], each pixel 0 or 1
    means = vae.reconstruct(x)  # [16, 8, 8, 1], in [0, 1]
    ```

    Args:
      encoder: x [B, *event_shape] -> q(z|x), batch [B], event [D].
      decoder: z [..., D] -> p(x|z), batch [...], event `event_shape`.
      prior: () -> p(z), batch [], event [D].

    Raises:
      UsageError: a posterior and a prior over different latent spaces.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
      Rezende, Mohamed and Wierstra (2014), Stochastic backpropagation and approximate inference in deep generative
      models.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, prior: Prior) -> None:
        super().__init__()
        if encoder.posterior.latent != prior.latent:
            raise UsageError(
                subject="latent space",
                expected=f"a prior over the posterior's z ({encoder.posterior.latent})",
                found=f"one over {prior.latent}",
                remedy="Give both the same `latent_dim`.",
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
        """Return p(x|z_i) for z_1..z_n drawn from the prior: batch [n], event `event_shape`.

        A temperature T below 1 keeps z nearer to where the prior's Normals are centred: samples look cleaner and vary
        less, and are no longer those of the model.

        Args:
          n: how many; all are decoded at once.
          seed: a stateless seed, two integers.
          temperature: what the spread of the prior's Normals is multiplied by.

        Raises:
          UsageError: a temperature other than 1 under a prior that has none, or a seed that is not two integers.
        """
        return self.decoder(self.prior(temperature).sample(n, seed=fold(seed, 0)))

    def sample(self, n: int, *, seed: Seed, temperature: float = 1.0) -> Any:
        """Return n draws from p(x) by ancestral sampling, z ~ p(z), x ~ p(x|z): [n, *event_shape].

        The likelihood's own noise is in them: of a Bernoulli they are black and white. `generate(...).mean()` is
        E[x|z], which is what is usually shown. See `generate` for the arguments; the same seed draws the same z in
        both.
        """
        return self.generate(n, seed=seed, temperature=temperature).sample(seed=fold(seed, 1))

    def reconstruct(self, x: Any) -> Any:
        """Return E[x'|z] at z = E_q[z|x], for x [B, *event_shape]: [B, *event_shape].

        One pass each of encoder and decoder. It is the decoder's mean at one point, not the mean of E[x'|z] over
        q(z|x), which is smoother; of a flow the point is an average of draws from a fixed seed.
        """
        return self.decoder(self.encoder.mean(x)).mean()


def _size(module: tf.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(math.prod(variable.shape) for variable in module.trainable_variables)


def _network(part: Encoder | Decoder) -> str:
    return f"{type(part.network).__name__} of {_size(part):,} parameters"
