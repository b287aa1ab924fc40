"""`tfp-vae plot`: the pictures of a run, and the animations of its training."""

from __future__ import annotations

from pathlib import Path

import click

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.projections import PROJECTIONS
from tfp_vae.reports.pictures import RUN_PICTURES
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import PLOTS

from .. import console, options, output

SCATTER, DEFAULT = "latent-scatter", "pca"

HELP = """Draw pictures of a run into its folder.

Name the pictures, or get all that the run can have. Pictures with a star take minutes, so you must name them.

\b
""" + "\n".join(f"  {name:<18} {picture.summary}{' *' * picture.on_request}" for name, picture in RUN_PICTURES.items())


@click.command(
    cls=options.Command,
    help=HELP,
    examples=(
        "tfp-vae plot",
        "tfp-vae plot latent-scatter --projection tsne",
    ),
)
@click.argument("pictures", nargs=-1, type=options.Choice(list(RUN_PICTURES)), metavar="[PICTURE]...")
@options.run_options
@options.data_dir_option
@options.weights_option
@options.option(
    "--projection",
    group=options.RUN,
    type=options.Choice(list(PROJECTIONS)),
    help="Projection of latent-scatter to 2 dimensions. t-SNE shows at most 2,000 examples, without ellipses.  "
    "[default: pca]",
)
@options.option(
    "--seed",
    group=options.RUN,
    type=options.SEED,
    help="Seed of the samples in pictures.  [default: the seed of the training]",
)
@options.json_option
@options.debug_option
def command(
    pictures: tuple[str, ...],
    run: str | None,
    runs_dir: str,
    data_dir: str | None,
    weights: str | None,
    projection: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Draw the pictures, see `HELP`."""
    if projection is not None and pictures and SCATTER not in pictures:
        raise UsageError(f"--projection has no meaning for {', '.join(pictures)}. Name {SCATTER} too, or leave it out.")
    found = output.find_run(run, runs_dir)
    found.check_writable([PLOTS], output.COPY)
    latent_dim = found.config().model.latent_dim
    if projection is not None and latent_dim < 2:
        raise UsageError(f"--projection: expected a run with 2 latent dimensions or more, found {latent_dim}.")
    dataset = reload(found.config(), data_dir, console.DownloadProgress())
    restored = output.restore(found, weights)
    from tfp_vae import reports

    def announce(path: Path) -> None:
        console.notice(f"picture: {path}") if as_json else click.echo(path)

    run_data = reports.RunData(restored, dataset, seed, projection or DEFAULT)
    with console.drawing_reminders() as begin:
        paths = {path.stem: str(path) for path in reports.draw_run(run_data, pictures, begin=begin, notify=announce)}
    if as_json:
        console.print_json(output.record(found, restored, pictures=paths, projection=projection or DEFAULT))
