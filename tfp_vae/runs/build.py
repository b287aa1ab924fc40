"""Build a VAE: from the settings of a model, or from the config of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import Array
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.runs.config import ModelConfig, RunConfig

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["build_from_config", "build_model"]


def build_model(model: ModelConfig, event_shape: tuple[int, ...], seed: int = 0, data_mean: Array | None = None) -> VAE:
    """Return a VAE with initial weights.

    Encoder, decoder, posterior and prior draw their weights with seeds of their own, so another prior leaves the
    encoder's initial weights as they were.

    ```python
    model = tv.runs.config.ModelConfig(latent_dim=2, likelihood="bernoulli", decoder="mlp:hidden=16")
    tv.runs.build.build_model(model, event_shape=(8, 8, 1))
    ```

    Args:
      model: the settings of the model.
      event_shape: the shape of one example.
      seed: seeds the weights.
      data_mean: the mean of the training data, `event_shape`. The decoder's output starts there. You do not need it if
        you restore the weights afterwards.
    """
    from tfp_vae.model.vae import VAE, Decoder, Encoder

    encoder_seed, decoder_seed, posterior_seed, prior_seed = (
        integer(seed, Purpose.INITIALIZATION, i) for i in range(4)
    )
    posterior = POSTERIORS.build(model.posterior, model.latent_dim, seed=posterior_seed)
    likelihood = LIKELIHOODS.build(model.likelihood, event_shape)
    mean = np.zeros(event_shape) if data_mean is None else np.asarray(data_mean)
    network = NETWORKS.build(model.encoder, event_shape, posterior.params_size, seed=encoder_seed)
    encoder = Encoder(network, posterior, model.encoder_input)
    decoder = NETWORKS.build(
        model.decoder,
        (model.latent_dim,),
        likelihood.params_size,
        output_bias=likelihood.initial_params(mean),
        seed=decoder_seed,
        image_shape=event_shape,
    )
    prior = PRIORS.build(model.prior, model.latent_dim, encoder=encoder, data_mean=mean, seed=prior_seed)
    return VAE(encoder, Decoder(decoder, likelihood), prior)


def build_from_config(config: RunConfig, data_mean: Array | None = None) -> VAE:
    """Return the VAE that the config of a run describes, with its initial weights.

    ```python
    config = tv.runs.run.find(None, "runs").config()
    tv.runs.build.build_from_config(config)  # `tv.runs.load.Restored` returns the trained weights
    ```

    Args:
      config: the config.
      data_mean: see `build_model`.
    """
    return build_model(config.model, config.data.event_shape, config.training.seed, data_mean)
