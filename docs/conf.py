"""The site: how Sphinx turns the pages of this folder, the docstrings and the help of the commands into HTML.

python -m sphinx -W docs site
"""

from __future__ import annotations

import os
import re
import textwrap
from importlib.metadata import version as installed_version

from sphinx.application import Sphinx

project = html_title = "tfp_vae"
author = "the authors of tfp_vae"
version = release = installed_version("tfp_vae")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_design",
]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_logo = html_favicon = "images/logo.svg"
templates_path = ["templates"]
exclude_patterns = ["templates"]
default_role = "code"
smartquotes = False  # because `--n` is an option, not a dash

autosummary_ignore_module_all = False
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # because the docstrings name shapes and limits in words
add_module_names = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "force" if "EXECUTE_NOTEBOOKS" in os.environ else "off"  # the tests execute them, too
nb_execution_timeout = 600

suppress_warnings = ["ref.python"]  # `VAE` is the model, and the estimator of `tv.interop.sklearn`

FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
"""A block of code in a docstring, which is Markdown there."""

FIELDS = re.compile(r"(?:^\w+(?:, \w+)*: .*\n(?:  .*\n)*)+", re.MULTILINE)
"""The fields of a record in its docstring, which Napoleon knows under the heading `Attributes`."""

REFERENCES = re.compile(r"^References:\n(?:  .*\n)+", re.MULTILINE)
"""The section of references in a docstring, one after the other."""

CODE = re.compile(r"(`+[^`]+`+)")
"""Words of code in a line."""


def escape(line: str) -> str:
    """Return a line of plain text in which reStructuredText sees no markup, so that `p(x|z)` is not a substitution."""
    parts = CODE.split(line)
    return "".join(part if i % 2 else re.sub(r"([|*])", r"\\\1", part) for i, part in enumerate(parts))


def as_restructured_text(docstring: str) -> str:
    """Return a docstring whose blocks of code are in the language that Sphinx expects there."""
    text, end = "", 0
    for block in FENCE.finditer(docstring):
        text += "\n".join(map(escape, docstring[end : block.start()].split("\n")))
        code = "".join(f"    {line}\n" for line in block[3].splitlines())
        text, end = f"{text}{block[1]}.. code-block:: {block[2]}\n\n{code}", block.end()
    return text + "\n".join(map(escape, docstring[end:].split("\n")))


def convert(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Convert the lines of a docstring in place, before Napoleon reads its sections."""
    text = "\n".join([*lines, ""])
    if what == "class":
        text = FIELDS.sub(lambda fields: "Attributes:\n" + textwrap.indent(fields[0], "  "), text)
    text = REFERENCES.sub(lambda section: re.sub(r"^  (?=\S)", "  - ", section[0], flags=re.MULTILINE), text)
    lines[:] = as_restructured_text(text).split("\n")


def setup(app: Sphinx) -> None:
    """Connect the converter."""
    app.connect("autodoc-process-docstring", convert, priority=100)
