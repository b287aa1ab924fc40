"""A semi-implicit distribution whose marginal is a Normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from scipy import stats

from tfp_vae.model.distributions.implicit import SemiImplicit
from tfp_vae.model.distributions.layered import Statistics

SPREAD, SCALE = 0.8, 0.5


def gaussian(components: int, batch: int = 1) -> SemiImplicit:
    """Return E_e[N(z; 0.3 + 0.8 e, 0.5^2)] = N(0.3, 0.8^2 + 0.5^2)."""

    def conditional(noise: Any) -> Statistics:
        return Statistics(0.3 + SPREAD * noise, SCALE + 0 * noise)

    return SemiImplicit(conditional, components, tf.zeros([batch, 1], tf.float64), 1)


MARGINAL = stats.norm(0.3, np.hypot(SPREAD, SCALE))
"""The distribution of z for any number of components."""
