"""The transcripts in the documents, from an empty folder: each command works and prints the lines below it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.image
import pytest

from tests.helpers.documents import ROOT, blocks

pytestmark = pytest.mark.slow

FOLLOWED = (("data.md", 0), ("commands.md", 0), ("data.md", 1))
"""Blocks of commands in reading order, so the commands of a run follow its training."""

HOME = "/home/me"
"""The folder in which the documents run the commands."""

MADE = {"digits.png", "digits.html", "threes.csv", "cancer.html"}


def exchanges(block: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a block with the output lines below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = part.strip().splitlines()
        yield command, [line for line in shown if line.strip() not in ("", "...")]


def shape(line: str) -> str:
    """Return the part of a line that does not change: numbers, file names with numbers, and spaces become equal."""
    return " ".join(re.sub(r"[-+]?\d[\d.,e:+-]*", "#", line).split())


def said(command: str, folder: Path) -> str:
    """Return the output of a command in a shell."""
    program = f"{sys.executable} -c 'from tfp_vae.cli.main import main; main(prog_name=\"tfp-vae\")'"
    line = re.sub(r"^tfp-vae", program.replace("\\", r"\\"), command)
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return (done.stderr + done.stdout).replace(str(folder), HOME)


def test_transcripts_from_an_empty_folder(tmp_path: Path) -> None:
    missing: list[str] = []
    pages = {name: ROOT / "docs" / name for name, _ in FOLLOWED}
    subprocess.run([sys.executable, "-c", "\n".join(blocks(pages["data.md"], "python"))], cwd=tmp_path, check=True)
    for name, which in FOLLOWED:
        for command, shown in exchanges(blocks(pages[name], "console")[which]):
            found = said(command, tmp_path)
            lines = {shape(line) for line in found.splitlines()}
            missing += [f"{command}: {line}\n{found[-4_000:]}" for line in shown if shape(line) not in lines]
    assert not missing, "\n".join(missing)
    assert {path.name for path in tmp_path.iterdir()} >= MADE
    for path in (tmp_path / "runs").glob("*/plots/*.png"):
        assert matplotlib.image.imread(path).std() > 0.01, path
    for name in ("digits.html", "cancer.html"):
        assert (tmp_path / name).read_text().count("<img") >= 10
