"""Event files for TensorBoard: the metrics and pictures of a run. They need the extra `tensorboard`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DiskError, UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.runs.run import EVENTS, Run
from tfp_vae.training.callbacks import Callback

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["TAGS", "Events", "require_tensorboard"]

TAGS = {
    **{name: f"{name}/train" for name in ("elbo", "distortion", "rate")},
    **{f"validation_{name}": f"{name}/validation" for name in ("elbo", "distortion", "rate", "bound")},
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}
"""The tag of each metric. Training and validation share the first part, so TensorBoard shows them together."""


def require_tensorboard() -> None:
    """Raise UsageError if TensorBoard is not installed, because `tf.summary.scalar` needs it."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError(
            "`tensorboard` needs TensorBoard, which is not installed. Run `pip install 'tfp_vae[tensorboard]'`, or "
            "leave it out."
        )


@final
@check_keywords
class Events(Callback):
    """Write the metrics of a run's training as event files for TensorBoard, into its folder `tensorboard`.

    A training writes all epochs from the first on, also those that an earlier process trained. So the files that are
    there already are deleted first, and no epoch appears twice.

    ```python notest
    tv.runs.train.train(run, dataset, callbacks=[tv.runs.Events(run)])
    ```

    Args:
      run: the run.

    Raises:
      UsageError: TensorBoard is not installed.
    """

    def __init__(self, run: Run) -> None:
        require_tensorboard()
        self._run = run
        self._writer: Any = None

    def begin(self, training: Training) -> None:
        """Write the epochs that are finished, in place of the files of an earlier process."""
        folder = self._run.files.own(EVENTS)
        with writer_errors(folder):
            storage.make_folder(folder)
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink(missing_ok=True)
            self._writer = tf.summary.create_file_writer(str(folder))
        for each in training.history:
            self.write(each._asdict())

    def epoch(self, training: Training) -> None:
        """Write the epoch."""
        self.write(training.history[-1]._asdict())

    def end(self, training: Training) -> None:
        """Close the file, if `begin` opened one."""
        del training
        if self._writer is not None:
            with writer_errors(self._run.path(EVENTS)):
                self._writer.close()

    def write(self, line: Mapping[str, float]) -> None:
        """Write the metrics of an epoch, at the step at which it ended.

        Raises:
          DiskError: the file could not be written.
          RunError: another folder has taken the name of the run.
        """
        folder = self._run.files.own(EVENTS)  # TensorFlow would make a new file in a folder that took the name
        with writer_errors(folder), self._writer.as_default(step=line["step"]):
            for name, tag in TAGS.items():
                tf.summary.scalar(tag, line[name])
            self._writer.flush()

    def picture(self, name: str, content: bytes, step: int) -> None:
        """Write a picture into a file of its own, once training has ended.

        Args:
          name: the tag of the picture.
          content: the content of a PNG file.
          step: the step of the weights that it shows.
        """
        folder = self._run.files.own(EVENTS)
        with writer_errors(folder):
            writer = tf.summary.create_file_writer(str(folder))
            with writer.as_default(step=step):
                tf.summary.image(name, tf.io.decode_png(content, channels=3)[tf.newaxis])
            writer.close()


@contextmanager
def writer_errors(folder: Path) -> Iterator[None]:
    """Turn a failed write of TensorFlow or of the system into a DiskError."""
    with storage.disk_errors(folder):
        try:
            yield
        except tf.errors.OpError as error:
            raise DiskError(f"could not write {folder}: {error.message}. Make room, or train without it.") from error
