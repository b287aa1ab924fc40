"""Closed and broken stdout and stderr: results that cannot be written, and readers that leave early."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tfp_vae.cli import streams

PROGRAM = """
import os, sys, types
from pathlib import Path
from tfp_vae.cli import start

def application(arguments, prog_name):
    import click
    if len(arguments):
        with open("first", "w") as file:
            file.write("of the command")
    for i in range(3):
        click.echo("a result", err=False)
        click.echo("a notice", err=True)
    sys.stdout.isatty(), sys.stderr.isatty()
    Path("done").touch()
    sys.exit(0)

sys.modules["tfp_vae.cli.main"] = types.SimpleNamespace(main=application)
start.main(["x"])
"""

LEFT = f"{sys.executable} -c 'import os, sys; os.close(0); sys.exit()'"
"""A reader that closes the pipe at once."""


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, whose exit code is that of the first part of a pipe."""
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def stub(tmp_path: Path) -> str:
    """The command line of a program that prints results and notices, and then makes the file `done`."""
    (tmp_path / "stub.py").write_text(PROGRAM)
    return f"{sys.executable} stub.py"


@pytest.mark.parametrize("redirection", ["2>&-", "<&-", "<&- 2>&-", "2>/dev/full", f"| {LEFT}", f"2>&1 | {LEFT}"])
def test_streams_that_nobody_reads_are_no_error(redirection: str, stub: str, tmp_path: Path) -> None:
    done = shell(f"{stub} {redirection}", tmp_path)
    assert (tmp_path / "done").exists(), done.stderr
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert "Exception" not in done.stderr
    assert (tmp_path / "first").read_text() == "of the command"


CLOSED = "Error: could not write to stdout: it is closed. Redirect it to a file or to /dev/null.\n"
FULL = "Error: could not write to stdout: No space left on device. Make room, then try again.\n"


@pytest.mark.parametrize(
    ("redirection", "error"),
    [
        (">&-", CLOSED),
        ("<&- >&-", CLOSED),
        (">/dev/full", FULL),
        (">&- 2>&-", None),
        ("<&- >&- 2>&-", None),
        (">/dev/full 2>&1", None),
    ],
)
def test_a_lost_result_is_reported_after_the_command_has_done_its_work(
    redirection: str, error: str | None, stub: str, tmp_path: Path
) -> None:
    done = shell(f"{stub} {redirection}", tmp_path)
    assert (tmp_path / "done").exists(), done.stderr
    assert (done.returncode, done.stderr) == (6, "" if error is None else "a notice\n" * 3 + error)
    assert (tmp_path / "first").read_text() == "of the command"


def test_a_command_that_fails_keeps_its_exit_code_if_stdout_is_closed(stub: str, tmp_path: Path) -> None:
    (tmp_path / "stub.py").write_text(PROGRAM.replace("sys.exit(0)", "sys.exit(3)"))
    done = shell(f"{stub} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (3, "a notice\n" * 3)


def test_a_closed_stdout_is_no_error_of_a_command_that_prints_nothing(stub: str, tmp_path: Path) -> None:
    (tmp_path / "stub.py").write_text(PROGRAM.replace('click.echo("a result", err=False)', ""))
    done = shell(f"{stub} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "a notice\n" * 3)


def test_a_reader_that_leaves_after_the_first_line_has_it(stub: str, tmp_path: Path) -> None:
    done = shell(f"{stub} | head -1", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a result\n", "a notice\n" * 3)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "info priors", "--version", "train --help"])
def test_a_result_that_cannot_be_printed_has_the_exit_code_of_the_disk(arguments: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("tfp-vae")
    done = shell(f"{program} {arguments} >/dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (6, FULL)
    done = shell(f"{program} {arguments} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (6, CLOSED)


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    """The byte of a file name that is not UTF-8 stays, within a command and in its errors."""
    line = "from tfp_vae.cli import streams; streams.open_streams(); print('a\\u2192\\udcff')"
    shell(f'PYTHONUTF8=0 PYTHONIOENCODING=latin-1 {sys.executable} -c "{line}" > printed', tmp_path)
    assert (tmp_path / "printed").read_bytes() == b"a\\u2192\xff\n"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", b"\xc2\xb1 caf\xe9\n"),
        ("latin-1", b"\xb1 caf\xe9\n"),
        ("koi8-r", b"\\xb1 caf\xe9\n"),
        ("ascii", b"\xc2\xb1 caf?\n"),  # click writes UTF-8 if the locale has no other encoding
    ],
)
def test_streams_print_every_text_in_every_encoding(
    encoding: str, printed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file name that is not UTF-8 keeps its bytes, so that other programs find the file."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding))
    with streams.printable_streams():
        click.echo("± " + os.fsdecode(b"caf\xe9"))
    assert raw.getvalue() == printed
    assert sys.stdout.errors == "strict"


def test_closed_streams_stay_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr("sys.stdout", stream)
        with streams.printable_streams():
            assert sys.stdout is stream
    assert closed.closed
