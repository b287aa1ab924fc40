"""Networks that receive a context."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.core.errors import UsageError
from tfp_vae.model.networks.context import WithContext, shape_with_context


@pytest.mark.parametrize("maps", [False, True])
def test_context_follows_the_values_of_x_or_becomes_channels(maps: bool) -> None:
    x, y = np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1), np.float32([[1, 2, 3], [4, 5, 6]])
    joined = WithContext(tf.identity, maps=maps)(x, y)
    assert joined.shape[1:] == shape_with_context(x.shape[1:], 3, maps=maps)
    if maps:
        np.testing.assert_array_equal(joined[..., :1], x)
        np.testing.assert_array_equal(joined[..., 1:], np.broadcast_to(y[:, None, None], (2, 2, 2, 3)))
    else:
        np.testing.assert_array_equal(joined, np.concatenate([x.reshape(2, 4), y], axis=1))


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_network_of_one_input_is_refused_with_the_remedy(role: str) -> None:
    parts = {
        "encoder": lambda net: tv.Encoder(net, tv.posteriors.DiagonalNormal(2), context_size=1),
        "decoder": lambda net: tv.Decoder(net, tv.likelihoods.Normal((4,)), context_size=1),
    }
    for network in (tv.networks.mlp((5,), 4), tv.networks.Fixed(lambda x: x)):
        with pytest.raises(UsageError, match=rf"{role} has a context, but its network takes one input.*WithContext"):
            parts[role](network)
