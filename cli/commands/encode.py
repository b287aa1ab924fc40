"""`tfp-vae encode`: where examples lie in latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import numpy as np

from tfp_vae.core.seeds import Purpose

from .. import options, output
from ..examples import Examples, example_options, select_examples

if TYPE_CHECKING:
    from tfp_vae.evaluation.latent_space import Embeddings


def columns(examples: Examples, embeddings: Embeddings) -> dict[str, np.ndarray]:
    """Return a table with one row per example: its index, mean_1..D, scale_1..D, and sample_1_1..S_D."""
    found = dict[str, np.ndarray]()
    for name, values in (("mean", embeddings.mean), ("scale", embeddings.scale)):
        found.update({f"{name}_{d + 1}": column for d, column in enumerate(values.T)})
    for s, draws in enumerate(embeddings.samples):
        found.update({f"sample_{s + 1}_{d + 1}": column for d, column in enumerate(draws.T)})
    return examples.columns(found)


FORMS: output.Forms = {
    ".npz": lambda examples, embeddings: examples.columns(embeddings._asdict()),
    **dict.fromkeys(output.TABLES, columns),
}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae encode --split test --out embeddings.csv",
        "tfp-vae encode --data new.npy --samples 10 --out embeddings.npz",
    ),
)
@options.run_options
@example_options
@options.option(
    "--samples",
    group=options.RUN,
    type=options.Whole(0, 100_000),
    default=1,
    show_default=True,
    help="Draws from q(z|x) per example.",
)
@options.output_options(FORMS, "draws", "embeddings-<examples>.npz in the run")
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
    samples: int,
    seed: int,
    out: str | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Write the means, scales and samples of q(z|x) to a file."""
    out_path = output.check_path(out, FORMS)
    found = output.find_run(run, runs_dir)
    output.check_run(found, out_path)
    examples = select_examples(found, data, split, data_dir, max_examples)
    restored = output.restore(found, weights)
    from tfp_vae.evaluation.latent_space import encode

    embeddings = encode(restored.vae, examples.split.batch, samples=samples, seed=(seed, int(Purpose.EMBEDDING)))
    name = f"embeddings-{examples.name}{output.ending('max_examples', 'samples', 'seed', 'weights')}.npz"
    path = output.write(found, out_path, name, FORMS, examples, embeddings, text=examples.form)
    result = {
        **examples.origin,
        "num_examples": len(examples.split),
        "latent_dim": restored.vae.prior.latent.dimensions,
        "samples": samples,
        "seed": seed,
        "mean_scale": float(np.mean(embeddings.scale)),
        "out": str(path),
    }
    output.print_result(output.record(found, restored, **result), as_json)
