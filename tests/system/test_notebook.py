"""The notebook is committed without outputs. It runs, shows pictures and hides TensorFlow's log lines."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "first_steps.ipynb"

LOG_LINE = re.compile(r"^(WARNING: All log messages|[IWEF]\d{4} |.*(oneDNN|cuda|TF-TRT|XLA service))", re.MULTILINE)
"""Lines that TensorFlow writes to stderr when it starts."""


def test_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 8
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the Jupyter packages
def test_notebook_runs_and_shows_pictures(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "\n".join(str(output.get("text", "")) for output in outputs)
    assert not LOG_LINE.search(text), text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    assert any("History of 10 epochs" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert outputs[-1]["data"]["text/plain"] == "True"
    assert (tmp_path / "runs" / "first-steps" / "config.json").exists()
