"""`tfp-vae open`: it shows the report in a browser, and writes it first if it is missing or outdated."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

import pytest
from tfp_vae.cli.commands import report

from tests.helpers.commands import answer, call, one_sentence
from tfp_vae.runs.run import Run


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was asked to open."""
    addresses: list[str] = []

    def show(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    monkeypatch.setattr(report, "redraw", lambda found, data_dir: None)
    return addresses


def test_missing_report_is_written_and_shown(here: Path, copied: Run, opened: list[str]) -> None:
    result = answer("open", "--run", copied.folder)
    page = copied.folder / "report.html"
    assert result == {"run": str(copied.folder), "opened": True, "out": str(page)}
    assert opened == [page.resolve().as_uri()]
    assert "<!doctype html>" in page.read_text()


def test_current_report_is_shown_as_it_is(here: Path, copied: Run, opened: list[str]) -> None:
    page = copied.folder / "report.html"
    page.write_text("mine")
    assert call("open", "--run", copied.folder).stdout == f"{page}\n"
    assert page.read_text() == "mine"
    os.utime(page, (1, 1))
    assert "older than the results" in call("open", "--run", copied.folder).stderr
    assert page.read_text() != "mine"
    assert len(opened) == 2


def test_path_is_printed_if_there_is_no_browser(
    here: Path, copied: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    done = call("open", "--run", copied.folder)
    assert done.stdout == f"{copied.folder / 'report.html'}\n"
    assert "open the file yourself" in done.stderr


def test_damaged_run_opens_nothing(here: Path, copied: Run, opened: list[str]) -> None:
    (copied.folder / "report.html").write_text("old")
    (copied.folder / "config.json").write_text("{}")
    assert "config.json" in one_sentence(call("open", "--run", copied.folder, code=4))
    assert opened == []
