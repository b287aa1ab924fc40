"""The hierarchical prior."""

from __future__ import annotations

import pytest

import tfp_vae as tv
from tests.helpers import builders
from tfp_vae.core.errors import UsageError


def test_a_hierarchical_prior_needs_layers() -> None:
    with pytest.raises(UsageError, match="posterior=bottom-up"):
        tv.priors.Hierarchical(2, tv.posteriors.DiagonalNormal(2))
    with pytest.raises(UsageError, match="prior over the posterior's z"):
        builders.model("bottom-up", "standard-normal")


def test_a_top_down_posterior_shares_its_networks_with_the_prior() -> None:
    vae = builders.model("top-down", latent_dim=5)
    (network,) = vae.encoder.posterior.learned
    assert vae.prior.learned == (network,)
    assert len(vae.trainable_variables) == len({id(variable) for variable in vae.trainable_variables})
    with pytest.raises(UsageError, match="Set their `hidden` in the posterior"):
        tv.priors.Hierarchical(5, vae.encoder.posterior, hidden=(8,))
