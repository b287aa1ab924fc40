"""Commands refuse a read-only run or folder before they do any work."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli import console, output

from tests.helpers.commands import GRAPH, RUN_COMMANDS, call, one_sentence
from tests.helpers.runs import small_model, small_training
from tfp_vae.core import files as storage
from tfp_vae.core.errors import DiskError
from tfp_vae.runs import run as runs
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run

Refusal = Callable[[Path, int], None]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """Make the system refuse every new file in a folder and below it, with a given error."""

    def refuse(folder: Path, number: int) -> None:
        for name in ("TemporaryFile", "mkstemp"):
            made = getattr(tempfile, name)

            def opened(*arguments: Any, made: Any = made, **more: Any) -> Any:
                if Path(more["dir"]).absolute().is_relative_to(folder):
                    raise OSError(number, "refused")
                return made(*arguments, **more)

            monkeypatch.setattr(tempfile, name, opened)

    return refuse


@pytest.fixture
def orphan(tmp_path: Path) -> Run:
    """A run that never began and has no data. Reading either before the check would raise another error."""
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).random((40, 3)))
    config, _ = plan(str(tmp_path / "mine.npy"), None, None, small_model(), small_training())
    (tmp_path / "mine.npy").unlink()
    return Run.create(tmp_path / "orphan", config)


def listed(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_error_for_an_existing_folder_that_takes_no_files(tmp_path: Path, refusing: Refusal) -> None:
    refusing(tmp_path, errno.ENOENT)
    with pytest.raises(DiskError) as caught:
        output.check_path(str(tmp_path / "x.csv"), (".csv",))
    assert str(caught.value).startswith(f"could not write {tmp_path / 'x.csv'}: its folder takes no files. ")


DEFAULT_NAMES = {
    "reconstruct": (("--latent", "draw"), ("--weights", "best"), ("--max-examples", 3)),
    "interpolate": (
        ("--weights", "best"), ("--n", 2), ("--steps", 4), ("--pair", 3, 7), ("--pair", 3, 7, "--pair", 1, 2),
        ("--max-examples", 9), tuple(each for i in range(99) for each in ("--pair", i, i + 1)),
    ),
    "encode": (("--weights", "best"), ("--samples", 2), ("--seed", 1), ("--max-examples", 3)),
    "score": (("--weights", "best"), ("--iw-samples", 2), ("--seed", 1), ("--max-examples", 3)),
    "sample": (("--weights", "best"), ("--temperature", 0.5), ("--seed", 1), ("--n", 2), ("--draw",)),
}  # fmt: skip
"""Options that change the result of each command that writes into the run without `--out`."""

SHORT = {"score": ("--iw-samples", 1, "--max-examples", 4, "--execution", "eager")}
"""Options with which a command computes for a moment only."""


@pytest.fixture
def default_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files in the run that commands would write. Each command ends with exit code 6 there."""
    names = list[str]()

    def write(run: Run, out: Path | None, name: str, forms: object, *result: object, **more: object) -> Path:
        assert out is None
        names.append(name)
        raise DiskError("stopped")

    monkeypatch.setattr(output, "write", write)
    return names


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(DEFAULT_NAMES.keys() - {"sample"}))
def test_different_files_get_different_default_names(
    command: str, here: Path, copied: Run, default_names: list[str]
) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(name, np.zeros((4, 8, 8, 1), np.float32))
        call(command, "--run", copied.folder, "--data", name, *SHORT.get(command, ()), code=6)
    assert len(set(default_names)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", DEFAULT_NAMES)
def test_different_results_get_different_default_names(command: str, copied: Run, default_names: list[str]) -> None:
    for more in ((), *DEFAULT_NAMES[command]):
        call(command, "--run", copied.folder, *SHORT.get(command, ()), *more, code=6)
    assert len(set(default_names)) == len(default_names) == 1 + len(DEFAULT_NAMES[command])
    assert max(map(len, default_names)) < 120


@pytest.mark.parametrize("command", ["encode", "sample", "report"])
def test_folder_that_took_the_name_of_the_run_gets_no_output(
    command: str, copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is replaced while the command computes."""
    writes = output.write_bytes

    def replaced(run: Run, *arguments: Any) -> None:
        run.folder.rename(run.folder.with_name("moved"))
        shutil.copytree(run.folder.with_name("moved"), run.folder)
        before = listed(run.folder)
        try:
            writes(run, *arguments)
        finally:
            assert listed(run.folder) == before

    monkeypatch.setattr(output, "write_bytes", replaced)
    more = ("--no-plots",) if command == "report" else ()
    said = one_sentence(call(command, "--run", copied.folder, *more, code=4))
    assert "was replaced by another while its run was in use" in said


WRITERS = {
    "sample": (),
    "evaluate": ("--iw-samples", 2, "--max-examples", 4, *GRAPH),
    "reconstruct": (),
    "encode": (),
    "interpolate": ("--n", 2),
    "score": ("--iw-samples", 2, "--max-examples", 4, *GRAPH),
    "plot": ("learning-curves",),
    "report": ("--no-plots",),
}
"""Short options for each command that writes into a run."""


@pytest.mark.parametrize(
    "command", [each if each in ("plot", "report") else pytest.param(each, marks=pytest.mark.slow) for each in WRITERS]
)
def test_folder_that_takes_the_name_after_the_check_gets_no_file_of_any_command(
    command: str, copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is replaced as soon as the command has found its run and checked that it can write there."""
    checks, moved = Run.check_writable, copied.folder.with_name("moved")

    def check_then_replace(run: Run, *arguments: Any) -> None:
        checks(run, *arguments)
        run.folder.rename(moved)
        shutil.copytree(moved, run.folder)

    before = listed(copied.folder)
    monkeypatch.setattr(Run, "check_writable", check_then_replace)
    said = one_sentence(call(command, "--run", copied.folder, *WRITERS[command], code=4))
    assert "was replaced by another while its run was in use" in said
    assert listed(copied.folder) == before == listed(moved)


def test_every_command_that_writes_is_checked_for_a_folder_that_is_replaced() -> None:
    assert WRITERS.keys() == set(RUN_COMMANDS)


class TestCheckWritable:
    """The check writes to a folder and leaves it unchanged."""

    def test_check_does_not_change_a_writable_folder(self, tmp_path: Path) -> None:
        storage.check_writable(tmp_path / "new")
        assert [*tmp_path.iterdir()] == [tmp_path / "new"]
        assert not [*(tmp_path / "new").iterdir()]

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for place, why in (("file", "a file of that name is in the way"), ("file/plots", "is not a folder")):
            with pytest.raises(DiskError, match=f"could not write .*{place}.*{why}. Choose another place"):
                storage.check_writable(tmp_path / place)

    @pytest.mark.parametrize(
        ("number", "said"),
        [(errno.EROFS, "the file system is read-only. Go elsewhere."),
         (errno.EACCES, "permission is denied. Go elsewhere."),
         (errno.ENOSPC, "the disk is full. Make room or go elsewhere.")],
    )  # fmt: skip
    def test_error_explains_the_reason_of_the_system(
        self, number: int, said: str, tmp_path: Path, refusing: Refusal
    ) -> None:
        refusing(tmp_path, number)
        with pytest.raises(DiskError) as caught:
            storage.check_writable(tmp_path, "go elsewhere")
        assert str(caught.value) == f"could not write {tmp_path}: {said}"


REMEDIES = {
    "sample": "--out",
    "evaluate": "copy the run",
    "reconstruct": "--out",
    "encode": "--out",
    "interpolate": "--out",
    "score": "--out, and leave the pictures out with --no-plots",
    "plot": "copy the run",
    "report": "--out, and leave the pictures out with --no-plots",
}
"""The remedy that each command suggests if a run is read-only."""


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test whose command starts TensorFlow."""
    monkeypatch.setattr(console, "start_tensorflow", lambda: pytest.fail("TensorFlow was started"))


@pytest.mark.usefixtures("idle")
class TestReadOnlyRun:
    """The error comes before the run's data are read and before TensorFlow is imported."""

    def test_every_command_has_a_remedy(self) -> None:
        assert REMEDIES.keys() == set(RUN_COMMANDS)

    @pytest.mark.parametrize("command", REMEDIES)
    def test_read_only(self, command: str, orphan: Run, refusing: Refusal) -> None:
        refusing(orphan.folder, errno.EROFS)
        said = one_sentence(call(command, "--run", orphan.folder, code=6))
        assert f"could not write {orphan.folder}" in said
        assert "the file system is read-only" in said
        assert REMEDIES[command] in said

    @pytest.mark.parametrize("command", sorted(REMEDIES.keys() - {"encode"}))  # because it draws no picture
    def test_a_file_in_place_of_the_folder_of_pictures(self, command: str, orphan: Run) -> None:
        orphan.path(runs.PLOTS).rmdir()
        orphan.path(runs.PLOTS).touch()
        said = one_sentence(call(command, "--run", orphan.folder, code=6))
        assert f"could not write {orphan.path(runs.PLOTS)}: a file of that name is in the way" in said

    @pytest.mark.parametrize("command", ["score", "report"])
    def test_remedy_names_the_option_that_is_missing(self, command: str, orphan: Run, refusing: Refusal) -> None:
        refusing(orphan.folder, errno.EROFS)
        suffix = {"score": "csv", "report": "html"}[command]
        out = orphan.folder.with_name(f"x.{suffix}")
        said = one_sentence(call(command, "--run", orphan.folder, "--out", out, code=6))
        assert "Leave the pictures out with --no-plots." in said
        said = one_sentence(call(command, "--run", orphan.folder, "--no-plots", code=6))
        assert "Name a file elsewhere with --out." in said

    @pytest.mark.parametrize(
        ("command", "option"),
        [*((name, "--out") for name, remedy in REMEDIES.items() if "--out" in remedy), ("evaluate", "--per-example")],
    )
    def test_checks_the_folder_of_an_output_option(
        self, command: str, option: str, orphan: Run, tmp_path: Path, refusing: Refusal
    ) -> None:
        (tmp_path / "full").mkdir()
        refusing(tmp_path / "full", errno.ENOSPC)
        suffix = {"score": "csv", "report": "html"}.get(command, "npz")
        said = one_sentence(call(command, "--run", orphan.folder, option, tmp_path / "full" / f"x.{suffix}", code=6))
        assert f"full/x.{suffix}: the disk is full. Make room or choose another place" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "file", "more"),
    [("sample", "x.png", ()), ("reconstruct", "x.png", ()), ("encode", "x.npz", ()), ("interpolate", "x.png", ()),
     ("score", "x.csv", ("--no-plots", "--execution", "graph", "--iw-samples", 2)),
     ("report", "x.html", ("--no-plots",))],
)  # fmt: skip
def test_the_suggested_remedy_works(
    command: str, file: str, more: tuple[object, ...], copied: Run, tmp_path: Path, refusing: Refusal
) -> None:
    before = listed(copied.folder)
    refusing(copied.folder, errno.EROFS)
    call(command, "--run", copied.folder, "--out", tmp_path / file, *more)
    assert (tmp_path / file).stat().st_size > 0
    after = listed(copied.folder)
    after.pop(runs.CALIBRATION, None)  # a warning says if it cannot be kept
    assert after == before


def test_name_of_a_file_has_a_flag_without_a_number() -> None:
    options = [click.Option(["--all"], is_flag=True), click.Option(["--none"], is_flag=True), click.Option(["--n"])]
    command = click.Command("score", params=options, callback=lambda **_: click.echo(output.ending("all", "none", "n")))
    assert CliRunner().invoke(command, ["--all", "--n", "3"]).stdout == "-all-n-3\n"
