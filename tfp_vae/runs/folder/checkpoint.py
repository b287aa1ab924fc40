"""The checkpoint of a run: its content, its file, and the shapes that a config requires.

The file is an uncompressed `.npz`, a zip archive of `.npy` entries, each with a CRC-32. It is read without pickle, so
it cannot run code. The number of entries reveals lost ones, and a digest of the config reveals the checkpoint of
another run. `read` compares the table of entries with the expected shapes before it reads an array, so a damaged or
foreign file cannot take more memory than the model needs.

This module does not use the `safetensors` package, because its files have no checksums, so a flipped bit in an array
would be read as another weight without an error.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError, RunError, cut
from tfp_vae.core.execution import temporary_graph
from tfp_vae.core.registry import check_keywords
from tfp_vae.data.readers import arrays as files
from tfp_vae.runs.build import Builder, build_from_config
from tfp_vae.runs.config import HandBuiltModel, RunConfig
from tfp_vae.runs.folder import epochs
from tfp_vae.runs.folder.files import OTHER_VERSION, check_plain
from tfp_vae.training.average import Average
from tfp_vae.training.history import Best
from tfp_vae.training.optimizers import OPTIMIZERS
from tfp_vae.training.state import Shapes, State, weights_in_use

__all__ = ["BEST", "FINAL", "FORMAT", "Checkpoint", "read", "shapes"]

FORMAT = 2
"""The version of the file's layout. Other versions are refused."""

LARGEST_HEADER = 1_024
"""The most bytes that the `.npy` header of one variable may take. NumPy writes 128."""

FINAL, BEST = "final", "best"
"""The weights to read from a checkpoint: those of the last step, or those of the best epoch."""

_VARIABLES, _BEST = "variables/", "best/"


@check_keywords
class Checkpoint(NamedTuple):
    """Everything that training needs to continue.

    The rest follows from the run's config and the step: seeds are folded from the run's seed and the step, and learning
    rates and the weight of the rate are schedules of the step.

    step: the number of steps taken.
    epoch_sums: [3], the number of steps in the current epoch, and the sums of their distortions and rates, in nats.
    variables: of the model and the optimizer, and the averaged weights if there are any, by name.
    seconds: the time that the current epoch has taken so far.
    history: the metrics of the finished epochs.
    best: the best model so far on the validation data. None before the end of the first epoch.
    run: the digest of the config of its run.
    in_use: `FINAL` or `BEST`, the weights that commands use by default. Empty means that the config decides.
    """

    step: int
    epoch_sums: np.ndarray
    variables: Mapping[str, np.ndarray]
    seconds: float = 0.0
    history: Sequence[Mapping[str, Any]] = ()
    best: Best | None = None
    run: str = ""
    in_use: str = ""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the entries of the file, by name.

        The best weights have no entries if they are those of this step, because `variables` holds them already.
        """
        best = self.best
        best_variables = {} if best is None or self._is_best() else best.variables
        arrays = {
            "format": np.array(FORMAT),
            "run": np.frombuffer(self.run.encode(), np.uint8),
            "in_use": np.frombuffer(self.in_use.encode(), np.uint8),
            "step": np.array(self.step),
            "seconds": np.array(self.seconds),
            "epoch_sums": np.asarray(self.epoch_sums, np.float64),
            "history": np.frombuffer(epochs.text(self.history).encode(), np.uint8),
            "best": np.array([-1, 0] if best is None else [best.step, best.bound], np.float64),
            **{_VARIABLES + name: array for name, array in self.variables.items()},
            **{_BEST + name: array for name, array in best_variables.items()},
        }
        return {"entries": np.array(len(arrays)), **arrays}  # the number reveals lost entries

    def _is_best(self) -> bool:
        """Return whether the weights of this step are the best ones."""
        if self.best is None or self.best.step != self.step:
            return False
        current, best = weights_in_use(self.variables), self.best.variables
        return best.keys() <= current.keys() and all(
            np.array_equal(current[name], array, equal_nan=True) for name, array in best.items()
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Checkpoint:
        """Return the checkpoint in the entries of a file. It is the inverse of `to_arrays`.

        Raises:
          KeyError, TypeError, ValueError: an entry is missing, unknown or malformed.
        """
        left = dict(arrays)
        del left["format"]
        if (total := int(left.pop("entries"))) != len(arrays) - 1:
            raise ValueError(f"expected {total} arrays, found {len(arrays) - 1}")
        step, (best_step, best_bound) = int(left.pop("step")), map(float, left.pop("best"))
        run, history, in_use = (cls._text(left.pop(name)) for name in ("run", "history", "in_use"))
        seconds, sums = float(left.pop("seconds")), left.pop("epoch_sums")
        variables, best_variables = (
            {name.removeprefix(prefix): left.pop(name) for name in list(left) if name.startswith(prefix)}
            for prefix in (_VARIABLES, _BEST)
        )
        if left:
            raise ValueError(f"unknown entries {', '.join(sorted(left)[:3])}")
        if step < 0 or sums.shape != (3,):
            raise ValueError(f"step {step}, and epoch_sums of shape {sums.shape}")
        if in_use not in ("", FINAL, BEST):
            raise ValueError(f"unknown weights {in_use!r}")
        if best_step == step and not best_variables:
            best_variables = weights_in_use(variables)
        best = None if best_step < 0 else Best(int(best_step), best_bound, best_variables)
        return cls(step, sums, variables, seconds, epochs.parse(history), best, run, in_use)

    @staticmethod
    def _text(array: np.ndarray) -> str:
        if array.dtype != np.uint8 or array.ndim != 1:
            raise ValueError("expected text")
        return array.tobytes().decode()


def read(path: Path, expected: Shapes | None = None) -> Checkpoint:
    """Return the checkpoint in a file.

    It takes the memory of the arrays. They are read one after another, and the checksum of each is verified.

    Args:
      path: the file.
      expected: the shapes and types of the variables, from `shapes`. The sizes in the archive are checked against them
        before an array is read. By default they are not checked.

    Raises:
      DataError: the file is damaged, or has sizes that differ from the expected ones.
      RunError: another version of tfp_vae wrote the file.
    """

    def check(entries: Sequence[zipfile.ZipInfo]) -> None:
        check_plain(path, entries)
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            variable = name.removeprefix(_VARIABLES).removeprefix(_BEST)
            if expected is None or variable == name or variable not in expected:
                continue  # a small entry, or an unknown one that is refused by name later
            shape, dtype = expected[variable]
            size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
            if not size < entry.file_size <= size + LARGEST_HEADER:
                raise DataError(f"{path}: {name} takes {entry.file_size} bytes, but the run's config requires {size}.")

    arrays = files.read_npz(path, check)
    version = arrays.get("format", np.array(FORMAT))
    if not np.array_equal(version, FORMAT):
        found = cut(f"format {version}")
        raise RunError(subject=str(path), expected=f"format {FORMAT}", found=found, remedy=OTHER_VERSION)
    try:
        return Checkpoint.from_arrays(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a checkpoint that this version can read ({error}).") from error


def shapes(config: RunConfig, *, optimizer: bool = True, builder: Builder | None = None) -> Shapes:
    """Return the shape and type of every variable in the checkpoint of a run, by name.

    They come from a graph that never runs, so no memory is allocated, however large the model is. A hand-built VAE is
    built outside of it, because Keras cannot use layers of your own in a graph if they were made before.

    Args:
      config: the config of the run.
      optimizer: whether to include the optimizer's variables. Those of an optimizer that was a Python object are not
        known, so they are left out.
      builder: see `build_from_config`.
    """
    with contextlib.nullcontext() if isinstance(config.model, HandBuiltModel) else temporary_graph():
        vae, average = build_from_config(config, builder=builder), None
        known = optimizer and "optimizer" not in config.training.objects
        state = OPTIMIZERS.build(config.training.optimizer, config.training.learning_rate) if known else None
        if state is not None:
            state.build(vae.trainable_variables)
        if config.training.ema is not None:
            average = Average(vae.trainable_variables, config.training.ema)  # the averages have the weights' shapes
        return State(vae, state, average).shapes()
