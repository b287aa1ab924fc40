"""Scores: the log p(x) of each example under a run, and which examples are the most anomalous.

log p(x) as a score of how usual an example is under a model. A low one is a reason to look, and no proof of an anomaly:
densities and probabilities of images follow low-level statistics too, so that plain images of another kind may score
higher than the data themselves.

References:
  Nalisnick et al. (2019), Do deep generative models know what they don't know?
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.importance import Estimates, Progress, estimate
from tfp_vae.runs.load import Restored

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

    The estimate of K samples is biased low, of examples that the encoder knows little of more so than of others: which
    widens the gap between the two, and is no error of the ranking alone. Costs one pass of the encoder and K of the
    decoder for each example.

    ```python
    restored = tv.runs.load.Restored(tv.runs.run.find(None, "runs"))
    dataset = tv.runs.recipe.reload(restored.config)
    test = tv.runs.recipe.held_out_view(restored.config, dataset, "test")
    result, estimates = tv.runs.scores.score(restored, test.x[:16], iw_samples=10)
    tv.runs.scores.most_anomalous(estimates.log_likelihood, 3)  # [3], places in the test split
    ```

    Args:
      restored: the run.
      x: as `preparation.held_out_view` or `new_examples` gives them.
      iw_samples: K, the importance samples for each example.
      seed: the evaluation seed.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: told of the number of importance samples just taken.

    Returns:
      A JSON object of figures (the mean, its standard error over examples, quantiles from 0 to 1), and `Estimates` [N].

    Raises:
      UsageError: no sample or no example.
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
        "scaling": restored.config.data.scaling.name,
        "log_likelihood": float(log_px.mean()),
        "log_likelihood_se": standard_error(log_px),
        "quantiles": _quantiles(log_px),
        "seconds": time.monotonic() - began,
    }
    return result, estimates


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return {f"{q:g}": float(value) for q, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)}


def most_anomalous(log_likelihood: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` examples of least log p(x) [N], the least first.

    Args:
      log_likelihood: one value for each example, nats.
      count: how many places; all, if there are fewer examples.

    Returns:
      int64 [min(count, N)]; of equal values the earlier place first.
    """
    return np.argsort(log_likelihood, kind="stable")[:count]
