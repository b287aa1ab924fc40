"""A trained model from a run: its weights, and samples from it.

`Restored` builds the model of a run and gives it the weights of the checkpoint. Evaluation, scores and pictures take a
`Restored`.

```python
from pathlib import Path

small = tv.runs.config.ModelConfig(latent_dim=2, encoder="mlp:hidden=16", decoder="mlp:hidden=16")
once = tv.runs.config.TrainingConfig(epochs=1, execution="graph")
config, dataset = tv.runs.recipe.plan("digits", None, None, small, once)
run = tv.runs.run.Run.create(Path("runs/digits"), config)
tv.runs.train.train(run, dataset)  # True, because training reached its end
```
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from tfp_vae.core.errors import RunError
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.evaluation.latent_space import SHOWN, Region, generate_within
from tfp_vae.model.vae import VAE
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.checkpoint import BEST, FINAL, Checkpoint, shapes
from tfp_vae.runs.run import Run
from tfp_vae.training.state import State

__all__ = ["Restored", "sample"]

SAMPLES_AT_ONCE = 1_000
"""Samples decoded together; part of what a seed means."""


@final
class Restored:
    """A run's model, with weights from its checkpoint.

    The weights are read as far as the run's config promises them, so that a damaged or foreign file is refused before
    it takes the memory. `vae` is an ordinary model: evaluate it, sample from it, or train it further by hand.

    ```python
    restored = tv.runs.load.Restored(tv.runs.run.find(None, "runs"), weights="best")
    restored.vae.sample(4, seed=(0, 0))  # [4, 8, 8, 1]
    restored.described()  # which weights: their step, and whether they are averaged
    ```

    Args:
      run: the run.
      weights: `final`, those of the last step, or `best`, those after the epoch of the greatest validation ELBO. Both
        are averaged where the run averages its weights.

    Raises:
      RunError: a config or a checkpoint that is missing, damaged, or does not fit the other.
    """

    def __init__(self, run: Run, weights: str = FINAL) -> None:
        self.run = run
        self.weights = weights
        self.config = run.config()
        checkpoint = run.checkpoint(shapes(self.config))
        self.step, variables = WEIGHTS[weights](checkpoint)
        self.vae: VAE = build_from_config(self.config)
        State(self.vae).restore(variables)

    def __repr__(self) -> str:
        return f"Restored({self.run!r}, weights {self.described()})"

    def described(self) -> str:
        """Return which weights they are: their name, their step, and whether they are averaged."""
        ema = self.config.training.ema
        averaged = "" if ema is None else f", averaged (EMA with decay {ema:g})"
        return f"{self.weights}, of step {self.step:,}{averaged}"


def _best(checkpoint: Checkpoint) -> tuple[int, Mapping[str, np.ndarray]]:
    if checkpoint.best is None:
        raise RunError("the run has no best weights yet, as no epoch with a finite validation ELBO was finished.")
    return checkpoint.best.step, checkpoint.best.variables


WEIGHTS: dict[str, Callable[[Checkpoint], tuple[int, Mapping[str, np.ndarray]]]] = {
    FINAL: lambda checkpoint: (checkpoint.step, checkpoint.variables),
    BEST: _best,
}


def sample(
    restored: Restored,
    n: int,
    *,
    seed: int,
    temperature: float = 1.0,
    show: str = "mean",
    region: Region | None = None,
) -> np.ndarray:
    """Return n samples of a run's p(x), [n, *event_shape].

    ```python
    tv.runs.load.sample(restored, 4, seed=0, temperature=0.8)  # [4, 8, 8, 1], E[x|z]
    ```

    Args:
      restored: the run.
      n: how many.
      seed: the sampling seed.
      temperature: scales the prior's spread.
      show: `mean` for E[x|z] with z from the prior, `draw` for x drawn from p(x|z).
      region: where z has to lie; anywhere, if not given. See `latent_space.generate_within`.

    Raises:
      UsageError: a temperature other than 1 under a prior that has none, or a region that the prior hardly meets.
    """
    generate = (
        restored.vae.generate if region is None else functools.partial(generate_within, restored.vae, region=region)
    )
    parts = [
        SHOWN[show](
            generate(min(SAMPLES_AT_ONCE, n - start), seed=_sample_seed(seed, 0, start), temperature=temperature),
            _sample_seed(seed, 1, start),
        )
        for start in range(0, n, SAMPLES_AT_ONCE)
    ]
    return np.concatenate([np.asarray(part) for part in parts])


def _sample_seed(seed: int, stage: int, start: int) -> Any:
    return seed_for(seed, Purpose.SAMPLE, stage, start)
