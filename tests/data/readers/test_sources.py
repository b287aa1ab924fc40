"""A person's own data: every kind of file becomes the same data set, is scaled as told, and shows its kind."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import PIXELS, dataset, encoded, idx, write_table
from tests.helpers.files import write as write_images
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.registry import Member
from tfp_vae.core.supports import COUNTS, REAL, UNIT
from tfp_vae.data.dataset import SPLITS, Split
from tfp_vae.data.loading import load
from tfp_vae.data.readers import sources
from tfp_vae.data.readers.sources import READERS, Reading, reader_of
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.data.transforms.scaling import SCALINGS, choose_scaling
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS, needs_images
from tfp_vae.runs.config import ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.recipe import OPEN, SUITABLE, binarize, new_examples, plan, reload, suit

LABELS = (np.arange(20) % 2).astype(np.uint8)


def as_npy(folder: Path) -> Path:
    np.save(folder / "a.npy", PIXELS)
    return folder / "a.npy"


def as_npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", x=PIXELS, y=LABELS)
    return folder / "a.npz"


def as_idx(folder: Path) -> Path:
    (folder / "my-images-idx3-ubyte").write_bytes(idx(PIXELS))
    (folder / "my-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    return folder / "my-images-idx3-ubyte"


def as_zipped_idx(folder: Path) -> Path:
    (folder / "a.idx3.gz").write_bytes(gzip.compress(idx(PIXELS)))
    return folder / "a.idx3.gz"


def as_folder(folder: Path) -> Path:
    return write_images(folder / "pictures", {f"{i:02}.png": encoded(x) for i, x in enumerate(PIXELS)})


FORMS: list[Callable[[Path], Path]] = [as_npy, as_npz, as_idx, as_zipped_idx, as_folder]


def test_png_files_of_16_bits_are_the_array_of_their_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = PIXELS.astype(np.uint16) * 257
    np.save(tmp_path / "a.npy", deep)
    folder = write_images(tmp_path / "deep", {f"{i:02}.png": encoded(x) for i, x in enumerate(deep)})
    (config, found), (_, expected) = (
        plan(str(path), None, None, ModelConfig(), TrainingConfig(), scaling="divided:by=65535", open_choices=OPEN)
        for path in (folder, tmp_path / "a.npy")
    )
    for x, y in zip(found.parts, expected.parts, strict=True):
        np.testing.assert_array_equal(x, y)
    new = new_examples(config, str(folder))
    assert config.data.deeper
    assert caplog.messages == []
    shallow = new_examples(config, str(as_folder(tmp_path)))
    assert shallow.x.shape == new.x.shape
    assert "8-bit values are divided by 65535, like the run's own, so they end at 0.0039" in caplog.text
    assert "multiply by 257 first" in caplog.text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pixels_of_8_bits_are_what_the_runs_were_by_whatever_it_divided(
    dtype: type, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "trained.npy", PIXELS.astype(dtype))
    asked = (str(tmp_path / "trained.npy"), None, None, ModelConfig(likelihood="normal"), TrainingConfig())
    config, data = plan(*asked, scaling="divided:by=1000")
    assert config.data.deeper is False
    new = str(as_npy(tmp_path))
    found = new_examples(config, new).x
    np.testing.assert_array_equal(found[data.train.source_rows()], data.train.x)
    assert caplog.messages == []
    written = config.model_dump(mode="json")
    del written["data"]["deeper"]
    before = RunConfig.model_validate(written)
    assert before.identity() == config.identity()
    new_examples(before, new)  # of which it is not known
    assert caplog.messages == []


@pytest.mark.parametrize("option", ["encoder", "decoder"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_for_images_are_refused_for_vectors(option: str, name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS.reshape(20, -1))
    asked = (str(tmp_path / "a.npy"), None, None, ModelConfig(**{option: name}), TrainingConfig())
    if name == "mlp":
        assert plan(*asked, open_choices=["likelihood"])[0].model.encoder.name == "mlp"
        return
    with pytest.raises(
        UsageError, match=rf"^`{option}={name}` needs images, but the data are vectors of 20 values.*mlp"
    ):
        plan(*asked, open_choices=["likelihood"])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_that_declare_an_images_shape_are_those_that_take_no_vectors(name: str) -> None:
    asked = (NETWORKS.member(name), (2,), 5)
    if needs_images(name):
        with pytest.raises(UsageError, match=r"expected a shape \[H, W, C\], found \[5\]"):
            NETWORKS.build(*asked, image_shape=(5,))
    else:
        assert NETWORKS.build(*asked, image_shape=(5,))(np.zeros((3, 2), np.float32)).shape == (3, 5)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_same_pixels_are_the_same_data_set_in_every_form(form: Callable[[Path], Path], tmp_path: Path) -> None:
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

    def test_a_missing_value_is_named(self, tmp_path: Path) -> None:
        rows = [f"{i},{i}" for i in range(12)]
        rows[7] = "7,NA"
        (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(rows))
        with pytest.raises(DataError, match=r"found nan in row 7 of its source[.] Correct or remove"):
            load(str(tmp_path / "t.csv"))


class TestFolders:
    """Folders of images as data sets."""

    def test_given_splits_are_kept(self, tmp_path: Path) -> None:
        files = {
            f"{split}/{label}/{i}.png": encoded(PIXELS[i])
            for split in ("train", "test")
            for label in "01"
            for i in range(10)
        }
        data = load(str(write_images(tmp_path / "d", files)))
        assert data.sizes() == {"train": 18, "validation": 2, "test": 20}
        assert data.split_rule.startswith("as in the file; a seeded tenth")
        assert data.test.y.tolist() == [0] * 10 + [1] * 10

    def test_a_bad_image_is_named(self, tmp_path: Path) -> None:
        folder = as_folder(tmp_path)
        (folder / "07.png").write_bytes(b"no image")
        with pytest.raises(DataError, match=r"07\.png: not a readable PNG"):
            load(str(folder))

    def test_colours_are_noted_so_that_new_data_is_read_with_them(self, tmp_path: Path) -> None:
        rgb = np.stack([PIXELS] * 3, axis=-1)
        folder = write_images(tmp_path / "d", {f"{i}.png": encoded(x) for i, x in enumerate(rgb)})
        assert load(str(folder)).reading.channels == "colour"
        assert load(str(folder), channels="grey").event_shape == (4, 5, 1)
        assert load(str(as_folder(tmp_path))).reading.channels == "auto"


class TestReading:
    """What may be said of how data are read."""

    @pytest.mark.parametrize(("text", "size"), [("28", (28, 28)), ("28x32", (28, 32)), ((5, 6), (5, 6)), (None, None)])
    def test_sizes(self, text: object, size: object) -> None:
        assert Reading(resize=text).resize == size

    @pytest.mark.parametrize("text", ["0", "28x", "x", "-3", "99999", "1x2x3"])
    def test_sizes_that_are_none(self, text: str) -> None:
        with pytest.raises(ValueError, match="resize"):
            Reading(resize=text)

    @pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
    @pytest.mark.parametrize("said", [{"label_column": "y"}, {"columns": "a,b"}, {"resize": "8"}, {"channels": "grey"}])
    def test_what_has_no_meaning_is_refused(
        self, said: dict[str, str], form: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        path, (name,) = form(tmp_path), said
        if name in reader_of(path).takes:
            assert len(load(str(path), **said).train) == 16
        else:
            with pytest.raises(UsageError, match=f"`{name}` has no effect on an? "):
                load(str(path), **said)

    def test_it_has_no_meaning_for_a_named_data_set(self) -> None:
        with pytest.raises(UsageError, match="`resize` has no effect on the named data set digits"):
            load("digits", resize="4")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("a.npy", r"\.npy$"), ("a.csv", r"\.csv$"), ("a.amat.gz", r"\.amat(\.gz)?$"),
         *((name, list(READERS)[-1]) for name in ("train-images-idx3-ubyte", "x-idx3-ubyte.gz", "a.idx", "b.idx1.gz"))],
    )  # fmt: skip
    def test_files_are_known_by_their_names(self, name: str, kind: str) -> None:
        assert reader_of(Path(name)) is READERS[kind]

    def test_other_kinds_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.xlsx").touch()
        with pytest.raises(DataError, match=r"expected an \.npy file, .* or a folder of images, found another kind"):
            load(str(tmp_path / "a.xlsx"))
        with pytest.raises(DataError, match="found nothing of that name"):
            load(str(tmp_path / "photos"))


class TestScaling:
    """What is done to values."""

    @pytest.mark.parametrize("name", list(SCALINGS))
    def test_every_scaling_gives_float32_of_the_same_shape(self, name: str, rng: np.random.Generator) -> None:
        x = rng.integers(0, 256, (30, 4, 3, 1)).astype(np.uint8)
        settings = SCALINGS[name].settings_from(SCALINGS.member(name).settings, x)
        member = SCALINGS.member({"name": name, **settings})
        scaled = SCALINGS.build(member)(x)
        assert scaled.dtype == np.float32
        assert scaled.shape == x.shape
        assert SCALINGS.member({"name": name, **SCALINGS[name].settings_from(settings, 2 * x)}) == member
        unscaled = SCALINGS.build(member).inverse(scaled, SCALINGS.build(member).full(x) or 1.0)
        assert unscaled.dtype == np.float64
        np.testing.assert_allclose(unscaled, x, atol=1e-4)

    def test_standard_values_have_mean_0_and_deviation_1(self, rng: np.random.Generator) -> None:
        x = rng.normal([5, -1e6, 3], [2, 1e3, 0], (400, 3))
        scaling = SCALINGS["standard"](**SCALINGS["standard"].settings_from({"loc": (), "scale": ()}, x))
        scaled = scaling(x)
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-5)
        np.testing.assert_allclose(scaled * scaling.scale + scaling.loc, x, rtol=1e-6, atol=1e-6)

    def test_training_data_alone_decide(self, tmp_path: Path) -> None:
        x = np.concatenate([np.zeros((10, 1)), np.ones((10, 1)), np.full((4, 1), 9.0)])
        np.savez(tmp_path / "a.npz", x_train=x[:20], x_validation=x[20:22], x_test=x[22:])
        data = load(str(tmp_path / "a.npz"), scaling="standard")
        assert data.scaling.settings == {"loc": (0.5,), "scale": (0.5,)}
        assert data.test.x[0, 0] == 17

    def test_pixels_are_8_bits_only(self) -> None:
        pixels = SCALINGS["pixels"]()
        np.testing.assert_array_equal(pixels(np.uint8([[0, 51, 255]])), np.float32([[0, 0.2, 1]]))
        np.testing.assert_array_equal(pixels(np.float64([[0, 51, 255]])), [[0, 51, 255]])

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
    def test_division_does_not_depend_on_the_type(self, dtype: type) -> None:
        x = np.array([[0, 51, 255]], dtype)
        np.testing.assert_array_equal(SCALINGS["divided"](by=510.0)(x), np.float32([[0, 0.1, 0.5]]))
        full = np.array([[0, 65_535]], np.uint16)
        np.testing.assert_array_equal(SCALINGS["divided"](by=65_535.0)(full), [[0, 1]])

    @pytest.mark.parametrize("name", ["none", "pixels", "divided"])
    def test_the_full_value_is_the_one_that_becomes_1(self, name: str) -> None:
        scaling = SCALINGS[name]()
        x = np.uint8([[255]])
        full = scaling.full(x)
        assert (full is None) == (name == "none")
        assert full is None or scaling(x * full / 255 if name == "divided" else x)[0, 0] == 1

    def test_numbers_beyond_float32_are_refused_with_their_row(self, tmp_path: Path) -> None:
        x = np.ones((20, 2))
        x[3, 1] = 1e300
        np.save(tmp_path / "a.npy", x)
        with pytest.raises(DataError, match="found inf in row 3 of its source"):
            load(str(tmp_path / "a.npy"), scaling="none")

    @pytest.mark.parametrize("name", list(SCALINGS))
    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16", "float64"])
    def test_every_type_of_number_is_scaled(self, name: str, dtype: str, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", (np.arange(60).reshape(20, 3) % 2).astype(dtype))
        data = load(str(tmp_path / "a.npy"), scaling=name)
        assert [len(np.unique(column)) for column in data.train.x.T] == [2, 2, 2]

    def test_settings_of_another_size_are_refused(self) -> None:
        with pytest.raises(DataError, match="for each of 3 values of an example, found 2 and 2"):
            SCALINGS["standard"](loc=(1.0, 2.0), scale=(1.0, 1.0))(np.zeros((5, 3)))


REALS = np.random.default_rng(0).normal(size=(12, 48))
VALUES = {
    "binary values": (REALS > 0).astype(np.float32),
    "values in [0, 1]": (1 / (1 + np.exp(-REALS))).astype(np.float32),
    "counts": np.floor(np.exp(REALS)).astype(np.float32),
    "real values": REALS.astype(np.float32),
}
SHAPES = {"vectors": (48,), "grey images": (6, 8, 1), "colour images": (4, 4, 3)}


class TestKinds:
    """What data are, and what suits them."""

    @pytest.mark.parametrize("form", list(SHAPES))
    @pytest.mark.parametrize("values", list(VALUES))
    def test_what_is_picked_can_be_trained(self, form: str, values: str) -> None:
        data = dataset(VALUES[values].reshape(12, *SHAPES[form]))
        assert data.profile.kind[:2] == (form, values)
        picked = LIKELIHOODS.build(suit(data.profile)["likelihood"], data.event_shape)
        takes = UNIT if picked.support.contains(np.array([0.0, 1.0])).all() and values != "counts" else picked.support
        assert (REAL if values == "real values" else takes).contains(data.train.x).all()
        assert SUITABLE.keys() == {(f, v) for f in SHAPES for v in VALUES}

    def test_colours_of_8_bits_are_levels(self) -> None:
        x = (PIXELS[:12].reshape(12, -1)[:, :12] / np.float32(255)).reshape(12, 2, 2, 3)
        assert suit(dataset(x).profile)["likelihood"].name == "discretized-logistic"
        assert (
            suit(dataset(VALUES["values in [0, 1]"].reshape(12, 4, 4, 3)).profile)["likelihood"].name
            == "continuous-bernoulli"
        )

    @pytest.mark.parametrize(
        ("shape", "network"),
        [((28, 28, 1), "mlp"), ((32, 32, 1), "mlp"), ((33, 32, 1), "conv"), ((32, 32, 3), "conv"), ((4_000,), "mlp")],
    )
    def test_networks(self, shape: tuple[int, ...], network: str) -> None:
        assert suit(dataset(np.zeros((3, *shape), np.float32)).profile)["encoder"].name == network

    def test_channels_that_are_no_colours(self) -> None:
        kind = dataset(np.full((3, 4, 4, 5), 0.25, np.float32)).profile.kind
        assert kind.form == "images of many channels"
        assert suit(dataset(np.zeros((3, 4, 4, 5), np.float32)).profile)["likelihood"].name == "bernoulli"

    @pytest.mark.parametrize(
        ("x", "support", "scaling"),
        [
            (VALUES["real values"], None, "standard"),
            (VALUES["real values"], REAL, "standard"),
            (VALUES["real values"], UNIT, "none"),
            (VALUES["counts"], None, "none"),
            (VALUES["counts"], REAL, "standard"),
            (VALUES["counts"], COUNTS, "none"),
            (VALUES["values in [0, 1]"], REAL, "none"),
            (PIXELS[..., None], None, "pixels"),
            (PIXELS[..., None], COUNTS, "none"),
            (PIXELS[..., None], REAL, "pixels"),
            ((PIXELS > 99)[..., None].astype(np.uint8), None, "none"),
        ],
    )
    def test_scalings(self, x: np.ndarray, support: object, scaling: str) -> None:
        assert choose_scaling(dataset(x).profile, support) == scaling

    def test_only_what_is_left_open_is_picked(self, tmp_path: Path) -> None:
        path = str(write_table(tmp_path / "t.csv"))
        reading, told = Reading(label_column="kind"), ModelConfig(likelihood="laplace")
        config, _ = plan(path, None, None, told, TrainingConfig(), reading=reading, open_choices=("encoder",))
        assert config.model.likelihood.name == "laplace"
        config, _ = plan(path, None, None, told, TrainingConfig(), reading=reading, open_choices=OPEN)
        assert config.model.likelihood.name == "normal"
        assert config.data.scaling.name == "standard"


class TestNewExamples:
    """New data for a run, through the run's own preprocessing."""

    @pytest.fixture
    def of_table(self, tmp_path: Path) -> object:
        path = str(write_table(tmp_path / "t.csv"))
        reading = Reading(label_column="kind")
        return plan(path, None, None, ModelConfig(), TrainingConfig(), reading=reading, open_choices=OPEN)[0]

    @pytest.fixture
    def of_pictures(self, tmp_path: Path) -> object:
        return plan(str(as_folder(tmp_path)), None, None, ModelConfig(), TrainingConfig(), open_choices=OPEN)[0]

    def test_the_training_file_again_gives_the_training_values(self, of_table: object, tmp_path: Path) -> None:
        data, again = reload(of_table), new_examples(of_table, str(tmp_path / "t.csv"))
        for name in SPLITS:
            split = getattr(data, name)
            np.testing.assert_array_equal(again.x[split.rows], split.x)
            np.testing.assert_array_equal(again.y[split.rows], split.y)

    def test_columns_are_found_by_name_and_labels_may_be_absent(self, of_table: object, tmp_path: Path) -> None:
        (tmp_path / "n.csv").write_text("b,a\n1000,0.5\n1100,-0.5\n")
        (tmp_path / "m.csv").write_text("a,kind,b\n0.5,cat,1000\n-0.5,dog,1100\n")
        first, second = (new_examples(of_table, str(tmp_path / name)) for name in ("n.csv", "m.csv"))
        np.testing.assert_array_equal(first.x, second.x)
        assert first.y is None
        assert second.y.tolist() == ["cat", "dog"]

    @pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
    def test_pixels_in_any_form(self, form: Callable[[Path], Path], of_pictures: object, tmp_path: Path) -> None:
        found = new_examples(of_pictures, str(form(tmp_path)))
        reference = new_examples(of_pictures, str(tmp_path / "pictures"))
        np.testing.assert_array_equal(found.x, reference.x)
        assert set(np.unique(found.x)) == {0, 1}  # drawn once, as held-out data are

    def test_images_are_resized_as_the_runs_own(self, tmp_path: Path) -> None:
        folder = as_folder(tmp_path)
        reading = Reading(resize="2x3")
        config, _ = plan(str(folder), None, "none", ModelConfig(likelihood="normal"), TrainingConfig(), reading=reading)
        assert new_examples(config, str(folder)).x.shape == (20, 2, 3, 1)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (np.zeros((5, 3, 5), np.uint8), "expected examples of shape 4x5x1, as the run was trained on, found 3x5x1"),
            (np.zeros((5, 20)), "found 20[.]"),
            (
                np.full((5, 4, 5), 7.0),
                r"expected values in \[0, 1\], found 7 in row 0 of its source[.] Convert them to",
            ),
            (np.full((5, 4, 5), np.nan), "found nan in row 0"),
        ],
    )
    def test_data_of_another_kind_are_refused(
        self, content: np.ndarray, message: str, of_pictures: object, tmp_path: Path
    ) -> None:
        np.save(tmp_path / "n.npy", content)
        with pytest.raises(DataError, match=message):
            new_examples(of_pictures, str(tmp_path / "n.npy"))

    @pytest.mark.parametrize(
        ("trained_on", "new", "over", "said"),
        [
            (PIXELS, PIXELS / 255, 1, "values of type float64 are not divided"),
            (PIXELS / 255, PIXELS, 255, "uint8 pixels are divided by 255"),
            (PIXELS / 255, PIXELS // 128, 1, None),  # 0 and 1
            (PIXELS / 255, (PIXELS / 255).astype(np.float32), 1, None),
            (PIXELS, PIXELS, 255, None),
            (PIXELS, PIXELS.astype(np.int64), None, "pixels from 0 to 255 as uint8"),
            (PIXELS, PIXELS.astype(np.float32), None, "pixels from 0 to 255 as uint8"),
            (PIXELS / 255, PIXELS.astype(np.float32), None, r"Convert them to the values in \[0, 1\]"),
        ],
    )
    @pytest.mark.parametrize("likelihood", ["normal", "continuous-bernoulli"])
    def test_pixels_of_another_type_are_what_the_runs_were_or_refused(
        self,
        trained_on: np.ndarray,
        new: np.ndarray,
        over: int | None,
        said: str | None,
        likelihood: str,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        np.save(tmp_path / "a.npy", trained_on)
        np.save(tmp_path / "n.npy", new)
        config, _ = plan(str(tmp_path / "a.npy"), None, None, ModelConfig(likelihood=likelihood), TrainingConfig())
        caplog.clear()
        if over is None:
            with pytest.raises(DataError, match=said):
                new_examples(config, str(tmp_path / "n.npy"))
            return
        found = new_examples(config, str(tmp_path / "n.npy")).x[..., 0]
        np.testing.assert_allclose(found, new / over, rtol=1e-6)
        told = [record.getMessage() for record in caplog.records]
        assert (len(told) == 1 and said in told[0]) if said else not told

    @pytest.mark.parametrize("name", list(BINARIZATIONS))
    @pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
    def test_new_examples_are_drawn_where_they_are_grey_and_the_binarization_draws(
        self, name: str, likelihood: str, tmp_path: Path
    ) -> None:
        binary = (PIXELS > 127).astype(np.uint8)
        np.save(tmp_path / "b.npy", binary)
        model = ModelConfig(likelihood=likelihood)
        config, _ = plan(str(tmp_path / "b.npy"), None, name, model, TrainingConfig(), scaling="none")
        grey = Split((PIXELS / np.float32(255))[..., np.newaxis])
        assert binarize(config, grey).random == BINARIZATIONS[name].draws
        assert not binarize(config, Split(binary[..., np.newaxis])).random

    def test_a_config_from_before_pixels_were_noted_is_the_same_run(self, of_pictures: RunConfig) -> None:
        assert of_pictures.data.pixels_over == 255
        written = of_pictures.model_dump(mode="json")
        del written["data"]["pixels_over"]
        before = RunConfig.model_validate(written)
        assert before.data.pixels_over is None
        assert before.identity() == of_pictures.identity()

    def test_images_of_several_sizes_are_told_the_runs(self, of_pictures: RunConfig, tmp_path: Path) -> None:
        folder = write_images(tmp_path / "c", {f"{i}.png": encoded(PIXELS[0][i:]) for i in range(2)})
        with pytest.raises(DataError) as caught:
            new_examples(of_pictures, str(folder))
        assert str(caught.value) == (
            f"{folder / '1.png'}: expected images of one size, 4x5, found 3x5. Resize all to 4x5, as in training."
        )

    def test_colour_images_are_refused_by_a_run_of_grey_ones(self, of_pictures: object, tmp_path: Path) -> None:
        rgb = np.stack([PIXELS] * 3, axis=-1)
        folder = write_images(tmp_path / "c", {f"{i}.png": encoded(x) for i, x in enumerate(rgb)})
        with pytest.raises(DataError, match="found 4x5x3"):
            new_examples(of_pictures, str(folder))

    def test_a_column_that_is_not_there(self, of_table: object, tmp_path: Path) -> None:
        (tmp_path / "n.csv").write_text("a,c\n1,2\n")
        with pytest.raises(DataError, match="expected one column named 'b', found 0"):
            new_examples(of_table, str(tmp_path / "n.csv"))

    def test_data_in_splits_are_refused(self, of_table: object, tmp_path: Path) -> None:
        np.savez(tmp_path / "n.npz", x_train=np.zeros((4, 2)), x_test=np.zeros((4, 2)))
        with pytest.raises(DataError, match="expected examples without splits, found train, test"):
            new_examples(of_table, str(tmp_path / "n.npz"))


def test_readers_leave_out_what_a_run_says_of_other_kinds(tmp_path: Path) -> None:
    said = Reading(label_column="kind", columns=("a",), resize=(9, 9))
    source = sources.read(as_npy(tmp_path), said, again=True)
    np.testing.assert_array_equal(source.parts[""].x, PIXELS)


def test_a_scaling_is_a_member_like_any_other() -> None:
    assert SCALINGS.member("standard:loc=1,2,scale=3,4") == Member("standard", {"loc": (1.0, 2.0), "scale": (3.0, 4.0)})
