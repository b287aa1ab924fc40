"""Networks that receive a context."""

from __future__ import annotations

import pytest

import tfp_vae as tv
from tfp_vae.core.errors import UsageError


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_network_of_one_input_is_refused_with_the_remedy(role: str) -> None:
    parts = {
        "encoder": lambda net: tv.Encoder(net, tv.posteriors.DiagonalNormal(2), context_size=1),
        "decoder": lambda net: tv.Decoder(net, tv.likelihoods.Normal((4,)), context_size=1),
    }
    for network in (tv.networks.mlp((5,), 4), tv.networks.Fixed(lambda x: x)):
        with pytest.raises(UsageError, match=rf"{role} has a context, but its network takes one input.*WithContext"):
            parts[role](network)
