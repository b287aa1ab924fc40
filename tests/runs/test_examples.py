"""Examples as evaluation sees them: new data for a run are read, scaled and binarized like its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import FORMS, PIXELS, as_folder, encoded, write_table
from tests.helpers.files import write as write_images
from tfp_vae.core.errors import DataError
from tfp_vae.data.dataset import SPLITS, Split
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.runs.config import ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.examples import new_examples, view
from tfp_vae.runs.recipe import OPEN, plan, reload


class TestNewExamples:
    """New data for a run, through the run's own preprocessing."""

    @pytest.fixture
    def of_table(self, tmp_path: Path) -> object:
        path = str(write_table(tmp_path / "t.csv"))
        reading = Reading(label_column="kind")
        return plan(path, None, None, ModelConfig(), TrainingConfig(), reading=reading, open_choices=OPEN)[0]

    @pytest.fixture
    def of_pictures(self, tmp_path: Path) -> object:
        return plan(str(as_folder(tmp_path)), None, None, ModelConfig(), TrainingConfig())[0]

    def test_training_file_gives_the_training_values_again(self, of_table: object, tmp_path: Path) -> None:
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
        assert set(np.unique(found.x)) == {0, 1}  # drawn once, like held-out data

    def test_resizes_images_like_the_runs_own(self, tmp_path: Path) -> None:
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
                r"expected values in \[0, 1\], found 7 in row 0 \(counted from 0\)[.] Convert them to",
            ),
            (np.full((5, 4, 5), np.nan), "found nan in row 0"),
        ],
    )
    def test_refuses_data_of_another_kind(
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
    def test_pixels_of_another_type_match_the_runs_own_or_raise_an_error(
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
    def test_only_grey_examples_are_binarized_at_random(self, name: str, likelihood: str, tmp_path: Path) -> None:
        binary = (PIXELS > 127).astype(np.uint8)
        np.save(tmp_path / "b.npy", binary)
        model = ModelConfig(likelihood=likelihood)
        config, _ = plan(str(tmp_path / "b.npy"), None, name, model, TrainingConfig(), scaling="none")
        grey = Split((PIXELS / np.float32(255))[..., np.newaxis])
        assert view(config, grey).random == BINARIZATIONS[name].draws
        assert not view(config, Split(binary[..., np.newaxis])).random

    def test_number_that_divided_the_pixels_is_recorded_but_no_part_of_the_identity(
        self, of_pictures: RunConfig
    ) -> None:
        assert of_pictures.data.pixels_over == 255
        written = of_pictures.model_dump(mode="json")
        del written["data"]["pixels_over"]
        before = RunConfig.model_validate(written)
        assert before.data.pixels_over is None
        assert before.identity() == of_pictures.identity()

    def test_error_for_images_of_several_sizes_names_the_runs_size(
        self, of_pictures: RunConfig, tmp_path: Path
    ) -> None:
        folder = write_images(tmp_path / "c", {f"{i}.png": encoded(PIXELS[0][i:]) for i in range(2)})
        with pytest.raises(DataError) as caught:
            new_examples(of_pictures, str(folder))
        assert str(caught.value) == (
            f"{folder / '1.png'}: expected images of one size, 4x5, found 3x5. Resize all to 4x5, as in training."
        )

    def test_run_of_grey_images_refuses_colour_images(self, of_pictures: object, tmp_path: Path) -> None:
        rgb = np.stack([PIXELS] * 3, axis=-1)
        folder = write_images(tmp_path / "c", {f"{i}.png": encoded(x) for i, x in enumerate(rgb)})
        with pytest.raises(DataError, match="found 4x5x3"):
            new_examples(of_pictures, str(folder))

    def test_names_missing_columns(self, of_table: object, tmp_path: Path) -> None:
        (tmp_path / "n.csv").write_text("a,c\n1,2\n")
        with pytest.raises(DataError, match=r"the columns a, b. The first line \(a, c\) is read as names and has no b"):
            new_examples(of_table, str(tmp_path / "n.csv"))

    def test_refuses_data_in_splits(self, of_table: object, tmp_path: Path) -> None:
        np.savez(tmp_path / "n.npz", x_train=np.zeros((4, 2)), x_test=np.zeros((4, 2)))
        with pytest.raises(DataError, match="expected examples without splits, found train, test"):
            new_examples(of_table, str(tmp_path / "n.npz"))
