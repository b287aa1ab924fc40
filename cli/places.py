"""Where commands write: a place that takes no files is refused at once, before any work is done for one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DiskError, UsageError
from tfp_vae.runs import run as runs
from tfp_vae.runs.run import PLOTS, Run

from . import console

OUT, NO_PLOTS = "name a file elsewhere with --out", "leave the pictures out with --no-plots"
COPY = "make it writable, or copy the run to a place that is and name the copy with --run"
"""What helps a command whose run takes no files; some have to write into it."""


def output(given: str | None, suffixes: Collection[str], option: str = "--out") -> Path | None:
    """Return where to write, if that was given; refuse a kind of file that is not written, and a place that takes none.

    Args:
      given: what was written after the option.
      suffixes: those of the kinds of files that are written.
      option: its name.
    """
    if given is None:
        return None
    path = Path(given)
    if path.suffix not in suffixes:
        raise UsageError(f"{option}: expected a file ending in {', '.join(suffixes)}, found {given!r}.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise DiskError(f"could not write {path}: its folder does not exist. Make it or choose another place.")
    if path.is_dir():
        raise DiskError(f"could not write {path}: a folder of that name is in the way. Choose another place.")
    storage.check_writable(folder, of=path)
    return path


def run(named: str | None, runs_dir: str) -> Run:
    """Return the run that a command is about, and say which it is.

    Args:
      named: what was given with --run.
      runs_dir: the folder that holds the runs.
    """
    found = runs.find(named, runs_dir)
    console.notice(f"run: {found.folder}")
    return found


def check_run(run: Run, out: Path | None, *, pictured: bool = False) -> None:
    """Refuse a run that takes no files where a command writes into it.

    Args:
      run: the run.
      out: where the command's own file goes, into the run if not given.
      pictured: whether pictures go into the run as well.
    """
    remedies = [OUT] * (out is None) + [NO_PLOTS] * pictured
    run.check_writable([""] * (out is None) + [PLOTS] * pictured, ", and ".join(remedies))


def check_picture(run: Run, out: Path | None) -> None:
    """Refuse a run that takes no pictures where a command's picture goes into it, as nothing else was said."""
    if out is None:
        run.check_writable([PLOTS], OUT)
