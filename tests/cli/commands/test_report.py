"""`tfp-vae report`: the help, the JSON result and the file of the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tfp_vae.cli import console

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


def test_page_without_new_pictures_needs_no_tensorflow(
    here: Path, copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "start_tensorflow", lambda: pytest.fail("TensorFlow was started"))
    call("report", "--run", copied.folder, "--no-plots")


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


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("environment.json", {"packages": None}, "`packages`: expected"),
        ("training.json", {"validation": {"elbo": "high"}}, "`validation.elbo`: expected a number, found 'high'"),
        ("training.json", {"parameters": 10**400}, "`parameters`: expected"),
        ("evaluation.json", {}, "Evaluation needs the setting"),
        ("state.json", {"state": ["finished"]}, "`state`: expected"),
    ],
)
def test_wrong_value_with_a_valid_checksum_is_refused(
    name: str, change: dict[str, object], message: str, here: Path, copied: Run
) -> None:
    old = copied.read(name) if (copied.folder / name).exists() else {}
    copied.write(name, {**old, **change})
    said = one_sentence(call("report", "--run", copied.folder, "--no-plots", code=4))
    assert name in said
    assert message in said
    assert not (copied.folder / "report.html").exists()


def test_report_does_without_a_file_of_results(here: Path, copied: Run) -> None:
    (copied.folder / "environment.json").unlink()
    assert answer("report", "--run", copied.folder, "--no-plots")["pictures"] == []


def test_report_lists_what_changed_on_resuming(here: Path, copied: Run) -> None:
    copied.extend(3, learning_rate=5e-4)
    call("report", "--run", copied.folder, "--no-plots")
    text = " ".join(Page((copied.folder / "report.html").read_text()).text.split())
    assert "Changed on resuming" in text
    assert "epochs: 2 before epoch 3, then 3; learning rate: 0.001 before epoch 3, then 0.0005" in text
    assert "no single command can repeat it" in text


class TestComparison:
    """Several runs on one page."""

    @pytest.fixture
    def other(self, copied: Run, tmp_path: Path) -> Run:
        """Another run with the same data, trained further."""
        shutil.copytree(copied.folder, tmp_path / "other")
        run = Run(tmp_path / "other")
        run.extend(3, learning_rate=5e-4)
        return run

    def test_page_has_both_runs_and_the_settings_that_differ(self, here: Path, copied: Run, other: Run) -> None:
        result = answer("report", "--run", copied.folder, "--run", other.folder)
        assert result["runs"] == [str(copied.folder), str(other.folder)]
        assert result["out"] == "comparison.html"
        html = (here / "comparison.html").read_text()
        assert Page(html).open == []
        text = " ".join(Page(html).text.split())
        assert "copy, other" in text
        assert re.search(r"Settings that differ.*Learning rate", text)
        assert "Batch size" not in text
        assert not (other.folder / "report.html").exists()

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (("--no-plots",), 2, "--plots has no meaning with several --run"),
            (("--data-dir", "x"), 2, "--data-dir has no meaning with several --run"),
            (("--out", "none/page.html"), 6, "does not exist"),
            (("--run", "nowhere"), 4, "nowhere"),
        ],
    )
    def test_wrong_options_are_refused(
        self, options: tuple[str, ...], code: int, message: str, here: Path, copied: Run, other: Run
    ) -> None:
        both = ("--run", copied.folder, "--run", other.folder)
        assert message in one_sentence(call("report", *both, *options, code=code))
        assert not (here / "comparison.html").exists()

    def test_the_same_run_twice_is_refused(self, here: Path, copied: Run) -> None:
        assert "twice" in one_sentence(call("report", "--run", copied.folder, "--run", copied.folder, code=2))
