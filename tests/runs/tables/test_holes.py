"""The warning about missing cells that the encoder of a run has never seen."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.helpers.people import people, write_people
from tests.helpers.runs import small_model, small_training
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.examples import read_examples
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.tables.holes import HIDE
from tfp_vae.runs.tables.imputation import read_holes


def planned(folder: Path, likelihood: str = "columns", missing: float = 0.0) -> RunConfig:
    """Return the config of a run on people, without holes by default."""
    path = write_people(folder / "people.csv", people(missing=missing))
    return plan(str(path), None, None, small_model(latent_dim=2, likelihood=likelihood), small_training())[0]


def new_rows(folder: Path, missing: float = 0.3) -> str:
    return str(write_people(folder / "new.csv", people(9, seed=5, missing=missing)))


@pytest.mark.parametrize("read", [read_holes, read_examples])
def test_incomplete_rows_for_a_run_without_any_are_reported_once(
    read: type, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, path = planned(tmp_path), new_rows(tmp_path)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        read(config, path)
    found = [record.getMessage() for record in caplog.records if "complete rows" in record.getMessage()]
    assert len(found) == 1
    assert "have missing cells, but the run was trained on complete rows" in found[0]
    assert f"`likelihood=columns:hide={HIDE}`" in found[0]


@pytest.mark.parametrize(
    ("likelihood", "known", "new"), [("columns", 0.2, 0.3), ("columns:hide=0.2", 0, 0.3), ("columns", 0, 0)]
)
def test_no_report_if_the_encoder_has_seen_holes_or_there_are_none(
    likelihood: str, known: float, new: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, path = planned(tmp_path, likelihood, known), new_rows(tmp_path, new)
    caplog.clear()
    read_holes(config, path)
    assert not [record for record in caplog.records if "complete rows" in record.getMessage()]


def test_share_of_hidden_cells_is_kept_in_the_config_and_its_settings(tmp_path: Path) -> None:
    config = planned(tmp_path, "columns:hide=0.2")
    assert config.model.likelihood.settings["hide"] == 0.2
    assert str(config.settings()["likelihood"]) == "columns:hide=0.2"
    assert "likelihood" not in planned(tmp_path).settings()
