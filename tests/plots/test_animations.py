"""GIF files: frames, titles, palettes and views."""

from __future__ import annotations

import numpy as np

from tfp_vae.plots import animations

TEXT = "$x^$"
"""A text that matplotlib would read as a formula, and an invalid one."""


def test_classes_may_look_like_formulas(rng: np.random.Generator) -> None:
    labels = np.array([TEXT, "b" * 90] * 10)
    assert animations.latent_animation([0, 1], rng.random((2, 20, 2)), labels, title="title").startswith(b"GIF")
