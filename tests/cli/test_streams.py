"""Closed and broken stdout and stderr: results that cannot be written, and readers that leave early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "redirection", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-", "2>/dev/full", f"| {LEFT}", f"2>&1 | {LEFT}"]
)
def test_streams_that_nobody_reads_end_no_command(redirection: str, stub: str, tmp_path: Path) -> None:
    done = shell(f"{stub} {redirection}", tmp_path)
    assert (tmp_path / "done").exists(), done.stderr
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert "Exception" not in done.stderr
    assert (tmp_path / "first").read_text() == "of the command"


def test_a_reader_that_leaves_after_the_first_line_has_it(stub: str, tmp_path: Path) -> None:
    done = shell(f"{stub} | head -1", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a result\n", "a notice\n" * 3)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "info priors", "--version", "train --help"])
def test_a_result_that_does_not_fit_on_the_disk_has_its_exit_code(arguments: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("tfp-vae")
    done = shell(f"{program} {arguments} >/dev/full", tmp_path)
    expected = "Error: could not write to stdout: No space left on device. Make room, then try again.\n"
    assert (done.returncode, done.stderr) == (6, expected)


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    line = "from tfp_vae.cli import streams; streams.open_streams(); print('a\\u2192\\udcff')"
    done = shell(f'PYTHONUTF8=0 PYTHONIOENCODING=latin-1 {sys.executable} -c "{line}"', tmp_path)
    assert (done.returncode, done.stdout) == (0, "a\\u2192\\udcff\n")
