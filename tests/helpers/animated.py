"""What the frames of an animation hold, seen as each is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from matplotlib.figure import Figure

from tfp_vae.plots import animations

Found = TypeVar("Found")


def seen(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], bytes], look: Callable[[Figure], Found]) -> list[Found]:
    """Return what `look` finds in the figure of each frame of the GIF that `draw` makes."""
    found: list[Found] = []
    rendered: Callable[..., Any] = animations._rendered

    def looking(figure: Figure, *rest: Any, **more: Any) -> Any:
        found.append(look(figure))
        return rendered(figure, *rest, **more)

    monkeypatch.setattr(animations, "_rendered", looking)
    assert draw().startswith(b"GIF")
    return found


def epoch_of(figure: Figure) -> str:
    """Return what the last line above a frame says."""
    return (figure.get_suptitle() or figure.axes[0].get_title()).split("\n")[-1]
