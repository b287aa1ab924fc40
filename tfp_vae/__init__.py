"""Variational autoencoders whose encoder, decoder and prior return TensorFlow Probability distributions.

A model is three maps: x -> q(z|x), z -> p(x|z) and () -> p(z). Everything else is a function of a model. `fit`
maximizes a bound on log p(x) from `objectives`, `log_likelihood` estimates log p(x), and `runs` keeps models on disk.
Log-probabilities are in nats, summed over the event. Axes come in the order S (samples), B (batch) or N (all examples),
then the event. The event of z has D dimensions.

All names are imported on first use, and TensorFlow is imported by the first call that needs it. Examples in docstrings
continue this one:

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
x = (tv.data.load("digits").train.x[:16] > 0.5).astype(np.float32)  # [16, 8, 8, 1]
```
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False  # that of typing, without its import: a program may be interrupted from its first millisecond on

if TYPE_CHECKING:
    from tfp_vae import data, evaluation, interop, model, objectives, plots, reports, runs, training
    from tfp_vae.core import errors
    from tfp_vae.core.batch import Batch
    from tfp_vae.evaluation import log_likelihood
    from tfp_vae.model import likelihoods, missingness, networks, posteriors, priors
    from tfp_vae.model.classifier import Classifier
    from tfp_vae.model.vae import VAE, Decoder, Encoder
    from tfp_vae.runs.build import build
    from tfp_vae.runs.load import load, save
    from tfp_vae.training import fit

__version__ = "0.2.0"

_PLACES = {
    "VAE": "model.vae",
    "Batch": "core.batch",
    "Classifier": "model.classifier",
    "Decoder": "model.vae",
    "Encoder": "model.vae",
    "build": "runs.build",
    "errors": "core",
    "fit": "training",
    "likelihoods": "model",
    "load": "runs.load",
    "log_likelihood": "evaluation.evidence",
    "missingness": "model",
    "networks": "model",
    "posteriors": "model",
    "priors": "model",
    "save": "runs.load",
}

__all__ = [
    "VAE",
    "Batch",
    "Classifier",
    "Decoder",
    "Encoder",
    "__version__",
    "build",
    "data",
    "errors",
    "evaluation",
    "fit",
    "interop",
    "likelihoods",
    "load",
    "log_likelihood",
    "missingness",
    "model",
    "networks",
    "objectives",
    "plots",
    "posteriors",
    "priors",
    "reports",
    "runs",
    "save",
    "training",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
