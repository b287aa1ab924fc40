"""`tfp-vae encode`: the files hold q(z|x) of each example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import (
    answer,
    call,
    read_rows,
)
from tfp_vae.data.dataset import Split
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run


@pytest.mark.slow
def test_npz_holds_means_scales_and_samples(here: Path, trained: Path, restored: LoadedRun, test_split: Split) -> None:
    result = answer("encode", "--run", trained, "--samples", "3", "--out", "e.npz")
    assert (result["split"], result["num_examples"], result["latent_dim"]) == ("test", 180, 2)
    found = read_npz(Path("e.npz"))
    q = restored.vae.encoder(test_split.x)
    np.testing.assert_allclose(found["mean"], q.mean(), atol=1e-5)
    np.testing.assert_allclose(found["scale"], q.stddev(), atol=1e-5)
    assert found["samples"].shape == (3, 180, 2)
    np.testing.assert_array_equal(found["label"], test_split.y)
    np.testing.assert_array_equal(found["row"], test_split.rows)


@pytest.mark.slow
def test_csv_holds_the_same_numbers(here: Path, trained: Path) -> None:
    for name in ("e.npz", "e.csv"):
        call("encode", "--run", trained, "--samples", "2", "--split", "validation", "--out", name)
    arrays, rows = read_npz(Path("e.npz")), read_rows("e.csv")
    assert len(rows) == 180
    for i in (0, 99):
        assert int(rows[i]["label"]) == arrays["label"][i]
        for column, value in (("mean_2", arrays["mean"][i, 1]), ("scale_1", arrays["scale"][i, 0]),
                              ("sample_2_1", arrays["samples"][1, i, 0])):  # fmt: skip
            assert float(rows[i][column]) == value


@pytest.mark.slow
def test_new_images_get_names_and_labels(copied: Run, pictures: Path) -> None:
    path = call("encode", "--run", copied.folder, "--data", pictures).stdout.strip()
    assert path == str(copied.folder / "embeddings-data-pictures.npz")
    found = read_npz(Path(path))
    assert found["name"][0].startswith("0/")
    assert found["label"].tolist() == [int(name[0]) for name in found["name"]]
    assert found["mean"].shape == (14, 2)
