"""The checkpoint file: it is read back exactly, and damaged, foreign and oversized files are refused."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.helpers.runs import CONFIGS, assert_same
from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, DiskError, RunError
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.config import ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.folder import checkpoint as checkpoints
from tfp_vae.runs.folder.checkpoint import BEST, Checkpoint, read, shapes
from tfp_vae.runs.folder.files import check_plain
from tfp_vae.runs.run import Run
from tfp_vae.training.history import Best
from tfp_vae.training.optimizers import OPTIMIZERS
from tfp_vae.training.state import State, model_arrays

EPOCH = {
    "epoch": 1,
    "step": 12,
    "elbo": -27.5,
    "distortion": 25.0,
    "rate": 2.5,
    "validation_elbo": float("-inf"),
    "validation_distortion": 25.5,
    "validation_rate": 2.5,
    "validation_bound": -28.0,
    "learning_rate": 1e-3,
    "seconds": 0.25,
}
KERNEL = "encoder/000/kernel"


def example(best: int | None = 12) -> Checkpoint:
    """Return a checkpoint after 24 steps, with the best weights of step `best`."""
    values = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    variables = {KERNEL: values, "optimizer/000": np.array(7)}
    kept = None if best is None else Best(best, -20.0, {KERNEL: values + (best != 24)})
    return Checkpoint(24, np.array([3, 1.5, 2.5]), variables, 4.25, [EPOCH], kept, "abc", BEST if kept else "")


def write(path: Path, checkpoint: Checkpoint, previous: Path | None = None) -> None:
    """Write the file of a checkpoint as a run does."""
    storage.write_bytes(path, storage.arrays_bytes(checkpoint.to_arrays()), previous=previous)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a checkpoint."""
    write(tmp_path / "checkpoint.npz", example())
    return tmp_path / "checkpoint.npz"


def rewrite(path: Path, change: dict[str, np.ndarray | None], compression: int = zipfile.ZIP_STORED) -> None:
    """Write the file again with other entries. An entry that is None is left out."""
    arrays = {**example().to_arrays(), **change}
    save = np.savez if compression == zipfile.ZIP_STORED else np.savez_compressed
    save(path, **{name: array for name, array in arrays.items() if array is not None})


class TestRoundTrip:
    """A checkpoint that is written and read."""

    @pytest.mark.parametrize("best", [None, 12, 24])
    def test_checkpoint_is_read_back_exactly(self, best: int | None, tmp_path: Path) -> None:
        written = example(best)
        write(tmp_path / "x.npz", written)
        found = read(tmp_path / "x.npz")
        assert (found.step, found.seconds, found.history, found.run) == (24, 4.25, [EPOCH], "abc")
        np.testing.assert_array_equal(found.epoch_sums, written.epoch_sums)
        assert_same(found.variables, written.variables)
        assert (found.best is None, found.in_use) == (best is None, written.in_use)
        if found.best is not None:
            assert found.best[:2] == (best, -20.0)
            assert_same(found.best.variables, written.best.variables)

    def test_best_weights_of_the_same_step_are_written_once(self) -> None:
        names = [{name for name in example(best).to_arrays() if KERNEL in name} for best in (12, 24)]
        assert names == [{f"variables/{KERNEL}", f"best/{KERNEL}"}, {f"variables/{KERNEL}"}]

    def test_best_weights_are_written_if_other_weights_replaced_the_last_ones(self, tmp_path: Path) -> None:
        """As `save` does for a VAE that changed after its training."""
        written = example(24)
        changed = {name: array + 1 for name, array in written.variables.items()}
        write(tmp_path / "x.npz", written._replace(variables=changed))
        found = read(tmp_path / "x.npz")
        assert_same(found.variables, changed)
        assert_same(found.best.variables, written.best.variables)

    def test_equal_checkpoints_have_equal_arrays(self, path: Path) -> None:
        assert_same(read(path).to_arrays(), example().to_arrays())

    def test_checkpoint_before_the_first_step_is_read_back(self, tmp_path: Path) -> None:
        write(tmp_path / "x.npz", Checkpoint(0, np.zeros(3), {}))
        found = read(tmp_path / "x.npz")
        assert (found.step, found.history, found.best, found.run) == (0, [], None, "")


class TestAtomicWrites:
    """A checkpoint that replaces another."""

    def test_previous_file_is_kept_on_request(self, path: Path) -> None:
        previous = path.with_name("previous.npz")
        write(path, example()._replace(step=36), previous=previous)
        assert (read(path).step, read(previous).step) == (36, 24)
        write(path, example()._replace(step=48))
        assert (read(path).step, read(previous).step) == (48, 24)

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_failed_write_leaves_the_old_file_and_nothing_else(
        self, call: str, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = path.read_bytes()

        def refuse(*arguments: object, **more: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, call, refuse)
        with pytest.raises(DiskError, match="the disk is full"):
            write(path, example()._replace(step=36))
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_python_objects_are_not_written(self, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match="array of objects"):
            write(tmp_path / "x.npz", example()._replace(variables={"a": np.array([object()])}))
        assert not list(tmp_path.iterdir())


class TestDamage:
    """Files that `read` refuses."""

    def test_flipped_bit_is_never_read_as_another_checkpoint(self, path: Path) -> None:
        """Zip headers have fields that nobody reads, so a flip may also change nothing."""
        content, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
        places = rng.choice(len(content), 300, replace=False)
        for place in places:
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                assert_same(read(path).to_arrays(), example().to_arrays())
            except DataError as error:
                assert str(path) in str(error)
                refused += 1
        assert refused > len(places) / 2

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
    def test_file_cut_short_is_refused(self, share: float, path: Path) -> None:
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(DataError, match=path.name):
            read(path)

    def test_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"none\.npz"):
            read(tmp_path / "none.npz")

    def test_other_format_is_refused(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoints, "FORMAT", 3)
        with pytest.raises(RunError, match=r"checkpoint\.npz: expected format 3, found format 2\. Open the run with"):
            read(path)

    @pytest.mark.parametrize("name", list(example().to_arrays()))
    def test_lost_entry_is_refused(self, name: str, path: Path) -> None:
        rewrite(path, {name: None})
        with pytest.raises(DataError, match=r"not a checkpoint that this version can read \("):
            read(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"more": np.zeros(1)}, "expected 11 arrays, found 12"),
            ({"more": np.zeros(1), "entries": np.array(12)}, "unknown entries more"),
            ({"step": np.array(-1)}, "step -1"),
            ({"step": np.array("x")}, "not a checkpoint"),
            ({"epoch_sums": np.zeros(2)}, r"epoch_sums of shape \(2,\)"),
            ({"run": np.zeros(3)}, "expected text"),
            ({"history": np.frombuffer(b"[1]", np.uint8)}, "line 1 is not a JSON object"),
            ({"best": np.zeros(3)}, "not a checkpoint"),
        ],
    )
    def test_malformed_entry_is_refused(self, change: dict[str, np.ndarray], message: str, path: Path) -> None:
        rewrite(path, change)
        with pytest.raises(DataError, match=message):
            read(path)

    def test_compressed_file_is_refused(self, path: Path) -> None:
        rewrite(path, {}, zipfile.ZIP_DEFLATED)
        with pytest.raises(DataError, match="expected uncompressed entries, found compressed ones"):
            read(path)

    def test_entries_larger_than_the_file_are_refused(self, path: Path) -> None:
        entry = zipfile.ZipInfo("variables/x.npy")
        entry.file_size = 10**12
        with pytest.raises(DataError, match="the entries are larger than the file"):
            check_plain(path, [entry])


class TestExpectedShapes:
    """Sizes in the archive are checked before an array is read."""

    EXPECTED: ClassVar = {KERNEL: ((2, 3), np.float32)}

    def test_expected_sizes_are_accepted(self, path: Path) -> None:
        assert_same(read(path, self.EXPECTED).variables, example().variables)

    @pytest.mark.parametrize("entry", ["variables", "best"])
    def test_larger_entry_is_refused(self, entry: str, path: Path) -> None:
        rewrite(path, {f"{entry}/{KERNEL}": np.zeros((2, 1_000), np.float32)})
        with pytest.raises(DataError, match=f"{entry}/{KERNEL} takes 8128 bytes, but the run's config requires 24"):
            read(path, self.EXPECTED)

    def test_smaller_entry_is_refused(self, path: Path) -> None:
        with pytest.raises(DataError, match=f"variables/{KERNEL} takes 152 bytes, but the run's config requires 4000"):
            read(path, {KERNEL: ((1_000, 1), np.float32)})

    @pytest.mark.slow
    @pytest.mark.parametrize("members", CONFIGS, ids=lambda members: str(next(iter(members.values()))))
    def test_shapes_agree_with_the_built_model(self, members: dict[str, str], trained: Path) -> None:
        data = Run(trained).config().data
        model = ModelConfig(**{"encoder": "mlp:hidden=4", "decoder": "mlp:hidden=4", "latent_dim": 3, **members})
        config = RunConfig(data=data, model=model, training=TrainingConfig(objective="rloo"))
        vae, optimizer = build_from_config(config), OPTIMIZERS["adam"](1e-3)
        optimizer.build(vae.trainable_variables)
        built = {name: (value.shape, value.dtype.type) for name, value in State(vae, optimizer).capture().items()}
        assert shapes(config) == built

    def test_models_that_exist_work_as_before(self, trained: Path) -> None:
        config = Run(trained).config()
        vae, z = build_from_config(config), np.zeros([1, config.model.latent_dim], np.float32)
        before = vae.decoder(z).mean()
        shapes(config)
        np.testing.assert_array_equal(vae.decoder(z).mean(), before)

    def test_shapes_without_the_optimizer_are_those_of_the_model(self, trained: Path) -> None:
        config = Run(trained).config()
        assert shapes(config, optimizer=False).keys() == model_arrays(shapes(config)).keys()

    def test_shapes_include_the_averaged_weights(self, trained: Path) -> None:
        config = Run(trained).config()
        averaged = config.model_copy(update={"training": config.training.model_copy(update={"ema": 0.9})})
        more = shapes(averaged).keys() - shapes(config).keys()
        assert len(more) >= len(shapes(config, optimizer=False))
