"""Draw the pictures of a run and of its evaluation from the arrays that the model returns.

Each function with the name of a picture in `reports.pictures.PICTURES` draws that picture. Those of tables are in
`reports.tables`. `draw_run` writes the pictures of a run into its folder, and `draw_evaluation` those of an evaluation.

```python
run = tv.runs.find(None, "runs")
restored, dataset = tv.runs.LoadedRun(run), tv.runs.reload(run.config())
run_data = tv.reports.RunData(restored, dataset)
tv.reports.draw_run(run_data, ["samples", "reconstructions"])  # paths of two PNG files
```
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.codes import CodeUsage
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.gaps import Gaps
from tfp_vae.evaluation.importance import Estimates, is_active
from tfp_vae.evaluation.metrics import samples_text
from tfp_vae.evaluation.paths import path
from tfp_vae.evaluation.projections import PROJECTIONS, projection
from tfp_vae.plots import animations, canvas, curves, diagrams, distributions, images, rankings, scatter, tiles
from tfp_vae.plots.canvas import Figure
from tfp_vae.reports.pictures import EVALUATION_PICTURES, RUN_PICTURES
from tfp_vae.reports.run_data import IW_SAMPLES, RunData
from tfp_vae.reports.tables import associations, columns, imputation, unusual_cells
from tfp_vae.reports.walks import walks
from tfp_vae.runs.folder.records import which_evaluation
from tfp_vae.runs.frames import reel, spread_rows
from tfp_vae.runs.load import sample
from tfp_vae.runs.results import Assessment
from tfp_vae.runs.run import PLOTS, Run

__all__ = ["applicable", "associations", "columns", "draw_evaluation", "draw_run", "imputation", "unusual_cells"]

SAMPLES, RECONSTRUCTIONS, MANIFOLD_SIDE = 64, 12, 20
"""Numbers of samples, of reconstructions, and of images along a side of the manifold."""

MOST_DIMENSIONS = 16
"""Largest number of latent dimensions in one picture."""

PATHS, PATH_STEPS = 8, 9
"""Number of interpolations, and of steps in each."""

LONGEST_PAIR = 24
"""Most letters of the names of two examples on one line."""

POSTERIOR_MEANS = "Posterior means of {} data"


@check_keywords
def applicable(run_data: RunData, names: Sequence[str] = ()) -> list[str]:
    """Return the names of the pictures that a run can have.

    Args:
      run_data: the run.
      names: names from `RUN_PICTURES` to check and return. [default: all that the run can have, except those that are
        drawn on request only]

    Raises:
      UsageError: a name is unknown, or the run cannot have this picture.
    """
    for name in names:
        if name not in RUN_PICTURES:
            raise UsageError(f"unknown picture {name!r}. Choose from {', '.join(RUN_PICTURES)}.")
        problem = RUN_PICTURES[name].problem(run_data)
        if problem is not None:
            raise UsageError(f"{name}: {problem}")
    by_default = (name for name, picture in RUN_PICTURES.items() if not picture.on_request)
    return list(names) or [name for name in by_default if RUN_PICTURES[name].problem(run_data) is None]


@check_keywords
def draw_run(
    run_data: RunData,
    names: Sequence[str] = (),
    *,
    begin: Callable[[str, int, int], None] = lambda name, number, total: None,
    notify: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Draw pictures of a run into its folder, and return their paths.

    Args:
      run_data: the run.
      names: names from `RUN_PICTURES`. [default: as `applicable` returns them]
      begin: called with the name of each picture before it is drawn, its number from 1 on, and the number of pictures.
      notify: called with the path of each picture once it is written.

    Raises:
      UsageError: a name is unknown, or the run cannot have this picture.
      DiskError: a file could not be written.
    """
    paths, wanted = [], applicable(run_data, names)
    for number, name in enumerate(wanted, 1):
        begin(name, number, len(wanted))
        paths.append(run_data.run.write_plot(name, RUN_PICTURES[name].content(run_data), RUN_PICTURES[name].suffix))
        notify(paths[-1])
    return paths


def samples(run_data: RunData) -> Figure:
    x = run_data.shown(sample(run_data.restored, SAMPLES, seed=run_data.seed, show="mean"))
    return images.image_grid(x, "Samples, E[x|z] with z from the prior", **run_data.look)


def reconstructions(run_data: RunData) -> Figure:
    batch = run_data.test[spread_rows(len(run_data.test), RECONSTRUCTIONS)].batch
    means = np.asarray(run_data.vae.reconstruct(batch))
    pair = run_data.shown(np.asarray(batch.x)), run_data.shown(means)
    title = f"{run_data.held_out.capitalize()} examples and their reconstructions"
    return images.reconstructions(*pair, run_data.seen, title=title, **run_data.look)


def learning_curves(run_data: RunData) -> Figure:
    return curves.learning_curves(run_data.run.metrics())


def latent_scatter(run_data: RunData) -> Figure:
    means, labels = run_data.embeddings.mean, run_data.test.y
    heading = POSTERIOR_MEANS.format(run_data.held_out)
    if run_data.latent_dim == 1:
        return distributions.values_by_class(means[:, 0], labels, heading, "$z_1$")
    view = PROJECTIONS[run_data.projection](means, run_data.seed)
    spread = None if view.plane is None else run_data.spread(view.plane)
    ellipses = "" if spread is None else "ellipses: one standard deviation of q(z|x)"
    title = "\n".join(filter(None, (heading, view.how, ellipses)))
    return scatter.latent_scatter(view.points, None if labels is None else labels[view.rows], spread, view.names, title)


def manifold(run_data: RunData) -> Figure:
    grid = latent.grid(run_data.of_one_context, MANIFOLD_SIDE, run_data.seed)
    return images.manifold(run_data.shown(run_data.decode(grid.z)), MANIFOLD_SIDE, grid.title, **run_data.tones)


def traversals(run_data: RunData) -> Figure:
    """Draw walks along each active dimension, see `walks`."""
    found = walks(run_data, MOST_DIMENSIONS if run_data.has_images else images.MOST_MAPS)
    some = len(found.dims) < len(run_data.active)
    more = f" (the {len(found.dims)} most active of {len(run_data.active)})" if some else ""
    return images.strips(
        run_data.shown(run_data.decode(found.z)),
        [f"$z_{{{d + 1}}}$" + run_data.layer_of(d) for d in found.dims],
        [f"{level:.0%}" for level in found.levels],
        f"E[x|z] along each active dimension{more}",
        "quantile of the prior",
        **run_data.look,
    )


def interpolations(run_data: RunData) -> Figure:
    """Draw walks on straight lines between posterior means, with the examples themselves at both ends."""
    count = min(PATHS, len(run_data.test) // 2)
    rows = generator(run_data.seed, Purpose.PAIRS).permutation(len(run_data.test))[: 2 * count].reshape(2, count)
    first, last = (run_data.embeddings.mean[row] for row in rows)
    context = run_data.test.context
    between = None if context is None else path(context[rows[0]], context[rows[1]], PATH_STEPS)
    walks = run_data.decode(path(first, last, PATH_STEPS), between)
    ends = [run_data.test.x[row][:, np.newaxis] for row in rows]
    x = run_data.shown(np.concatenate([ends[0], walks, ends[1]], axis=1))
    end = run_data.seen.replace(", ", ",\n")
    ticks = [end, *(f"{t:.0%}" for t in np.linspace(0, 1, PATH_STEPS)), end]
    pairs = [[canvas.escape_math(run_data.test.source_name(row)) for row in pair] for pair in rows.T]
    long = max(len(" to ".join(pair)) for pair in pairs) > LONGEST_PAIR
    names = (
        [""] * count if run_data.has_images else ["\nto ".join(pair) if long else " to ".join(pair) for pair in pairs]
    )
    title = f"E[x|z] on straight lines between {run_data.split} examples"
    return images.strips(x, names, ticks, title, **run_data.look)


def posterior_prior(run_data: RunData) -> Figure:
    some = run_data.latent_dim > MOST_DIMENSIONS
    dims = run_data.by_activity[:MOST_DIMENSIONS] if some else np.arange(run_data.latent_dim)
    prior = latent.prior_draws(run_data.of_one_context, run_data.seed)
    names = [f"$z_{{{d + 1}}}${'' if d in run_data.active else ', not active'}" for d in dims]
    more = f", {len(dims)} of {run_data.latent_dim} dimensions, the most active first" * some
    title = f"Aggregate posterior against prior{more}"
    draws = run_data.embeddings.samples[0]
    return distributions.posterior_against_prior(draws[:, dims], prior[:, dims], names, title, run_data.split)


def code_usage(run_data: RunData) -> Figure:
    usage = CodeUsage.of(run_data.embeddings.mean, run_data.space)
    names = [f"$z_{{{d + 1}}}$: {perplexity:.1f}" for d, perplexity in enumerate(usage.perplexities)]
    title = f"Codes of {run_data.split} examples: {usage.share:.0%} in use, mean perplexity {usage.perplexity:.2f}"
    return tiles.code_map(usage.frequencies, names, title)


def log_likelihood(run_data: RunData) -> Figure:
    examples, values = run_data.scores
    return distributions.log_likelihood_histogram(values, examples.y, f"log p(x) of {run_data.scoring}")


def extremes(run_data: RunData) -> Figure:
    examples, values = run_data.scores
    title = f"Least and most likely of {run_data.scoring}; log p(x) in nats"
    x, names = run_data.shown(examples.x), [examples.source_name(row) for row in range(len(examples))]
    return rankings.extremes(x, values, title, names=names, **run_data.look)


def gaps(run_data: RunData) -> Figure:
    """Draw both gaps of up to a hundred test examples, whose posteriors are refined for this picture."""
    examples, estimates = run_data.refined
    return gap_figure(estimates, f"{len(examples):,} {run_data.split} examples, K = {IW_SAMPLES}, refined by local")


def gap_figure(estimates: Estimates, what: str) -> Figure:
    parts = Gaps.of(estimates)
    errors = np.stack([parts.approximation_error, parts.amortization_error])
    title = f"log p(x) - ELBO = approximation gap + amortization gap\n{what}"
    return curves.gap_parts(np.stack([parts.approximation, parts.amortization]), errors, title)


def architecture(run_data: RunData) -> Figure:
    """Draw the layers that multiply by weights.

    Biases, activations and normalizations say little about an architecture and are left out. A network that is not made
    of Keras layers is shown as three dots.
    """
    model = run_data.config.model
    encoder, decoder = (
        [diagrams.Layer(tuple(layer.output_shape[1:])) for layer in layers if hasattr(layer, "kernel")]
        for layers in (getattr(part.network, "layers", ()) for part in (run_data.vae.encoder, run_data.vae.decoder))
    )
    size = sum(math.prod(variable.shape) for variable in run_data.vae.trainable_variables)
    dimensions = f"{run_data.latent_dim} dimension{'s' * (run_data.latent_dim > 1)}"
    return diagrams.architecture(
        diagrams.Box("x", "x".join(map(str, run_data.config.data.event_shape))),
        encoder,
        diagrams.Box("q(z|x)", model.posterior.name),
        diagrams.Box("p(z)", model.prior.name),
        decoder,
        diagrams.Box("p(x|z)", model.likelihood.name),
        f"{model.encoder.name} encoder, {dimensions}, {model.decoder.name} decoder: {size:,} parameters",
    )


def latent_animation(run_data: RunData) -> bytes:
    """Draw posterior means that move from epoch to epoch.

    All frames use the principal components of the last one, so that the points move and the view does not.
    """
    taken = run_data.reel or reel(run_data.run, run_data.dataset, run_data.vae)  # which raises an error
    means = np.stack([frame.means for frame in taken.frames])
    plane = projection(means[-1])
    title = "\n".join(filter(None, (POSTERIOR_MEANS.format(run_data.held_out), plane.how)))
    return animations.latent_animation(taken.epochs, plane(means), taken.labels, plane.names, title, taken.total)


def decoder_animation(run_data: RunData) -> bytes:
    taken = run_data.reel or reel(run_data.run, run_data.dataset, run_data.vae)  # which raises an error
    decoded = run_data.shown(np.stack([frame.decoded for frame in taken.frames]))
    side = math.isqrt(decoded.shape[1])
    return animations.grid_animation(taken.epochs, decoded, side, taken.grid.title, taken.total, **run_data.tones)


@check_keywords
def draw_evaluation(run: Run, assessment: Assessment) -> list[Path]:
    """Draw the pictures of an evaluation into the run's folder, and return their paths.

    Args:
      run: the run.
      assessment: its evaluation, from `results.assess`. There is no picture of rates without a closed form, and none of
        gaps without a refinement within the posterior's family.
    """
    about = which_evaluation(assessment.result)
    figures = {name: picture.draw(assessment) for name, picture in EVALUATION_PICTURES.items()}
    for name in (name for name, figure in figures.items() if figure is None):
        run.files.remove(f"{PLOTS}/{name}.png")  # because it shows the evaluation before
    return [
        run.write_plot(name, canvas.png(figure, about))
        for name, figure in figures.items()
        if isinstance(figure, Figure)
    ]


def evaluation_bound(assessment: Assessment) -> Figure | None:
    if not assessment.ladder:
        return None
    sweep = assessment.estimates.sweep
    errors = np.array([standard_error(column) for column in sweep.T])
    return curves.bound_curve(assessment.ladder, sweep.mean(axis=0), errors, assessment.result["elbo"])


def evaluation_rates(assessment: Assessment) -> Figure | None:
    rates = assessment.result["rate_per_dim"]
    if rates is None:
        return None
    active = None if assessment.result["active_units"] is None else is_active(assessment.estimates)
    return curves.rate_bars(np.array(rates), active)


def evaluation_gaps(assessment: Assessment) -> Figure | None:
    if assessment.result["gaps"] is None:
        return None
    template = "{num_examples:,} {split} examples, K = {iw_samples:,}, refined by {refine}"
    return gap_figure(assessment.estimates, template.format(**assessment.result))


def evaluation_histogram(assessment: Assessment) -> Figure:
    title = "log p(x) of {num_examples:,} {split} examples, ".format(**assessment.result)
    title += samples_text(assessment.result)
    return distributions.log_likelihood_histogram(assessment.estimates.log_likelihood, assessment.examples.y, title)


def evaluation_extremes(assessment: Assessment) -> Figure:
    """Draw the extremes with the names of their files or with their rows in the source, like `extremes`."""
    template = "Least and most likely of {num_examples:,} {split} examples, "
    x, values, data = assessment.examples.x, assessment.estimates.log_likelihood, assessment.data
    names = [assessment.source_name(row) for row in range(len(x))]
    title = f"{template.format(**assessment.result)}{samples_text(assessment.result)}; log p(x) in nats"
    if data is None:
        return rankings.extremes(x, values, title, names=names)
    return rankings.extremes(data.shown(x), values, title, names=names, **data.look)
