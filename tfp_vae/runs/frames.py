"""Frames of a training: at some epochs, where held-out data lie in latent space and what is decoded from it.

A `Film` is shown the model between compiled calls and keeps a frame of some epochs, in files of the run; `frames` reads
them, `reel` adds labels and the grid, and `gallery` draws the animations. Frames are arrays and not pictures, so that a
whole film can be drawn on one scale.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, RunError
from tfp_vae.core.seeds import Purpose
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.evaluation.latent_space import Grid, decode, encode, grid
from tfp_vae.model.vae import VAE
from tfp_vae.runs.checkpoint import check_plain
from tfp_vae.runs.recipe import held_out_view, split_to_show
from tfp_vae.runs.run import FRAMES, Run
from tfp_vae.training.callbacks import Callback

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["Film", "Frame", "Reel", "epochs_filmed", "frames", "reel"]

MOST_FRAMES = 60
MOST_POINTS = 1_000
MOST_VALUES, MOST_SIDE, LEAST_SIDE = 1 << 16, 10, 3
"""The most values of what is decoded for a frame, and the most and fewest pictures along a side of it."""


class Frame(NamedTuple):
    """One epoch's frame: posterior means [N, D] of test examples, and E[x|z] [P, *event_shape] on a grid of z."""

    epoch: int
    means: np.ndarray
    decoded: np.ndarray


class Reel(NamedTuple):
    """A training's frames in order, the examples' labels [N] where they have any, and the grid that was decoded.

    total: how many epochs were trained, 0 before the first is finished; those that were not filmed have no frame.
    """

    frames: list[Frame]
    labels: np.ndarray | None
    grid: Grid
    total: int


def epochs_filmed(total: int, most: int = MOST_FRAMES) -> list[int]:
    """Return the epochs after which a frame is taken: 0, each of them up to `total`, or log-spaced ones if many.

    Args:
      total: epochs of the training.
      most: the most frames.

    Returns:
      Ascending, the first 0 and the last `total`: few where learning is slow and many where it is fast, at the start.
    """
    if total < most:
        return list(range(total + 1))
    spaced = np.unique(np.round(np.geomspace(1, total, most - 1)).astype(int))
    return [0, *spaced.tolist()]


@final
class Film(Callback):
    """Write frames of a run's training into its folder.

    Frames use random seeds of their own, so they change no number of the training. A frame costs a pass of the encoder
    over up to 1,000 examples, a pass of the decoder over the grid, and a file. There are at most 60 frames.

    ```python notest
    tv.runs.train.train(run, dataset, callbacks=[tv.runs.frames.Film(run, dataset)])
    ```

    Args:
      run: the run.
      dataset: its data, as `plan` or `reload` gives them.
    """

    def __init__(self, run: Run, dataset: Dataset) -> None:
        config = run.config()
        self._run, self._seed = run, config.training.seed
        self._epochs = set(epochs_filmed(config.training.epochs))
        self._x = _pictured(run, dataset)[0]
        self._side = grid_side(config.data.event_shape)

    def begin(self, training: Training) -> None:
        """Take a frame before the first step of an epoch, but not within one."""
        if not training.totals.steps:
            self.epoch(training)

    def epoch(self, training: Training) -> None:
        """Take a frame if the epoch has one."""
        if len(training.history) in self._epochs:
            with training.model() as vae:
                self._take(len(training.history), vae)

    def _take(self, epoch: int, vae: VAE) -> None:
        means = encode(vae, self._x, samples=0, seed=(self._seed, int(Purpose.EMBEDDING))).mean
        z = grid(vae, self._side, self._seed).z
        decoded = decode(vae, z, seed=(self._seed, int(Purpose.SAMPLE)))
        folder = self._run.path(FRAMES)
        storage.make_folder(folder)
        path = self._run.frame_path(epoch)
        storage.clear_staged(path)  # of a process that was killed while it wrote this frame
        storage.write_arrays(path, {"means": means, "decoded": decoded})


def grid_side(event_shape: tuple[int, ...]) -> int:
    """Return how many examples stand along a side of what is decoded for a frame."""
    return max(LEAST_SIDE, min(MOST_SIDE, math.isqrt(MOST_VALUES // math.prod(event_shape))))


def _pictured(run: Run, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the test examples that frames show, evenly spread, and their labels."""
    test = held_out_view(run.config(), dataset, split_to_show(dataset))
    test = test[np.linspace(0, len(test) - 1, min(MOST_POINTS, len(test))).astype(int)]
    return test.x, test.y


def frames(run: Run) -> list[Frame]:
    """Return a run's frames in order; none, if its training was not filmed.

    A frame holds the means of up to 1,000 examples and up to about 65,536 values of what is decoded, in float32; a film
    has up to 60, and in two dimensions takes about 16 MB.

    Raises:
      RunError: a frame that is damaged.
    """
    return [_read(epoch, path) for epoch, path in run.frame_paths().items()]


def _read(epoch: int, path: Path) -> Frame:
    try:
        arrays = read_npz(path, lambda entries: check_plain(path, entries))
        return Frame(epoch, arrays["means"], arrays["decoded"])
    except (KeyError, DataError) as error:
        raise RunError(f"{path}: expected a frame of the training, found damage ({error}); delete it.") from error


def reel(run: Run, dataset: Dataset, vae: VAE) -> Reel | None:
    """Return a run's frames with what is needed to draw them; None if its training was not filmed.

    A training that was killed may have left frames of epochs that its metrics do not tell of: these are left out.

    Args:
      run: the run.
      dataset: from `preparation.reload`; its labels colour the points.
      vae: gives the prior whose grid was decoded.
    """
    metrics, config = run.metrics(), run.config()
    total = metrics[-1]["epoch"] if metrics else 0
    taken = [frame for frame in frames(run) if frame.epoch <= total]
    if not taken:
        return None
    places = grid(vae, grid_side(config.data.event_shape), config.training.seed)
    return Reel(taken, _pictured(run, dataset)[1], places, total)
