"""Sources: every kind of file gives the same data set, and settings without effect are refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import FORMS, LABELS, PIXELS, as_folder, as_idx, as_npy, as_npz, encoded, idx, write_table
from tests.helpers.files import write as write_images
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.dataset import SPLITS
from tfp_vae.data.loading import load
from tfp_vae.data.readers import sources
from tfp_vae.data.readers.sources import READERS, Reading, reader_of


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_of_file_gives_the_same_data_set(form: Callable[[Path], Path], tmp_path: Path) -> None:
    data = load(str(form(tmp_path)))
    assert data.event_shape == (4, 5, 1)
    assert data.scaling.name == "pixels"
    assert data.train.x.dtype == np.float32
    for name in SPLITS:
        split = getattr(data, name)
        np.testing.assert_array_equal(split.x[..., 0], PIXELS[split.source_rows()] / np.float32(255))
        if split.y is not None:
            np.testing.assert_array_equal(split.y, LABELS[split.source_rows()])
    assert (data.train.y is not None) == (form in (as_npz, as_idx))


@pytest.mark.parametrize(
    ("images", "labels"),
    [("train-images.idx3-ubyte", "train-labels.idx1-ubyte"), ("train-images-idx3-ubyte", "train-labels.idx1-ubyte.gz"),
     ("Train-Images.IDX3-UBYTE", "train-labels-idx1-ubyte"), ("a-images.idx3", "a-labels.idx1")],
)  # fmt: skip
def test_idx_pairs_with_dots_or_hyphens_keep_their_labels(images: str, labels: str, tmp_path: Path) -> None:
    (tmp_path / images).write_bytes(idx(PIXELS))
    (tmp_path / labels).write_bytes(gzip.compress(idx(LABELS)) if labels.endswith("gz") else idx(LABELS))
    np.testing.assert_array_equal(sources.read(tmp_path / images).parts[""].y, LABELS)


def test_warns_of_images_without_a_file_of_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "my-images-idx3-ubyte").write_bytes(idx(PIXELS))
    assert sources.read(tmp_path / "my-images-idx3-ubyte").parts[""].y is None
    assert "found no file of labels next to it" in caplog.text


def test_new_arrays_may_have_other_names_than_those_of_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", x=PIXELS)
    reading = Reading(arrays="x_train=first,x_test=second")
    np.testing.assert_array_equal(sources.read(tmp_path / "new.npz", reading, again=True).parts[""].x, PIXELS)


@pytest.mark.parametrize("zipped", [False, True])
def test_amat(zipped: bool, tmp_path: Path) -> None:
    text = b"".join(b"%d 1 0\n" % (i % 2) for i in range(12))
    path = tmp_path / ("a.amat.gz" if zipped else "a.amat")
    path.write_bytes(gzip.compress(text) if zipped else text)
    data = load(str(path))
    np.testing.assert_array_equal(data.train.x[:, 0], data.train.source_rows() % 2)
    assert str(data.profile.kind) == "vectors of 3, binary values"


class TestTables:
    """CSV files as data sets."""

    def test_labels_follow_their_rows_through_the_split(self, tmp_path: Path) -> None:
        data = load(str(write_table(tmp_path / "t.csv")), label_column="kind", scaling="none")
        for name in SPLITS:
            split = getattr(data, name)
            np.testing.assert_array_equal(split.x[:, 0] > 0, split.y == "cat")
        assert data.reading.columns == ("a", "b")

    def test_settings_that_were_guessed_or_positions_are_recorded_by_name(self, tmp_path: Path) -> None:
        path = write_table(tmp_path / "t.csv")
        assert load(path, label_column=3).reading == load(path, label_column="kind").reading
        path.write_text(path.read_text().partition("\n")[2])
        data = load(path, label_column=-1)
        assert sum(data.sizes().values()) == 30
        assert (data.reading.header, data.reading.label_column, data.reading.columns) == ("no", "3", ("1", "2"))

    def test_missing_cells_make_a_mixed_table(self, tmp_path: Path) -> None:
        rows = [f"{i},{i}" for i in range(12)]
        rows[7] = "7,NA"
        (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(rows))
        data = load(str(tmp_path / "t.csv"))
        missing = np.concatenate([np.isnan(split.x).sum(axis=0, keepdims=True) for split in data.splits.values()])
        assert data.reading.columns == ("b",)  # because a counts the rows
        assert missing.sum(axis=0).tolist() == [1]
        assert data.profile.columns[0].missing == pytest.approx(1 / 12)

    def test_warns_of_rows_of_a_mixed_table_without_a_label(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = "size,kind,city\n" + "".join(f"{i}.5,{'ab'[i % 2]},{'xy'[i // 5 % 2]}\n" for i in range(20))
        (tmp_path / "t.csv").write_text(text.replace("3.5,b,", "3.5,,"))
        data = load(str(tmp_path / "t.csv"), label_column="kind")
        assert {*data.train.y, *data.validation.y, *data.test.y} == {"a", "b", ""}
        assert "2 rows have no label, the first on line 5. Such rows form a class of their own" in caplog.text

    @pytest.mark.parametrize("settings", [{"missing": "-1"}, {"column": "a=count"}])
    def test_rows_of_images_have_no_kinds_of_columns(self, settings: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("a,b,c,d\n" + "1,2,3,4\n5,6,7,-1\n" * 12)
        (name,) = settings
        with pytest.raises(UsageError, match=f"`{name}` has no effect on rows that are images[.] Leave out `{name}` "):
            load(str(tmp_path / "t.csv"), image_shape="2x2", **settings)


class TestFolders:
    """Folders of images as data sets."""

    def test_keeps_splits_of_folders(self, tmp_path: Path) -> None:
        files = {
            f"{split}/{label}/{i}.png": encoded(PIXELS[i])
            for split in ("train", "test")
            for label in "01"
            for i in range(10)
        }
        data = load(str(write_images(tmp_path / "d", files)))
        assert data.sizes() == {"train": 18, "validation": 2, "test": 20}
        assert data.split_rule.startswith("as in the file, and a seeded tenth")
        assert data.test.y.tolist() == [0] * 10 + [1] * 10

    def test_names_bad_images(self, tmp_path: Path) -> None:
        folder = as_folder(tmp_path)
        (folder / "07.png").write_bytes(b"no image")
        with pytest.raises(DataError, match=r"07\.png: not a readable PNG"):
            load(str(folder))

    def test_colours_are_recorded_for_new_data(self, tmp_path: Path) -> None:
        rgb = np.stack([PIXELS] * 3, axis=-1)
        folder = write_images(tmp_path / "d", {f"{i}.png": encoded(x) for i, x in enumerate(rgb)})
        assert load(str(folder)).reading.channels == "colour"
        assert load(str(folder), channels="grey").event_shape == (4, 5, 1)
        assert load(str(as_folder(tmp_path))).reading.channels == "auto"


class TestReading:
    """Settings for reading data."""

    @pytest.mark.parametrize(("text", "size"), [("28", (28, 28)), ("28x32", (28, 32)), ((5, 6), (5, 6)), (None, None)])
    def test_sizes(self, text: object, size: object) -> None:
        assert Reading(resize=text).resize == size

    @pytest.mark.parametrize("text", ["0", "28x", "x", "-3", "99999", "1x2x3"])
    def test_refuses_malformed_sizes(self, text: str) -> None:
        with pytest.raises(ValueError, match="resize"):
            Reading(resize=text)

    @pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
    @pytest.mark.parametrize("said", [{"label_column": "y"}, {"columns": "a,b"}, {"resize": "8"}, {"channels": "grey"}])
    def test_refuses_settings_without_effect(
        self, said: dict[str, str], form: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        path, (name,) = form(tmp_path), said
        if name in reader_of(path).takes:
            assert len(load(str(path), **said).train) == 16
        else:
            with pytest.raises(UsageError, match=f"`{name}` has no effect on an? "):
                load(str(path), **said)

    def test_named_data_sets_take_no_settings(self) -> None:
        with pytest.raises(UsageError, match="`resize` has no effect on the named data set digits"):
            load("digits", resize="4")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("a.npy", r"\.npy$"), ("A.NPY", r"\.npy$"),
         *((name, list(READERS)[2]) for name in ("a.csv", "a.CSV", "a.tsv", "a.Csv.GZ")),
         ("a.amat.gz", r"\.amat(\.gz)?$"),
         *((name, list(READERS)[-1]) for name in ("train-images-idx3-ubyte", "x-idx3-ubyte.gz", "a.idx", "b.idx1.gz"))],
    )  # fmt: skip
    def test_names_decide_on_the_reader(self, name: str, kind: str) -> None:
        assert reader_of(Path(name)) is READERS[kind]

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"column": "age=counts"}, "found 'age=counts'[.] Kinds are real, .* Did you mean 'count'"),
            ({"column": ("age",)}, "expected a column and its kind, such as age=count, found 'age'"),
            ({"missing": '"NA'}, "expected names as in a line of a CSV file"),
        ],
    )
    def test_refuses_malformed_settings(self, settings: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            Reading.model_validate(settings)

    def test_refuses_other_kinds_of_files(self, tmp_path: Path) -> None:
        (tmp_path / "a.xlsx").touch()
        with pytest.raises(DataError, match=r"expected an \.npy file, .* or a folder of images, found another kind"):
            load(str(tmp_path / "a.xlsx"))
        with pytest.raises(DataError, match="found nothing of that name"):
            load(str(tmp_path / "photos"))


def test_ignores_settings_of_a_run_for_other_kinds(tmp_path: Path) -> None:
    said = Reading(label_column="kind", columns=("a",), resize=(9, 9))
    source = sources.read(as_npy(tmp_path), said, again=True)
    np.testing.assert_array_equal(source.parts[""].x, PIXELS)
