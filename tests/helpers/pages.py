"""Read pages of reports: their tags, their text, and the pictures in them."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import final

from PIL import Image

VOID = {"meta", "img", "source", "link", "br", "hr", "input"}
"""Tags that are never closed."""


@final
class Page(HTMLParser):
    """The tags of a page with their attributes, and its text. Parsing fails if tags are closed in the wrong order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each tag of this name."""
        return [attributes for name, attributes in self.tags if name == tag]


def open_picture(path: Path) -> Image.Image:
    """The picture in a file."""
    return Image.open(io.BytesIO(path.read_bytes()))


def picture_in(uri: str | None) -> Image.Image:
    """The picture in a data URI, which names its type."""
    kind, _, content = str(uri).partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
    assert kind == f"data:{Image.MIME[str(picture.format)]}"
    return picture
