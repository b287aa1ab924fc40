"""Refinement of the examples that need it, so that the others cost little more than without any."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, final

import numpy as np
import pydantic

from tfp_vae.core.registry import Positive, record
from tfp_vae.core.types import Seed, Tensor
from tfp_vae.evaluation.proposals.base import Joint, Proposal, Refinement
from tfp_vae.evaluation.proposals.local import Local, Steps

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["Auto"]

Pilot = Annotated[int, pydantic.Field(ge=20, le=10_000)]


@final
@record
class Auto(Refinement):
    """The refinement `local`, for the examples whose encoder's q(z|x) is not accurate enough.

    Pilot samples of q(z|x) give an interval for log p(x) of each example, which shrinks with the square root of the
    number of samples. An example keeps q(z|x) if the interval from K samples would end within `accuracy` of the
    estimate. Otherwise, or if the effective sample size of the pilot is below 10, its proposal is refined.

    A pilot has a seed of its own and its samples are not used again, so the mean weight remains an unbiased estimate of
    p(x). The choice for an example does not depend on the others.

    ```python
    found = tv.evaluation.estimate(vae, x[:4], iw_samples=20, seed=(0, 3), refine="auto:steps=5", execution="graph")
    found.refined  # bool [4]
    ```

    Args:
      accuracy: the largest distance of an end of the 90% interval from the estimate that needs no refinement, in nats.
      pilot: number of pilot samples.
      steps: number of gradient steps, see `Local`.
    """

    accuracy: Positive = field(default=0.1, kw_only=True)
    pilot: Pilot = field(default=100, kw_only=True)
    steps: Steps = field(default=50, kw_only=True)

    @property
    def local(self) -> Local:
        """The refinement of an example that needs it."""
        return Local(steps=self.steps)

    @property
    def sampler(self) -> Refinement:
        """The sampler of `local`."""
        return self.local.sampler

    @property
    def effort(self) -> str:
        """The number of steps."""
        return f"{self.local.effort} if needed"

    @property
    def pilot_samples(self) -> int:
        """The number of pilot samples."""
        return self.pilot

    def is_needed(self, reach: np.ndarray, iw_samples: int) -> np.ndarray:
        """Return whether the interval of each example would be too long with K samples, or is unknown, bool [N]."""
        return np.asarray(~(reach * np.sqrt(self.pilot / iw_samples) <= self.accuracy))  # true for NaN

    def check(self, vae: VAE) -> None:
        """Raise an error if `local` does not support the posterior.

        Raises:
          UsageError: the posterior is not reparameterized.
        """
        self.local.check(vae)

    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return the refined parameters, [B, P]."""
        return self.local.fit(joint, params, seed, places)

    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples of the refined q(z) and their densities, see `Posterior.draw_each`."""
        return self.local.draw_each(joint, proposal, n, seeds)
