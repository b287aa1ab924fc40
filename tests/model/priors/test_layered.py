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
