"""The table of pictures: complete entries, unique texts, a function for each, and the rows of the documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tfp_vae.cli.main import main

from tfp_vae.evaluation import projections
from tfp_vae.plots import distributions, images, rankings
from tfp_vae.plots.tables import cells, columns, imputation
from tfp_vae.reports import drawing, run_data, tables
from tfp_vae.reports.pictures import EVALUATION_PICTURES, PICTURES, RUN_PICTURES, Picture
from tfp_vae.runs import frames

DOCUMENT = Path(__file__).parents[2] / "docs" / "pictures.md"


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_every_entry_is_complete_and_has_its_function(picture: Picture) -> None:
    assert all((picture.name, picture.summary, picture.reading, picture.detail))
    assert len(picture.summary) <= 60
    assert picture.reading.endswith(".")
    assert callable(getattr(drawing, picture.name.replace("-", "_")))
    assert all(need.text for need in picture.needs)


def test_summaries_are_unique() -> None:
    assert len({picture.summary for picture in PICTURES.values()}) == len(PICTURES)


def test_pictures_of_runs_and_of_evaluations_make_up_the_table() -> None:
    assert RUN_PICTURES.keys() | EVALUATION_PICTURES.keys() == PICTURES.keys()
    assert not RUN_PICTURES.keys() & EVALUATION_PICTURES.keys()
    assert {picture.replaces for picture in PICTURES.values()} - {""} <= RUN_PICTURES.keys()


def test_plot_help_lists_every_picture_of_a_run() -> None:
    text = " ".join(CliRunner().invoke(main, ["plot", "--help"]).stdout.split())
    for name, picture in RUN_PICTURES.items():
        assert f"{name} {picture.summary}{' *' * picture.on_request}" in text


def test_documents_hold_the_rows_of_the_table() -> None:
    lines = DOCUMENT.read_text().splitlines()
    assert [row for row in (picture.document_row for picture in PICTURES.values()) if row not in lines] == []


@pytest.mark.parametrize(
    "limit",
    [
        f"E[x\\|z] of {drawing.SAMPLES} draws from the prior",
        f"of up to {frames.MOST_POINTS:,} test examples, one frame per epoch",
        f"more than {frames.MOST_FRAMES} epochs, {frames.MOST_FRAMES} frames",
        f"Of more than {distributions.MOST_COLUMNS} columns",
        f"of up to {run_data.MOST_EMBEDDED:,} test examples by class",
        f"of q(z\\|x) for {run_data.ELLIPSES} of them",
        f"over {drawing.MANIFOLD_SIDE} x {drawing.MANIFOLD_SIDE} quantiles of the prior",
        f"up to {drawing.MOST_DIMENSIONS} active dimensions, or {images.MOST_MAPS} for vectors",
        f"draws from the prior, for up to {drawing.MOST_DIMENSIONS} dimensions",
        f"K = {run_data.IW_SAMPLES}, of up to {run_data.MOST_SCORED:,} test examples",
        f"perplexity {projections.PERPLEXITY:.0f} on at most {projections.MOST_NEIGHBOURED:,} examples",
        f"More than {images.MOST_LINES} vectors are rows of a map",
        f"of up to {run_data.MOST_REFINED} test examples, refined by `local`, K = {run_data.IW_SAMPLES}",
        f"Mixed tables have up to {columns.MOST_PANELS}",
        f"up to {tables.MOST_IMPUTED} test examples, K = {tables.IMPUTATION_SAMPLES}, after hiding",
        f"hiding {tables.HIDDEN:.0%} of their observed cells",
        f"with {tables.INTERVAL:.0%} intervals of numbers",
        f"probabilities of words. Up to {imputation.MOST_PANELS} columns",
        f"up to {cells.MOST_ROWS} of {tables.MOST_COMPARED} test examples with the cells",
        f"of their column, K = {tables.CELL_SAMPLES}. Of more than {cells.MOST_COLUMNS} columns",
        f"more than {rankings.MOST_LINES} in the picture of `tfp-vae score`",
    ],
)
def test_documents_name_the_limits_of_the_code(limit: str) -> None:
    assert limit in " ".join(DOCUMENT.read_text().split())
