"""Fonts for texts with characters that DejaVu Sans lacks."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from tests.helpers.figures import pixels, texts
from tfp_vae import plots
from tfp_vae.plots import canvas, fonts

CAT, DOG = "\u732b", "\u72d7"
OPEN_FILES = Path("/proc/self/fd")
NAMES = np.array([CAT, DOG, "bird"] * 10)


def forget() -> None:
    for cached in (fonts.font_with, fonts.explain_codes):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def only_matplotlib_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """matplotlib finds only the fonts that it brings along, whatever this machine has."""
    own = [each for each in font_manager.fontManager.ttflist if "mpl-data" in each.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    forget()
    yield
    forget()


@pytest.fixture
def chinese_font(tmp_path: Path) -> str:
    """A font with the two characters, both drawn as a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square, names = pen.glyph(), [".notdef", "cat", "dog"]
    font = FontBuilder(1_000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(CAT): "cat", ord(DOG): "dog"})
    font.setupGlyf(dict.fromkeys(names, square))
    font.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "squares.ttf")
    font_manager.fontManager.addfont(tmp_path / "squares.ttf")
    forget()
    return "Squares"


@pytest.fixture
def scatter() -> functools.partial[canvas.Figure]:
    return functools.partial(plots.latent_scatter, np.random.default_rng(0).normal(size=(30, 2)), NAMES)


def test_characters_come_from_a_font_that_has_them(
    chinese_font: str, scatter: functools.partial[canvas.Figure], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph is a warning
        figure = scatter()
        assert pixels(figure).std() > 0.01
    assert {CAT, DOG, "bird"} <= texts(figure)
    assert fonts.families_for(f"a {CAT}") == [fonts.FONT, chinese_font]
    named = {text.get_text(): text.get_fontfamily() for text in figure.axes[0].texts}
    assert named[CAT] == [fonts.FONT, chinese_font]
    assert caplog.records == []


def test_characters_without_a_font_are_codes_explained_once(
    scatter: functools.partial[canvas.Figure], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "tfp_vae"):
        warnings.simplefilter("error")
        figures = [scatter(), plots.values_by_class(np.arange(30.0), NAMES, "title", "metres")]
        for figure in figures:
            assert pixels(figure).std() > 0.01
            assert {r"\u732b", r"\u72d7", "bird"} <= texts(figure)
    (record,) = caplog.records
    assert record.getMessage().startswith(r"Pictures show some characters as codes such as \u732b")
    assert record.getMessage().count(".") == 1


@pytest.mark.parametrize("text", ["", "plain", "\u00e9t\u00e9", "\u2212 12 \u2026", "\u0416"])
def test_text_that_the_usual_font_has_stays_as_it_is(text: str) -> None:
    assert fonts.readable(text) == text
    assert fonts.families_for(text) == [fonts.FONT]


def test_codes_are_those_of_python() -> None:
    assert fonts.readable(f"a{CAT}\U00020000") == r"a\u732b\U00020000"
    assert fonts.font_with(CAT) is None


def test_files_that_are_no_fonts_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert len(fonts.codes_of(str(tmp_path / "broken.ttf"))) == 0
    assert len(fonts.codes_of(str(tmp_path / "missing.ttf"))) == 0


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="this system does not list open files")
def test_search_for_a_character_leaves_no_file_open() -> None:
    fonts.codes_of.cache_clear()
    before = len(list(OPEN_FILES.iterdir()))
    assert fonts.font_with(CAT) is None
    assert fonts.codes_of.cache_info().currsize > 10
    assert len(list(OPEN_FILES.iterdir())) == before
