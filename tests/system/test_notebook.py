"""Notebooks are committed without outputs. They run, show pictures and hide TensorFlow's log lines."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"

LOG_LINE = re.compile(r"^(WARNING: All log messages|[IWEF]\d{4} |.*(oneDNN|cuda|TF-TRT|XLA service))", re.MULTILINE)
"""Lines that TensorFlow writes to stderr when it starts."""


def run(name: str, folder: Path) -> list[NotebookNode]:
    """Return the outputs of a notebook that runs in a folder."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "\n".join(str(output.get("text", "")) for output in outputs)
    assert not LOG_LINE.search(text), text
    return outputs


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(notebook: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    assert len(cells) >= 5
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the Jupyter packages
def test_first_steps_show_pictures_and_save_a_run(tmp_path: Path) -> None:
    outputs = run("first_steps", tmp_path)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    assert any("History of 10 epochs" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert outputs[-1]["data"]["text/plain"] == "True"
    assert (tmp_path / "runs" / "first-steps" / "config.json").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the Jupyter packages
def test_estimator_classifies_searches_and_finds_spoiled_cells(tmp_path: Path) -> None:
    outputs = run("scikit_learn", tmp_path)
    text = "\n".join(str(output.get("text", "")) for output in outputs)
    assert float(re.search(r"accuracy on 45 test wines: ([\d.]+)", text)[1]) > 0.85
    best = re.search(r"test wines: (-[\d.]+) nats with latent_dim=[1248]", text)
    assert float(best[1]) > -25
    assert text.count("is tripled") >= 3
    ours, means = map(float, re.search(r"VAE ([\d.]+), column means ([\d.]+)", text).groups())
    assert ours < 0.95 * means
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


def printed(outputs: list[NotebookNode]) -> str:
    """Return the text that the cells of a notebook printed."""
    return "\n".join(str(output.get("text", "")) for output in outputs)


def pictures(outputs: list[NotebookNode]) -> int:
    """Return the number of pictures that a notebook shows."""
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the Jupyter packages
def test_tour_estimates_agree_with_closed_forms(tmp_path: Path) -> None:
    outputs = run("tour", tmp_path)
    text = printed(outputs)
    deviations = [float(found) for found in re.findall(r"standard deviation ([\d.]+)", text)]
    np.testing.assert_allclose(np.divide(deviations[:-1], deviations[1:]), np.sqrt(10), rtol=0.7)  # of 20 values
    assert float(re.search(r"largest difference in standard errors: ([\d.]+)", text)[1]) < 4  # of 16
    assert "Choose `objective=monte-carlo-elbo`" in text
    assert pictures(outputs) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the Jupyter packages
def test_evaluation_rises_with_samples_and_refinement_lowers_the_bias(tmp_path: Path) -> None:
    outputs = run("evaluating", tmp_path)
    text = printed(outputs)
    values = [float(found) for found in re.findall(r"K = +\d+: (-[\d.]+) nats", text)]
    assert values == sorted(values)
    plain, refined = map(float, re.search(r"largest bias: ([\d.]+) nats, refined ([\d.]+)", text).groups())
    assert refined < plain
    assert re.search(r"[1-4] of 4 units are active", text)
    assert pictures(outputs) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the Jupyter packages
def test_own_prior_is_a_density_and_trains(tmp_path: Path) -> None:
    outputs = run("own_family", tmp_path)
    text = printed(outputs)
    mass, radius = map(float, re.search(r"mass ([\d.]+), mean radius of samples ([\d.]+)", text).groups())
    assert mass == pytest.approx(1, abs=1e-3)
    assert radius == pytest.approx(3.06, abs=0.05)  # of a Rice distribution with nu = 3 and sigma = 0.6
    assert "Did you mean `radius`?" in text
    assert pictures(outputs) == 1
