"""A run's pictures, and those of its evaluation: which there are, and from which arrays each is drawn.

`PICTURES` names a run's pictures: a function of a `Subject` that draws each, and one that says why a run has none.
`picture` draws those that apply into the run's folder. `ASSESSED` are the pictures of an evaluation, drawn from an
`Assessment` alone.

```python
run = tv.runs.run.find(None, "runs")
restored, dataset = tv.runs.load.Restored(run), tv.runs.recipe.reload(run.config())
subject = tv.reports.pictures.Subject(restored, dataset)
tv.reports.pictures.picture(subject, ["samples", "reconstructions"])  # paths of two PNG files
```
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.evaluation import grids
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.importance import ACTIVE_VARIANCE, is_active
from tfp_vae.evaluation.projections import PROJECTIONS, Projection, projection
from tfp_vae.plots import animations, canvas, diagrams, scatter
from tfp_vae.plots import figures as plots
from tfp_vae.runs import frames as film
from tfp_vae.runs.load import Restored, sample
from tfp_vae.runs.recipe import as_seen, held_out_view
from tfp_vae.runs.results import Assessment
from tfp_vae.runs.run import Run, which_evaluation
from tfp_vae.runs.scores import score

__all__ = ["ASSESSED", "PICTURES", "Picture", "Subject", "applicable", "picture", "picture_assessment"]

PICTURED, MANIFOLD_SIDE, SAMPLES = 12, 20, 64
MOST_EMBEDDED, MOST_SCORED, IW_SAMPLES = 5_000, 1_000, 100
ELLIPSES, ELLIPSE_DRAWS = 60, 256
MOST_DIMENSIONS, STEPS, PATHS, PATH_STEPS = 16, 11, 8, 9
TRAVERSED = 0.02, 0.98
"""Between which quantiles of the prior a dimension is traversed."""


@final
class Subject:
    """A run as its pictures see it. What several of them need is found once, when the first asks for it.

    Test examples are embedded and scored when a picture first asks for it, and kept, so that all pictures of a run cost
    one pass of each.

    Args:
      restored: the run.
      dataset: its data, from `reload` or `plan`.
      seed: of what is drawn; that of the training, if not given.
      projection: how latent space is seen in the latent scatter, a name from `PROJECTIONS`.
    """

    def __init__(self, restored: Restored, dataset: Dataset, seed: int | None = None, projection: str = "pca") -> None:
        self.restored, self.dataset, self.projection = restored, dataset, projection
        self.run, self.config, self.vae = restored.run, restored.config, restored.vae
        self.seed = self.config.training.seed if seed is None else seed

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.config.model.latent_dim

    @property
    def described(self) -> str:
        """Which weights are drawn, and from which seed."""
        return f"weights {self.restored.described()}; seed {self.seed}"

    @property
    def seen(self) -> str:
        """What to call examples as the model sees them."""
        return as_seen(self.config)

    @property
    def features(self) -> Sequence[str]:
        """What a table calls the features of its vectors."""
        return self.config.data.features

    @property
    def unit(self) -> bool:
        """Whether values that are shown stand for ones in [0, 1]."""
        return self.config.data.unit

    @functools.cached_property
    def test(self) -> Split:
        """Test examples as the model sees them: all, or 5,000 of them evenly spread."""
        return _spread(held_out_view(self.config, self.dataset, "test"), MOST_EMBEDDED)

    @functools.cached_property
    def embeddings(self) -> latent.Embeddings:
        """Where the test examples lie, with one draw from each q(z|x)."""
        return latent.encode(self.vae, self.test.x, samples=1, seed=(self.seed, int(Purpose.EMBEDDING)))

    @functools.cached_property
    def by_activity(self) -> np.ndarray:
        """The latent dimensions, those first whose posterior means vary most."""
        return np.asarray(np.argsort(-self.embeddings.mean.var(axis=0), kind="stable"))

    @functools.cached_property
    def active(self) -> np.ndarray:
        """Of the dimensions in `by_activity`, those whose means vary."""
        return np.asarray(self.by_activity[self.embeddings.mean.var(axis=0)[self.by_activity] > ACTIVE_VARIANCE])

    @functools.cached_property
    def scored(self) -> tuple[Split, np.ndarray]:
        """Up to 1,000 test examples, evenly spread, and the log p(x) of each.

        Importance-weighted with K = 100, as `scores.score` does it: enough to order examples by, though biased low.
        """
        examples = _spread(self.test, MOST_SCORED)
        execution = self.config.training.execution
        _, found = score(self.restored, examples.x, iw_samples=IW_SAMPLES, seed=self.seed, execution=execution)
        return examples, found.log_likelihood

    @property
    def how_scored(self) -> str:
        """What was scored, in words."""
        return f"{len(self.scored[0]):,} test examples, K = {IW_SAMPLES}"

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return E[x|z] for z [..., D]."""
        return latent.decode(self.vae, z, seed=(self.seed, int(Purpose.SAMPLE)))


def _spread(split: Split, most: int) -> Split:
    """Return a split, or `most` of it evenly spread: some files are sorted by class."""
    return split[np.linspace(0, len(split) - 1, most).astype(int)] if len(split) > most else split


class Picture(NamedTuple):
    """A picture of a run: how it is drawn, what kind of file it is, and why some runs have none.

    draw: returns a matplotlib figure, or the bytes of a file.
    lacking: says what was expected and found where a run has no such picture, else None.
    suffix: of the file.
    of_weights: whether weights and seed decide it; the file then says which they were.
    """

    draw: Callable[[Subject], Any]
    lacking: Callable[[Subject], str | None] = lambda subject: None
    suffix: str = ".png"
    of_weights: bool = True

    def content(self, subject: Subject) -> bytes:
        """Return the file's content."""
        drawn = self.draw(subject)
        if isinstance(drawn, bytes):
            return drawn
        return plots.png(drawn, subject.described) if self.of_weights else plots.png(drawn)


def applicable(subject: Subject, names: Sequence[str] = ()) -> list[str]:
    """Return which pictures the run has; or those named, refusing one that it has not.

    Args:
      subject: the run.
      names: from `PICTURES`; all, if none is given.

    Raises:
      UsageError: an unknown name, or a picture that this run has not.
    """
    for name in names:
        if name not in PICTURES:
            raise UsageError(f"unknown picture {name!r}; choose from {', '.join(PICTURES)}")
        lacking = PICTURES[name].lacking(subject)
        if lacking is not None:
            raise UsageError(f"{name}: {lacking}")
    return list(names) or [name for name in PICTURES if PICTURES[name].lacking(subject) is None]


def picture(
    subject: Subject, names: Sequence[str] = (), *, drawn: Callable[[Path], None] = lambda path: None
) -> list[Path]:
    """Draw a run's pictures, or those named, into its folder, and return their paths; `drawn` is told of each.

    Raises:
      UsageError: an unknown name, or a picture that this run has not.
      DiskError: a file could not be written.
    """
    paths = []
    for name in applicable(subject, names):
        paths.append(subject.run.write_plot(name, PICTURES[name].content(subject), PICTURES[name].suffix))
        drawn(paths[-1])
    return paths


def _draw_samples(subject: Subject) -> Any:
    x = sample(subject.restored, SAMPLES, seed=subject.seed)
    return plots.image_grid(x, "Samples, E[x|z] with z from the prior", features=subject.features, unit=subject.unit)


def _draw_reconstructions(subject: Subject) -> Any:
    x = _spread(subject.test, PICTURED).x
    named: dict[str, Any] = {"features": subject.features, "unit": subject.unit}
    return plots.reconstructions(x, np.asarray(subject.vae.reconstruct(x)), subject.seen, **named)


def _draw_learning_curves(subject: Subject) -> Any:
    return plots.learning_curves(subject.run.metrics())


def _untrained(subject: Subject) -> str | None:
    return None if subject.run.metrics() else "expected a run with a finished epoch, found none; train it first."


def _draw_latent_scatter(subject: Subject) -> Any:
    means, labels = subject.embeddings.mean, subject.test.y
    if subject.latent_dim == 1:
        return plots.values_by_class(means[:, 0], labels, "Posterior means of held-out data", "$z_1$")
    view = PROJECTIONS[subject.projection](means, subject.seed)
    spread = None if view.plane is None else _seen_spread(subject, view.plane)
    ellipses = "" if spread is None else "ellipses: one standard deviation of q(z|x)"
    title = _lines("Posterior means of held-out data", view.how, ellipses)
    return scatter.latent_scatter(view.points, None if labels is None else labels[view.rows], spread, view.names, title)


def _lines(*parts: str) -> str:
    """Return a title of a line for each part that says something."""
    return "\n".join(filter(None, parts))


def _seen_spread(subject: Subject, plane: Projection) -> scatter.Spread:
    """Return the covariances in the plane of q(z|x) of some examples: of draws, which any family has.

    From 256 draws each, since the covariance of a flow has no closed form; `plane` maps the draws as it maps the means.
    """
    most = max(2, min(ELLIPSES, grids.VALUES_AT_ONCE // (ELLIPSE_DRAWS * subject.latent_dim)))
    rows = np.linspace(0, len(subject.test) - 1, min(most, len(subject.test))).astype(int)
    seed = (subject.seed + 1, int(Purpose.EMBEDDING))
    z = latent.encode(subject.vae, subject.test.x[rows], samples=ELLIPSE_DRAWS, seed=seed).samples
    seen = plane(z).swapaxes(0, 1)  # [M, S, 2]
    return scatter.Spread(rows, np.stack([np.cov(draws, rowvar=False) for draws in seen]))


def _draw_manifold(subject: Subject) -> Any:
    shown = grids.grid(subject.vae, MANIFOLD_SIDE, subject.seed)
    return plots.manifold(subject.decode(shown.z), MANIFOLD_SIDE, shown.what, unit=subject.unit)


def _no_manifold(subject: Subject) -> str | None:
    shape = subject.config.data.event_shape
    if subject.latent_dim != 2:
        return f"expected a run with 2 latent dimensions, found {subject.latent_dim}; traversals shows them all."
    return None if len(shape) == 3 else f"expected images, found vectors of {shape[0]}; traversals shows them."


def _draw_traversals(subject: Subject) -> Any:
    """Walk along each active dimension from the mean of the test example that is nearest to the mean of all.

    One dimension at a time goes through the prior's quantiles from 2% to 98%, the others stay where that example lies.
    """
    means, most = subject.embeddings.mean, MOST_DIMENSIONS if len(subject.test.x.shape) > 2 else plots.MOST_MAPS
    dims = _shown(subject.active, most)
    start = means[np.square(means - means.mean(axis=0)).sum(axis=1).argmin()]
    levels = np.linspace(*TRAVERSED, STEPS)
    places = grids.quantiles(subject.vae, levels, subject.seed)
    z = np.tile(start, (len(dims), STEPS, 1))
    z[np.arange(len(dims)), :, dims] = places[:, dims].T
    more = f" (the {len(dims)} most active of {len(subject.active)})" if len(dims) < len(subject.active) else ""
    return plots.strips(
        subject.decode(z),
        [f"$z_{{{d + 1}}}$" for d in dims],
        [f"{level:.0%}" for level in levels],
        f"E[x|z] along each active dimension{more}",
        "quantile of the prior",
        features=subject.features,
        unit=subject.unit,
    )


def _shown(dims: np.ndarray, most: int = MOST_DIMENSIONS) -> np.ndarray:
    """Return dimensions in order if all can be shown, else the first of those given."""
    return np.sort(dims) if len(dims) <= most else dims[:most]


def _no_traversals(subject: Subject) -> str | None:
    if len(subject.active):
        return None
    return "expected an active latent dimension, found none: the posterior has collapsed to the prior."


def _draw_interpolations(subject: Subject) -> Any:
    """Walk between posterior means along straight lines in z; the ends of each row are the examples themselves."""
    count = min(PATHS, len(subject.test) // 2)
    rows = generator(subject.seed, Purpose.PAIRS).permutation(len(subject.test))[: 2 * count].reshape(2, count)
    first, last = (subject.embeddings.mean[row] for row in rows)
    walked = subject.decode(latent.path(first, last, PATH_STEPS))
    ends = [subject.test.x[row][:, np.newaxis] for row in rows]
    x = np.concatenate([ends[0], walked, ends[1]], axis=1)
    end = subject.seen.replace(", ", ",\n")
    ticks = [end, *(f"{t:.0%}" for t in np.linspace(0, 1, PATH_STEPS)), end]
    names = [canvas.plain(" to ".join(map(subject.test.whence, pair))) if x.ndim == 3 else "" for pair in rows.T]
    title = "E[x|z] on straight lines between test examples"
    return plots.strips(x, names, ticks, title, features=subject.features, unit=subject.unit)


def _too_few(subject: Subject) -> str | None:
    return None if len(subject.test) > 1 else "expected at least 2 test examples, found 1."


def _draw_posterior_against_prior(subject: Subject) -> Any:
    dims = _shown(subject.by_activity)
    prior = grids.prior_draws(subject.vae, subject.seed)
    names = [f"$z_{{{d + 1}}}${'' if d in subject.active else ', not active'}" for d in dims]
    more = f", {len(dims)} of {subject.latent_dim} dimensions, the most active first" * (len(dims) < subject.latent_dim)
    title = f"Aggregate posterior against prior{more}"
    return scatter.posterior_against_prior(subject.embeddings.samples[0][:, dims], prior[:, dims], names, title)


def _draw_log_likelihood(subject: Subject) -> Any:
    examples, values = subject.scored
    return plots.log_likelihood_histogram(values, examples.y, f"log p(x) of {subject.how_scored}")


def _draw_extremes(subject: Subject) -> Any:
    examples, values = subject.scored
    title = f"Least and most likely of {subject.how_scored}; log p(x) in nats"
    return plots.extremes(examples.x, values, title, features=subject.features, names=_names(examples))


def _names(examples: Split) -> list[str]:
    """Return what to call each example."""
    return [examples.whence(row) for row in range(len(examples))]


def _draw_architecture(subject: Subject) -> Any:
    model, data = subject.config.model, subject.config.data
    size = sum(math.prod(v.shape) for v in subject.vae.trainable_variables)
    numbers = f"{subject.latent_dim} dimension{'s' * (subject.latent_dim > 1)}"
    return diagrams.architecture(
        diagrams.Box("x", "x".join(map(str, data.event_shape))),
        _layers(subject.vae.encoder.network),
        diagrams.Box("q(z|x)", model.posterior.name),
        diagrams.Box("p(z)", f"{model.prior.name}"),
        _layers(subject.vae.decoder.network),
        diagrams.Box("p(x|z)", model.likelihood.name),
        f"{model.encoder.name} encoder, {numbers}, {model.decoder.name} decoder: {size:,} parameters",
    )


def _layers(network: Any) -> list[diagrams.Layer]:
    """Return the layers of a network that have weights of their own to multiply by, in order.

    Biases, activations and normalizations are left out: they say little of an architecture.
    """
    multiplying = [layer for layer in network.layers if hasattr(layer, "kernel")]
    return [diagrams.Layer(tuple(layer.output_shape[1:])) for layer in multiplying]


def _animate_latent(subject: Subject) -> bytes:
    """Return posterior means moving from epoch to epoch.

    They are seen on the plane of the last frame's principal components: what moves are the points, and not the view.
    """
    reel = _reel(subject)
    means = np.stack([frame.means for frame in reel.frames])
    epochs = [frame.epoch for frame in reel.frames]
    plane = projection(means[-1])
    title = _lines("Posterior means of held-out data", plane.how)
    return animations.latent_animation(epochs, plane(means), reel.labels, plane.names, title, reel.total)


def _animate_decoder(subject: Subject) -> bytes:
    reel = _reel(subject)
    decoded = np.stack([frame.decoded for frame in reel.frames])
    epochs = [frame.epoch for frame in reel.frames]
    side = math.isqrt(decoded.shape[1])
    return animations.grid_animation(epochs, decoded, side, reel.grid.what, reel.total, unit=subject.unit)


def _reel(subject: Subject) -> film.Reel:
    reel = film.reel(subject.run, subject.dataset, subject.vae)
    if reel is None:
        raise UsageError(NOT_FILMED)
    return reel


NOT_FILMED = "expected frames of the training, found none; they are taken by `tfp-vae train --plots`."


def _not_filmed(subject: Subject) -> str | None:
    return None if film.frames(subject.run) else NOT_FILMED


def _no_latent_animation(subject: Subject) -> str | None:
    flat = f"expected at least 2 latent dimensions, found {subject.latent_dim}."
    return flat if subject.latent_dim < 2 else _not_filmed(subject)


def _no_decoder_animation(subject: Subject) -> str | None:
    shape = subject.config.data.event_shape
    return _not_filmed(subject) if len(shape) == 3 else f"expected images, found vectors of {shape[0]}."


PICTURES: dict[str, Picture] = {
    "samples": Picture(_draw_samples),
    "reconstructions": Picture(_draw_reconstructions),
    "learning-curves": Picture(_draw_learning_curves, _untrained, of_weights=False),
    "latent-scatter": Picture(_draw_latent_scatter),
    "manifold": Picture(_draw_manifold, _no_manifold),
    "traversals": Picture(_draw_traversals, _no_traversals),
    "interpolations": Picture(_draw_interpolations, _too_few),
    "posterior-prior": Picture(_draw_posterior_against_prior),
    "log-likelihood": Picture(_draw_log_likelihood),
    "extremes": Picture(_draw_extremes, _too_few),
    "architecture": Picture(_draw_architecture, of_weights=False),
    "latent-animation": Picture(_animate_latent, _no_latent_animation, ".gif"),
    "decoder-animation": Picture(_animate_decoder, _no_decoder_animation, ".gif"),
}
"""The pictures of a run."""


def picture_assessment(run: Run, assessment: Assessment) -> list[Path]:
    """Draw the pictures of an evaluation into the run's folder, and return their paths.

    Args:
      run: into whose folder they go.
      assessment: of it, from `assessment.assess`.

    Returns:
      Paths of PNG files; no rates are drawn where they have no closed form.
    """
    figures = {name: draw(assessment) for name, draw in ASSESSED.items()}
    about = which_evaluation(assessment.result)
    return [run.write_plot(name, canvas.png(figure, about)) for name, figure in figures.items() if figure is not None]


def _draw_bound(assessment: Assessment) -> Any:
    sweep = assessment.estimates.sweep
    errors = np.array([standard_error(column) for column in sweep.T])
    return plots.bound_curve(assessment.ladder, sweep.mean(axis=0), errors, assessment.result["elbo"])


def _draw_rates(assessment: Assessment) -> Any:
    rates = assessment.result["rate_per_dim"]
    return None if rates is None else plots.rate_bars(np.array(rates), is_active(assessment.estimates))


def _draw_histogram(assessment: Assessment) -> Any:
    title = f"log p(x) of {_how_assessed(assessment)}"
    return plots.log_likelihood_histogram(assessment.estimates.log_likelihood, assessment.examples.y, title)


def _draw_assessed_extremes(assessment: Assessment) -> Any:
    title = f"Least and most likely of {_how_assessed(assessment)}; log p(x) in nats"
    values = assessment.estimates.log_likelihood
    split, examples = assessment.result["split"], assessment.examples
    rows = np.asarray(examples.rows)  # their places in the split, and not in the source
    names = [f"{split} {row}" for row in rows] if examples.names is None else _names(examples)
    return plots.extremes(assessment.examples.x, values, title, features=assessment.features, names=names)


def _how_assessed(assessment: Assessment) -> str:
    return "{num_examples:,} {split} examples, K = {iw_samples:,}".format(**assessment.result)


ASSESSED: dict[str, Callable[[Assessment], Any]] = {
    "evaluation-bound": _draw_bound,
    "evaluation-rates": _draw_rates,
    "evaluation-histogram": _draw_histogram,
    "evaluation-extremes": _draw_assessed_extremes,
}
"""The pictures of an evaluation."""
