"""Plots: functions that take arrays and return matplotlib figures, or GIF files as bytes.

They know neither models nor runs. `tfp_vae.reports` decides which arrays of a run go into which plot.
`images`, `rankings`, `series` and `tiles` show examples, `curves` and `distributions` numbers, `scatter` and
`animations` latent space, and `diagrams` a model. The package `tables` has the plots of mixed tables. `canvas` and
`fonts` hold the common look. To add a plot, write a function in the module of its subject, draw it within
`canvas.style()`, and enter its name below. A notebook shows the figures and animations. `png` makes a file of a figure.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.plots import tables
    from tfp_vae.plots.animations import Gif, grid_animation, last_frame, latent_animation
    from tfp_vae.plots.canvas import Figure, Range, description, is_ink, png
    from tfp_vae.plots.curves import bound_curve, gap_parts, learning_curves, rate_bars
    from tfp_vae.plots.diagrams import Box, Layer, architecture
    from tfp_vae.plots.distributions import (
        column_marginals,
        log_likelihood_histogram,
        posterior_against_prior,
        values_by_class,
    )
    from tfp_vae.plots.images import image_grid, manifold, reconstructions, strips
    from tfp_vae.plots.rankings import extremes, ranking
    from tfp_vae.plots.scatter import Spread, latent_scatter
    from tfp_vae.plots.series import line_panels

_PLACES = {
    "Box": "diagrams",
    "Figure": "canvas",
    "Gif": "animations",
    "Layer": "diagrams",
    "Range": "canvas",
    "Spread": "scatter",
    "architecture": "diagrams",
    "bound_curve": "curves",
    "column_marginals": "distributions",
    "description": "canvas",
    "extremes": "rankings",
    "gap_parts": "curves",
    "grid_animation": "animations",
    "image_grid": "images",
    "is_ink": "canvas",
    "last_frame": "animations",
    "latent_animation": "animations",
    "latent_scatter": "scatter",
    "learning_curves": "curves",
    "line_panels": "series",
    "log_likelihood_histogram": "distributions",
    "manifold": "images",
    "png": "canvas",
    "posterior_against_prior": "distributions",
    "ranking": "rankings",
    "rate_bars": "curves",
    "reconstructions": "images",
    "strips": "images",
    "values_by_class": "distributions",
}

__all__ = [
    "Box",
    "Figure",
    "Gif",
    "Layer",
    "Range",
    "Spread",
    "architecture",
    "bound_curve",
    "column_marginals",
    "description",
    "extremes",
    "gap_parts",
    "grid_animation",
    "image_grid",
    "is_ink",
    "last_frame",
    "latent_animation",
    "latent_scatter",
    "learning_curves",
    "line_panels",
    "log_likelihood_histogram",
    "manifold",
    "png",
    "posterior_against_prior",
    "ranking",
    "rate_bars",
    "reconstructions",
    "strips",
    "tables",
    "values_by_class",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
