"""Event files: TensorBoard reads the same values as the metrics, each epoch once."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.commands import call, one_sentence
from tests.helpers.runs import Interrupt, Observer, start_run
from tfp_vae.core.errors import DiskError, RunError, UsageError
from tfp_vae.runs import run as runs
from tfp_vae.runs import tensorboard as events
from tfp_vae.runs.run import Run
from tfp_vae.runs.tensorboard import TAGS, Events
from tfp_vae.runs.train import train


def values(run: Run) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield the content of a run's event files, as (step, tag, value)."""
    for path in sorted((run.folder / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                yield event.step, value.tag, tf.make_ndarray(value.tensor)


def scalars(run: Run) -> list[tuple[int, str, float]]:
    return [(step, tag, float(value)) for step, tag, value in values(run) if tag in TAGS.values()]


def expected(run: Run) -> list[tuple[int, str, float]]:
    return [(line["step"], tag, pytest.approx(line[name])) for line in run.metrics() for name, tag in TAGS.items()]


def test_every_metric_has_a_tag(trained: Path) -> None:
    (first, *_) = Run(trained).metrics()
    assert TAGS.keys() == first.keys() - {"epoch", "step"}
    assert len(set(TAGS.values())) == len(TAGS)


@pytest.mark.slow
def test_command_writes_metrics_and_samples(tmp_path: Path) -> None:
    told = ("--hidden", "8", "--execution", "graph", "--epochs", "2", "--no-plots", "--run-dir", tmp_path / "r")
    result = call("train", "--tensorboard", *told)
    run = Run(tmp_path / "r")
    assert scalars(run) == expected(run)
    assert f"tensorboard --logdir {run.folder / 'tensorboard'}" in result.stderr
    ((step, _, image),) = [found for found in values(run) if found[1] == "samples"]
    assert step == 24
    width, height = (int(size) for size in image[:2])
    pixels = tf.io.decode_png(image[2]).numpy()
    assert pixels.shape == (height, width, 3)
    assert pixels.std() > 1


@pytest.mark.slow
def test_a_resumed_training_has_each_epoch_once(tmp_path: Path) -> None:
    run, dataset = start_run(tmp_path / "run")
    epochs: list[int] = []
    count = Observer(lambda training: epochs.append(len(training.history)))
    recording = Events(run)
    assert not train(run, dataset, callbacks=[recording, count, Interrupt(lambda: 1 in epochs)])
    recording.begin(SimpleNamespace(history=[]))
    recording.write({**dict.fromkeys(TAGS, 1.0), "step": 999})  # as if killed after the last checkpoint
    recording.end(SimpleNamespace())
    assert [step for step, _, _ in scalars(run)] == [999] * len(TAGS)
    assert train(run, dataset, callbacks=[Events(run)])
    assert len(run.metrics()) == 2
    assert scalars(run) == expected(run)


def test_error_names_an_unwritable_folder(copied: Run) -> None:
    (copied.folder / runs.EVENTS).write_bytes(b"")
    with pytest.raises(DiskError, match=r"could not write .*tensorboard"):
        Events(copied).begin(SimpleNamespace(history=[]))


def test_a_folder_that_takes_the_name_gets_no_events(copied: Run) -> None:
    """TensorFlow makes a new file at the old path if its file is gone."""
    line = dict.fromkeys(TAGS, 1.0)
    copied.files.hold()
    writer = Events(copied)
    writer.begin(SimpleNamespace(history=[]))
    writer.write({"step": 1, **line})
    moved = copied.folder.rename(copied.folder.with_name("moved"))
    (copied.folder / "tensorboard").mkdir(parents=True)
    with pytest.raises(RunError, match="was replaced by another"):
        writer.write({"step": 2, **line})
    writer.end(SimpleNamespace())
    assert not list((copied.folder / "tensorboard").iterdir())
    assert list((moved / "tensorboard").iterdir())


def test_end_after_a_failed_begin_leaves_its_error(copied: Run) -> None:
    (copied.folder / runs.EVENTS).write_bytes(b"")
    recording = Events(copied)
    with pytest.raises(DiskError):
        recording.begin(SimpleNamespace(history=[]))
    recording.end(SimpleNamespace())


class TestWithout:
    """TensorBoard is not installed."""

    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def test_command_ends_with_a_hint(self, tmp_path: Path) -> None:
        said = one_sentence(call("train", "--tensorboard", "--run-dir", tmp_path / "r", code=2))
        assert "pip install 'tfp_vae[tensorboard]'" in said
        assert not (tmp_path / "r").exists()

    def test_library_refuses(self, copied: Run) -> None:
        with pytest.raises(UsageError, match="`tensorboard` needs TensorBoard, which is not installed"):
            Events(copied)
        with pytest.raises(UsageError, match="or leave it out"):
            events.require_tensorboard()
