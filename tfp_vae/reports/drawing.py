"""Draw the pictures of a run and of its evaluation, each from arrays that the model gives.

Each function with the name of a picture in `reports.pictures.PICTURES` draws that picture. `draw_run` writes the
pictures that a run has into its folder, and `draw_evaluation` those of an evaluation.

```python
run = tv.runs.run.find(None, "runs")
restored, dataset = tv.runs.load.LoadedRun(run), tv.runs.recipe.reload(run.config())
subject = tv.reports.drawing.Subject(restored, dataset)
tv.reports.drawing.draw_run(subject, ["samples", "reconstructions"])  # paths of two PNG files
```
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.importance import ACTIVE_VARIANCE, is_active
from tfp_vae.evaluation.projections import PROJECTIONS, Projection, projection
from tfp_vae.model.vae import VAE
from tfp_vae.plots import animations, canvas, curves, diagrams, distributions, images, rankings, scatter
from tfp_vae.plots.canvas import Figure
from tfp_vae.reports.pictures import EVALUATION_PICTURES, FRAMES, RUN_PICTURES
from tfp_vae.runs import frames as film
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.recipe import as_seen, held_out_view, split_to_show
from tfp_vae.runs.results import Assessment, score
from tfp_vae.runs.run import Run, which_evaluation

__all__ = ["Subject", "applicable", "draw_evaluation", "draw_run"]

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

    def __init__(self, restored: LoadedRun, dataset: Dataset, seed: int | None = None, projection: str = "pca") -> None:
        self.restored = restored
        self.dataset = dataset
        self.projection = projection
        self.run: Run = restored.run
        self.config: RunConfig = restored.config
        self.vae: VAE = restored.vae
        self.seed = self.config.training.seed if seed is None else seed

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.config.model.latent_dim

    @property
    def description(self) -> str:
        """The weights and the seed that decide the pictures."""
        return f"weights {self.restored.description}; seed {self.seed}"

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
        return _spread(held_out_view(self.config, self.dataset, split_to_show(self.dataset)), MOST_EMBEDDED)

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

        Importance-weighted with K = 100, as `results.score` does it: enough to order examples by, though biased low.
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


def applicable(subject: Subject, names: Sequence[str] = ()) -> list[str]:
    """Return which pictures the run has; or those named, refusing one that it has not.

    Args:
      subject: the run.
      names: from `RUN_PICTURES`; all, if none is given.

    Raises:
      UsageError: an unknown name, or a picture that this run has not.
    """
    for name in names:
        if name not in RUN_PICTURES:
            raise UsageError(f"unknown picture {name!r}; choose from {', '.join(RUN_PICTURES)}")
        problem = RUN_PICTURES[name].problem(subject)
        if problem is not None:
            raise UsageError(f"{name}: {problem}")
    return list(names) or [name for name, picture in RUN_PICTURES.items() if picture.problem(subject) is None]


def draw_run(
    subject: Subject, names: Sequence[str] = (), *, drawn: Callable[[Path], None] = lambda path: None
) -> list[Path]:
    """Draw a run's pictures, or those named, into its folder, and return their paths; `drawn` is told of each.

    Raises:
      UsageError: an unknown name, or a picture that this run has not.
      DiskError: a file could not be written.
    """
    paths = []
    for name in applicable(subject, names):
        paths.append(subject.run.write_plot(name, RUN_PICTURES[name].content(subject), RUN_PICTURES[name].suffix))
        drawn(paths[-1])
    return paths


def samples(subject: Subject) -> Figure:
    x = sample(subject.restored, SAMPLES, seed=subject.seed)
    return images.image_grid(x, "Samples, E[x|z] with z from the prior", features=subject.features, unit=subject.unit)


def reconstructions(subject: Subject) -> Figure:
    x = _spread(subject.test, PICTURED).x
    named: dict[str, Any] = {"features": subject.features, "unit": subject.unit}
    return images.reconstructions(x, np.asarray(subject.vae.reconstruct(x)), subject.seen, **named)


def learning_curves(subject: Subject) -> Figure:
    return curves.learning_curves(subject.run.metrics())


def latent_scatter(subject: Subject) -> Figure:
    means, labels = subject.embeddings.mean, subject.test.y
    if subject.latent_dim == 1:
        return distributions.values_by_class(means[:, 0], labels, "Posterior means of held-out data", "$z_1$")
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
    most = max(2, min(ELLIPSES, latent.PRIOR_VALUES // (ELLIPSE_DRAWS * subject.latent_dim)))
    rows = np.linspace(0, len(subject.test) - 1, min(most, len(subject.test))).astype(int)
    seed = (subject.seed + 1, int(Purpose.EMBEDDING))
    z = latent.encode(subject.vae, subject.test.x[rows], samples=ELLIPSE_DRAWS, seed=seed).samples
    seen = plane(z).swapaxes(0, 1)  # [M, S, 2]
    return scatter.Spread(rows, np.stack([np.cov(draws, rowvar=False) for draws in seen]))


def manifold(subject: Subject) -> Figure:
    shown = latent.grid(subject.vae, MANIFOLD_SIDE, subject.seed)
    return images.manifold(subject.decode(shown.z), MANIFOLD_SIDE, shown.title, unit=subject.unit)


def traversals(subject: Subject) -> Figure:
    """Walk along each active dimension from the mean of the test example that is nearest to the mean of all.

    One dimension at a time goes through the prior's quantiles from 2% to 98%, the others stay where that example lies.
    """
    means, most = subject.embeddings.mean, MOST_DIMENSIONS if len(subject.test.x.shape) > 2 else images.MOST_MAPS
    dims = _shown(subject.active, most)
    start = means[np.square(means - means.mean(axis=0)).sum(axis=1).argmin()]
    levels = np.linspace(*TRAVERSED, STEPS)
    places = latent.prior_quantiles(subject.vae, levels, subject.seed)
    z = np.tile(start, (len(dims), STEPS, 1))
    z[np.arange(len(dims)), :, dims] = places[:, dims].T
    more = f" (the {len(dims)} most active of {len(subject.active)})" if len(dims) < len(subject.active) else ""
    return images.strips(
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


def interpolations(subject: Subject) -> Figure:
    """Walk between posterior means along straight lines in z; the ends of each row are the examples themselves."""
    count = min(PATHS, len(subject.test) // 2)
    rows = generator(subject.seed, Purpose.PAIRS).permutation(len(subject.test))[: 2 * count].reshape(2, count)
    first, last = (subject.embeddings.mean[row] for row in rows)
    walked = subject.decode(latent.path(first, last, PATH_STEPS))
    ends = [subject.test.x[row][:, np.newaxis] for row in rows]
    x = np.concatenate([ends[0], walked, ends[1]], axis=1)
    end = subject.seen.replace(", ", ",\n")
    ticks = [end, *(f"{t:.0%}" for t in np.linspace(0, 1, PATH_STEPS)), end]
    names = [canvas.escape_math(" to ".join(map(subject.test.whence, pair))) if x.ndim == 3 else "" for pair in rows.T]
    title = "E[x|z] on straight lines between test examples"
    return images.strips(x, names, ticks, title, features=subject.features, unit=subject.unit)


def posterior_prior(subject: Subject) -> Figure:
    dims = _shown(subject.by_activity)
    prior = latent.prior_draws(subject.vae, subject.seed)
    names = [f"$z_{{{d + 1}}}${'' if d in subject.active else ', not active'}" for d in dims]
    more = f", {len(dims)} of {subject.latent_dim} dimensions, the most active first" * (len(dims) < subject.latent_dim)
    title = f"Aggregate posterior against prior{more}"
    return distributions.posterior_against_prior(subject.embeddings.samples[0][:, dims], prior[:, dims], names, title)


def log_likelihood(subject: Subject) -> Figure:
    examples, values = subject.scored
    return distributions.log_likelihood_histogram(values, examples.y, f"log p(x) of {subject.how_scored}")


def extremes(subject: Subject) -> Figure:
    examples, values = subject.scored
    title = f"Least and most likely of {subject.how_scored}; log p(x) in nats"
    return rankings.extremes(examples.x, values, title, features=subject.features, names=_names(examples))


def _names(examples: Split) -> list[str]:
    """Return what to call each example."""
    return [examples.whence(row) for row in range(len(examples))]


def architecture(subject: Subject) -> Figure:
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


def latent_animation(subject: Subject) -> bytes:
    """Return posterior means moving from epoch to epoch.

    They are seen on the plane of the last frame's principal components: what moves are the points, and not the view.
    """
    reel = _reel(subject)
    means = np.stack([frame.means for frame in reel.frames])
    epochs = [frame.epoch for frame in reel.frames]
    plane = projection(means[-1])
    title = _lines("Posterior means of held-out data", plane.how)
    return animations.latent_animation(epochs, plane(means), reel.labels, plane.names, title, reel.total)


def decoder_animation(subject: Subject) -> bytes:
    reel = _reel(subject)
    decoded = np.stack([frame.decoded for frame in reel.frames])
    epochs = [frame.epoch for frame in reel.frames]
    side = math.isqrt(decoded.shape[1])
    return animations.grid_animation(epochs, decoded, side, reel.grid.title, reel.total, unit=subject.unit)


def _reel(subject: Subject) -> film.Reel:
    reel = film.reel(subject.run, subject.dataset, subject.vae)
    if reel is None:
        raise UsageError(str(FRAMES.problem(subject)))
    return reel


def draw_evaluation(run: Run, assessment: Assessment) -> list[Path]:
    """Draw the pictures of an evaluation into the run's folder, and return their paths.

    Args:
      run: into whose folder they go.
      assessment: of it, from `assessment.assess`.

    Returns:
      Paths of PNG files; no rates are drawn where they have no closed form.
    """
    about = which_evaluation(assessment.result)
    figures = {name: picture.draw(assessment) for name, picture in EVALUATION_PICTURES.items()}
    return [
        run.write_plot(name, canvas.png(figure, about))
        for name, figure in figures.items()
        if isinstance(figure, Figure)
    ]


def evaluation_bound(assessment: Assessment) -> Figure:
    sweep = assessment.estimates.sweep
    errors = np.array([standard_error(column) for column in sweep.T])
    return curves.bound_curve(assessment.ladder, sweep.mean(axis=0), errors, assessment.result["elbo"])


def evaluation_rates(assessment: Assessment) -> Figure | None:
    rates = assessment.result["rate_per_dim"]
    return None if rates is None else curves.rate_bars(np.array(rates), is_active(assessment.estimates))


def evaluation_histogram(assessment: Assessment) -> Figure:
    title = f"log p(x) of {_how_assessed(assessment)}"
    return distributions.log_likelihood_histogram(assessment.estimates.log_likelihood, assessment.examples.y, title)


def evaluation_extremes(assessment: Assessment) -> Figure:
    title = f"Least and most likely of {_how_assessed(assessment)}; log p(x) in nats"
    values = assessment.estimates.log_likelihood
    split, examples = assessment.result["split"], assessment.examples
    rows = np.asarray(examples.rows)  # their places in the split, and not in the source
    names = [f"{split} {row}" for row in rows] if examples.names is None else _names(examples)
    return rankings.extremes(assessment.examples.x, values, title, features=assessment.features, names=names)


def _how_assessed(assessment: Assessment) -> str:
    return "{num_examples:,} {split} examples, K = {iw_samples:,}".format(**assessment.result)
