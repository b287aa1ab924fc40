"""`tfp-vae report`: the help, the JSON result and the file of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.commands import answer, call, one_sentence
from tests.helpers.pages import Page
from tfp_vae.runs.run import Run


def test_help_shows_options_and_examples() -> None:
    text = call("report", "--help").stdout
    for expected in ("--run", "--out FILE.html", "--plots / --no-plots", "--json", "tfp-vae report --out report.html"):
        assert expected in text
    assert "works offline" in text


def test_json_names_the_run_the_pictures_and_the_file(here: Path, copied: Run) -> None:
    result = answer("report", "--run", copied.folder, "--no-plots")
    path = copied.folder / "report.html"
    assert result == {"run": str(copied.folder), "pictures": [], "bytes": path.stat().st_size, "out": str(path)}
    assert "Not evaluated yet" in Page(path.read_text()).text


def test_page_is_written_to_out(here: Path, copied: Run) -> None:
    result = answer("report", "--run", copied.folder, "--no-plots", "--out", "page.html")
    assert (here / "page.html").stat().st_size == result["bytes"]
    assert not (copied.folder / "report.html").exists()


def test_pictures_of_the_run_are_in_the_page(here: Path, copied: Run) -> None:
    call("plot", "architecture", "--run", copied.folder)
    result = answer("report", "--run", copied.folder, "--no-plots", "--out", "page.html")
    assert result["pictures"] == ["architecture"]
    assert "data:image/png;base64," in (here / "page.html").read_text()


def test_newest_finished_run_is_the_default(here: Path, copied: Run) -> None:
    assert answer("report", "--runs-dir", copied.folder.parent, "--no-plots")["run"] == str(copied.folder)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--out", "page.pdf"), 2, "ending in .html"),
        (("--out", "none/page.html"), 6, "does not exist"),
        (("--no-plots", "--data-dir", "data"), 2, "--data-dir has no meaning with --no-plots"),
    ],
)
def test_wrong_options_are_refused(options: tuple[str, ...], code: int, message: str, here: Path, copied: Run) -> None:
    assert message in one_sentence(call("report", "--run", copied.folder, *options, code=code))
    assert not (copied.folder / "report.html").exists()


def test_damaged_file_of_the_run_is_refused(here: Path, copied: Run) -> None:
    (copied.folder / "environment.json").write_text("{}")
    assert "environment.json" in one_sentence(call("report", "--run", copied.folder, "--no-plots", code=4))
    assert not (copied.folder / "report.html").exists()
