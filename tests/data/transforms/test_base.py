"""Transforms: without noise of their own, batches stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.data.transforms.base import Transform
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.data.transforms.dequantization import UniformNoise
from tfp_vae.data.transforms.scaling import Unscaled

TRANSFORMS = {**{name: kind() for name, kind in BINARIZATIONS.items()}, "noise": UniformNoise(1.0, Unscaled(), (3,))}


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in ("dynamic", "noise")])
def test_steps_change_nothing_by_default(name: str) -> None:
    x = np.random.default_rng(0).random((4, 3))
    assert TRANSFORMS[name].batch(x, (0, 1)) is x


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_map_draws_what_it_says_and_can_be_repeated(name: str) -> None:
    transform: Transform = TRANSFORMS[name]
    x = np.full((50, 3), 0.5 if name != "noise" else 2, np.float32)
    first, again, other = (transform.held_out(x, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert transform.draws == (first != other).any()
    np.testing.assert_array_equal(transform.held_out(first, np.random.default_rng(0)), first)
