"""The table of pictures: complete entries, unique texts, a function for each, and the rows of the documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tfp_vae.cli.main import main

from tfp_vae.reports import drawing
from tfp_vae.reports.pictures import EVALUATION_PICTURES, PICTURES, RUN_PICTURES, Picture

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
        assert f"{name} {picture.summary}" in text


def test_documents_hold_the_rows_of_the_table() -> None:
    lines = DOCUMENT.read_text().splitlines()
    assert [row for row in (picture.document_row for picture in PICTURES.values()) if row not in lines] == []
