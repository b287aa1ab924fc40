"""The documents and their code blocks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


BLOCK = re.compile(r"^```(\w+)( notest)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page in these languages, but those marked `notest`."""
    return [code for language, skip, code in BLOCK.findall(path.read_text()) if language in languages and not skip]
