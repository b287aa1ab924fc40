"""Frames of a training: their epochs, their content, and damaged files."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers import animated, memory
from tests.helpers.runs import Interrupt, assert_same, start_run, without_seconds
from tfp_vae.core import files as storage
from tfp_vae.core.errors import RunError, UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation.latent_space import grid
from tfp_vae.reports import RunData, applicable
from tfp_vae.reports.pictures import RUN_PICTURES
from tfp_vae.runs import frames as film
from tfp_vae.runs.frames import Film, Frame, frame_epochs
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train


@pytest.fixture
def filmed_run(filmed: Path, tmp_path: Path) -> Run:
    """A copy of the small run with frames of its two epochs."""
    shutil.copytree(filmed, tmp_path / "run")
    return Run(tmp_path / "run")


class TestEpochs:
    """The epochs that have a frame."""

    def test_short_trainings_have_a_frame_for_each_epoch(self) -> None:
        assert frame_epochs(4) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("total", [60, 1_000, 10**6])
    def test_long_trainings_have_log_spaced_frames(self, total: int) -> None:
        epochs = frame_epochs(total)
        assert epochs[:3] == [0, 1, 2]
        assert epochs[-1] == total
        assert len(epochs) <= film.MOST_FRAMES
        assert epochs == sorted(set(epochs))
        steps = np.diff(np.log(epochs[-8:]))
        assert steps.max() < 1.2 * steps.min() or total == 60


class TestFilm:
    """Frames."""

    @pytest.mark.slow
    def test_frames_show_the_model_of_their_epoch(self, filmed: Path, digits: Dataset) -> None:
        run = Run(filmed)
        frames = film.frames(run)
        assert [frame.epoch for frame in frames] == [0, 1, 2]
        restored = LoadedRun(run)
        x = Film(run, digits).examples.x
        np.testing.assert_allclose(frames[-1].means, restored.vae.encoder.mean(x), atol=1e-5)
        z = grid(restored.vae, film.grid_side((8, 8, 1)), 0).z
        np.testing.assert_allclose(frames[-1].decoded, restored.vae.decoder(z).mean(), atol=1e-5)
        assert not np.allclose(frames[0].means, frames[-1].means, atol=1e-2)

    def test_frames_change_no_number_of_the_training(self, filmed: Path, trained: Path) -> None:
        plain, other = Run(trained), Run(filmed)
        assert_same(dict(plain.checkpoint().variables), dict(other.checkpoint().variables))
        assert without_seconds(plain.metrics()) == without_seconds(other.metrics())

    @pytest.mark.slow
    def test_resumed_training_adds_frames_and_replaces_those_of_lost_epochs(
        self, filmed_run: Run, digits: Dataset
    ) -> None:
        first = film.frames(filmed_run)
        for epoch in (3, 7):
            filmed_run.frame_path(epoch).write_bytes(filmed_run.frame_path(2).read_bytes())
        filmed_run.extend(3)
        assert train(filmed_run, digits, callbacks=[Film(filmed_run, digits)])
        frames = film.frames(filmed_run)
        assert [frame.epoch for frame in frames] == [0, 1, 2, 3]
        for old, new in zip(first, frames, strict=False):
            np.testing.assert_allclose(old.means, new.means, atol=1e-6)
        assert not np.allclose(frames[2].means, frames[3].means, atol=1e-3)

    @pytest.mark.slow
    def test_frames_after_the_checkpoint_are_taken_again(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=3)
        steps: list[int] = []

        def stopping() -> bool:
            steps.append(1)
            return (run.folder / "frames" / "epoch-0000001.npz").exists()

        assert not train(run, dataset, callbacks=[Interrupt(stopping), Film(run, dataset)])
        late = run.folder / "frames" / "epoch-0000003.npz"
        late.write_bytes(b"of a lost training")
        assert train(run, dataset, callbacks=[Film(run, dataset)])
        assert [frame.epoch for frame in film.frames(run)] == [0, 1, 2, 3]

    @pytest.mark.slow
    @pytest.mark.parametrize("first", [True, False])
    def test_partial_frames_name_their_epochs(
        self, first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Frames exist for the first or for the second half of 4 epochs only."""
        run, dataset = start_run(tmp_path / "run", epochs=2)
        assert train(run, dataset, callbacks=[Film(run, dataset)] if first else [])
        means = LoadedRun(run).vae.encoder.mean(Film(run, dataset).examples.x)
        run.extend(4)
        assert train(run, dataset, callbacks=[] if first else [Film(run, dataset)])
        reel = film.reel(run, dataset, LoadedRun(run).vae)
        assert [frame.epoch for frame in reel.frames] == ([0, 1, 2] if first else [2, 3, 4])
        np.testing.assert_allclose(next(f.means for f in reel.frames if f.epoch == 2), means, atol=1e-5)
        assert reel.total == 4
        run_data = RunData(LoadedRun(run), dataset)
        titles = animated.seen(monkeypatch, lambda: RUN_PICTURES["latent-animation"].draw(run_data), animated.epoch_of)
        assert titles == [f"epoch {frame.epoch} of 4" for frame in reel.frames]

    def test_title_omits_the_total_before_the_first_epoch_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=2)
        assert not train(run, dataset, callbacks=[Film(run, dataset), Interrupt(lambda: True)])
        run_data = RunData(LoadedRun(run), dataset)
        assert run.metrics() == []
        for name in ("latent-animation", "decoder-animation"):
            draw = functools.partial(RUN_PICTURES[name].draw, run_data)
            with monkeypatch.context() as patch:
                assert animated.seen(patch, draw, animated.epoch_of) == ["epoch 0"]

    def test_frames_of_epochs_without_metrics_are_left_out(self, filmed_run: Run, digits: Dataset) -> None:
        for epoch in (3, 4):
            filmed_run.frame_path(epoch).write_bytes(filmed_run.frame_path(2).read_bytes())
        reel = film.reel(filmed_run, digits, LoadedRun(filmed_run).vae)
        assert reel.epochs == [0, 1, 2]
        assert reel.total == 2
        np.testing.assert_array_equal(reel.labels, digits.test.y)

    @pytest.mark.slow
    def test_training_without_frames_deletes_those_of_lost_epochs(self, filmed_run: Run, digits: Dataset) -> None:
        for epoch in (3, 4):
            filmed_run.frame_path(epoch).write_bytes(filmed_run.frame_path(2).read_bytes())
        filmed_run.extend(4)
        assert train(filmed_run, digits)
        assert list(filmed_run.frame_paths()) == [0, 1, 2]

    def test_refuses_a_reel_of_a_run_without_frames(self, restored: LoadedRun, digits: Dataset) -> None:
        with pytest.raises(RunError, match=r"has no frames\. Training records them unless `plots=False` is set"):
            film.reel(restored.run, digits, restored.vae)

    def test_leaves_damaged_frames_out_with_a_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        run = Run(tmp_path)
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames" / "epoch-0000003.npz").write_bytes(b"PK nonsense")
        (tmp_path / "frames" / "notes.txt").touch()
        assert film.frames(run) == film.frames(Run(tmp_path / "none")) == []
        (record,) = caplog.records
        assert "epoch-0000003.npz: this frame of the training is damaged" in record.getMessage()

    @pytest.mark.parametrize(
        ("means", "decoded"),
        [((180, 3), (100, 8, 8, 1)), ((9, 2), (100, 8, 8, 1)), ((180, 2), (100, 4, 4, 1)), ((180, 2), (9, 8, 8, 1)),
         ((), (100, 8, 8, 1))],
    )  # fmt: skip
    def test_frame_of_another_model_does_not_fit(
        self, means: tuple[int, ...], decoded: tuple[int, ...], filmed: Path
    ) -> None:
        config = Run(filmed).config()
        good = Frame(1, np.zeros((180, 2), np.float32), np.zeros((100, 8, 8, 1), np.float32))
        assert good.fits(config, 180)
        assert not Frame(1, np.zeros(means, np.float32), np.zeros(decoded, np.float32)).fits(config, 180)
        assert not good._replace(means=np.full((180, 2), np.nan, np.float32)).fits(config, 180)
        assert not good._replace(means=np.zeros((180, 2), int)).fits(config, 180)

    def test_animations_leave_out_frames_with_wrong_contents(
        self, filmed_run: Run, digits: Dataset, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A frame of another model, with a valid checksum, does not end `plot` with a traceback."""
        path = filmed_run.frame_path(1)
        storage.write_arrays(path, {"means": np.zeros((180, 3)), "decoded": np.zeros((100, 8, 8, 1))})
        run_data = RunData(LoadedRun(filmed_run), digits)
        assert run_data.reel is not None
        assert run_data.reel.epochs == [0, 2]
        (record,) = caplog.records
        assert record.getMessage().startswith(f"{path}: this frame belongs to another run, or is not finite.")

    def test_run_whose_frames_are_all_wrong_has_no_animations(self, filmed_run: Run, digits: Dataset) -> None:
        for epoch in range(3):
            filmed_run.frame_path(epoch).write_bytes(b"PK nonsense")
        run_data = RunData(LoadedRun(filmed_run), digits)
        assert run_data.reel is None
        assert not {"latent-animation", "decoder-animation"} & set(applicable(run_data))

    def test_film_refuses_the_training_of_another_model(self, filmed_run: Run, digits: Dataset) -> None:
        """Its frames would not fit the run."""
        other = tv.build(digits, latent_dim=3, hidden=(4,))
        with pytest.raises(UsageError, match="expected a model of this run"):
            tv.fit(other, digits, epochs=1, execution="graph", callbacks=[Film(filmed_run, digits)])
        assert [frame.means.shape[1] for frame in film.frames(filmed_run)] == [2, 2, 2]

    def test_flipped_bits_are_noticed_or_change_nothing(
        self, tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
    ) -> None:
        """For each seventh byte, the frame is left out with a warning that names it, or reads as before."""
        path, good = tmp_path / "frames" / "epoch-0000003.npz", [rng.random((4, 2)), rng.random((9, 2))]
        path.parent.mkdir()
        storage.write_arrays(path, dict(zip(("means", "decoded"), good, strict=True)))
        content, refused = path.read_bytes(), 0
        places = range(0, len(content), 7)
        for place in places:
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
            caplog.clear()
            for found in film.frames(Run(tmp_path)):
                np.testing.assert_equal(list(found), [3, *good])
                assert caplog.records == []
                refused -= 1
            refused += 1
            assert all(str(path) in record.getMessage() for record in caplog.records)
        assert refused > 0.7 * len(places)

    @pytest.mark.parametrize("size", [0, 1, 100, 300])
    def test_leaves_truncated_frames_out(
        self, size: int, filmed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "frames").mkdir()
        content = (filmed / "frames" / "epoch-0000001.npz").read_bytes()
        (tmp_path / "frames" / "epoch-0000001.npz").write_bytes(content[:size])
        assert film.frames(Run(tmp_path)) == []
        assert "epoch-0000001.npz: this frame" in caplog.text

    def test_leaves_compressed_frames_out_before_they_take_memory(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "frames").mkdir()
        zeros = np.zeros((1_000, 4_000))
        np.savez_compressed(tmp_path / "frames" / "epoch-0000003.npz", means=zeros, decoded=zeros)
        with memory.at_most(1_000_000):
            assert film.frames(Run(tmp_path)) == []
        assert "expected uncompressed entries, found compressed ones" in caplog.text

    def test_refuses_frames_behind_symbolic_links(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "frames").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(RunError, match="symbolic link"):
            film.frames(Run(tmp_path))

    @pytest.mark.parametrize(("shape", "side"), [((8, 8, 1), 10), ((28, 28, 1), 9), ((64, 64, 3), 3), ((30,), 10)])
    def test_larger_examples_have_smaller_grids(self, shape: tuple[int, ...], side: int) -> None:
        assert film.grid_side(shape) == side


class TestSpreadRows:
    """Evenly spread indices."""

    @pytest.mark.parametrize(("count", "most"), [(1, 5), (5, 5), (6, 5), (1_000, 60), (7, 1)])
    def test_indices_are_ascending_without_repeats(self, count: int, most: int) -> None:
        rows = film.spread_rows(count, most)
        assert len(rows) == min(count, most)
        assert (np.diff(rows) > 0).all()
        assert rows[0] == 0
        assert rows[-1] == (count - 1 if most > 1 else 0)

    def test_all_indices_are_returned_if_there_are_few(self) -> None:
        np.testing.assert_array_equal(film.spread_rows(9, 100), np.arange(9))
