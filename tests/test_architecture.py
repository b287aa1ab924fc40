"""The house: which way the arrows run, and what every class and table keeps to."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import tfp_vae
from tfp_vae import networks
from tfp_vae.config import TABLES

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "tfp_vae").glob("*.py")) + sorted((ROOT / "cli").glob("*.py"))

# Each module may import those in the layers before its own, and those of its own layer.
LAYERS = (
    {"_lazy", "errors", "display", "progress", "arrays"},
    {"seeds", "supports", "members", "storage", "locks", "execution", "diagnostics", "probes", "projections", "canvas"},
    {"diagrams", "scatter", "plots", "noise"},
    {"networks", "binarization", "files", "metrics", "stopping", "downloads", "optimizers", "distributions", "normals"},
    {"tables", "images", "scaling"},
    {"sources"},
    {"adapters", "flows", "archive"},
    {"posteriors", "likelihoods", "priors"},
    {"vae", "datasets"},
    {"objectives", "latent", "kinds", "grids"},
    {"training", "evaluation", "information", "config", "animations"},
    {"annealing", "checkpoints", "runs", "preparation"},
    {"session", "inspection", "film", "events"},
    {"experiments"},
    {"assessment", "scores"},
    {"gallery"},
    {"report"},
)
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}

ALLOWED = {
    "click": {"cli"},
    "rich": {"cli", "tfp_vae/progress.py"},
    "matplotlib": {f"tfp_vae/{name}.py" for name in ("canvas", "plots", "scatter", "diagrams", "animations")},
    "PIL": {"tfp_vae/images.py", "tfp_vae/animations.py"},
    "jinja2": {"tfp_vae/report.py"},
    "tf_keras": set(),
    "keras": set(),
    "tensorflow": set(),
    "tensorflow_probability": set(),
}


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, relative ones as `cli.<name>`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "cli" if node.level else str(node.module)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def own(path: Path) -> set[str]:
    """Return the library's modules that a file imports."""
    names = {name.split(".")[1] for name in imported(path) if name.startswith("tfp_vae.") and name.count(".")}
    return names & LEVEL.keys()


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_module_has_a_layer() -> None:
    modules = {path.stem for path in SOURCES if path.parent.name == "tfp_vae"} - {"__init__"}
    assert modules == LEVEL.keys()


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parent.name == "tfp_vae" and p.stem != "__init__"], ids=relative
)
def test_arrows_run_one_way(path: Path) -> None:
    for name in own(path):
        assert LEVEL[name] <= LEVEL[path.stem], f"{path.stem} imports {name}"
    assert not any(name.startswith(("cli", "tfp_vae.cli")) for name in imported(path))


def test_the_design_lists_each_module_below_those_that_it_imports() -> None:
    lines = (ROOT / "docs" / "design.md").read_text().splitlines()
    rows = [re.findall(r"`(\w+)\.py`", line.split("|")[1]) for line in lines if line.startswith("| `")]
    place = {module: row for row, modules in enumerate(rows) for module in modules}
    assert place.keys() == LEVEL.keys()
    for path in (path for path in SOURCES if path.stem in LEVEL and path.parent.name == "tfp_vae"):
        assert not [name for name in own(path) if place[name] > place[path.stem]], path.stem


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_heavy_packages_stay_in_their_place(path: Path) -> None:
    for name in imported(path):
        places = ALLOWED.get(name.split(".")[0])
        if places is not None:
            assert relative(path) in places or path.parent.name in places, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_sets_of_values_are_where_such_sets_are(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    built = any(isinstance(func, ast.Name) and func.id == "Support" for func in calls)
    assert built == (path.stem == "supports")


def test_keras_is_used_in_its_places_only() -> None:
    users = {path.stem for path in SOURCES if "tfp_vae._lazy.keras" in imported(path)}
    assert users == {"networks", "optimizers", "execution"}


def classes() -> list[type]:
    """Return every class that the package defines."""
    modules = [importlib.import_module(f"tfp_vae.{m.name}") for m in pkgutil.iter_modules(tfp_vae.__path__)]
    return [
        c for module in modules for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__
    ]


RECORDS = ("BaseModel", "tuple", "Enum", "Exception")


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_classes_are_abstract_or_final(cls: type) -> None:
    records = {base.__name__ for base in cls.__mro__} & set(RECORDS)
    subclasses = [sub for sub in cls.__subclasses__() if sub.__module__.startswith("tfp_vae")]
    assert inspect.isabstract(cls) or getattr(cls, "__final__", False) or records
    assert not (getattr(cls, "__final__", False) and subclasses)


HELPERS = {networks.folded, networks.dropping}
"""Public functions beside the members of their table."""


@pytest.mark.parametrize("kind", list(TABLES))
def test_tables_hold_every_concrete_member(kind: str) -> None:
    table = TABLES[kind]
    first = next(iter(table.values()))
    if not inspect.isclass(first):
        module = inspect.getmodule(first)
        public = {f for n, f in vars(module).items() if n in module.__all__ and inspect.isfunction(f)} - HELPERS
        known = {f for other in TABLES.values() for f in other.values() if not inspect.isclass(f)}
        assert public <= known
        return
    base = first.__mro__[-3]  # above it stand ABC and object
    assert {c for c in classes() if issubclass(c, base) and not inspect.isabstract(c)} == set(table.values())


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_the_first_line_says_what_a_module_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    assert len(docstring.splitlines()[0]) > 20


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_are_the_fields_own(path: Path) -> None:
    banned = {"mu", "logvar", "kld", "recon_loss", "z_mean"}
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & banned


def test_public_names_can_be_imported() -> None:
    for name in tfp_vae.__all__:
        assert getattr(tfp_vae, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tfp_vae.nothing
    assert set(dir(tfp_vae)) == set(tfp_vae.__all__)
