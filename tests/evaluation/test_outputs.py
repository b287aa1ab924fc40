"""The outputs of a decoder: means and draws."""

from __future__ import annotations

import numpy as np

from tests.helpers.oracles import LinearGaussian
from tfp_vae.evaluation.outputs import OUTPUTS


def test_draws_spread_like_p_and_means_do_not_spread(linear: LinearGaussian) -> None:
    p = linear.vae().decoder(np.zeros((4_000, linear.latent_dim)))
    means, draws = (np.asarray(OUTPUTS[name].values(p, (0, 1))) for name in ("mean", "draw"))
    np.testing.assert_allclose(means.std(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(draws.std(axis=0), linear.scale, rtol=0.06)
