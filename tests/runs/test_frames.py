"""Animations: frames that are taken while a run trains, and the GIF files made of them."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import animated, memory
from tests.helpers.runs import Interrupt, start_run
from tfp_vae.core import files as storage
from tfp_vae.core.errors import RunError
from tfp_vae.evaluation.latent_space import grid
from tfp_vae.plots import animations
from tfp_vae.reports import Subject
from tfp_vae.reports.pictures import RUN_PICTURES
from tfp_vae.runs import frames as film
from tfp_vae.runs.frames import Film, frame_epochs
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train


def opened(gif: bytes) -> list[np.ndarray]:
    picture = Image.open(io.BytesIO(gif))
    frames = []
    for i in range(picture.n_frames):
        picture.seek(i)
        frames.append(np.asarray(picture.convert("RGB")))
    return frames


def weights(run: Run) -> dict[str, np.ndarray]:
    return dict(run.checkpoint().variables)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run, dataset = start_run(tmp_path_factory.mktemp("runs") / "filmed", epochs=3)
    assert train(run, dataset, callbacks=[Film(run, dataset)])
    return run


class TestEpochs:
    """Which epochs have a frame."""

    def test_all_of_few(self) -> None:
        assert frame_epochs(4) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("total", [60, 1_000, 10**6])
    def test_log_spaced_of_many(self, total: int) -> None:
        epochs = frame_epochs(total)
        assert epochs[:3] == [0, 1, 2]
        assert epochs[-1] == total
        assert len(epochs) <= film.MOST_FRAMES
        assert epochs == sorted(set(epochs))
        steps = np.diff(np.log(epochs[-8:]))
        assert steps.max() < 1.2 * steps.min() or total == 60


class TestFilm:
    """Frames."""

    def test_frames_show_what_the_model_was(self, filmed: Run) -> None:
        frames = film.frames(filmed)
        assert [frame.epoch for frame in frames] == [0, 1, 2, 3]
        restored = LoadedRun(filmed)
        x = Film(filmed, start_data(filmed)).examples.x
        np.testing.assert_allclose(frames[-1].means, restored.vae.encoder.mean(x), atol=1e-5)
        z = grid(restored.vae, film.grid_side((8, 8, 1)), 0).z
        np.testing.assert_allclose(frames[-1].decoded, restored.vae.decoder(z).mean(), atol=1e-5)
        assert not np.allclose(frames[0].means, frames[-1].means, atol=1e-2)

    def test_no_number_of_the_training_changes(self, filmed: Run, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "plain", epochs=3)
        assert train(run, dataset)
        plain, other = weights(run), weights(filmed)
        assert plain.keys() == other.keys()
        for name, values in plain.items():
            np.testing.assert_array_equal(values, other[name])
        told = [{k: v for k, v in line.items() if k != "seconds"} for line in run.metrics()]
        assert told == [{k: v for k, v in line.items() if k != "seconds"} for line in filmed.metrics()]

    def test_resuming_goes_on_with_the_film(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=2)
        assert train(run, dataset, callbacks=[Film(run, dataset)])
        kept = film.frames(run)
        run.extend(4)
        assert train(run, dataset, callbacks=[Film(run, dataset)])
        frames = film.frames(run)
        assert [frame.epoch for frame in frames] == [0, 1, 2, 3, 4]
        for old, new in zip(kept, frames, strict=False):
            np.testing.assert_allclose(old.means, new.means, atol=1e-6)

    def test_what_was_filmed_after_the_checkpoint_is_taken_again(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=3)
        steps: list[int] = []

        def stopping() -> bool:
            steps.append(1)
            return (run.folder / "frames" / "epoch-0000001.npz").exists()

        assert not train(run, dataset, callbacks=[Interrupt(stopping), Film(run, dataset)])
        late = run.folder / "frames" / "epoch-0000003.npz"
        late.write_bytes(b"of a training that was lost")
        assert train(run, dataset, callbacks=[Film(run, dataset)])
        assert [frame.epoch for frame in film.frames(run)] == [0, 1, 2, 3]

    @pytest.mark.parametrize("first", [True, False])
    def test_a_training_that_is_filmed_in_part_says_of_which_epochs_its_frames_are(
        self, first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Filmed and then not, or not and then filmed: its frames are of the epochs that they name, of 4 in all."""
        run, dataset = start_run(tmp_path / "run", epochs=2)
        assert train(run, dataset, callbacks=[Film(run, dataset)] if first else [])
        means = LoadedRun(run).vae.encoder.mean(Film(run, dataset).examples.x)
        run.extend(4)
        assert train(run, dataset, callbacks=[] if first else [Film(run, dataset)])
        reel = film.reel(run, dataset, LoadedRun(run).vae)
        assert [frame.epoch for frame in reel.frames] == ([0, 1, 2] if first else [2, 3, 4])
        np.testing.assert_allclose(next(f.means for f in reel.frames if f.epoch == 2), means, atol=1e-5)
        assert reel.total == 4
        subject = Subject(LoadedRun(run), dataset)
        told = animated.seen(monkeypatch, lambda: RUN_PICTURES["latent-animation"].draw(subject), animated.epoch_of)
        assert told == [f"epoch {frame.epoch} of 4" for frame in reel.frames]

    @pytest.mark.parametrize("name", ["latent-animation", "decoder-animation"])
    def test_a_training_that_ended_in_its_first_epoch_says_of_none_how_many_there_are(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=2)
        assert not train(run, dataset, callbacks=[Film(run, dataset), Interrupt(lambda: True)])
        subject = Subject(LoadedRun(run), dataset)
        assert run.metrics() == []
        assert animated.seen(monkeypatch, lambda: RUN_PICTURES[name].draw(subject), animated.epoch_of) == ["epoch 0"]

    def test_frames_of_a_past_that_was_lost_are_thrown_away_without_a_film(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=2)
        assert train(run, dataset, callbacks=[Film(run, dataset)])
        for epoch in (3, 4):
            run.frame_path(epoch).write_bytes(run.frame_path(2).read_bytes())
        assert [frame.epoch for frame in film.reel(run, dataset, LoadedRun(run).vae).frames] == [0, 1, 2]
        run.extend(4)
        assert train(run, dataset)
        assert list(run.frame_paths()) == [0, 1, 2]

    def test_damage_is_found(self, tmp_path: Path) -> None:
        run = Run(tmp_path)
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames" / "epoch-0000003.npz").write_bytes(b"PK nonsense")
        (tmp_path / "frames" / "notes.txt").touch()
        with pytest.raises(RunError, match=r"epoch-0000003\.npz: this frame"):
            film.frames(run)
        assert film.frames(Run(tmp_path / "none")) == []

    def test_a_bit_flipped_is_found(self, tmp_path: Path, rng: np.random.Generator) -> None:
        """Every place in turn: a refusal that names the file, or what was there before."""
        path, good = tmp_path / "frames" / "epoch-0000003.npz", [rng.random((4, 2)), rng.random((9, 2))]
        path.parent.mkdir()
        storage.write_arrays(path, dict(zip(("means", "decoded"), good, strict=True)))
        content, refused = path.read_bytes(), 0
        for place in range(len(content)):
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
            try:
                (found,) = film.frames(Run(tmp_path))
            except RunError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                np.testing.assert_equal(list(found), [3, *good])
        assert refused > 0.7 * len(content)

    @pytest.mark.parametrize("size", [0, 1, 100, 300])
    def test_a_frame_cut_short_is_found(self, size: int, filmed: Run, tmp_path: Path) -> None:
        (tmp_path / "frames").mkdir()
        content = (filmed.folder / "frames" / "epoch-0000001.npz").read_bytes()
        (tmp_path / "frames" / "epoch-0000001.npz").write_bytes(content[:size])
        with pytest.raises(RunError, match=r"epoch-0000001\.npz: this frame .* Delete it"):
            film.frames(Run(tmp_path))

    def test_a_frame_that_would_swell_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "frames").mkdir()
        zeros = np.zeros((1_000, 4_000))
        np.savez_compressed(tmp_path / "frames" / "epoch-0000003.npz", means=zeros, decoded=zeros)
        with memory.at_most(1_000_000), pytest.raises(RunError, match="expected plain entries, found compressed ones"):
            film.frames(Run(tmp_path))

    def test_frames_that_lead_elsewhere_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "frames").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(RunError, match="symbolic link"):
            film.frames(Run(tmp_path))

    @pytest.mark.parametrize(("shape", "side"), [((8, 8, 1), 10), ((28, 28, 1), 9), ((64, 64, 3), 3), ((30,), 10)])
    def test_larger_pictures_stand_in_smaller_grids(self, shape: tuple[int, ...], side: int) -> None:
        assert film.grid_side(shape) == side


def start_data(run: Run) -> object:
    from tfp_vae.runs.recipe import reload

    return reload(run.config())


class TestGif:
    """Bytes that other programs can open."""

    def test_points_move_and_are_named_in_the_end(self, rng: np.random.Generator) -> None:
        points = rng.normal(size=(5, 40, 2)) * np.arange(1, 6)[:, np.newaxis, np.newaxis]
        frames = opened(animations.latent_animation([0, 1, 2, 5, 9], points, np.arange(40) % 3))
        assert len(frames) == 5
        assert len({frame.shape for frame in frames}) == 1
        assert (frames[0] == 255).all(axis=2).mean() > 0.7  # paper is white
        assert all((a != b).any() for a, b in itertools.pairwise(frames))

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("scale", [1.0, 40.0])
    def test_pictures_change(self, channels: int, scale: float, rng: np.random.Generator) -> None:
        decoded = scale * rng.random((3, 4, 8, 8, channels))
        frames = opened(animations.grid_animation([0, 1, 2], decoded, 2, "title"))
        assert len(frames) == 3
        assert frames[1].std() > 20
        assert (frames[0] != frames[2]).any()
        if channels == 3:
            assert (frames[0].max(axis=2) - frames[0].min(axis=2)).max() > 60

    def test_one_frame_is_a_picture(self, rng: np.random.Generator) -> None:
        gif = animations.latent_animation([0], rng.normal(size=(1, 9, 2)), None)
        (frame,) = opened(gif)
        still = np.asarray(Image.open(io.BytesIO(animations.last_frame(gif))))
        np.testing.assert_array_equal(still, frame)

    def test_the_last_frame_stands_still(self, rng: np.random.Generator) -> None:
        gif = animations.latent_animation([0, 1], rng.normal(size=(2, 9, 2)), None)
        still = np.asarray(Image.open(io.BytesIO(animations.last_frame(gif))))
        np.testing.assert_array_equal(still, opened(gif)[-1])
