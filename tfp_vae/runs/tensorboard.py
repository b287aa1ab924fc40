"""Event files for TensorBoard: the metrics of a run's epochs, and pictures of it. Needs the extra `tensorboard`."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DiskError, UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.runs.run import EVENTS, Run

__all__ = ["TAGS", "Events", "check_installed"]

TAGS = {
    **{name: f"{name}/train" for name in ("elbo", "distortion", "rate")},
    **{f"validation_{name}": f"{name}/validation" for name in ("elbo", "distortion", "rate")},
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}
"""What TensorBoard calls the metrics of an epoch: those of training and validation stand side by side."""


def check_installed() -> None:
    """Raise UsageError if TensorBoard is not installed: without it TensorFlow has no `tf.summary.scalar`."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError(
            "--tensorboard needs TensorBoard, found none: `pip install 'tfp_vae[tensorboard]'`, or leave it out."
        )


@final
class Events:
    """Writes the event files of a run's training into its folder `tensorboard`; see `session.train`, `recording`.

    A training tells of all epochs since the first, those of an earlier process too; so what lies there already is
    written anew, and no epoch is there twice. A context manager, which closes the file.

        with tv.runs.tensorboard.Events(run) as events:
            tv.runs.load.train(run, dataset, recording=events)

    Args:
      run: the run.

    Raises:
      UsageError: TensorBoard is not installed.
      DiskError: when called, and closed, for what the file system refuses.
    """

    def __init__(self, run: Run) -> None:
        check_installed()
        self._run = run
        self._writer: Any = None

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            with _told_of_the_disk(self._folder):
                self._writer.close()

    @property
    def _folder(self) -> Path:
        return self._run.path(EVENTS)

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Write an epoch's metrics, at the step that it ended with."""
        with self._at(line["step"]):
            for name, tag in TAGS.items():
                tf.summary.scalar(tag, line[name])

    def picture(self, name: str, content: bytes, step: int) -> None:
        """Write a picture, the content of a PNG file.

        Args:
          name: the tag under which it stands.
          content: the bytes of a PNG file.
          step: at which it was drawn.
        """
        with self._at(step):
            tf.summary.image(name, tf.io.decode_png(content, channels=3)[tf.newaxis])

    @contextmanager
    def _at(self, step: int) -> Iterator[None]:
        with _told_of_the_disk(self._folder):
            if self._writer is None:
                self._writer = self._begun()
            with self._writer.as_default(step=step):
                yield
            self._writer.flush()

    def _begun(self) -> Any:
        """Return a writer into the folder, once earlier event files are gone."""
        folder = self._folder
        storage.make_folder(folder)
        for old in folder.glob("events.out.tfevents.*"):
            with contextlib.suppress(FileNotFoundError):
                old.unlink()
        return tf.summary.create_file_writer(str(folder))


@contextmanager
def _told_of_the_disk(folder: Path) -> Iterator[None]:
    """Turn what TensorFlow or the system say of a failed write into a DiskError."""
    with storage.disk_errors(folder):
        try:
            yield
        except tf.errors.OpError as error:
            raise DiskError(f"could not write {folder}: {error.message}. Make room, or train without it.") from error
