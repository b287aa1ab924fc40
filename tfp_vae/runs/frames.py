"""Frames of a training: where test examples lie in latent space, and decoded examples, after some of the epochs.

The callback `Film` writes frames into the run's folder while it trains. `frames` reads them, and `reel` adds the labels
and the grid that an animation needs. Frames are arrays and not pictures, so that an animation can use one scale for
all of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from tfp_vae.core import files
from tfp_vae.core.errors import DataError, RunError, UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import Purpose
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.evaluation.latent_space import Grid, decode, encode_means, grid
from tfp_vae.model.vae import VAE
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.examples import held_out_view, split_to_show
from tfp_vae.runs.folder.files import check_plain
from tfp_vae.runs.run import FRAMES, Run, logger
from tfp_vae.training.callbacks import Callback

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = [
    "Film",
    "Frame",
    "Reel",
    "frame_epochs",
    "frames",
    "grid_side",
    "reel",
    "spread_rows",
    "with_typical_context",
]

MOST_FRAMES, MOST_POINTS = 60, 1_000
"""Largest numbers of frames of a training, and of test examples in a frame."""

MOST_VALUES = 1 << 16
"""Largest number of decoded values in a frame, unless that leaves fewer than `LEAST_SIDE` examples along a side."""

LEAST_SIDE, MOST_SIDE = 3, 10
"""Smallest and largest number of decoded examples along a side."""


class Frame(NamedTuple):
    """The frame of one epoch: posterior means [N, D] of test examples, and E[x|z] [P, *event_shape] on a grid of z."""

    epoch: int
    means: np.ndarray
    decoded: np.ndarray

    @classmethod
    def read(cls, epoch: int, path: Path) -> Frame | None:
        """Return the frame in a file, or None with a warning if the file is damaged."""
        try:
            arrays = read_npz(path, lambda entries: check_plain(path, entries))
            return cls(epoch, arrays["means"], arrays["decoded"])
        except (KeyError, DataError, RunError) as error:
            logger.warning("%s: this frame of the training is damaged (%s). Animations leave it out.", path, error)
            return None

    def fits(self, config: RunConfig, examples: int) -> bool:
        """Return whether the arrays are finite numbers with the shapes that a run's frames have.

        Args:
          config: the run's.
          examples: the number of test examples in a frame.
        """
        places = grid_side(config.data.event_shape) ** 2
        arrays = self.means, self.decoded
        has_means = self.means.ndim == 2 and len(self.means) == examples  # one-hot vectors have more elements than D
        has_shapes = self.decoded.shape == (places, *config.data.event_shape) and has_means
        return (
            has_shapes
            and self.means.shape[1] % config.model.latent_dim == 0
            and all(x.dtype.kind == "f" and np.isfinite(x).all() for x in arrays)
        )


class Reel(NamedTuple):
    """The frames of a training in order, with the values that all of them share.

    labels: [N], or None if the examples have no labels.
    grid: the places z that were decoded.
    total: the number of finished epochs. Some of them may have no frame.
    """

    frames: list[Frame]
    labels: np.ndarray | None
    grid: Grid
    total: int

    @property
    def epochs(self) -> list[int]:
        """The epoch of each frame."""
        return [frame.epoch for frame in self.frames]


def frame_epochs(total: int, most: int = MOST_FRAMES) -> list[int]:
    """Return the epochs that have a frame: all from 0 to `total`, or `most` spaced logarithmically.

    Logarithmic spacing puts many frames at the start, where most changes happen.

    ```python
    from tfp_vae.runs.frames import frame_epochs

    frame_epochs(1_000, most=5)  # [0, 1, 10, 100, 1000]
    ```

    Args:
      total: epochs of the training.
      most: the largest number of frames.
    """
    if total < most:
        return list(range(total + 1))
    epochs = np.unique(np.round(np.geomspace(1, total, most - 1)).astype(int))
    return [0, *epochs.tolist()]


def grid_side(event_shape: tuple[int, ...]) -> int:
    """Return the number of decoded examples along a side of a frame: fewer if examples are large."""
    return max(LEAST_SIDE, min(MOST_SIDE, math.isqrt(MOST_VALUES // math.prod(event_shape))))


def with_typical_context(vae: VAE, config: RunConfig) -> VAE:
    """Return the VAE of one context, for pictures of latent space. A VAE without a condition is returned itself.

    Args:
      vae: the model.
      config: the run's, whose condition gives the context: the first class and the mean of numbers.
    """
    if not vae.context_size:
        return vae
    condition = config.data.condition
    return vae.given(np.zeros(vae.context_size, np.float32) if condition is None else condition.typical())


def spread_rows(count: int, most: int) -> np.ndarray:
    """Return at most `most` of `count` indices, evenly spread because some files are sorted by class.

    ```python
    from tfp_vae.runs.frames import spread_rows

    spread_rows(9, most=3)  # array([0, 4, 8])
    ```
    """
    return np.linspace(0, count - 1, min(most, count)).astype(int)


def _examples(run: Run, dataset: Dataset) -> Split:
    """Return the test examples in the frames of a run."""
    shown = held_out_view(run.config(), dataset, split_to_show(dataset))
    return shown[spread_rows(len(shown), MOST_POINTS)]


@final
@check_keywords
class Film(Callback):
    """Write frames of a training into the run's folder.

    Frames use random seeds of their own, so they change no number of the training. A frame costs a pass of the encoder
    over up to 1,000 examples, a pass of the decoder over the grid, and a file. There are at most 60 frames.

    ```python notest
    tv.runs.train.train(run, dataset, callbacks=[tv.runs.Film(run, dataset)])
    ```

    Args:
      run: the run.
      dataset: its data, from `plan` or `reload`.
    """

    def __init__(self, run: Run, dataset: Dataset) -> None:
        self.config = config = run.config()
        self.run, self.seed = run, config.training.seed
        self.examples = _examples(run, dataset)
        self.epochs = frozenset(frame_epochs(config.training.epochs))
        self.side = grid_side(config.data.event_shape)

    def begin(self, training: Training) -> None:
        """Take a frame before the first step of an epoch, but not within one.

        Raises:
          UsageError: the training has another model than the run, whose pictures would be wrong.
        """
        expected = (self.config.data.event_shape, self.config.model.latent_dim)
        vae = training.vae
        found = tuple(vae.decoder.likelihood.event_shape), vae.encoder.posterior.latent_dim
        if found != expected:
            raise UsageError(
                f"{self.run.folder}: expected a model of this run with shapes {expected}, found {found}. Film the "
                "training of the run's own model."
            )
        if not training.totals.steps:
            self.epoch(training)

    def epoch(self, training: Training) -> None:
        """Take a frame if this epoch has one."""
        if len(training.history) in self.epochs:
            with training.model() as vae:
                self.take(len(training.history), vae)

    def take(self, epoch: int, vae: VAE) -> None:
        """Write the frame of an epoch."""
        means = encode_means(vae, self.examples.batch, seed=(self.seed, int(Purpose.EMBEDDING)))
        vae = with_typical_context(vae, self.config)
        decoded = decode(vae, grid(vae, self.side, self.seed).z, seed=(self.seed, int(Purpose.SAMPLE)))
        self.run.files.make_folder(FRAMES)
        path = self.run.frame_path(epoch)
        files.remove_partial_files(path)  # left by a process that was killed while it wrote this frame
        self.run.write_arrays(f"{FRAMES}/{path.name}", {"means": means, "decoded": decoded})


def frames(run: Run) -> list[Frame]:
    """Return the frames of a run in order, or an empty list if it has none.

    A training in two dimensions has up to 60 frames, which take about 16 MB. A damaged frame is left out with a
    warning, because an animation can do without it.

    Raises:
      RunError: the folder of frames is a symbolic link.
    """
    found = (Frame.read(epoch, path) for epoch, path in run.frame_paths().items())
    return [frame for frame in found if frame is not None]


def reel(run: Run, dataset: Dataset, vae: VAE) -> Reel:
    """Return the frames of a run with the values that are needed to draw them.

    Frames of epochs that are not in the metrics are left out, because a killed training may have left them. Frames that
    do not fit the run are left out with a warning.

    Args:
      run: the run.
      dataset: its data, from `reload`. The labels colour the points.
      vae: the model, whose prior gives the grid.

    Raises:
      RunError: the run has no frames that can be used.
    """
    metrics, config, examples = run.metrics(), run.config(), _examples(run, dataset)
    total = metrics[-1]["epoch"] if metrics else 0
    kept = list[Frame]()
    for frame in frames(run):
        if frame.epoch <= total and frame.fits(config, len(examples)):
            kept.append(frame)
        elif frame.epoch <= total:
            path = run.frame_path(frame.epoch)
            logger.warning("%s: this frame belongs to another run, or is not finite. Animations leave it out.", path)
    if not kept:
        raise RunError(f"{run.folder}: this run has no frames. Training records them unless `plots=False` is set.")
    vae = with_typical_context(vae, config)
    places = grid(vae, grid_side(config.data.event_shape), config.training.seed)
    return Reel(kept, examples.y, places, total)
