"""Observation models over x: each turns the output of a decoder into p(x|z), a `tfd.Distribution`.

`base` defines the interface. `bernoulli`, `normal`, `laplace` and `beta` hold the models of those names, `categorical`
and `logistic` those for a grid of `levels`, and `counts` those for counts. To add a model, write a class with the
decorator `core.registry.record` that subclasses `Likelihood`, and add it to `LIKELIHOODS`. The data are checked against
`support` once, on load. A density does not check its x.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.model.likelihoods.base import SCALE_FLOOR, Likelihood
from tfp_vae.model.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from tfp_vae.model.likelihoods.beta import Beta
from tfp_vae.model.likelihoods.categorical import Categorical
from tfp_vae.model.likelihoods.counts import NegativeBinomial, Poisson
from tfp_vae.model.likelihoods.laplace import Laplace
from tfp_vae.model.likelihoods.logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from tfp_vae.model.likelihoods.normal import Normal

__all__ = [
    "LIKELIHOODS",
    "SCALE_FLOOR",
    "Bernoulli",
    "Beta",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Laplace",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "Poisson",
]

LIKELIHOODS: Table[Likelihood] = Table(
    "likelihood",
    {
        "bernoulli": Bernoulli,
        "continuous-bernoulli": ContinuousBernoulli,
        "normal": Normal,
        "laplace": Laplace,
        "beta": Beta,
        "categorical": Categorical,
        "discretized-logistic": DiscretizedLogistic,
        "discretized-logistic-mixture": DiscretizedLogisticMixture,
        "poisson": Poisson,
        "negative-binomial": NegativeBinomial,
    },
    base=Likelihood,
    takes=("event_shape",),
)
