"""The documents: their code runs, their commands parse, their links lead somewhere."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tfp_vae.cli.main import COMMANDS, main

from tests.worker import Worker
from tfp_vae.execution import EXECUTIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)( notest)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page in these languages, but those marked `notest`."""
    return [code for language, skip, code in BLOCK.findall(path.read_text()) if language in languages and not skip]


TUTORIAL = ROOT / "docs" / "tutorial.md"


def program(path: Path) -> str:
    """Return a page's Python as one program; that of the tutorial calls its shell commands where they stand."""
    if path != TUTORIAL:
        return "\n".join(blocks(path, "python"))
    found = [(language, code) for language, skip, code in BLOCK.findall(path.read_text()) if not skip]
    shell = "import subprocess\nsubprocess.run(['bash', '-ec', {!r}], check=True)"
    return "\n".join({"python": code, "sh": shell.format(code)}.get(language, "") for language, code in found)


RUN = [
    pytest.param(page, marks=[pytest.mark.slow] if page == TUTORIAL else [], id=page.name)
    for page in PAGES
    if blocks(page, "python")
]
"""Pages with code; the tutorial starts seven processes, and trains twice."""


@pytest.mark.parametrize("path", RUN)
def test_python_runs(path: Path, worker: Worker, tmp_path: Path) -> None:
    said, folder = tmp_path / "said.txt", tmp_path / "here"
    folder.mkdir()
    assert worker.run(program(path), folder, said) == 0, said.read_text()


MODULES = sorted((ROOT / "tfp_vae").glob("*.py"))


def docstrings(path: Path) -> list[str]:
    """Return the docstrings of a module, of its classes and of its functions."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented))
    return [text for text in map(ast.get_docstring, nodes) if text]


def examples(path: Path) -> list[str]:
    """Return the Python blocks in a module's docstrings, but those marked `notest`."""
    found = (block for text in docstrings(path) for block in BLOCK.findall(f"{text}\n"))
    return [code for language, skip, code in found if language == "python" and not skip]


@pytest.mark.parametrize("path", [path for path in MODULES if examples(path)], ids=lambda path: path.stem)
def test_examples_in_docstrings_run(path: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They follow on the package's own, where `runs` holds a finished run; eagerly, which starts at once."""
    shutil.copytree(trained, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(EXECUTIONS, "xla", EXECUTIONS["eager"])
    begin = [] if path.stem == "__init__" else examples(ROOT / "tfp_vae" / "__init__.py")
    exec("\n".join([*begin, *examples(path)]), {"__name__": path.stem})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_names_in_docstrings_exist(path: Path) -> None:
    modules = {module.stem for module in MODULES} - {"vae"}  # which is what examples call a model
    for module, name in re.findall(r"`(?:tv\.)?(\w+)\.(\w+)", "\n".join(docstrings(path))):
        if module in modules and name not in ("html", "json"):
            assert hasattr(importlib.import_module(f"tfp_vae.{module}"), name), f"{module}.{name}"


def commands() -> list[str]:
    """Return every `tfp-vae` command that a page shows, in a block or in a line."""
    found = set()
    for page in PAGES:
        text = page.read_text()
        text_blocks = (block.replace("\\\n", " ") for block in blocks(page, "sh", "console"))
        shown = [line for block in text_blocks for line in re.split(r"\n|&&", block)]
        inline = re.findall(r"`(tfp-vae [^`\n]*)`", text)
        found.update(line.strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in [*shown, *inline])
    return sorted(line for line in found if line.startswith("tfp-vae "))


@pytest.mark.parametrize("line", commands())
def test_command_parses(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    assert name in COMMANDS
    with contextlib.suppress(click.exceptions.Exit):  # --help prints, and leaves so
        main.get_command(None, name).make_context(name, arguments)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_module_is_in_the_design() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    for module in (ROOT / "tfp_vae").glob("*.py"):
        assert module.stem == "__init__" or f"`{module.name}`" in design, module.name


def test_modules_need_tensorflow_where_the_design_says_so() -> None:
    """Where TensorFlow cannot be imported, those modules fail that need it to be imported, and no other."""
    rows = re.findall(
        r"^\| ((?:`[\w.]+`(?:, )?)+) \|.*\| (yes|no) \|$", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE
    )
    needs = {name: needed == "yes" for files, needed in rows for name in re.findall(r"`(\w+)\.py`", files)}
    code = f"""
import importlib, sys
sys.modules["tensorflow"] = None  # so that importing it fails, at once
for name, needed in {sorted(needs.items(), key=lambda item: item[1])!r}:
    try:
        importlib.import_module("tfp_vae." + name)
        found = False
    except ImportError as error:
        found = "tensorflow" in str(error)
    assert found == needed, (name, found)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_changelog_opens_with_what_is_unreleased() -> None:
    assert (ROOT / "CHANGELOG.md").read_text().split("## ")[1].startswith("Unreleased")
