"""The documents and their code blocks.

The `sybil` package is not used, because the blocks of shell commands, the blocks that are files and the fresh process
of each page would still need this code; `pytest --doctest-glob` reads only `>>>` prompts, which no page has.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


FILE = re.compile(r"# (\w+\.(?:py|toml))\n")
"""The first line of a block that is a file of the reader's own."""

BLOCK = re.compile(r"^```(\w+)( notest)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page in these languages, except for those marked `notest`."""
    return [code for language, skip, code in BLOCK.findall(path.read_text()) if language in languages and not skip]


def files(path: Path) -> dict[str, str]:
    """Return the files that a page asks the reader to write, by name."""
    named = [(FILE.match(code), code) for code in blocks(path, "python", "toml")]
    return {match[1]: code for match, code in named if match}


def write_files(path: Path, folder: Path) -> None:
    """Write the files of a page into a folder."""
    for name, code in files(path).items():
        (folder / name).write_text(code)
