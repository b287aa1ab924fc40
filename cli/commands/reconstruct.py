"""`tfp-vae reconstruct`: given examples, and what the model makes of them."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from tfp_vae.core.seeds import Purpose
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.recipe import as_seen

from .. import console, options, output
from ..given import Examples, example_options, select_examples

PICTURED = 12
LARGEST_PICTURE = 100


def _figure(examples: Examples, x: np.ndarray, config: RunConfig, show: str) -> Any:
    from tfp_vae import plots

    title = f"{examples.title[:1].upper()}{examples.title[1:]}, and what the model makes of them"
    return plots.reconstructions(examples.split.x, x, title=title, **_named(config, show))


def _named(config: RunConfig, show: str) -> dict[str, Any]:
    """Return what a picture calls the examples, what is made of them, the features of a table, and their range."""
    made = {"mean": "E[x|z]", "draw": "x ~ p(x|z)"}[show]
    return {"what": as_seen(config), "made": made, "features": config.data.features, "unit": config.data.unit}


def _arrays(examples: Examples, x: np.ndarray, config: RunConfig, show: str) -> dict[str, np.ndarray]:
    return {**examples.columns(), "x": examples.split.x, "reconstruction": x, **config.data.standard}


FORMS: output.Forms = {
    ".png": _figure,
    ".npy": lambda examples, x, config, show: x,
    ".npz": _arrays,
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
    type=click.Choice(["mean", "draw"]),
    default="mean",
    show_default=True,
    help="Use E[z|x] as z, or a draw from q(z|x).",
)
@options.show_options
@options.output_options(
    FORMS,
    "draws",
    more=f"A picture shows {PICTURED} examples, or up to {LARGEST_PICTURE} with --max-examples.",
)
@options.weights_option
@options.json_option
@options.debug_option
def command(
    run: str | None, runs_dir: str, out: str | None, max_examples: int | None, weights: str, as_json: bool, **asked: Any
) -> None:
    """Reconstruct examples from their latent codes.

    Writes a picture or a file of arrays.
    """
    path = output.check_path(out, FORMS)
    pictured = path is None or path.suffix == ".png"
    found = output.find_run(run, runs_dir)
    output.check_picture(found, path)
    limit = min(max_examples or PICTURED, LARGEST_PICTURE) if pictured else max_examples
    examples = select_examples(
        found, **{name: asked[name] for name in ("data", "split", "data_dir")}, max_examples=limit
    )
    settings = {name: asked[name] for name in ("latent", "show", "seed")}
    path = path or found.plot_path("reconstructions-{}-{show}-seed{seed}".format(examples.name, **settings))
    restored = output.restore(found, weights)
    x = _reconstructed(restored.vae, examples.split.x, **settings)
    config = found.config()
    console.notice_of_scaled(config.data.standard)
    output.write(path, FORMS, examples, x, config, settings["show"])
    rmse = float(np.sqrt(np.mean(np.square(x - examples.split.x, dtype=np.float64))))
    figures = {"num_examples": len(x), **settings, "rmse": rmse}
    output.print_result(output.record(found, restored, **examples.origin, **figures, out=str(path)), as_json)


def _reconstructed(vae: Any, x: np.ndarray, latent: str, show: str, seed: int) -> np.ndarray:
    from tfp_vae.evaluation.latent_space import decode, encode

    embeddings = encode(vae, x, samples=int(latent == "draw"), seed=(seed, int(Purpose.EMBEDDING)))
    z = embeddings.mean if latent == "mean" else embeddings.samples[0]
    reconstruction: np.ndarray = decode(vae, z, seed=(seed, int(Purpose.SAMPLE)), show=show)
    return reconstruction
