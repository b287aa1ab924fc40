"""Objectives: bounds on log p(x), one value per example, whose negative mean is the loss.

`bound` defines the abstract objective. The other modules hold its families. With S samples, a step costs one pass of
the encoder and S passes of the decoder for each example, plus the costs that each class documents.
To add an objective, mark a subclass of `Objective` with `core.registry.record` and add it to `OBJECTIVES`. Subclass
`ELBOEstimator` instead if `Weighted` should be able to change beta, warm-up and free bits.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.objectives.adversarial import Adversarial
from tfp_vae.objectives.bound import Bound, Objective
from tfp_vae.objectives.elbo import ELBO, ELBOEstimator, MonteCarloELBO, elbo_for
from tfp_vae.objectives.importance import IWAE, MIWAE, Renyi
from tfp_vae.objectives.labels import SemiSupervised, usual_weight, with_labels
from tfp_vae.objectives.path_gradients import DReG, StickingTheLanding
from tfp_vae.objectives.rate import has_closed_form_rate, has_separate_rates
from tfp_vae.objectives.relaxation import GumbelSoftmax
from tfp_vae.objectives.score_function import RLOO, VIMCO, DisARM
from tfp_vae.objectives.total_correlation import TotalCorrelation
from tfp_vae.objectives.weighting import Weighted

__all__ = [
    "ELBO",
    "IWAE",
    "MIWAE",
    "OBJECTIVES",
    "RLOO",
    "VIMCO",
    "Adversarial",
    "Bound",
    "DReG",
    "DisARM",
    "ELBOEstimator",
    "GumbelSoftmax",
    "MonteCarloELBO",
    "Objective",
    "Renyi",
    "SemiSupervised",
    "StickingTheLanding",
    "TotalCorrelation",
    "Weighted",
    "elbo_for",
    "has_closed_form_rate",
    "has_separate_rates",
    "usual_weight",
    "with_labels",
]

OBJECTIVES: Table[Objective] = Table(
    "objective",
    {
        "elbo": ELBO,
        "monte-carlo-elbo": MonteCarloELBO,
        "iwae": IWAE,
        "sticking-the-landing": StickingTheLanding,
        "dreg": DReG,
        "renyi": Renyi,
        "miwae": MIWAE,
        "total-correlation": TotalCorrelation,
        "adversarial": Adversarial,
        "rloo": RLOO,
        "vimco": VIMCO,
        "disarm": DisARM,
        "gumbel-softmax": GumbelSoftmax,
    },
    base=Objective,
)
