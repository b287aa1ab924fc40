"""The pages of the site that are lists: none forgets a member."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import tfp_vae
from tests.helpers.documents import ROOT

DOCS = ROOT / "docs"


def loaded(name: str) -> ModuleType:
    """Return a script of the documents as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_gallery_is_what_its_script_writes() -> None:
    make_images = loaded("make_images")
    assert (DOCS / "gallery.md").read_text() == make_images.gallery()


def test_the_gallery_has_every_picture_of_a_trained_run() -> None:
    shown = re.findall(r"\(images/([^)]*)\)", (DOCS / "gallery.md").read_text())
    names = loaded("make_images").RUNS
    made = [path.name for path in (DOCS / "images").iterdir() if path.name.split("-")[0] in names]
    assert sorted(shown) == sorted(made)


def test_the_reference_has_every_public_package() -> None:
    listed = re.findall(r"^   (tfp_vae\.[\w.]+)$", (DOCS / "api" / "index.md").read_text(), re.MULTILINE)
    packages = (getattr(tfp_vae, name) for name in tfp_vae.__all__)
    public = {package.__name__ for package in packages if isinstance(package, ModuleType)}
    assert public - {"tfp_vae.model"} <= set(listed)  # its members are public packages of their own


def test_every_page_is_in_the_menu() -> None:
    menu = re.findall(r"^[\w/-]+$", (DOCS / "index.md").read_text(), re.MULTILINE)
    pages = [*DOCS.glob("*.md"), *DOCS.glob("models/*.md"), *DOCS.glob("notebooks/*.ipynb"), *DOCS.glob("api/*.md")]
    assert sorted(menu) == sorted(
        page.relative_to(DOCS).with_suffix("").as_posix()
        for page in pages
        if page.stem != "index" or page.parent != DOCS
    )


HEADINGS = [
    "Generative process",
    "Graphical model",
    "Symbols",
    "Cost",
    "Valid if",
    "Limits",
    "Picture",
    "References",
]
"""The form of a page on a family of models."""

FAMILIES = sorted((DOCS / "models").glob("*.md"))


@pytest.mark.parametrize("page", FAMILIES, ids=lambda path: path.stem)
def test_every_family_has_the_same_form(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert f"(../images/model-{page.stem}.svg)" in text
    assert "| symbol | meaning | name in code |" in text


def test_graphical_models_are_what_their_script_draws() -> None:
    make_diagrams = loaded("make_diagrams")
    assert {page.stem for page in FAMILIES} == make_diagrams.DIAGRAMS.keys()
    for name, diagram in make_diagrams.DIAGRAMS.items():
        assert (DOCS / "images" / f"model-{name}.svg").read_text() == make_diagrams.svg(diagram)
