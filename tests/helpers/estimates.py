"""Checks of estimates of log p(x)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.helpers.oracles import evidence_from_prior
from tfp_vae import VAE
from tfp_vae.evaluation.importance import Estimates, estimate

THOUSAND: dict[str, Any] = {"iw_samples": 1_000, "seed": (8, 9)}


def check_same(found: Estimates, expected: Estimates) -> None:
    """Check that two estimates differ by rounding only."""
    for name in ("log_likelihood", "ess", "spread", "distortion", "rate"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-8)


def check_against_prior(vae: VAE, x: np.ndarray, refine: str, execution: str = "graph") -> Estimates:
    """Return the estimates of a refinement with a thousand samples, checked against samples of the prior."""
    truth, variance = evidence_from_prior(vae, x)
    found = estimate(vae, x, execution=execution, refine=refine, **THOUSAND)
    error = np.sqrt(variance + found.spread**2)
    agrees = np.abs(found.log_likelihood - truth) < 5 * error + 0.01
    assert found.known.any()
    assert (agrees | ~found.known).all()  # of several modes, the searches may miss one
    return found
