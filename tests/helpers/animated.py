"""The content of an animation's frames, recorded while each is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from matplotlib.figure import Figure

from tfp_vae.plots import animations

Found = TypeVar("Found")


def seen(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], bytes], look: Callable[[Figure], Found]) -> list[Found]:
    """Return the result of `look` for the figure of each frame of the GIF that `draw` makes."""
    found: list[Found] = []
    take = animations.Recorder.take

    def looking(recorder: animations.Recorder, **options: bool) -> None:
        found.append(look(recorder.figure))
        take(recorder, **options)

    monkeypatch.setattr(animations.Recorder, "take", looking)
    assert draw().startswith(b"GIF")
    return found


def epoch_of(figure: Figure) -> str:
    """Return the last line of text above a frame."""
    return (figure.get_suptitle() or figure.axes[0].get_title()).split("\n")[-1]
