"""`tfp-vae report`: a run as one HTML page, or several runs compared on one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tfp_vae.core import files as storage
from tfp_vae.core.errors import UsageError
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import Run

from .. import console, options, output

REPORT, COMPARISON = "report.html", "comparison.html"
"""The page of a run, in its folder, and the page of several runs, in the current folder."""


def redraw(found: Run, data_dir: str | None) -> None:
    """Redraw the pictures of a run that are missing or outdated, and compute what its report can explore."""
    dataset = reload(found.config(), data_dir, console.DownloadProgress())
    console.start_tensorflow()
    from tfp_vae import reports
    from tfp_vae.runs.load import LoadedRun

    run_data, wanted = reports.RunData(LoadedRun(found), dataset), set(reports.pictures_for(found))
    with console.drawing_reminders() as begin:
        names = [name for name in reports.applicable(run_data) if name in wanted]
        outdated = reports.pictures_to_redraw(found, names, run_data.description)
        if outdated:
            reports.draw_run(run_data, outdated, begin=begin, notify=lambda path: console.notice(f"picture: {path}"))
        explorer = reports.read_explorer(found)
        if explorer is None or explorer.about != run_data.description:
            begin("explorer", 1, 1)
            reports.write_explorer(found, reports.explore(run_data))


def write_report(found: Run, out: Path | None, data_dir: str | None, *, plots: bool) -> dict[str, object]:
    """Write the page of a run, and return the record of the result.

    Args:
      found: the run.
      out: the file, or None for the one in the run.
      data_dir: see the option.
      plots: whether pictures are redrawn first.
    """
    output.check_run(found, out, plots=plots)
    if plots:
        redraw(found, data_dir)
    from tfp_vae import reports

    content = reports.html_page(found).encode(errors="replace")  # names may not be UTF-8
    output.write_bytes(found, out, REPORT, content)
    names = [picture.name for picture in reports.page_pictures(found)]
    path = out or found.path(REPORT)
    return {"run": str(found.folder), "pictures": names, "bytes": len(content), "out": str(path)}


def write_comparison(found: Sequence[Run], out: Path | None) -> dict[str, object]:
    """Write the page that compares runs, and return the record of the result."""
    from tfp_vae import reports

    path = out or Path(COMPARISON)
    storage.check_writable(path.absolute().parent, of=path)
    content = reports.comparison_page(found).encode(errors="replace")
    storage.write_bytes(path, content)
    return {"runs": [str(run.folder) for run in found], "bytes": len(content), "out": str(path)}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae report --out report.html",
        "tfp-vae report --run runs/mnist --run runs/mnist-wide",
    ),
)
@options.several_runs_options
@options.data_dir_option
@options.option(
    "--out",
    group=options.OUTPUT,
    metavar="FILE.html",
    type=options.PLACE,
    help="Output file.  [default: report.html in the run, or comparison.html here for several runs]",
)
@options.option(
    "--plots/--no-plots",
    group=options.OUTPUT,
    default=True,
    show_default=True,
    help="Redraw missing or outdated pictures first.",
)
@options.json_option
@options.debug_option
def command(
    run: Sequence[str], runs_dir: str, data_dir: str | None, out: str | None, plots: bool, as_json: bool
) -> None:
    """Write a run as one HTML page that works offline.

    The page judges the run in words, and lets you move through latent space. It shows the learning curves, the last
    evaluation with its errors, extremes, pictures and animations, the settings, and how to repeat the training.

    With several --run, the page compares them: results, learning curves, settings that differ, and pictures that exist.
    """
    path = output.check_path(out, (".html",))
    if len(run) > 1:
        options.refuse_on_command_line(("data_dir", "plots"), "with several --run, which are shown as they are")
        found = [Run.open(folder) for folder in run]
        if len({each.folder.resolve() for each in found}) < len(found):
            raise UsageError("--run names a run twice. Name each run once.")
        output.print_result(write_comparison(found, path), as_json)
        return
    if not plots:
        options.refuse_on_command_line(("data_dir",), "with --no-plots, because it reads no data. Leave it out")
    found_run = output.find_run(next(iter(run), None), runs_dir)
    output.print_result(write_report(found_run, path, data_dir, plots=plots), as_json)
