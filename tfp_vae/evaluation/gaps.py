"""Where the gap between log p(x) and the ELBO comes from: the family of the posterior, or the encoder.

    log p(x) - ELBO = [log p(x) - ELBO*] + [ELBO* - ELBO] = approximation gap + amortization gap,

where ELBO* is the ELBO of the best member of the posterior's family for this x, as the refinement `local` finds it. The
first part is KL(q*(z) || p(z|x)), which only a richer family reduces. The second is the loss because one encoder serves
all examples.

References:
  Cremer, Li and Duvenaud (2018), Inference suboptimality in variational autoencoders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.diagnostics import mean_error, standard_error
from tfp_vae.evaluation.importance import Estimates

__all__ = ["Gaps", "gap_remark"]

SMALL_GAP = 0.1
"""A gap of fewer nats per example is no reason for a remark."""

CLEAR = 2
"""A gap counts if it exceeds this many standard errors."""

REMEDIES = {
    "approximation": "The posterior's family is too simple for p(z|x). Use a richer one, such as `posterior=real-nvp`.",
    "amortization": "The encoder misses the best member of the family. Use a wider encoder, or train longer.",
}
"""The cause of each gap and its remedy."""


@check_keywords
class Gaps(NamedTuple):
    """The two parts of log p(x) - ELBO for each of N examples, in nats.

    The search for the best member is finite, so the amortization gap is a lower bound, and the approximation gap an
    upper bound. However, if log p(x) is estimated too low, so is the approximation gap. Noise can make both negative.

    approximation: log p(x) - ELBO of the best member of the posterior's family, [N].
    amortization: the ELBO of that member - the ELBO of the encoder's q(z|x), [N].
    approximation_error, amortization_error: their Monte Carlo standard errors, [N]. NaN if they are unknown.
    """

    approximation: np.ndarray
    amortization: np.ndarray
    approximation_error: np.ndarray
    amortization_error: np.ndarray

    @classmethod
    def of(cls, estimates: Estimates) -> Gaps:
        """Return the gaps of estimates with the refinement `local`. Without refinement all of them are NaN.

        ```python
        settings = {"iw_samples": 20, "seed": (0, 3), "execution": "graph"}
        refined = tv.evaluation.estimate(vae, x[:4], refine="local:steps=5", **settings)
        gaps = tv.evaluation.Gaps.of(refined)
        gaps.approximation + gaps.amortization  # [4], log p(x) - ELBO
        ```
        """
        return cls(
            approximation=estimates.log_likelihood - estimates.refined_elbo,
            amortization=estimates.refined_elbo - estimates.elbo,
            approximation_error=estimates.refined_gap_error,
            amortization_error=np.hypot(estimates.refined_elbo_error, estimates.elbo_error),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the gaps and their errors by the names `<name>_gap` and `<name>_gap_error`, [N] each."""
        ends = ("", "_error")
        return {f"{name}_gap{end}": getattr(self, f"{name}{end}") for name in REMEDIES for end in ends}

    def summary(self) -> dict[str, float]:
        """Return the mean of each gap by its name, its standard error over examples and its Monte Carlo error.

        The errors have the names `<name>_se` and `<name>_mc_error`.
        """
        found = {}
        for name in REMEDIES:
            values = getattr(self, name)
            found[name] = float(values.mean())
            found[f"{name}_se"] = standard_error(values)
            found[f"{name}_mc_error"] = mean_error(getattr(self, f"{name}_error"))
        return found


def gap_remark(summary: Mapping[str, float]) -> str:
    """Return a sentence on the cause of the larger gap, with a remedy, or an empty string if no gap is clear.

    A gap is clear above 0.1 nats and above two standard errors. The error over examples contains the Monte Carlo error,
    because the examples have independent samples. A single example has only the latter.

    ```python
    from tfp_vae.evaluation.gaps import gap_remark

    gaps = {"approximation": 0.3, "approximation_se": 0.1, "amortization": 1.2, "amortization_se": 0.1}
    gap_remark(gaps)  # "The ELBO lies ... Use a wider encoder, or train longer."
    ```

    Args:
      summary: the averages that `Gaps.summary` returns.
    """
    larger, other = sorted(REMEDIES, key=lambda name: -summary[name])
    error = summary[f"{larger}_se"]
    error = summary[f"{larger}_mc_error"] if math.isnan(error) else error
    if not summary[larger] > max(SMALL_GAP, CLEAR * error):
        return ""
    return (
        f"The ELBO lies below log p(x) by {summary[larger]:.2f} nats of {larger} gap and {summary[other]:.2f} nats of "
        f"{other} gap. {REMEDIES[larger]}"
    )
