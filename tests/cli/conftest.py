"""Fixtures for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import encoded, write
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.load import LoadedRun


@pytest.fixture
def pictures(here: Path, digits: Dataset) -> Path:
    """A folder with the first test digits of two classes as PNG files."""
    files = {}
    for i in np.flatnonzero(digits.test.y < 2)[:14]:
        files[f"{digits.test.y[i]}/{i:03}.png"] = encoded((digits.test.x[i, ..., 0] * 255).astype(np.uint8))
    return write(here / "pictures", files)


@pytest.fixture
def test_split(restored: LoadedRun, digits: Dataset) -> Split:
    """The test split as the small run sees it."""
    return held_out_view(restored.config, digits, "test")
