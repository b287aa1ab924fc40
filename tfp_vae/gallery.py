"""A run's pictures, and those of its evaluation: which there are, and from which arrays each is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfp_vae import plots
from tfp_vae.assessment import Assessment
from tfp_vae.datasets import Dataset
from tfp_vae.evaluation import is_active
from tfp_vae.experiments import Restored, sample
from tfp_vae.preparation import held_out_view
from tfp_vae.runs import Run

__all__ = ["ASSESSED", "PICTURES", "picture", "picture_assessment"]

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


def picture_assessment(run: Run, assessment: Assessment) -> list[Path]:
    """Draw the pictures of an evaluation into the run's folder, and return their paths."""
    figures = {name: draw(assessment) for name, draw in ASSESSED.items()}
    return [run.write_plot(name, plots.png(figure)) for name, figure in figures.items() if figure is not None]


def _draw_bound(assessment: Assessment) -> Any:
    sweep = assessment.estimates.sweep
    errors = sweep.std(axis=0) / np.sqrt(len(sweep))
    return plots.bound_curve(assessment.ladder, sweep.mean(axis=0), errors, assessment.result["elbo"])


def _draw_rates(assessment: Assessment) -> Any:
    rates = assessment.result["rate_per_dim"]
    return None if rates is None else plots.rate_bars(np.array(rates), is_active(assessment.estimates))


def _draw_histogram(assessment: Assessment) -> Any:
    return plots.log_likelihood_histogram(assessment.estimates.log_likelihood, assessment.examples.y)


def _draw_extremes(assessment: Assessment) -> Any:
    return plots.extremes(assessment.examples.x, assessment.estimates.log_likelihood)


ASSESSED: dict[str, Callable[[Assessment], Any]] = {
    "evaluation-bound": _draw_bound,
    "evaluation-rates": _draw_rates,
    "evaluation-histogram": _draw_histogram,
    "evaluation-extremes": _draw_extremes,
}
