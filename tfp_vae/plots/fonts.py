"""Fonts for texts from the data, such as names of classes in Chinese.

Plots use DejaVu Sans, which matplotlib includes. Characters that it lacks come from another installed font. If no font
has them, plots show their codes.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

__all__ = ["FONT", "families_for", "font_with", "readable"]

FONT = "DejaVu Sans"
"""The font of all plots."""

STAND_INS = ("last resort", "lastresort", ".")
"""Fonts whose names begin with these show a box for every character."""

logger = logging.getLogger("tfp_vae")


@functools.cache
def codes_of(path: str) -> np.ndarray:
    """Return the codes of the characters in a font's file, in order. There are none if matplotlib cannot draw with it.

    The file is closed again, because some computers have more fonts than a program may open files.
    """
    try:
        font = FT2Font(path)
        codes = sorted(font.get_charmap()) if font.scalable else []
    except (OSError, RuntimeError, ValueError):
        codes = []
    return np.array(codes, np.uint32)


@functools.cache
def font_with(character: str) -> str | None:
    """Return the name of an installed font with a character, preferably of normal weight, or None."""
    if ord(character) in codes_of(font_manager.findfont(FONT)):
        return FONT
    entries = [each for each in font_manager.fontManager.ttflist if not each.name.lower().startswith(STAND_INS)]
    plain = sorted(entries, key=lambda each: (each.style != "normal", str(each.weight) not in ("400", "normal")))
    with_it = (each.name for each in plain if Path(each.fname).is_file() and ord(character) in codes_of(each.fname))
    return next(with_it, None)


def families_for(text: str) -> list[str]:
    """Return the fonts that a text needs, in the order in which matplotlib tries them.

    ```python
    from tfp_vae.plots.fonts import families_for

    families_for("log p(x)")  # ["DejaVu Sans"]
    ```
    """
    if text.isascii():
        return [FONT]
    found = (font_with(character) for character in dict.fromkeys(text) if character.isprintable())
    return list(dict.fromkeys([FONT, *filter(None, found)]))


def readable(text: str) -> str:
    r"""Return a text with codes such as `\u732b` for the characters that no installed font has.

    The first time in a process, a warning explains the codes.
    """
    if text.isascii():
        return text
    missing = [each for each in dict.fromkeys(text) if each.isprintable() and font_with(each) is None]
    if missing:
        explain_codes()
    return text.translate({ord(each): code_of(each) for each in missing})


def code_of(character: str) -> str:
    """Return a character's code as Python writes it."""
    return character.encode("ascii", "backslashreplace").decode()


@functools.cache
def explain_codes() -> None:
    """Print a warning, once in a process."""
    logger.warning(
        "Pictures show some characters as codes such as %s, because matplotlib finds no font that has them.",
        code_of("\u732b"),
    )
