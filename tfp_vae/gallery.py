"""A run's pictures: which there are, and from which arrays each is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfp_vae import plots
from tfp_vae.datasets import Dataset
from tfp_vae.experiments import Restored, sample
from tfp_vae.preparation import held_out_view

__all__ = ["PICTURES", "picture"]

PICTURED, MANIFOLD_SIDE = 12, 20


def picture(restored: Restored, dataset: Dataset) -> list[Path]:
    """Draw a run's pictures into its folder, and return their paths."""
    figures = {name: draw(restored, dataset) for name, draw in PICTURES.items()}
    return [restored.run.write_plot(name, plots.png(figure)) for name, figure in figures.items() if figure is not None]


def _draw_samples(restored: Restored, dataset: Dataset) -> Any:
    return plots.image_grid(
        sample(restored, 64, seed=restored.config.training.seed), "Samples, E[x|z] with z from the prior"
    )


def _draw_reconstructions(restored: Restored, dataset: Dataset) -> Any:
    test = held_out_view(restored.config, dataset, "test").x
    x = test[np.linspace(0, len(test) - 1, min(PICTURED, len(test))).astype(int)]  # some files are sorted by class
    return plots.reconstructions(x, np.asarray(restored.vae.reconstruct(x)))


def _draw_learning_curves(restored: Restored, dataset: Dataset) -> Any:
    return plots.learning_curves(restored.run.metrics())


def _draw_latent_scatter(restored: Restored, dataset: Dataset) -> Any:
    if restored.config.model.latent_dim != 2:
        return None
    test = held_out_view(restored.config, dataset, "test")
    return plots.latent_scatter(np.asarray(restored.vae.encoder.mean(test.x)), test.y)


def _draw_manifold(restored: Restored, dataset: Dataset) -> Any:
    if restored.config.model.latent_dim != 2 or len(restored.config.data.event_shape) != 3:
        return None
    return plots.manifold(np.asarray(restored.vae.decoder(plots.prior_grid(MANIFOLD_SIDE)).mean()), MANIFOLD_SIDE)


PICTURES: dict[str, Callable[[Restored, Dataset], Any]] = {
    "samples": _draw_samples,
    "reconstructions": _draw_reconstructions,
    "learning-curves": _draw_learning_curves,
    "latent-scatter": _draw_latent_scatter,
    "manifold": _draw_manifold,
}
