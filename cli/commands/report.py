"""`tfp-vae report`: a run as one HTML page."""

from __future__ import annotations

import click

from tfp_vae.runs.recipe import reload

from .. import console, options, output


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae report --out report.html",
        "tfp-vae report --run runs/mnist --no-plots",
    ),
)
@options.run_options
@options.data_dir_option
@options.option(
    "--out",
    group=options.OUTPUT,
    metavar="FILE.html",
    type=options.PLACE,
    help="Output file.  [default: report.html in the run]",
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
def command(run: str | None, runs_dir: str, data_dir: str | None, out: str | None, plots: bool, as_json: bool) -> None:
    """Write a run as one HTML page that works offline.

    The page judges the run in words, and lets you move through latent space. It shows the learning curves, the last
    evaluation with its errors, extremes, pictures and animations, the settings, and how to repeat the training.
    """
    path = output.check_path(out, (".html",))
    if not plots:
        options.refuse_on_command_line(("data_dir",), "with --no-plots, because it reads no data. Leave it out")
    found = output.find_run(run, runs_dir)
    output.check_run(found, path, plots=plots)
    dataset = reload(found.config(), data_dir, console.DownloadProgress()) if plots else None
    from tfp_vae import reports

    if dataset is not None:
        console.start_tensorflow()
        from tfp_vae.runs.load import LoadedRun

        run_data, wanted = reports.RunData(LoadedRun(found), dataset), set(reports.pictures_for(found))
        with console.drawing_reminders() as begin:
            names = [name for name in reports.applicable(run_data) if name in wanted]
            outdated = reports.pictures_to_redraw(found, names, run_data.description)
            if outdated:
                reports.draw_run(
                    run_data, outdated, begin=begin, notify=lambda path: console.notice(f"picture: {path}")
                )
            explorer = reports.read_explorer(found)
            if explorer is None or explorer.about != run_data.description:
                begin("explorer", 1, 1)
                reports.write_explorer(found, reports.explore(run_data))
    content = reports.html_page(found).encode(errors="replace")  # names may not be UTF-8
    output.write_bytes(found, path, "report.html", content)
    names = [picture.name for picture in reports.page_pictures(found)]
    result = {
        "run": str(found.folder),
        "pictures": names,
        "bytes": len(content),
        "out": str(path or found.path("report.html")),
    }
    output.print_result(result, as_json)
