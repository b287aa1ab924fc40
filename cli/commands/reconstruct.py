"""`tfp-vae reconstruct`: examples next to their reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import numpy as np

from tfp_vae.core.display import spare_name
from tfp_vae.core.seeds import Purpose
from tfp_vae.evaluation.outputs import OUTPUTS
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.examples import as_seen
from tfp_vae.runs.run import PLOTS

from .. import console, options, output
from ..examples import Examples, example_options, select_examples

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure

PICTURED = 12
LARGEST_PICTURE = 100


def figure(examples: Examples, x: np.ndarray, config: RunConfig, show: str) -> Figure:
    """Return a picture with each example above its reconstruction."""
    from tfp_vae import plots

    return plots.reconstructions(
        config.data.shown(examples.split.x),
        config.data.shown(x),
        title=f"{examples.title[:1].upper()}{examples.title[1:]} and their reconstructions",
        what=as_seen(config),
        made=OUTPUTS[show].symbol,
        **config.data.look,
    )


def arrays(examples: Examples, x: np.ndarray, config: RunConfig, show: str) -> dict[str, np.ndarray]:
    """Return the examples and their reconstructions."""
    return examples.columns({"x": examples.split.x, "reconstruction": x, **config.data.standard})


def columns(examples: Examples, x: np.ndarray, config: RunConfig, show: str) -> dict[str, np.ndarray]:
    """Return a table with one row per example: its origin, and its reconstruction in the units of the data."""
    known, made = examples.columns(), config.data.as_columns(x)
    return known | {spare_name(name, known.keys() | (made.keys() - {name})): column for name, column in made.items()}


def error_of(made: np.ndarray, x: np.ndarray, config: RunConfig) -> dict[str, float | str | None]:
    """Return the root mean square error of reconstructions. Mixed tables have none, because their units differ."""
    if config.data.reading.table is not None:
        return {"rmse": None, "rmse_reason": "the columns of a mixed table have different units"}
    return {"rmse": float(np.sqrt(np.mean(np.square(made - x, dtype=np.float64))))}


FORMS: output.Forms = {
    ".png": figure,
    ".npy": lambda examples, x, config, show: x,
    ".npz": arrays,
    **dict.fromkeys(output.TABLES, columns),
}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae reconstruct --split validation",
        "tfp-vae reconstruct --data new-images/ --out reconstructions.npz",
    ),
)
@options.run_options
@example_options
@options.option(
    "--latent",
    group=options.RUN,
    type=options.Choice(["mean", "draw"]),
    default="mean",
    show_default=True,
    help="Use E[z|x] as z, or a draw from q(z|x).",
)
@options.given_option("each example's own")
@options.show_options()
@options.output_options(
    FORMS,
    "draws",
    more=f"A picture shows {PICTURED} examples, or up to {LARGEST_PICTURE} with --max-examples.",
)
@options.weights_option
@options.json_option
@options.debug_option
def command(
    run: str | None,
    runs_dir: str,
    data: str | None,
    split: str | None,
    data_dir: str | None,
    max_examples: int | None,
    latent: str,
    given: str | None,
    mean: bool,
    draw: bool,
    seed: int,
    out: str | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Reconstruct examples from their latent codes.

    Writes a picture or a file of arrays.
    """
    out_path, show = output.check_path(out, FORMS), options.choose_show(mean, draw) or "mean"
    found = output.find_run(run, runs_dir)
    output.check_picture(found, out_path)
    config = found.config()
    wanted = output.context_from_option(config, given)
    if out_path is None or out_path.suffix == ".png":
        max_examples = min(max_examples or PICTURED, LARGEST_PICTURE)
    examples = select_examples(found, data, split, data_dir, max_examples)
    restored = output.restore(found, weights)
    from tfp_vae.evaluation import latent_space
    from tfp_vae.evaluation.classification import complete_contexts

    embeddings = latent_space.encode(
        restored.vae, examples.split.batch, samples=int(latent == "draw"), seed=(seed, int(Purpose.EMBEDDING))
    )
    z = embeddings.mean if latent == "mean" else embeddings.samples[0]
    context = complete_contexts(restored.vae, examples.split.batch) if wanted is None else wanted
    x = latent_space.decode(restored.vae, z, seed=(seed, int(Purpose.SAMPLE)), show=show, context=context)
    if show == "draw" and config.data.noise is not None:
        x = config.data.noise.floor(x)
    console.explain_scaling({} if out_path is not None and out_path.suffix in output.TABLES else config.data.standard)
    ending = output.ending("max_examples", "latent", "given", "weights")
    name = f"reconstructions-{examples.name}-{show}-seed{seed}{ending}"
    path = output.write(found, out_path, f"{PLOTS}/{name}.png", FORMS, examples, x, config, show, text=examples.form)
    console.notice(
        f"{path} holds reconstructions, {OUTPUTS[show].symbol} at {'E[z|x]' if latent == 'mean' else 'z ~ q(z|x)'}"
    )
    result = {
        **examples.origin,
        "num_examples": len(x),
        "latent": latent,
        **({} if config.data.condition is None else {"given": given}),
        "show": show,
        "seed": seed,
        **error_of(x, examples.split.x, config),
        "out": str(path),
    }
    output.print_result(output.record(found, restored, **result), as_json)
