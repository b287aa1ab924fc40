"""The transcripts in the documents, from an empty folder: each command works and prints the lines below it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.image
import pytest

from tests.helpers.documents import ROOT, blocks
from tests.helpers.worker import Worker

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


def output(command: str, folder: Path, worker: Worker) -> str:
    """Return the output of a command of this program, or of another one in a shell."""
    name, *arguments = shlex.split(command)
    if name == "tfp-vae":
        said = folder.with_name("said.txt")
        code = worker.call(*arguments, said=said, folder=folder)
        found = said.read_text()
    else:
        done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
        code, found = done.returncode, done.stderr + done.stdout
    assert code == 0, f"{command}: {found}"
    return found.replace(str(folder), HOME)


def test_transcripts_from_an_empty_folder(worker: Worker, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    missing: list[str] = []
    pages = {name: ROOT / "docs" / name for name, _ in FOLLOWED}
    subprocess.run([sys.executable, "-c", "\n".join(blocks(pages["data.md"], "python"))], cwd=folder, check=True)
    for name, which in FOLLOWED:
        for command, shown in exchanges(blocks(pages[name], "console")[which]):
            found = output(command, folder, worker)
            lines = {shape(line) for line in found.splitlines()}
            missing += [f"{command}: {line}\n{found[-4_000:]}" for line in shown if shape(line) not in lines]
    assert not missing, "\n".join(missing)
    assert {path.name for path in folder.iterdir()} >= MADE
    for path in (folder / "runs").glob("*/plots/*.png"):
        assert matplotlib.image.imread(path).std() > 0.01, path
    for name in ("digits.html", "cancer.html"):
        assert (folder / name).read_text().count("<img") >= 10
