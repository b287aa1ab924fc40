"""The files that pages are made of: templates, styles and scripts, and the policy that allows these scripts alone.

Pages contain their styles and scripts, so they need no network and no other file. uPlot, a plotting library under the
MIT licence, is in `assets/uplot` as its authors publish it. Browsers refuse every script but ours, by its checksum.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfp_vae.core.files import replace_non_finite

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["SCRIPTS", "as_json", "policy", "render", "script", "style", "with_code"]

FOLDER = Path(__file__).parent / "assets"

SCRIPTS = ("dom.js", "sheets.js", "map.js", "walks.js", "curves.js", "tables.js", "start.js")
"""Our scripts, in the order in which they need each other."""


def read(name: str) -> str:
    """Return the text of a file of this package."""
    return (FOLDER / name).read_text(encoding="utf-8")


def script() -> str:
    """Return the script of a page: uPlot with its licence, and ours."""
    own = "\n".join(map(read, SCRIPTS))
    return f'/*\n{read("uplot/LICENSE")}*/\n{read("uplot/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{own}}})();\n'


def style() -> str:
    """Return the style sheet of a page."""
    return read("uplot/uPlot.min.css") + "\n" + read("report.css")


def policy(code: str) -> str:
    """Return the content security policy of a page whose only script is `code`."""
    checksum = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{checksum}'"


def as_json(value: Mapping[str, object]) -> Markup:
    """Return an object as JSON within HTML. Numbers that are not finite are null, and no text ends the element."""
    from markupsafe import Markup

    return Markup(json.dumps(replace_non_finite(value), allow_nan=False).replace("<", "\\u003c"))


def with_code(text: str) -> Markup:
    """Return a message of the library as HTML, with the text in backticks as code.

    ```python
    from tfp_vae.reports.assets import with_code

    with_code("Use `iw_samples=100` or more.")  # Use <code>iw_samples=100</code> or more.
    ```
    """
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def render(template: str, values: Mapping[str, object]) -> str:
    """Return a page: a template of `templates/`, filled with values, with style, script and policy."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["with_code"] = with_code
    code = "\n" + script()
    page = {"script": Markup(code), "style": Markup(style()), "policy": Markup(policy(code))}
    return templates.get_template(template).render({**page, **values})
