"""A network of one input as a network of x and a context."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.model.networks.context import shape_with_context
from tfp_vae.model.networks.joined import WithContext


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
