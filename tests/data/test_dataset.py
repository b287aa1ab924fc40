"""Data sets: splits, checks, binarization, and the canonical files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.files import encoded, idx, write_mnist
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.supports import BINARY, COUNTS, OPEN_UNIT, REAL, UNIT, Support, first_violation, level_count, levels
from tfp_vae.data import named
from tfp_vae.data.dataset import SPLITS, Dataset, Split, first_flaw
from tfp_vae.data.loading import load, read
from tfp_vae.data.transforms.binarization import (
    BINARIZATIONS,
    Binarization,
    Dynamic,
    Static,
    Threshold,
    Unchanged,
    prepare,
)
from tfp_vae.runs.recipe import plan, reload


def is_binary(x: np.ndarray) -> bool:
    return first_violation(x, BINARY) is None


@pytest.fixture(scope="module")
def digits_data() -> Dataset:
    return load("digits")


class TestDigits:
    """The embedded data set."""

    def test_shape_and_range(self, digits_data: Dataset) -> None:
        assert digits_data.event_shape == (8, 8, 1)
        assert digits_data.train.x.dtype == np.float32
        assert digits_data.train.x.min() == 0
        assert digits_data.train.x.max() == 1

    def test_splits_are_fixed_and_apart(self, digits_data: Dataset) -> None:
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
    """MNIST and static binarized MNIST, where they are."""

    @pytest.mark.parametrize("below", ["", "mnist"])
    def test_mnist(self, shared_data: Path, below: str) -> None:
        data = load("mnist", data_dir=str(shared_data / below))
        assert data.sizes() == {"train": 55_000, "validation": 5_000, "test": 10_000}
        assert data.event_shape == (28, 28, 1)
        np.testing.assert_array_equal(np.bincount(data.test.y)[:3], [980, 1135, 1032])
        assert data.train.x.mean() == pytest.approx(0.1307, abs=1e-3)

    def test_binarized_mnist(self, shared_data: Path) -> None:
        data = load("binarized-mnist", data_dir=str(shared_data))
        assert data.sizes() == {"train": 50_000, "validation": 10_000, "test": 10_000}
        assert is_binary(data.train.x)
        assert data.test.y is None

    def test_files_of_another_data_set_are_not_taken(self, shared_data: Path) -> None:
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
def test_images_of_another_shape_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(np.zeros(shape, np.uint8)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(shape[0], np.uint8)))
    with pytest.raises(DataError, match="expected"):
        load("mnist", data_dir=str(tmp_path))


def test_amat_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"binarized_mnist_{part}.amat").write_bytes(b"0 1 " * 392 + b"\n" + b"1 0 " * 392 + b"\n")
    assert load("binarized-mnist", data_dir=str(tmp_path)).event_shape == (28, 28, 1)
    (tmp_path / "binarized_mnist_test.amat").write_bytes(b"0 1 " * 784 + b"\n")
    with pytest.raises(DataError, match="expected rows of 784 values, found 1568"):
        load("binarized-mnist", data_dir=str(tmp_path))


def test_labels_that_do_not_match_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="a label for each of 4 examples"):
        load("mnist", data_dir=str(tmp_path))


class TestOwnArrays:
    """`.npy` and `.npz` files."""

    @pytest.mark.parametrize(
        ("shape", "event"),
        [((20, 6), (6,)), ((20, 4, 3), (4, 3, 1)), ((20, 4, 3, 3), (4, 3, 3)), ((20, 8, 8, 1), (8, 8, 1))],
    )
    def test_shapes(self, shape: tuple[int, ...], event: tuple[int, ...], tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros(shape))
        data = load(str(tmp_path / "a.npy"))
        assert data.event_shape == event
        assert data.sizes() == {"train": 16, "validation": 2, "test": 2}

    def test_npz_with_labels(self, tmp_path: Path, rng: np.random.Generator) -> None:
        x = rng.random((30, 3))
        np.savez(tmp_path / "a.npz", x=x, y=np.round(100 * x[:, 0]))
        data = load(str(tmp_path / "a.npz"))
        np.testing.assert_array_equal(np.round(100 * data.test.x[:, 0].astype(float), 4).round(), data.test.y)

    def test_npz_already_split(self, tmp_path: Path) -> None:
        arrays = {f"x_{name}": np.full((10, 2), i) for i, name in enumerate(SPLITS)}
        np.savez(tmp_path / "a.npz", **arrays)
        data = load(str(tmp_path / "a.npz"))
        assert [getattr(data, name).x[0, 0] for name in SPLITS] == [0, 1, 2]
        del arrays["x_validation"]
        np.savez(tmp_path / "b.npz", **arrays)
        assert load(str(tmp_path / "b.npz")).sizes() == {"train": 9, "validation": 1, "test": 10}

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({}, "found nothing"),
            ({"a": np.zeros((9, 2)), "b": np.zeros((9, 2))}, r"found \['a', 'b'\]"),
            ({"x": np.zeros((9, 2)), "y": np.zeros(8)}, "a label for each of 9"),
            ({"x": np.zeros(9)}, r"found shape \(9,\)"),
            ({"x": np.zeros((9, 0))}, r"found shape \(9, 0\)"),
            ({"x": np.zeros((2, 3))}, "a.npz: expected at least 3 examples, one for each split, found 2. Add more"),
            ({"x": np.array([["a"] * 3] * 9)}, "array of numbers, found dtype"),
            ({"x": np.ones((9, 2), complex)}, "array of numbers, found dtype complex"),
            ({"x_train": np.zeros((9, 2)), "x_test": np.zeros((9, 3))}, "one shape of example"),
        ],
    )
    def test_refusals(self, arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(DataError, match=message):
            load(str(tmp_path / "a.npz"))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_rows_that_are_not_finite_are_named(self, value: float, tmp_path: Path) -> None:
        x = np.zeros((40, 3))
        x[17, 1] = value
        np.savez(tmp_path / "a.npz", x_train=x, x_validation=x[:5], x_test=x[:5])
        with pytest.raises(
            DataError, match=f"train split: expected values in the real numbers, found {value} in row 17 of its source"
        ):
            load(str(tmp_path / "a.npz"))

    def test_rows_are_named_as_they_stand_in_the_file(self, tmp_path: Path) -> None:
        for row in (0, 10, 39):
            x = np.zeros((40, 3))
            x[row, 1] = np.nan
            np.save(tmp_path / "a.npy", x)
            with pytest.raises(DataError, match=f"found nan in row {row} of its source"):
                load(str(tmp_path / "a.npy"))

    def test_of_several_rows_the_first_in_the_file_is_named(self, tmp_path: Path) -> None:
        x = np.zeros((40, 3))
        x[[5, 11, 20, 39], 1] = np.nan  # in all splits
        np.save(tmp_path / "a.npy", x)
        with pytest.raises(
            DataError, match=r"row 5 of its source[.] Correct or remove that row and 3 other rows with such"
        ):
            load(str(tmp_path / "a.npy"))
        raw = read(str(tmp_path / "a.npy"))
        found = first_flaw(raw)
        assert found.examples == 4
        assert getattr(raw, found.split).source_rows()[found.row] == 5

    def test_a_file_that_moved_is_found_in_the_data_dir(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((20, 3)))
        assert load("/nowhere/a.npy", data_dir=str(tmp_path)).event_shape == (3,)

    def test_fingerprint_tells_shapes_apart(self, tmp_path: Path) -> None:
        prints = set()
        for shape in ((20, 4), (20, 2, 2)):
            np.save(tmp_path / "a.npy", np.zeros(shape))
            prints.add(load(str(tmp_path / "a.npy")).fingerprint())
        assert len(prints) == 2

    def test_unknown_names_are_a_usage_error(self) -> None:
        with pytest.raises(UsageError, match="unknown dataset 'imagenet'; choose from digits, mnist"):
            load("imagenet")


def dataset(values: np.ndarray) -> Dataset:
    split = Split(np.asarray(values, np.float32).reshape(-1, 1))
    return Dataset("some", "", split, split, split)


class TestSupports:
    """Data outside a support is refused, with its row."""

    @pytest.mark.parametrize(
        ("support", "inside", "outside"),
        [
            (BINARY, [0, 1], [0.5, -1, 2, np.nan]),
            (OPEN_UNIT, [1e-6, 0.5], [0, 1, -1, np.nan]),
            (UNIT, [0, 0.5, 1], [-1e-6, 1.1, 255, np.nan]),
            (COUNTS, [0, 1, 1e6], [0.5, -1, np.inf, np.nan]),
            (REAL, [-1e30, 0.1], [np.inf, np.nan]),
            (levels(17), [0, 1 / 16, 1], [1 / 17, -1 / 16, 17 / 16, np.nan]),
        ],
    )
    def test_membership(self, support: Support, inside: list[float], outside: list[float]) -> None:
        assert support.contains(np.array(inside, np.float32)).all()
        assert not support.contains(np.array(outside, np.float32)).any()

    @pytest.mark.parametrize("count", [2, 3, 16, 17, 256, 1_000])
    def test_levels_are_counted(self, count: int) -> None:
        x = (np.arange(count) / (count - 1)).astype(np.float32)
        assert level_count(x[:, np.newaxis]) == count

    @pytest.mark.parametrize("values", [[0.1, 0.25, 0.77], [0, 7], [-1, 0]])
    def test_what_is_on_no_levels_is_not_counted(self, values: list[float]) -> None:
        assert level_count(np.array(values)[:, np.newaxis]) is None

    def test_violation_beyond_the_first_thousand_rows_is_found(self) -> None:
        x = np.zeros((2_500, 2, 2))
        x[2_345, 1, 0] = 0.5
        assert first_violation(x, BINARY) == (2_345, 0.5)

    @pytest.mark.parametrize(
        ("values", "binarization", "message"),
        [
            ([0, 1, 0.25], Unchanged(), r"expected values in \{0, 1\}, found 0.25 in row 2 of its source. Try harder"),
            ([0, 255, 7], Unchanged(), r"expected values in \{0, 1\}, found 255 in row 1"),
            ([0, 255, 7], Dynamic(), r"expected values in \[0, 1\], found 255 in row 1"),
            ([0, -3, 7], Threshold(), r"expected values in \[0, 1\], found -3 in row 1"),
        ],
    )
    def test_refusals(self, values: list[float], binarization: Binarization, message: str) -> None:
        with pytest.raises(DataError, match=message):
            prepare(dataset(values), binarization, 0, support=BINARY, advice="Try harder.")

    def test_binarized_data_is_refused_to_likelihoods_of_other_data(self) -> None:
        with pytest.raises(
            UsageError, match=r"A likelihood on \(0, 1\) cannot use binarized data. Choose `binarization=none`"
        ):
            Dynamic().takes(OPEN_UNIT)

    @pytest.mark.parametrize(
        ("values", "expected"), [([0, 1, 1], "none"), ([0, 0.5, 1], "dynamic"), ([0, 255], "dynamic")]
    )
    def test_default_binarization(self, values: list[float], expected: str) -> None:
        assert ("dynamic" if dataset(values).profile.grey else "none") == expected


class TestBinarization:
    """Grey values to binary ones."""

    def test_threshold(self) -> None:
        np.testing.assert_array_equal(Threshold().training(np.array([0.0, 0.49, 0.5, 1.0]), None), [0, 0, 1, 1])

    @pytest.mark.parametrize("name", list(BINARIZATIONS))
    def test_each_says_whether_it_draws(self, name: str) -> None:
        grey, binarization = np.full((4, 50), 0.5, np.float32), BINARIZATIONS[name]()
        first, second = (binarization.held_out(grey, np.random.default_rng(seed)) for seed in (0, 1))
        assert binarization.draws == (first != second).any()

    @pytest.mark.parametrize("name", [name for name in BINARIZATIONS if name != "none"])
    def test_held_out_data_is_binary_and_drawn_once(self, name: str, digits_data: Dataset) -> None:
        binarization = BINARIZATIONS[name]()
        first, other_run = (prepare(digits_data, binarization, seed) for seed in (0, 1))
        for split in ("validation", "test"):
            assert is_binary(getattr(first, split).x)
            np.testing.assert_array_equal(getattr(first, split).x, getattr(other_run, split).x)
        assert (first.validation.x != first.test.x).any()

    def test_static_training_data_follows_the_seed(self, digits_data: Dataset) -> None:
        first, again, other = (prepare(digits_data, Static(), seed).train.x for seed in (0, 0, 1))
        assert is_binary(first)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_dynamic_training_data_stays_grey(self, digits_data: Dataset) -> None:
        np.testing.assert_array_equal(prepare(digits_data, Dynamic(), 0).train.x, digits_data.train.x)
        assert len(np.unique(digits_data.train.x)) == 17

    @pytest.mark.parametrize("execution", ["xla", "graph"])
    def test_dynamic_batches_have_the_grey_mean(self, execution: str) -> None:
        from tfp_vae.core.execution import compile_function

        grey = np.tile(np.float32([0.0, 0.1, 0.5, 0.9, 1.0]), (20_000, 1))
        draw = compile_function(lambda seed: Dynamic().batch(grey, seed), execution)((1, 2)).numpy()
        assert is_binary(draw)
        error = np.sqrt(grey[0] * (1 - grey[0]) / len(grey))
        assert (np.abs(draw.mean(axis=0) - grey[0]) <= 4 * error).all()

    @pytest.mark.parametrize("name", list(BINARIZATIONS))
    def test_binary_data_stays_as_it_is(self, name: str, rng: np.random.Generator) -> None:
        x = (rng.random((50, 4)) > 0.5).astype(np.float32)
        np.testing.assert_array_equal(BINARIZATIONS[name]().held_out(x, rng), x)

    def test_none_changes_nothing(self, digits_data: Dataset) -> None:
        same = prepare(digits_data, Unchanged(), 0)
        assert same.fingerprint() == digits_data.fingerprint()


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

    def test_strokes_are_ones_and_labels_are_numbers(self, folder: Path) -> None:
        data = load("omniglot", data_dir=str(folder))
        assert data.sizes() == {"train": 18, "validation": 2, "test": 8}
        assert data.event_shape == (28, 28, 1)
        assert set(data.test.y) == {6, 7}
        assert set(data.train.y) | set(data.validation.y) == set(range(1, 6))
        for x, y in zip(data.train.x, data.train.y, strict=True):
            assert x.mean() == pytest.approx(8 / 105, abs=0.01)
            assert abs(x.mean(axis=(1, 2)).argmax() - (10 * y + 4) * 28 / 105) < 2

    def test_it_is_downloaded_by_checksum(self) -> None:
        assert all(remote.checksum.startswith("md5:") and len(remote.checksum) == 36 for remote in named.OMNIGLOT)

    def test_a_damaged_archive_is_refused(self, folder: Path) -> None:
        path = folder / "images_evaluation.zip"
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(DataError, match=r"images_evaluation\.zip"):
            load("omniglot", data_dir=str(folder))


def test_file_with_the_name_of_a_data_set_causes_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    read("digits")
    (tmp_path / "digits").mkdir()
    read("digits", ".")  # because it is the data set's own folder
    read("digits", recorded=True)
    assert not caplog.messages
    read("digits")
    assert caplog.messages == ["digits means the data set of that name. For the file or folder here, write ./digits."]


def test_a_new_run_tells_of_a_namesake_and_its_data_read_again_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    config, _ = plan("digits", None, None, small_model(), small_training())
    assert "write ./digits" in caplog.text
    caplog.clear()
    reload(config)
    assert not caplog.messages
