"""A run as its pictures see it: the model, the data, and the results that several pictures share."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import final

import numpy as np

from tfp_vae.core.errors import RunError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import Purpose
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.classification import complete_contexts
from tfp_vae.evaluation.importance import Estimates
from tfp_vae.evaluation.projections import Projection
from tfp_vae.model.latent import Latent, active_dimensions
from tfp_vae.model.vae import VAE
from tfp_vae.plots.scatter import Spread
from tfp_vae.runs.config import Look, RunConfig, Tones
from tfp_vae.runs.examples import as_seen, held_out_view, split_to_show
from tfp_vae.runs.frames import Reel, reel, spread_rows, with_typical_context
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.results import score
from tfp_vae.runs.run import Run

__all__ = ["RunData"]

MOST_EMBEDDED, MOST_SCORED, MOST_REFINED, IW_SAMPLES = 5_000, 1_000, 100, 100
"""Largest numbers of test examples embedded, scored and refined, and importance samples for each score."""

LEAST_DRAWS = 1_000
"""Smallest number of draws from p(x) that show the columns of a table."""

ELLIPSES, ELLIPSE_DRAWS = 60, 256
"""Number of ellipses of q(z|x), and of draws for each."""


@final
@check_keywords
class RunData:
    """A run as its pictures see it.

    Test examples are embedded and scored when a picture first needs them. The results are kept, so all pictures of a
    run together cost one pass of each.

    Args:
      restored: the run with its weights.
      dataset: its data, from `reload` or `plan`.
      seed: the seed of all draws. [default: the training seed]
      projection: how the latent scatter shows more than two dimensions, a name from `PROJECTIONS`.
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
    def space(self) -> Latent:
        """The space of z."""
        return self.vae.prior.latent

    def layer_of(self, dimension: int) -> str:
        """Return the layer of a dimension, such as `, layer 2`. Empty if z has one layer."""
        ends = np.cumsum(self.space.blocks)
        return f", layer {np.searchsorted(ends, dimension, side='right') + 1}" if len(ends) > 1 else ""

    @property
    def description(self) -> str:
        """The weights and the seed that decide the pictures."""
        return f"weights {self.restored.description}; seed {self.seed}"

    @property
    def seen(self) -> str:
        """The name of examples as the model sees them, such as `data, binarized`."""
        return as_seen(self.config)

    @property
    def tones(self) -> Tones:
        """How grey images are drawn."""
        return self.config.data.tones

    @property
    def look(self) -> Look:
        """How examples are drawn."""
        return self.config.data.look

    def shown(self, x: np.ndarray) -> np.ndarray:
        """Return values x [..., *event_shape] of the model as pictures show them, see `DataConfig.shown`."""
        return self.config.data.shown(x)

    @property
    def has_images(self) -> bool:
        """Whether examples are images and not vectors."""
        return len(self.config.data.event_shape) == 3

    @property
    def has_missing_cells(self) -> bool:
        """Whether examples are rows of a mixed table, whose cells may be missing and are imputed without a context."""
        return (
            not self.vae.context_size
            and self.config.data.reading.table is not None
            and self.vae.decoder.likelihood.allows_missing
        )

    @functools.cached_property
    def split(self) -> str:
        """The split of the examples in pictures: `test`, or another one if the data have no test examples."""
        return split_to_show(self.dataset)

    @property
    def held_out(self) -> str:
        """Whether the examples in pictures are `held-out` or `training` examples, as titles name them."""
        return "training" if self.split == "train" else "held-out"

    @functools.cached_property
    def places(self) -> np.ndarray:
        """The index of each test example in its split."""
        return spread_rows(len(self.dataset.splits[self.split]), MOST_EMBEDDED)

    @functools.cached_property
    def test(self) -> Split:
        """Test examples as the model sees them: all of them, or 5,000 evenly spread.

        These are validation or training examples if the data have no test split. A classifier finds the classes that
        are unknown.
        """
        examples = held_out_view(self.config, self.dataset, self.split)[self.places]
        return replace(examples, context=complete_contexts(self.vae, examples.batch))

    @functools.cached_property
    def draws(self) -> np.ndarray:
        """Draws from p(x), one for each test example but at least a thousand, with the contexts of test examples."""
        count, context = max(len(self.test), LEAST_DRAWS), self.test.context
        contexts = None if context is None else np.resize(context, (count, context.shape[1]))
        return sample(self.restored, count, seed=self.seed, show="draw", context=contexts)

    @functools.cached_property
    def reel(self) -> Reel | None:
        """The frames of the training, or None if the run has none that can be used."""
        if not self.run.frame_paths():
            return None
        try:
            return reel(self.run, self.dataset, self.vae)
        except RunError:  # after a warning for each frame
            return None

    @functools.cached_property
    def embeddings(self) -> latent.Embeddings:
        """The posterior means of the test examples, with one draw from each q(z|x)."""
        return latent.encode(self.vae, self.test.batch, samples=1, seed=(self.seed, int(Purpose.EMBEDDING)))

    @functools.cached_property
    def by_activity(self) -> np.ndarray:
        """The latent dimensions, starting with the one whose posterior means vary most."""
        return np.asarray(np.argsort(-self.embeddings.mean.var(axis=0), kind="stable"))

    @functools.cached_property
    def active(self) -> np.ndarray:
        """The active latent dimensions, in the order of `by_activity`."""
        return np.asarray(self.by_activity[active_dimensions(self.embeddings.mean)[self.by_activity]])

    @functools.cached_property
    def scores(self) -> tuple[Split, np.ndarray]:
        """Up to 1,000 test examples, evenly spread, and log p(x) of each, in nats.

        These are importance-weighted estimates with K = 100. They are biased low, but good enough to order examples.
        """
        rows = spread_rows(len(self.test), MOST_SCORED)
        examples = self.test[rows]
        _, found = score(
            self.restored,
            examples.batch,
            iw_samples=IW_SAMPLES,
            seed=self.seed,
            places=self.places[rows],
        )
        return examples, found.log_likelihood

    @functools.cached_property
    def refined(self) -> tuple[Split, Estimates]:
        """Up to 100 test examples, evenly spread, and estimates from posteriors that are refined for each of them."""
        rows = spread_rows(len(self.test), MOST_REFINED)
        examples, places = self.test[rows], self.places[rows]
        _, found = score(
            self.restored, examples.batch, iw_samples=IW_SAMPLES, refine="local", seed=self.seed, places=places
        )
        return examples, found

    @property
    def scoring(self) -> str:
        """The number of scored examples and of importance samples, as text."""
        return f"{len(self.scores[0]):,} {self.split} examples, K = {IW_SAMPLES}"

    @functools.cached_property
    def of_one_context(self) -> VAE:
        """The model of pictures of latent space, which show one context if it has a condition."""
        return with_typical_context(self.vae, self.config)

    def decode(self, z: np.ndarray, context: np.ndarray | None = None) -> np.ndarray:
        """Return E[x|z] for z [..., D], with a context for each [..., C], or with the one of all pictures."""
        vae = self.of_one_context if context is None else self.vae
        return latent.decode(vae, z, seed=(self.seed, int(Purpose.SAMPLE)), context=context)

    def spread(self, plane: Projection) -> Spread:
        """Return the covariances of q(z|x) in a plane, for up to 60 test examples.

        They are estimated from 256 draws each, because the covariance of a flow has no closed form.
        """
        most = max(2, min(ELLIPSES, latent.PRIOR_VALUES // (ELLIPSE_DRAWS * self.latent_dim)))
        rows = spread_rows(len(self.test), most)
        seed = (self.seed + 1, int(Purpose.EMBEDDING))
        z = latent.encode(self.vae, self.test[rows].batch, samples=ELLIPSE_DRAWS, seed=seed).samples
        draws_in_plane = plane(z).swapaxes(0, 1)  # [M, S, 2]
        return Spread(rows, np.stack([np.cov(draws, rowvar=False) for draws in draws_in_plane]))
