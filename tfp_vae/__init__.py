"""Variational autoencoders whose encoder, decoder and prior return TensorFlow Probability distributions.

A model is three maps, x -> q(z|x), z -> p(x|z) and () -> p(z). Training, evaluation and pictures are functions of it:
`objectives` give bounds on log p(x), `training` climbs them, `evaluation` and `annealing` estimate log p(x), `runs` and
`experiments` keep and restore what was learned. Log-probabilities are in nats, summed over the event; axes stand in the
order S (samples), B (batch) or N (all examples), then the event, which is D for z.

Modules and the classes VAE, Encoder and Decoder are imported when they are first used; TensorFlow, by the first call
that needs it. Examples in docstrings begin where this one ends:

```python
import numpy as np
import tfp_vae as tv

posterior = tv.posteriors.DiagonalNormal(latent_dim=2)
likelihood = tv.likelihoods.Bernoulli(event_shape=(8, 8, 1))
vae = tv.VAE(
    encoder=tv.Encoder(tv.networks.mlp((8, 8, 1), posterior.params_size, hidden=(16,)), posterior),
    decoder=tv.Decoder(tv.networks.mlp((2,), likelihood.params_size, hidden=(16,)), likelihood),
    prior=tv.priors.StandardNormal(2),
)
x = (tv.datasets.load("digits").train.x[:16] > 0.5).astype(np.float32)  # [16, 8, 8, 1]
```
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing, without its import: a program may be interrupted from its first millisecond on

if TYPE_CHECKING:
    from typing import Any

    from tfp_vae import (
        adapters,
        assessment,
        binarization,
        config,
        datasets,
        errors,
        evaluation,
        events,
        experiments,
        film,
        gallery,
        inspection,
        kinds,
        latent,
        likelihoods,
        networks,
        objectives,
        optimizers,
        plots,
        posteriors,
        preparation,
        priors,
        progress,
        report,
        runs,
        scaling,
        scores,
        sources,
        training,
    )
    from tfp_vae.vae import VAE, Decoder, Encoder

__version__ = "0.1.0"

_CLASSES = ("VAE", "Decoder", "Encoder")

__all__ = [
    "VAE",
    "Decoder",
    "Encoder",
    "__version__",
    "adapters",
    "assessment",
    "binarization",
    "config",
    "datasets",
    "errors",
    "evaluation",
    "events",
    "experiments",
    "film",
    "gallery",
    "inspection",
    "kinds",
    "latent",
    "likelihoods",
    "networks",
    "objectives",
    "optimizers",
    "plots",
    "posteriors",
    "preparation",
    "priors",
    "progress",
    "report",
    "runs",
    "scaling",
    "scores",
    "sources",
    "training",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tfp_vae' has no attribute {name!r}")
    import importlib

    if name in _CLASSES:
        return getattr(importlib.import_module("tfp_vae.vae"), name)
    return importlib.import_module(f"tfp_vae.{name}")


def __dir__() -> list[str]:
    return list(__all__)
