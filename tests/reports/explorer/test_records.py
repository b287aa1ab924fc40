"""The file of a run that a report explores: whole, of the newest weights, and without foreign content."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.helpers.commands import call, one_sentence
from tfp_vae.core.errors import RunError
from tfp_vae.reports.explorer import Explorer, read_explorer, write_explorer
from tfp_vae.runs.run import Run

SHEET = {"sprite": None, "width": 0, "height": 0, "columns": 0, "series": [[1.0, 2.0]], "cells": None}
CONTENT: dict[str, Any] = {
    "about": "weights final, of step 4; seed 0",
    "split": "1 test example",
    "note": "",
    "features": [],
    "classes": [{"name": "</script>", "color": "#0072B2"}],
    "points": {"names": ["row 1"], "labels": [0], "log_px": [-1.0], "sheet": SHEET, "x": [], "y": []},
    "map": None,
    "walks": None,
}


def test_what_is_written_is_read(copied: Run) -> None:
    assert read_explorer(copied) is None
    explorer = Explorer.model_validate(CONTENT)
    write_explorer(copied, explorer)
    assert read_explorer(copied) == explorer


def test_a_file_of_older_weights_is_ignored(copied: Run) -> None:
    write_explorer(copied, Explorer.model_validate(CONTENT))
    os.utime(copied.folder / "explorer.json", (1, 1))
    assert read_explorer(copied) is None


@pytest.mark.parametrize(
    "change",
    [
        {"points": {**CONTENT["points"], "sheet": {**SHEET, "sprite": "https://example.org/x.png"}}},
        {"points": {**CONTENT["points"], "sheet": {**SHEET, "sprite": "data:image/svg+xml;base64,AAAA"}}},
        {"classes": [{"name": "a", "color": "red"}]},
        {"map": {}},
    ],
)
def test_foreign_content_is_refused(change: dict[str, object], copied: Run) -> None:
    copied.write("explorer.json", {**CONTENT, **change})
    with pytest.raises(RunError, match=r"explorer\.json: a value is missing or wrong"):
        read_explorer(copied)
    assert "explorer.json" in one_sentence(call("report", "--run", copied.folder, "--no-plots", code=4))


def test_no_text_of_the_data_ends_the_script(copied: Run) -> None:
    write_explorer(copied, Explorer.model_validate(CONTENT))
    call("report", "--run", copied.folder, "--no-plots")
    html = (copied.folder / "report.html").read_text()
    assert html.count("</script>") == 2  # the data and the code
    assert "\\u003c/script>" in html
