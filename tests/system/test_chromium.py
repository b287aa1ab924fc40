"""Reports, the comparison of runs and the site in a headless Chromium, as readers of all kinds see them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import chromium
from tests.helpers.chromium import Browser
from tests.helpers.commands import call
from tests.helpers.documents import ROOT
from tests.helpers.people import people, write_people
from tests.helpers.runs import train_run_data
from tfp_vae.evaluation.latent_space import decode
from tfp_vae.reports import RunData, read_explorer
from tfp_vae.reports.explorer.records import Atlas
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import Run

MISSING = chromium.missing()

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

READERS = [(1280, False), (1280, True), (390, False), (390, True)]
"""Widths of the window, and whether the reader prefers a dark ground."""

LEAST_CONTRAST, HEADING_CONTRAST = 4.5, 7
"""WCAG 2.2, level AA for all text and level AAA for headings."""

MINUS = "\N{MINUS SIGN}"

SITE_PAGES = ("index", "families", "is-my-model-good", "gallery", "command-line", "notebooks/first_steps", "api/index")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.chromium() as window:
        yield window


@pytest.fixture(scope="module")
def run(filmed: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run on digits in two dimensions, with frames, an evaluation and a report."""
    folder = shutil.copytree(filmed, tmp_path_factory.mktemp("chromium") / "digits")
    call("evaluate", "--run", folder, "--iw-samples", 5, "--execution", "graph", "--no-plots")
    call("report", "--run", folder)
    return Run(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run on a table in three dimensions, with a report."""
    folder = tmp_path_factory.mktemp("chromium")
    path = write_people(folder / "people.csv", people(80))
    options = {"execution": "eager", "epochs": 1}
    train_run_data(folder / "table", str(path), options, likelihood="columns", latent_dim=3)
    call("report", "--run", folder / "table")
    return Run(folder / "table")


@pytest.fixture(scope="module")
def page(run: Run) -> Path:
    return run.folder / "report.html"


@pytest.fixture(scope="module")
def atlas(run: Run) -> Atlas:
    """The map of the report."""
    explorer = read_explorer(run)
    assert explorer is not None
    assert explorer.map is not None
    return explorer.map


def assert_readable(browser: Browser, page: Path, width: int, dark: bool) -> None:
    """Assert that a page fits, complains about nothing, and has enough contrast."""
    browser.look(width=width, dark=dark)
    browser.open(page)
    assert browser.complaints() == []
    assert browser.overflow() == []
    assert browser.ask("return document.documentElement.scrollWidth") <= width
    contrast, text = browser.contrast()
    assert contrast >= LEAST_CONTRAST, text


@pytest.mark.parametrize(("width", "dark"), [*READERS, (320, False)])
def test_report_is_readable(width: int, dark: bool, browser: Browser, page: Path) -> None:
    assert_readable(browser, page, width, dark)
    assert browser.contrast("h1")[0] >= HEADING_CONTRAST
    assert browser.ask("return [...document.images].filter(each => !(each.complete && each.naturalWidth)).length") == 0
    assert browser.ask("return document.querySelectorAll('.curve canvas').length") == 3


@pytest.mark.parametrize(("width", "dark"), READERS)
def test_report_of_a_table_is_readable(width: int, dark: bool, browser: Browser, table: Run) -> None:
    assert_readable(browser, table.folder / "report.html", width, dark)


@pytest.mark.parametrize(("width", "dark"), READERS)
def test_comparison_is_readable(width: int, dark: bool, browser: Browser, run: Run, table: Run, tmp_path: Path) -> None:
    call("report", "--run", run.folder, "--run", table.folder, "--out", tmp_path / "page.html")
    assert_readable(browser, tmp_path / "page.html", width, dark)


@pytest.mark.parametrize("name", SITE_PAGES)
def test_site_is_readable(name: str, browser: Browser) -> None:
    path = ROOT / "site" / f"{name}.html"
    if not path.exists():
        pytest.skip("the site is not built: python -m sphinx docs site")
    for width, dark in READERS:
        assert_readable(browser, path, width, dark)


def shown_place(browser: Browser) -> int:
    """The index of the decoded example on the page."""
    return int(browser.ask("return document.getElementById('decoded').dataset.index"))


@pytest.mark.parametrize(("across", "down"), [(0.02, 0.97), (0.31, 0.68), (0.9, 0.4)])
def test_pointer_shows_what_the_model_decodes_there(
    across: float, down: float, browser: Browser, page: Path, run: Run, atlas: Atlas
) -> None:
    browser.look()
    browser.open(page)
    browser.hover("#map .u-over", across, down)
    row, column = divmod(shown_place(browser), atlas.columns)
    assert (column, row) == (round(across * (atlas.columns - 1)), round((1 - down) * (atlas.rows - 1)))
    low, high = np.array(atlas.low), np.array(atlas.high)
    z = low + (high - low) * [column / (atlas.columns - 1), row / (atlas.rows - 1)]
    mean = decode(LoadedRun(run).vae, z[np.newaxis], seed=(0, 0))[0, ..., 0]
    np.testing.assert_allclose(browser.pixels("#decoded canvas")[..., 0], 255 * (1 - mean), atol=0.51)


def test_pointer_shows_the_nearest_test_example(browser: Browser, page: Path, run: Run, atlas: Atlas) -> None:
    data = RunData(LoadedRun(run), reload(run.config()))
    browser.look()
    browser.open(page)
    low, high = np.array(atlas.low), np.array(atlas.high)
    across, up = (data.embeddings.mean[23] - low) / (high - low)
    browser.hover("#map .u-over", float(across), float(1 - up))
    assert int(browser.ask("return document.getElementById('nearest').dataset.index")) == 23
    np.testing.assert_array_equal(browser.pixels("#nearest canvas")[..., 0], 255 * (1 - data.test.x[23, ..., 0]))
    text = browser.ask("return document.getElementById('where').innerText")
    assert data.test.source_name(23) in text
    assert f"{data.scores[1][23]:.4g}".replace("-", MINUS) in text


def test_arrow_keys_move_over_the_map_and_are_read_aloud(browser: Browser, page: Path, atlas: Atlas) -> None:
    browser.look()
    browser.open(page)
    start = shown_place(browser)
    browser.ask("document.getElementById('map').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowUp")
    assert shown_place(browser) == start + 1 + atlas.columns
    said = browser.ask("return document.getElementById('said').textContent")
    assert "z_1" in said
    assert "log p(x)" in said
    outline = browser.ask("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_arrow_keys_read_a_curve(browser: Browser, page: Path) -> None:
    browser.look()
    browser.open(page)
    read = "return document.querySelector('.curve .readout').textContent"
    assert browser.ask(read).startswith(f"Epoch 2: train {MINUS}")
    browser.ask("document.querySelector('.curve').focus()")
    browser.press("ArrowLeft")
    assert browser.ask(read).startswith(f"Epoch 1: train {MINUS}")


def test_extremes_sort_by_the_selected_heading(browser: Browser, page: Path) -> None:
    browser.look()
    browser.open(page)
    values = "return [...document.querySelectorAll('.sortable tbody tr')].map(r => r.cells[3].dataset.value)"
    browser.ask("document.querySelectorAll('.sortable th button')[2].click()")
    found = browser.ask(values)
    assert found == sorted(found)
    browser.ask("document.querySelectorAll('.sortable th button')[2].click()")
    assert browser.ask(values) == found[::-1] or sorted(browser.ask(values), reverse=True) == browser.ask(values)
    assert browser.ask("return document.querySelectorAll('[aria-sort=descending]').length") == 1


def test_sliders_show_decoded_rows(browser: Browser, table: Run) -> None:
    explorer = read_explorer(table)
    assert explorer is not None
    if explorer.walks is None:
        pytest.skip("no latent unit of this run is active")
    browser.look()
    browser.open(table.folder / "report.html")
    browser.ask(
        "const slider = document.querySelector('.walk input'); slider.value = 10;"
        "slider.dispatchEvent(new Event('input'))"
    )
    cells = browser.ask("return [...document.querySelectorAll('.walk:first-child td')].map(each => each.textContent)")
    assert cells == [cell or "missing" for cell in (explorer.walks.sheet.cells or [])[10]]


def test_without_scripts_the_pictures_stay(browser: Browser, page: Path) -> None:
    browser.look(scripts=False)
    browser.driver.get(page.resolve().as_uri())
    browser.look()  # scripts of this test may run again, those of the page have not
    assert browser.ask("return document.documentElement.classList.contains('js')") is False
    shown = "return [...document.querySelectorAll(arguments[0])].every(each => each.getClientRects().length > 0)"
    assert browser.ask(shown, "#learning-curves, #latent-scatter")
    assert not browser.ask(shown, ".live")
    assert browser.overflow() == []


def test_print_has_pictures_in_place_of_moving_parts(browser: Browser, page: Path) -> None:
    browser.look(dark=True, media="print")
    browser.open(page)
    shown = "return [...document.querySelectorAll(arguments[0])].some(each => each.getClientRects().length > 0)"
    assert browser.ask(shown, "#latent-scatter")
    assert not browser.ask(shown, ".live")
    assert browser.ask("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not browser.ask(shown, ".moving")
    pages = len(re.findall(rb"/Type\s*/Page\b", browser.paper()))
    assert 3 <= pages <= 20


def test_readers_who_prefer_less_motion_get_still_pictures(browser: Browser, page: Path) -> None:
    shown = "return [...document.querySelectorAll(arguments[0])].map(each => each.getClientRects().length > 0)"
    for still in (False, True):
        browser.look(still=still)
        browser.open(page)
        assert set(browser.ask(shown, ".moving")) == {not still}
        assert set(browser.ask(shown, ".still")) == {still}


def test_faulty_page_is_noticed(browser: Browser, tmp_path: Path) -> None:
    """The tests above can fail, because a page with each of their faults is noticed."""
    text = "<p style='width: 900px; color: #aaa'>wide and pale</p>"
    faults = f"{text}<script>console.error('ouch')</script><img src='a.png'>"
    viewport = "<meta name='viewport' content='width=device-width'>"
    (tmp_path / "bad.html").write_text(f"{viewport}<body>{faults}</body>")
    browser.look(width=390)
    browser.open(tmp_path / "bad.html")
    complaints = browser.complaints()
    assert any("ouch" in message for message in complaints)
    assert any("a.png" in message for message in complaints)  # as any request
    assert browser.overflow() == ["p."]
    assert browser.contrast()[0] < LEAST_CONTRAST
