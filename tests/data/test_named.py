"""Named data sets: their canonical files and splits."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.files import encoded, idx, write_mnist
from tfp_vae.core.errors import DataError
from tfp_vae.core.supports import BINARY
from tfp_vae.data import named
from tfp_vae.data.dataset import SPLITS, Dataset
from tfp_vae.data.loading import load


@pytest.fixture(scope="module")
def digits_data() -> Dataset:
    return load("digits")


class TestDigits:
    """The data set that comes with scikit-learn."""

    def test_shape_and_range(self, digits_data: Dataset) -> None:
        assert digits_data.event_shape == (8, 8, 1)
        assert digits_data.train.x.dtype == np.float32
        assert digits_data.train.x.min() == 0
        assert digits_data.train.x.max() == 1

    def test_splits_are_fixed_and_disjoint(self, digits_data: Dataset) -> None:
        assert digits_data.sizes() == {"train": 1437, "validation": 180, "test": 180}
        assert load("digits").fingerprint() == digits_data.fingerprint()
        rows = np.concatenate([getattr(digits_data, name).x.reshape(-1, 64) for name in SPLITS])
        from sklearn.datasets import load_digits

        whole = load_digits().images.reshape(-1, 64) / 16
        np.testing.assert_allclose(sorted(map(tuple, rows)), sorted(map(tuple, whole)))

    def test_labels_follow_their_images(self, digits_data: Dataset) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        known = {
            image.tobytes(): label
            for image, label in zip((bunch.images / 16).astype(np.float32), bunch.target, strict=True)
        }
        assert all(known[x.tobytes()] == y for x, y in zip(digits_data.test.x, digits_data.test.y, strict=True))


class TestCanonicalFiles:
    """MNIST and static binarized MNIST, if they are available."""

    @pytest.mark.slow
    @pytest.mark.parametrize("below", ["", "mnist"])
    def test_mnist(self, shared_data: Path, below: str) -> None:
        data = load("mnist", data_dir=str(shared_data / below))
        assert data.sizes() == {"train": 55_000, "validation": 5_000, "test": 10_000}
        assert data.event_shape == (28, 28, 1)
        np.testing.assert_array_equal(np.bincount(data.test.y)[:3], [980, 1135, 1032])
        assert data.train.x.mean() == pytest.approx(0.1307, abs=1e-3)

    @pytest.mark.slow
    def test_binarized_mnist(self, shared_data: Path) -> None:
        data = load("binarized-mnist", data_dir=str(shared_data))
        assert data.sizes() == {"train": 50_000, "validation": 10_000, "test": 10_000}
        assert data.profile.fits(BINARY)
        assert data.test.y is None

    def test_folder_of_another_data_set_is_left_out(self, shared_data: Path) -> None:
        assert named.find_folders("fashion-mnist", shared_data / "mnist") == [
            shared_data / "mnist" / "fashion-mnist",
            shared_data / "mnist" / "fashion_mnist",
        ]


def test_idx_files_are_read_gzipped_or_not(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    data = load("mnist", data_dir=str(tmp_path))
    assert data.sizes() == {"train": 10, "validation": 5_000, "test": 4}
    assert data.event_shape == (6, 5, 1)
    assert 0.9 < data.train.x.max() <= 1


def test_data_dir_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path)
    monkeypatch.setenv("TFP_VAE_DATA_DIR", str(tmp_path))
    assert len(load("mnist").test) == 4


@pytest.mark.parametrize("shape", [(9,), (9, 4), (0, 4, 4), (9, 3, 4)])
def test_refuses_images_of_another_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(np.zeros(shape, np.uint8)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(shape[0], np.uint8)))
    with pytest.raises(DataError, match="expected"):
        load("mnist", data_dir=str(tmp_path))


def test_refuses_amat_rows_of_another_length(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"binarized_mnist_{part}.amat").write_bytes(b"0 1 " * 392 + b"\n" + b"1 0 " * 392 + b"\n")
    assert load("binarized-mnist", data_dir=str(tmp_path)).event_shape == (28, 28, 1)
    (tmp_path / "binarized_mnist_test.amat").write_bytes(b"0 1 " * 784 + b"\n")
    with pytest.raises(DataError, match="expected rows of 784 values, found 1568"):
        load("binarized-mnist", data_dir=str(tmp_path))


def test_refuses_labels_that_do_not_match(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="a label for each of 4 examples"):
        load("mnist", data_dir=str(tmp_path))


class TestOmniglot:
    """Lake's images, in archives like the canonical ones."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for archive, numbers in (("images_background", range(1, 6)), ("images_evaluation", range(6, 8))):
            with zipfile.ZipFile(tmp_path / f"{archive}.zip", "w") as stream:
                stream.writestr(f"{archive}/", b"")
                for number in numbers:
                    for i in range(4):
                        paper = np.full((105, 105), 255, np.uint8)
                        paper[10 * number : 10 * number + 8] = 0
                        name = f"{archive}/Greek/character{number:02}/{number:04}_{i:02}.png"
                        stream.writestr(name, encoded(Image.fromarray(paper).convert("1")))
        return tmp_path

    def test_strokes_have_the_value_one_and_labels_are_numbers(self, folder: Path) -> None:
        data = load("omniglot", data_dir=str(folder))
        assert data.sizes() == {"train": 18, "validation": 2, "test": 8}
        assert data.event_shape == (28, 28, 1)
        assert set(data.test.y) == {6, 7}
        assert set(data.train.y) | set(data.validation.y) == set(range(1, 6))
        for x, y in zip(data.train.x, data.train.y, strict=True):
            assert x.mean() == pytest.approx(8 / 105, abs=0.01)
            assert abs(x.mean(axis=(1, 2)).argmax() - (10 * y + 4) * 28 / 105) < 2

    def test_archives_have_checksums(self) -> None:
        assert all(remote.checksum.startswith("md5:") and len(remote.checksum) == 36 for remote in named.OMNIGLOT)

    def test_refuses_damaged_archives(self, folder: Path) -> None:
        path = folder / "images_evaluation.zip"
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(DataError, match=r"images_evaluation\.zip"):
            load("omniglot", data_dir=str(folder))
