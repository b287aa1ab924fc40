"""The documents: their code runs, their commands parse, and their links lead to files."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from tfp_vae.cli.main import COMMANDS, main

import tfp_vae
from tests.helpers.documents import BLOCK, FILE, ROOT, blocks, files, write_files
from tests.helpers.worker import Worker
from tfp_vae.core.execution import EXECUTIONS, FEW_EXAMPLES, FEW_STEPS
from tfp_vae.data import profile
from tfp_vae.data.schema import numerals
from tfp_vae.evaluation import classification, importance, information, probes
from tfp_vae.evaluation.anomalies import backgrounds
from tfp_vae.model.distributions import flows
from tfp_vae.model.latent import ACTIVE_VARIANCE
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.objectives import OBJECTIVES
from tfp_vae.runs import recipe
from tfp_vae.runs.anomalies import MOST_REFERENCE
from tfp_vae.runs.results import MOST_CLASS_SAMPLES, MOST_CLASSIFIED

PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "models").glob("*.md")),
]

TUTORIAL = ROOT / "docs" / "tutorial.md"

FOLLOWED = (TUTORIAL, ROOT / "docs" / "tables.md")
"""Pages whose shell commands run too, in the order of the page."""

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NUMBERS += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"]


def program(path: Path) -> str:
    """Return a page's Python as one program. In `FOLLOWED`, it also calls the shell commands in their places."""
    if path not in FOLLOWED:
        begin = "import sys\nsys.path.insert(0, '')" if files(path) else ""
        return "\n".join([begin, *(code for code in blocks(path, "python") if not FILE.match(code))])
    found = [(language, code) for language, skip, code in BLOCK.findall(path.read_text()) if not skip]
    shell = "import subprocess\nsubprocess.run(['bash', '-ec', {!r}], check=True)"
    return "\n".join({"python": code, "sh": shell.format(code)}.get(language, "") for language, code in found)


SLOW = (*FOLLOWED, ROOT / "docs" / "sklearn.md")
"""Pages whose code trains for seconds."""

RUN = [
    pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [], id=page.name)
    for page in PAGES
    if blocks(page, "python")
]
"""Pages with code. Those in `FOLLOWED` also start several processes."""


@pytest.mark.parametrize("path", RUN)
def test_python_runs(path: Path, worker: Worker, tmp_path: Path) -> None:
    said, folder = tmp_path / "said.txt", tmp_path / "here"
    folder.mkdir()
    write_files(path, folder)
    assert worker.run(program(path), folder, said) == 0, said.read_text()


MODULES = sorted((ROOT / "tfp_vae").rglob("*.py"))


def docstrings(path: Path) -> list[str]:
    """Return the docstrings of a module, of its classes and of its functions."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented))
    return [text for text in map(ast.get_docstring, nodes) if text]


def examples(path: Path) -> list[str]:
    """Return the Python blocks in a module's docstrings, except for those marked `notest`."""
    found = (block for text in docstrings(path) for block in BLOCK.findall(f"{text}\n"))
    return [code for language, skip, code in found if language == "python" and not skip]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


TRAINING = {
    "evaluation/annealing", "evaluation/effort/settling", "evaluation/gaps", "evaluation/proposals/annealed",
    "evaluation/proposals/auto", "evaluation/proposals/laplace", "evaluation/proposals/local",
    "evaluation/proposals/mixture",
    "interop/sklearn/imputer", "interop/sklearn/vae",
    "runs/build", "runs/load", "runs/results",
    "training/best", "training/callbacks", "training/history", "training/progress", "training/stopping",
}  # fmt: skip
"""Modules whose examples train or evaluate for seconds. Those of `training/fitting` are fast tests all the same."""


def marks(path: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if relative(path.with_suffix("")).removeprefix("tfp_vae/") in TRAINING else []


EXAMPLES = [pytest.param(path, marks=marks(path), id=relative(path)) for path in MODULES if examples(path)]


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_in_docstrings_run(path: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They continue the package's own example, next to a finished run in `runs`. They run eagerly to start fast."""
    shutil.copytree(trained, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(EXECUTIONS, "xla", EXECUTIONS["eager"])
    root = ROOT / "tfp_vae" / "__init__.py"
    begin = [] if path == root else examples(root)
    exec("\n".join([*begin, *examples(path)]), {"__name__": path.stem})


REFERENCE = r"`((?:tv\.)?\w+\.\w+)"
"""A name such as `module.name` or `tv.package.name`."""


@functools.cache
def named(reference: str) -> bool:
    """Return whether `reference`, as `module.name` or `tv.package.name`, exists in the package."""
    parts = reference.removeprefix("tv.").split(".")
    if reference.startswith("tv."):
        return functools.reduce(lambda thing, part: getattr(thing, part, None), parts, tfp_vae) is not None
    homes = [path for path in MODULES if path.stem == parts[0]]
    return any(hasattr(importlib.import_module(dotted(path)), parts[1]) for path in homes)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_names_in_docstrings_exist() -> None:
    stems = {module.stem for module in MODULES} - {"vae"}  # examples call a model `vae`
    found = {(path, name) for path in MODULES for text in docstrings(path) for name in re.findall(REFERENCE, text)}
    missing = set()
    for path, reference in found:
        first, _, last = reference.removeprefix("tv.").partition(".")
        ours = first in stems or reference.startswith("tv.")
        if ours and last not in ("html", "json", "jsonl", "npz") and not named(reference):
            missing.add((relative(path), reference))
    assert not missing


def training_options(page: Path) -> list[str]:
    """Return the options of `train` with values in the lines of a page, except for placeholders such as NAME."""
    known = {name for option in main.get_command(None, "train").params for name in option.opts}
    found = re.findall(r"`(--[^`\n]+ [^`\n]+)`", page.read_text())
    return [
        line for line in found if {*re.findall(r"--[a-z-]+", line)} <= known and not re.search("[ =][A-Z]|HxW", line)
    ]


def commands() -> list[str]:
    """Return every `tfp-vae` command on a page, in a block or in a line, and one for options of training in a line."""
    found = set()
    for page in PAGES:
        text = page.read_text()
        text_blocks = (block.replace("\\\n", " ") for block in blocks(page, "sh", "console"))
        shown = [line for block in text_blocks for line in re.split(r"\n|&&", block)]
        inline = re.findall(r"`(tfp-vae [^`\n]*)`", text)
        found.update(line.strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in [*shown, *inline])
        if page.stem != "extending":  # whose `wide-normal` belongs to a package that readers write
            found.update(f"tfp-vae train {line}" for line in training_options(page))
    return sorted(line for line in found if line.startswith("tfp-vae "))


def complaint(line: str) -> str:
    """Return what a command says of its arguments, which is nothing if it takes them."""
    name, *arguments = shlex.split(line)[1:]
    try:
        main.get_command(None, name).make_context(name, arguments)
    except click.ClickException as error:
        return error.format_message()
    except click.exceptions.Exit:  # --help prints and exits this way
        pass
    return ""


def test_commands_parse(own_code: Path) -> None:
    write_files(ROOT / "docs" / "training.md", own_code)  # because commands may name these files
    lines = commands()
    assert len(lines) > 150
    assert not {line for line in lines if shlex.split(line)[1] not in COMMANDS}
    assert not {line: said for line in lines if (said := complaint(line))}


def anchors(path: Path) -> set[str]:
    """Return the names of the headings of a page in links."""
    text = re.sub("^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall("^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


def test_readme_counts_the_members() -> None:
    tables = {"posteriors": POSTERIORS, "priors": PRIORS, "likelihoods": LIKELIHOODS, "networks": NETWORKS}
    counts = [f"{NUMBERS[len(table)]} {name}" for name, table in (tables | {"objectives": OBJECTIVES}).items()]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"Combine {', '.join(counts[:-1])} and {counts[-1]}." in text


@pytest.mark.parametrize(
    ("page", "limit"),
    [
        ("how-it-works", f"trainings of up to {FEW_EXAMPLES:,} examples and {FEW_STEPS} steps"),
        ("how-it-works", f"in tiles of {importance.TILE} samples"),
        ("families", f"bounded to (\u2212{flows.LARGEST_SHIFT:.0f}, {flows.LARGEST_SHIFT:.0f})"),
        ("evaluation", f"Var_x(E_q[z\\|x]) > {ACTIVE_VARIANCE} "),
        ("evaluation", f"taught with up to {probes.MOST_EXAMPLES:,} training examples"),
        ("evaluation", f"the same draws, at most {information.MOST_DRAWS:,}"),
        ("evaluation", f"up to {information.MOST_COMPONENTS:,} examples. For flows it has {information.MOST_FLOWS}"),
        ("evaluation", f"up to {MOST_CLASSIFIED:,} examples whose class has the largest p(x\\|y) p(y)"),
        ("evaluation", f"at most {MOST_CLASS_SAMPLES} samples for each log p(x\\|y)"),
        ("evaluation", f"over {classification.BINS} bins of confidence"),
        (
            "conditional",
            f"with at most {MOST_CLASS_SAMPLES} importance samples, for up to {MOST_CLASSIFIED:,} examples",
        ),
        ("families", f"{recipe.CODE_LATENTS} or {recipe.BIT_LATENTS} latent dimensions"),
        ("data-formats", f"`{recipe.RARE_LIKELIHOOD}`, with up to {recipe.RARE_LATENTS} latent dimensions"),
        ("data-formats", f"At least {profile.LEAST_GROUPED:,} vectors of at most {profile.MOST_GROUPED} real values"),
        ("data-formats", f"`--prior {recipe.GROUPED_PRIOR}` and `--objective {recipe.GROUPED_OBJECTIVE}`"),
        ("data-formats", f"must be {recipe.FAR_APART:.0f} times the sum of their standard deviations apart"),
        ("data-formats", f"at least {numerals.LEAST_SHARE:.0%} of the cells have the same currency or unit"),
        (
            "sklearn",
            f"up to {MOST_REFERENCE} rows of the training, and a background from up to {backgrounds.MOST_ROWS:,}",
        ),
    ],
)
def test_pages_name_the_limits_of_the_code(page: str, limit: str) -> None:
    assert limit in " ".join((ROOT / "docs" / f"{page}.md").read_text().split())


def test_sentences_about_benchmarks_agree_with_the_tables() -> None:
    benchmarks, tables = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("benchmarks", "tables"))
    means = re.search(r"^\| \*\*mean\*\* \| ([\d.]+) ± [\d.]+ \| ([\d.]+) ", benchmarks, re.MULTILINE)
    assert means is not None
    ours, nearest_neighbours = map(float, means.groups())
    assert f"{nearest_neighbours:.1f} against {ours:.1f} for tfp_vae" in benchmarks
    warm_up = benchmarks.partition("**warm-up**: ")[2].partition("**Copies")[0]
    losses = [float(loss) for loss in re.findall(r"\| ([\d.]+) ± ", warm_up)]
    assert len(losses) == 10
    assert f"lost at most {max(losses)} points of AUROC" in tables


def test_changelog_starts_with_unreleased_changes() -> None:
    assert (ROOT / "CHANGELOG.md").read_text().split("## ")[1].startswith("Unreleased")
