"""`tfp-vae encode`: where examples lie in latent space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae import runs, storage
from tfp_vae.seeds import Purpose
from tfp_vae.tables import csv_bytes

from . import console, library, options, places
from .examples import Chosen, chosen, example_options


def _write_npz(path: Path, examples: Chosen, embeddings: Any) -> None:
    storage.write_arrays(path, {**examples.columns(), **embeddings._asdict()})


def _write_csv(path: Path, examples: Chosen, embeddings: Any) -> None:
    """Write a row for each example: mean_1..D, scale_1..D, and sample_1_1..S_D."""
    columns = examples.columns()
    for name, values in (("mean", embeddings.mean), ("scale", embeddings.scale)):
        columns.update({f"{name}_{d + 1}": column for d, column in enumerate(values.T)})
    for s, draws in enumerate(embeddings.samples):
        columns.update({f"sample_{s + 1}_{d + 1}": column for d, column in enumerate(draws.T)})
    storage.write_bytes(path, csv_bytes(columns))


WRITERS: dict[str, Callable[[Path, Chosen, Any], None]] = {".npz": _write_npz, ".csv": _write_csv}


@click.command()
@options.run_options
@example_options
@click.option("--samples", type=options.Whole(0, 100_000), default=1, show_default=True, help="Draws from each q(z|x).")
@options.output_options(WRITERS, "draws", "embeddings-<examples>.npz in the run")
@options.weights_option
@options.json_option
@options.debug_option
def command(
    run: str | None, runs_dir: str, samples: int, seed: int, out: str | None, weights: str, as_json: bool, **which: Any
) -> None:
    """Means, scales and samples of q(z|x) of given examples, into a file."""
    path = places.output(out, WRITERS)
    found = runs.find(run, runs_dir)
    console.notice(f"run: {found.folder}")
    places.check_run(found, path)
    examples = chosen(found, **which)
    path = path or found.folder / f"embeddings-{examples.name}.npz"
    restored = library.restored(found, weights)
    drawn = (seed, int(Purpose.EMBEDDING))
    embeddings = library.latent().encode(restored.vae, examples.split.x, samples=samples, seed=drawn)
    WRITERS[path.suffix](path, examples, embeddings)
    result = {
        "run": str(found.folder),
        "weights": weights,
        "step": restored.step,
        **examples.origin,
        "num_examples": len(examples.split),
        "latent_dim": embeddings.mean.shape[1],
        "samples": samples,
        "seed": seed,
        "mean_scale": float(np.mean(embeddings.scale)),
        "out": str(path),
    }
    console.print_json(result) if as_json else click.echo(path)
