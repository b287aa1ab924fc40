"""The architecture: the direction of imports, and conventions for every class, table and file."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pydantic
import pytest

import tfp_vae
from tfp_vae.core.registry import BaseRecord
from tfp_vae.model import networks
from tfp_vae.objectives import Weighted
from tfp_vae.runs.config import TABLES
from tfp_vae.training.callbacks import Callback

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "tfp_vae").rglob("*.py")) + sorted((ROOT / "cli").rglob("*.py"))
MODULES = [path for path in SOURCES if path.name != "__init__.py"]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

ORDER = (
    {"core"},
    {"data", "model", "plots"},
    {"objectives"},
    {"training", "evaluation"},
    {"runs"},
    {"reports", "interop"},
    {"cli"},
)
"""A package imports itself and the packages in earlier sets, never one in its own set or a later one."""

LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}

ALLOWED = {
    "click": ("cli/",),
    "rich": ("cli/", "tfp_vae/training/progress.py"),
    "matplotlib": ("tfp_vae/plots/",),
    "PIL": ("tfp_vae/data/readers/images.py", "tfp_vae/plots/animations.py", "tfp_vae/plots/canvas.py"),
    "jinja2": ("tfp_vae/reports/page.py",),
    "tf_keras": ("tfp_vae/core/lazy.py",),
    "keras": (),
    "tensorflow": ("tfp_vae/core/types.py", "tfp_vae/core/lazy.py"),
    "tensorflow_probability": ("tfp_vae/core/types.py", "tfp_vae/core/lazy.py"),
}
"""Where a heavy package may be imported. TensorFlow and Keras come from `tfp_vae.core.lazy` alone."""


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports. Relative imports of the command line begin with `cli`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "cli" if node.level else str(node.module)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package(path: Path) -> str:
    """Return the package that a file belongs to. Files at the top belong to the API itself."""
    parts = path.relative_to(ROOT).parts
    return "cli" if parts[0] == "cli" else parts[1] if len(parts) > 2 else "tfp_vae"


@pytest.mark.parametrize("path", [p for p in SOURCES if package(p) in LEVEL], ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    own = package(path)
    used = {name.split(".")[1] for name in imported(path) if name.startswith("tfp_vae.") and name.count(".")}
    wrong = {other for other in used & LEVEL.keys() if other != own and LEVEL[other] >= LEVEL[own]}
    assert not wrong, f"{own} imports {', '.join(sorted(wrong))}"


def test_every_package_has_a_place_in_the_order() -> None:
    folders = {path.name for path in (ROOT / "tfp_vae").iterdir() if (path / "__init__.py").exists()}
    assert folders == LEVEL.keys() - {"cli"}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_heavy_packages_stay_in_their_place(path: Path) -> None:
    for name in imported(path):
        places = ALLOWED.get(name.split(".")[0])
        assert places is None or relative(path).startswith(places), f"{relative(path)} imports {name}"


def test_keras_is_used_in_its_places_only() -> None:
    users = {relative(path) for path in SOURCES if "tfp_vae.core.lazy.keras" in imported(path)}
    assert all(
        user.startswith(("tfp_vae/model/networks", "tfp_vae/training/optimizers.py", "tfp_vae/core/execution.py"))
        for user in users
    )


SHELL_EXAMPLES = {"tfp_vae/reports/repeat_command.py"}
"""Modules of the library whose docstring shows a command line."""


@pytest.mark.parametrize("path", [p for p in SOURCES if package(p) != "cli"], ids=relative)
def test_library_messages_name_settings_and_not_command_line_options(path: Path) -> None:
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    found = [text for text in strings if isinstance(text, str) and re.search(r"(?<![\w-])--[a-z-]+(?![\w=])", text)]
    assert not found or relative(path) in SHELL_EXAMPLES, found


@pytest.mark.slow
@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_supports_are_defined_in_one_module(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    built = any(isinstance(func, ast.Name) and func.id == "Support" for func in calls)
    assert built == (path.stem == "supports")


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(tfp_vae.__path__, "tfp_vae.")]


def test_every_package_is_installed() -> None:
    """A wheel holds only the packages that `setup.cfg` lists."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    folders = {"tfp_vae"} | {m.name for m in pkgutil.walk_packages(tfp_vae.__path__, "tfp_vae.") if m.ispkg}
    assert folders | {"tfp_vae.cli", "tfp_vae.cli.commands"} == set(settings["options"]["packages"].split())


def classes() -> list[type]:
    """Return every class that the package defines."""
    found = [importlib.import_module(name) for name in modules()]
    return [c for m in found for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__]


RECORDS = ("BaseModel", "tuple", "Enum", "Exception")

OPEN = {Callback}
"""Classes to subclass although every method has a default."""


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_classes_are_abstract_or_final(cls: type) -> None:
    records = {base.__name__ for base in cls.__mro__} & set(RECORDS)
    subclasses = [sub for sub in cls.__subclasses__() if sub.__module__.startswith("tfp_vae")]
    assert inspect.isabstract(cls) or cls in OPEN or getattr(cls, "__final__", False) or records
    assert not (getattr(cls, "__final__", False) and subclasses)


@pytest.mark.parametrize(
    "cls", [cls for cls in classes() if issubclass(cls, pydantic.BaseModel)], ids=lambda cls: cls.__name__
)
def test_records_of_pydantic_explain_their_errors_in_plain_words(cls: type) -> None:
    assert issubclass(cls, BaseRecord)


HELPERS = {networks.apply_to_last_axis, networks.dropping, networks.needs_images}
"""Public functions next to the members of their table."""


WRAPPERS = {Weighted}
"""Public classes that change a member of their table."""


@pytest.mark.parametrize("kind", list(TABLES))
def test_tables_hold_every_concrete_member(kind: str) -> None:
    table = TABLES[kind]
    first = next(iter(table.values()))
    if not inspect.isclass(first):
        module = networks if kind == "networks" else inspect.getmodule(first)
        public = {f for n, f in vars(module).items() if n in module.__all__ and inspect.isfunction(f)} - HELPERS
        known = {f for other in TABLES.values() for f in other.values() if not inspect.isclass(f)}
        assert public <= known
        return
    base = table.base
    concrete = {c for c in classes() if issubclass(c, base) and not inspect.isabstract(c)}
    assert concrete - WRAPPERS == set(table.values())


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_describes_its_purpose(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    assert len(docstring.splitlines()[0]) > 20


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_are_the_fields_own(path: Path) -> None:
    banned = {"mu", "logvar", "kld", "recon_loss", "z_mean"}
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & banned


def test_public_names_exist() -> None:
    for name in tfp_vae.__all__:
        assert getattr(tfp_vae, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tfp_vae.nothing
    assert set(dir(tfp_vae)) == set(tfp_vae.__all__)


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_module_imports_another(path: Path) -> None:
    assert not {name for name in imported(path) if ".test_" in name and name.startswith("tests.")}


def names_for_editors(path: Path) -> set[str]:
    """Return the names that a package's `__init__` imports for type checkers only."""
    blocks = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


LAZY = [path for path in SOURCES if path.name == "__init__.py" and "lazy_exports(__name__, __all__" in path.read_text()]


@pytest.mark.parametrize("path", LAZY, ids=relative)
def test_editors_see_the_names_that_a_package_exports(path: Path) -> None:
    module = importlib.import_module(".".join(path.parent.relative_to(ROOT).parts))
    assert names_for_editors(path) | {"__version__"} >= set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None, name


def test_every_module_has_the_test_file_of_its_name() -> None:
    missing = set()
    for path in MODULES:
        parts = path.relative_to(ROOT).parts
        folder = ROOT / "tests" / Path(*(parts[1:-1] if parts[0] == "tfp_vae" else parts[:-1]))
        if not (folder / f"test_{path.name}").exists():
            missing.add(relative(path))
    assert not missing
