"""The architecture: the direction of imports, and conventions for every class, table and file."""

from __future__ import annotations

import ast
import configparser
import functools
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
from tfp_vae.objectives import SemiSupervised, Weighted
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
    "PIL": (
        "tfp_vae/data/readers/images.py",
        "tfp_vae/plots/animations.py",
        "tfp_vae/plots/canvas.py",
        "tfp_vae/plots/sprites.py",
    ),
    "jinja2": ("tfp_vae/reports/assets.py",),
    "tf_keras": ("tfp_vae/core/lazy.py",),
    "keras": (),
    "tensorflow": ("tfp_vae/core/types.py", "tfp_vae/core/lazy.py"),
    "tensorflow_probability": ("tfp_vae/core/types.py", "tfp_vae/core/lazy.py"),
}
"""Where a heavy package may be imported. TensorFlow and Keras come from `tfp_vae.core.lazy` alone."""


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """Return the nodes of a file. The first is the module."""
    return list(ast.walk(ast.parse(path.read_text())))


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports. Relative imports of the command line begin with `cli`."""
    found = set()
    for node in nodes(path):
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


def later_packages(path: Path) -> set[str]:
    """Return the packages that a file imports although they come after its own."""
    own = package(path)
    used = {name.split(".")[1] for name in imported(path) if name.startswith("tfp_vae.") and name.count(".")}
    return {other for other in used & LEVEL.keys() if other != own and LEVEL[other] >= LEVEL[own]}


def test_imports_point_one_way() -> None:
    wrong = {relative(path): later_packages(path) for path in SOURCES if package(path) in LEVEL}
    assert not {path: packages for path, packages in wrong.items() if packages}


def test_every_package_has_a_place_in_the_order() -> None:
    folders = {path.name for path in (ROOT / "tfp_vae").iterdir() if (path / "__init__.py").exists()}
    assert folders == LEVEL.keys() - {"cli"}


def test_heavy_packages_stay_in_their_place() -> None:
    heavy = {(relative(path), name) for path in SOURCES for name in imported(path) if name.split(".")[0] in ALLOWED}
    assert not {(path, name) for path, name in heavy if not path.startswith(ALLOWED[name.split(".")[0]])}


def test_keras_is_used_in_its_places_only() -> None:
    users = {relative(path) for path in SOURCES if "tfp_vae.core.lazy.keras" in imported(path)}
    optimizers = ("tfp_vae/training/optimizers.py", "tfp_vae/training/adam.py")
    assert all(user.startswith(("tfp_vae/model/networks", *optimizers, "tfp_vae/core/execution.py")) for user in users)


SHELL_EXAMPLES = {"tfp_vae/reports/repeat_command.py"}
"""Modules of the library whose docstring shows a command line."""


def named_options(path: Path) -> list[str]:
    """Return the texts of a file that name an option of the command line."""
    strings = [node.value for node in nodes(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in strings if re.search(r"(?<![\w-])--[a-z-]+(?![\w=])", text)]


def test_library_messages_name_settings_and_not_command_line_options() -> None:
    found = {relative(path): named_options(path) for path in SOURCES if package(path) != "cli"}
    assert {path for path, texts in found.items() if texts} == SHELL_EXAMPLES


def test_supports_are_defined_in_one_module() -> None:
    calls = [(path, node.func) for path in SOURCES for node in nodes(path) if isinstance(node, ast.Call)]
    built = {path.stem for path, func in calls if isinstance(func, ast.Name) and func.id == "Support"}
    assert built == {"supports"}


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


def is_record(cls: type) -> bool:
    return any(base.__name__ in RECORDS for base in cls.__mro__)


def test_classes_are_abstract_or_final() -> None:
    final = {cls for cls in classes() if getattr(cls, "__final__", False)}
    others = set(classes()) - final - OPEN
    assert not {cls for cls in others if not inspect.isabstract(cls) and not is_record(cls)}
    subclasses = {(cls, sub) for cls in final for sub in cls.__subclasses__()}
    assert not {(cls, sub) for cls, sub in subclasses if sub.__module__.startswith("tfp_vae")}


def test_records_of_pydantic_explain_their_errors_in_plain_words() -> None:
    assert not {cls for cls in classes() if issubclass(cls, pydantic.BaseModel) and not issubclass(cls, BaseRecord)}


HELPERS = {networks.apply_to_last_axis, networks.dropping, networks.needs_images}
"""Public functions next to the members of their table."""


WRAPPERS = {SemiSupervised, Weighted}
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


def test_every_module_describes_its_purpose() -> None:
    docstrings = {relative(path): ast.get_docstring(nodes(path)[0]) or "" for path in MODULES}
    assert not {path for path, text in docstrings.items() if len(text.partition("\n")[0]) <= 20}


def test_names_are_the_fields_own() -> None:
    banned = {"mu", "logvar", "kld", "recon_loss", "z_mean"}
    names = {(relative(path), node.id) for path in SOURCES for node in nodes(path) if isinstance(node, ast.Name)}
    assert not {(path, name) for path, name in names if name in banned}


def test_public_names_exist() -> None:
    for name in tfp_vae.__all__:
        assert getattr(tfp_vae, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tfp_vae.nothing
    assert set(dir(tfp_vae)) == set(tfp_vae.__all__)


def test_no_test_module_imports_another() -> None:
    used = {(relative(path), name) for path in TESTS for name in imported(path) if name.startswith("tests.")}
    assert not {(path, name) for path, name in used if ".test_" in name}


def names_for_editors(path: Path) -> set[str]:
    """Return the names that a package's `__init__` imports for type checkers only."""
    blocks = [
        node
        for node in nodes(path)
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
