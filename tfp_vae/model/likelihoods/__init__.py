"""Observation models over x: each turns the output of a decoder into p(x|z), a `tfd.Distribution`.

`base` defines the interface. `bernoulli`, `normal` and `beta` hold the models of those names, `outliers` those for data
with outliers, `categorical` and `logistic` those for a grid of `levels`, and `counts` those for counts. `sizes` holds
those for rows of counts whose totals vary, and `columns` joins one model for each column of a table. To add a model,
write a class with the decorator `core.registry.record` that subclasses `ElementwiseLikelihood`, and add it to
`LIKELIHOODS`. The data are checked against `support` once, on load. A density does not check its x.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.model.likelihoods.base import SCALE_FLOOR, ElementwiseLikelihood, Likelihood
from tfp_vae.model.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from tfp_vae.model.likelihoods.beta import Beta
from tfp_vae.model.likelihoods.categorical import Categorical, Ordinal
from tfp_vae.model.likelihoods.columns import Columns
from tfp_vae.model.likelihoods.counts import InflatedNegativeBinomial, NegativeBinomial, Poisson
from tfp_vae.model.likelihoods.logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from tfp_vae.model.likelihoods.normal import LogNormal, Normal
from tfp_vae.model.likelihoods.outliers import Laplace, StudentT
from tfp_vae.model.likelihoods.sizes import SizeFactorNegativeBinomial, SizeFactorPoisson

__all__ = [
    "ELEMENTWISE",
    "LIKELIHOODS",
    "SCALE_FLOOR",
    "Bernoulli",
    "Beta",
    "Categorical",
    "Columns",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "ElementwiseLikelihood",
    "InflatedNegativeBinomial",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Normal",
    "Ordinal",
    "Poisson",
    "SizeFactorNegativeBinomial",
    "SizeFactorPoisson",
    "StudentT",
]

LIKELIHOODS: Table[Likelihood] = Table(
    "likelihood",
    {
        "bernoulli": Bernoulli,
        "continuous-bernoulli": ContinuousBernoulli,
        "normal": Normal,
        "laplace": Laplace,
        "student-t": StudentT,
        "log-normal": LogNormal,
        "beta": Beta,
        "categorical": Categorical,
        "ordinal": Ordinal,
        "discretized-logistic": DiscretizedLogistic,
        "discretized-logistic-mixture": DiscretizedLogisticMixture,
        "poisson": Poisson,
        "negative-binomial": NegativeBinomial,
        "size-factor-poisson": SizeFactorPoisson,
        "size-factor-negative-binomial": SizeFactorNegativeBinomial,
        "inflated-negative-binomial": InflatedNegativeBinomial,
        "columns": Columns,
    },
    base=Likelihood,
    takes=("event_shape",),
)

ELEMENTWISE = tuple(name for name in LIKELIHOODS if issubclass(LIKELIHOODS[name], ElementwiseLikelihood))
"""The names of the likelihoods that suit data of any shape."""
