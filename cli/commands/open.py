"""`tfp-vae open`: the report of a run in a browser."""

from __future__ import annotations

import webbrowser

import click

from tfp_vae.runs import run as runs
from tfp_vae.runs.run import Run

from .. import console, options, output
from .report import REPORT, write_report

SOURCES = (runs.CHECKPOINT, runs.METRICS, runs.EVALUATION, runs.ANOMALIES)
"""The files of a run that a report shows. A report is outdated if one of them is newer."""


def is_current(found: Run) -> bool:
    """Return whether a run has a report, and no result is newer."""
    page = found.path(REPORT)
    newest = max((path.stat().st_mtime for path in map(found.path, SOURCES) if path.exists()), default=0.0)
    return page.is_file() and page.stat().st_mtime >= newest


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae open",
        "tfp-vae open --run runs/mnist",
    ),
)
@options.run_options
@options.data_dir_option
@options.json_option
@options.debug_option
def command(run: str | None, runs_dir: str, data_dir: str | None, as_json: bool) -> None:
    """Show the report of a run in a browser.

    If the run has no report, or one that is older than its results, the command writes it first. It prints the path, so
    you can also open the file yourself. The environment variable BROWSER names another browser.
    """
    found = output.find_run(run, runs_dir)
    path = found.path(REPORT)
    if is_current(found):
        found.config()  # raises an error if the run is damaged
    else:
        console.notice(f"writing {path}, which is {'older than the results' if path.exists() else 'missing'}")
        write_report(found, None, data_dir, plots=True)
    opened = webbrowser.open(path.resolve().as_uri())
    if not opened:
        console.notice("found no browser, so open the file yourself.")
    output.print_result({"run": str(found.folder), "opened": opened, "out": str(path)}, as_json)
