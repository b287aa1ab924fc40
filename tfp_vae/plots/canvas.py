"""The common look of all plots: figures, colours, markers, grey tones, text, and the bytes of PNG files.

Figures do not go through pyplot, because pyplot keeps every figure and is not safe with threads.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, final

import matplotlib as mpl
import matplotlib.figure
import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from PIL import Image

from tfp_vae.core.registry import check_keywords
from tfp_vae.core.supports import looks_like_ink
from tfp_vae.plots.fonts import FONT, families_for, readable

__all__ = [
    "DESCRIPTION",
    "DPI",
    "MOST_CLASSES",
    "PALETTE",
    "TITLE_SIZE",
    "UNIT_RANGE",
    "Figure",
    "Range",
    "bin_count",
    "class_name",
    "classes_of",
    "color",
    "colors_of",
    "description",
    "escape_math",
    "hatch",
    "is_ink",
    "marker",
    "number_text",
    "open_picture",
    "png",
    "range_of",
    "shorten",
    "style",
]

PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8C6D31",
    "#222222",
    "#5B4B8A",
    "#7F7F7F",
)
"""The palette of Okabe and Ito, which suits colour-blind readers, without yellow and with three more colours."""

MOST_PIXELS = 1 << 26
"""The most pixels of a picture that is opened. A small file may claim more than memory holds."""

TITLE_SIZE = 11
"""Size of every title, in points."""

DPI = 150
"""Resolution of PNG files, in dots per inch."""

DESCRIPTION = "Description"
"""Key of the text in a PNG file that names the source of the picture."""

MOST_CLASSES = 20
"""Largest number of classes with colours and names of their own."""

MARKERS, HATCHES = ("o", "^"), ("", "///")
"""Markers and hatches of the first ten classes and of the second ten, which share their colours."""

MOST_LETTERS = 20
"""Largest number of letters in the name of a class. Longer names are shortened."""

OUTERMOST = 0.001
"""Share of the values at each end that may lie outside a range, so that one outlier does not hide all other values."""

INK_MARGIN = 1 / 32
"""How far a background may lie above the least value, relative to the range."""


@final
class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows as a picture, and whose texts use fonts that have their characters."""

    def _repr_png_(self) -> bytes:
        return png(self)

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure, after choosing fonts for texts with unusual characters."""
        for axes in self.axes:
            for axis in (axes.xaxis, axes.yaxis):
                axis.get_ticklabels()  # writes the texts of the labels
        for text in self.findobj(Text):
            families = families_for(text.get_text()) if isinstance(text, Text) else [FONT]
            if len(families) > 1:
                text.set(fontfamily=families, fontweight="normal")  # because few fonts have a bold one
        super().draw(renderer)


@check_keywords
class Range(NamedTuple):
    """The values at the two ends of a scale of tones."""

    low: float
    high: float

    def tones(self, x: np.ndarray) -> np.ndarray:
        """Return x as tones: 0 at the low end, 1 at the high end, clipped outside."""
        width = self.high - self.low
        return np.asarray(np.clip((np.asarray(x, np.float32) - self.low) / (width or 1.0), 0, 1))

    def extend(self, x: np.ndarray) -> str:
        """Return the ends of the range that x exceeds, as a colour bar names them: neither, min, max or both."""
        below, above = bool(np.min(x) < self.low), bool(np.max(x) > self.high)
        return "both" if below and above else "min" if below else "max" if above else "neither"


UNIT_RANGE, NEAR_UNIT = Range(0.0, 1.0), Range(-1.0, 2.0)


def range_of(x: np.ndarray, *, unit: bool = False) -> Range:
    """Return [0, 1] if it holds all values, else a range that excludes the outermost thousandths.

    Args:
      x: values of any shape. Infinite values and NaN are ignored.
      unit: whether the values approximate data in [0, 1], as samples of a Normal may. The range is then [0, 1] unless
        the values lie far outside, so that their tones match those of the data.
    """
    finite = x[np.isfinite(x)]
    if not finite.size or (finite.min() >= 0 and finite.max() <= 1):
        return UNIT_RANGE
    low, high = np.quantile(finite, [OUTERMOST, 1 - OUTERMOST])
    if unit and NEAR_UNIT.low <= low and high <= NEAR_UNIT.high:
        return UNIT_RANGE
    return Range(float(low), float(high)) if low < high else Range(float(finite.min()), float(finite.max()))


@check_keywords
def is_ink(x: np.ndarray) -> bool:
    """Return whether images look like ink: strokes on a background of low values, such as handwritten digits.

    Pictures show ink dark on white, and all other grey images as they are. The rule is that of the data,
    `supports.looks_like_ink`, but the background of decoded images need not be even.

    Args:
      x: values of any shape, from data or a decoder. Infinite values and NaN are ignored.
    """
    finite = x[np.isfinite(x)]
    return finite.size > 0 and looks_like_ink(finite, INK_MARGIN)


def bin_count(count: int) -> int:
    """Return the number of bins for a histogram of `count` values: about twice its square root, from 8 to 60."""
    return int(np.clip(2 * math.sqrt(count), 8, 60))


def style(*, grid: bool = True) -> AbstractContextManager[None]:
    """Return a context in which new figures have the common style.

    Args:
      grid: whether axes have grid lines.
    """
    return mpl.rc_context(
        {
            "font.family": FONT,
            "font.size": 10,
            "axes.titlesize": TITLE_SIZE,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": grid,
            "grid.alpha": 0.25,
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "legend.frameon": False,
        }
    )


@check_keywords
def png(figure: matplotlib.figure.Figure, about: str = "", dpi: int | None = None) -> bytes:
    """Return a figure as the bytes of a PNG file with a narrow margin.

    Args:
      figure: the figure to render.
      about: the source of the figure, such as weights and a seed. The file keeps this text.
      dpi: the resolution, in dots per inch. [default: 150]
    """
    buffer = io.BytesIO()
    metadata = {DESCRIPTION: about} if about else None
    figure.savefig(
        buffer, format="png", dpi=dpi or DPI, bbox_inches="tight", pad_inches=0.08, facecolor="white", metadata=metadata
    )
    return buffer.getvalue()


@check_keywords
def description(content: bytes) -> str:
    """Return the text that `png` kept in the bytes of a PNG file, or an empty string.

    Raises:
      OSError: the bytes are not a picture, see `open_picture`.
    """
    with open_picture(content) as picture:
        return str(picture.info.get(DESCRIPTION, ""))


@contextmanager
def open_picture(content: bytes) -> Iterator[Image.Image]:
    """Open the bytes of a picture that may come from elsewhere, for the block.

    Raises:
      OSError: the bytes are not a picture, they are damaged, or a small file would unpack to a huge picture or text.
    """
    malformed = (ArithmeticError, EOFError, LookupError, MemoryError, SyntaxError, TypeError, ValueError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # because the limit below is lower
            with Image.open(io.BytesIO(content)) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise OSError(f"a picture of {picture.width} x {picture.height} pixels")
                yield picture
    except (*malformed, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from error


def color(index: int) -> str:
    """Return the colour of the class with this index."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """Return the marker of the class with this index."""
    return MARKERS[index // len(PALETTE) % len(MARKERS)]


def hatch(index: int) -> str:
    """Return the hatch that fills the box of the class with this index."""
    return HATCHES[index // len(PALETTE) % len(HATCHES)]


def classes_of(labels: np.ndarray | None) -> np.ndarray | None:
    """Return the classes in the labels [N], in order, or None if the labels cannot be shown as classes.

    That is the case without labels, with more than twenty classes, and with labels that are not finite.
    """
    if labels is None or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        return None
    classes = np.unique(labels)
    return classes if len(classes) <= MOST_CLASSES else None


def colors_of(labels: np.ndarray | None, count: int) -> list[str]:
    """Return the colours of `count` examples, by class if the labels [N] can be shown as classes."""
    classes = classes_of(labels)
    if classes is None or labels is None:
        return [color(0)] * count
    return [color(int(index)) for index in np.searchsorted(classes, labels)]


def escape_math(text: object) -> str:
    """Return a text from the data without formulas, and with codes for characters that no installed font has."""
    return readable(str(text)).replace("$", r"\$")


def shorten(text: str, most: int) -> str:
    """Return a text with at most `most` letters, cut in the middle because names often differ at their ends.

    ```python
    from tfp_vae.plots.canvas import shorten

    shorten("portraits/img_0042.png", 15)  # "portrai…042.png"
    ```
    """
    if len(text) <= most:
        return text
    last = (most - 1) // 2
    return f"{text[: most - 1 - last]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - last :]}"


def class_name(label: object) -> str:
    """Return the name of a class as plots show it: at most twenty letters, and never a formula."""
    return escape_math(shorten(readable(str(label)), MOST_LETTERS))


def number_text(value: float, form: str = ",.0f") -> str:
    """Return a number as axes show it: with commas between thousands and a minus sign, rounded by default.

    ```python
    from tfp_vae.plots.canvas import number_text

    number_text(12345.6)  # "12,346"
    ```
    """
    text = f"{value:{form}}"
    return "0" if text == "-0" else text.replace("-", "\N{MINUS SIGN}")
