"""Scores: the log p(x) of each example under a run, and which examples are the most anomalous."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tfp_vae.evaluation import Estimates, Progress, estimate
from tfp_vae.execution import AUTO, choose
from tfp_vae.experiments import Restored
from tfp_vae.seeds import Purpose, seed_for

__all__ = ["most_anomalous", "score"]

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def score(
    restored: Restored,
    x: np.ndarray,
    *,
    iw_samples: int = 100,
    seed: int = 0,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> tuple[dict[str, Any], Estimates]:
    """Return what there is to say of the log p(x) of examples x [N, *event_shape], and each one's estimates, in nats.

    The same estimates, from the same seeds, as those of an evaluation of the same x.

    Args:
      restored: the run.
      x: as `preparation.held_out_view` or `new_examples` gives them.
      iw_samples: K, the importance samples for each example.
      seed: the evaluation seed.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: told of the number of importance samples just taken.
    """
    began = time.monotonic()
    execution = choose(restored.vae, execution)
    estimates = estimate(
        restored.vae,
        x,
        iw_samples=iw_samples,
        seed=seed_for(seed, Purpose.EVALUATION),
        execution=execution,
        progress=progress,
    )
    log_px = estimates.log_likelihood
    result = {
        "num_examples": len(x),
        "iw_samples": iw_samples,
        "seed": seed,
        "execution": execution,
        "step": restored.step,
        "scaling": restored.config.data.scaling.name,
        "log_likelihood": float(log_px.mean()),
        "log_likelihood_se": float(log_px.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan"),
        "quantiles": {
            f"{q:g}": float(value) for q, value in zip(QUANTILES, np.quantile(log_px, QUANTILES), strict=True)
        },
        "seconds": time.monotonic() - began,
    }
    return result, estimates


def most_anomalous(log_likelihood: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` examples of least log p(x) [N], the least first."""
    return np.argsort(log_likelihood, kind="stable")[:count]
