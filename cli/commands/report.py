"""`tfp-vae report`: a run as one HTML page."""

from __future__ import annotations

import click

from tfp_vae.core import files as storage
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import Run

from .. import console, library, options, outcome, places


@click.command(cls=options.Command)
@options.run_options
@options.data_dir_option
@click.option(
    "--out", metavar="FILE.html", type=options.PLACE, help="Where the page goes.  [default: report.html in the run]"
)
@click.option(
    "--plots/--no-plots",
    default=True,
    show_default=True,
    help="Draw the pictures first that are not there, or older than the checkpoint, or of other weights or seed.",
)
@options.json_option
@options.debug_option
def command(run: str | None, runs_dir: str, data_dir: str | None, out: str | None, plots: bool, as_json: bool) -> None:
    """Make one HTML page of a run, to be read in any browser, and without a network.

    What was trained and how to make it again, the figures of the last evaluation with their errors, pictures and
    animations, the configuration and the versions.
    """
    path = places.output(out, (".html",))
    if not plots:
        options.refuse_written(("data_dir",), "with --no-plots, which reads no data; leave it out")
    found = places.run(run, runs_dir)
    places.check_run(found, path, pictured=plots)
    if plots:
        _draw(found, data_dir)
    report = library.report()
    path = path or found.path("report.html")
    storage.write_bytes(path, report.page(found).encode())
    names = [picture.name for picture in report.pictures(found)]
    result = {"run": str(found.folder), "pictures": names, "bytes": path.stat().st_size, "out": str(path)}
    outcome.tell(result, as_json)


def _draw(run: Run, data_dir: str | None) -> None:
    """Draw the pictures of the run that are missing or old."""
    dataset = reload(run.config(), data_dir, console.DownloadProgress())
    restored, gallery = library.experiments().Restored(run), library.gallery()
    subject = gallery.Subject(restored, dataset)
    report = library.report()
    shown = report.shown(run)
    names = [name for name in gallery.applicable(subject) if name in shown]
    wanted = report.stale(run, names, subject.description)
    if wanted:
        gallery.draw_run(subject, wanted, drawn=lambda path: console.notice(f"picture: {path}"))
