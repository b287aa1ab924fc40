"""The report in a real browser, Chromium: on phones and desktops, in light and dark mode, and in print."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.commands import call
from tests.helpers.files import write_table
from tests.helpers.runs import small_model, small_training
from tfp_vae.runs.frames import Film
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

BROWSE = Path(__file__).parents[2] / "docs" / "browse.py"
MISSING = importlib.util.find_spec("PySide6") is None

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING, reason="no browser here: pip install -e '.[browser]'"),
]

DATA = ("digits", "a table")


def visited(page: Path, *options: object) -> dict[str, Any]:
    """Return the findings of docs/browse.py."""
    command = [sys.executable, str(BROWSE), str(page), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module", params=DATA)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small run with frames and an evaluation."""
    folder = tmp_path_factory.mktemp("browser")
    table = write_table(folder / "a-table-with-a-name-that-is-longer-than-a-phone-is-wide.csv", header="a,b,kind")
    dataset = "digits" if request.param == "digits" else str(table)
    likelihood = "bernoulli" if request.param == "digits" else "normal"
    reading = None
    if request.param != "digits":
        from tfp_vae.data.readers.sources import Reading

        reading = Reading(label_column="kind")
    config, data = plan(dataset, None, None, small_model(likelihood=likelihood), small_training(), reading=reading)
    run = Run.create(folder / "run", config)
    assert train(run, data, callbacks=[Film(run, data)])
    call("evaluate", "--run", run.folder, "--iw-samples", 5, "--execution", "graph")
    call("report", "--run", run.folder)
    return run.folder / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1400])
def test_page_fits_without_complaints(page: Path, width: int, scheme: str, tmp_path: Path) -> None:
    found = visited(page, "--width", width, "--scheme", scheme, "--picture", tmp_path / "page.png")
    assert found["loaded"]
    assert found["messages"] == []
    assert found["requests"] == []
    assert found["inner_width"] == width
    assert found["scroll_width"] <= width
    assert found["beyond"] == []
    assert found["images"] == found["images_sound"] > 8
    assert "still" not in found["images_shown"]
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == width
        pixels = np.asarray(picture.convert("L"))
    assert (pixels[:40, -8:] < 64).all() if scheme == "dark" else (pixels[:40, -8:] > 240).all()
    assert pixels[: len(pixels) // 4].std() > 8
    assert pixels[-len(pixels) // 4 :].std() > 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: Path, scheme: str) -> None:
    found = visited(page, "--scheme", scheme)
    assert found["dark"] == (scheme == "dark")
    lighter, darker = sorted((luminance(found["ground"]), luminance(found["text"])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) > 7  # WCAG 2.2, level AAA


def luminance(color: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`, as WCAG defines it."""
    channels = np.array([int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_print_is_dark_on_white_without_animations(page: Path, tmp_path: Path) -> None:
    found = visited(page, "--scheme", "dark", "--pdf", tmp_path / "page.pdf", "--sheets", tmp_path / "sheets.png")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")
    assert 3 <= found["pages"] <= 20
    with Image.open(tmp_path / "sheets.png") as sheets:
        pixels = np.asarray(sheets.convert("L"))
    assert (pixels > 250).mean() > 0.6
    assert (pixels < 60).mean() > 0.005
    assert (pixels[:, : int(0.04 * pixels.shape[1])] > 250).all()  # margins


def test_faulty_page_produces_complaints(tmp_path: Path) -> None:
    """The tests above can fail, because a page with each of their faults produces a complaint."""
    (tmp_path / "bad.html").write_text(
        "<body><script>console.error('ouch')</script><p style='width: 900px'>wide</p><img src='none.png'></body>"
    )
    found = visited(tmp_path / "bad.html", "--width", 360)
    assert [message for message in found["messages"] if "ouch" in message]
    assert found["scroll_width"] > 360
    assert found["beyond"] == ["p"]
    assert found["images_sound"] < found["images"]
    assert len(found["requests"]) == 1


def test_waits_for_a_page_that_paints_late(tmp_path: Path) -> None:
    """The page paints later than any fixed wait would allow. Its first picture has a single colour."""
    late = "setTimeout(() => { document.body.innerHTML = '<h1>late</h1>'; }, 4000)"
    (tmp_path / "late.html").write_text(f"<body style='min-height: 300px'><script>{late}</script></body>")
    visited(tmp_path / "late.html", "--width", 360, "--picture", tmp_path / "late.png")
    with Image.open(tmp_path / "late.png") as picture:
        assert np.asarray(picture.convert("L")).min() < 64


def test_blank_page_ends_in_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "blank.html").write_text("<body></body>")
    options = ("--patience", "5", "--picture", str(tmp_path / "blank.png"))
    command = [sys.executable, str(BROWSE), str(tmp_path / "blank.html"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "expected two pictures of the page that agree and are not of one colour" in done.stderr
    assert not (tmp_path / "blank.png").exists()
