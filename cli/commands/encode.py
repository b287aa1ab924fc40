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
    from tfp_vae.model.latent import Latent


def columns(examples: Examples, embeddings: Embeddings, latent: Latent) -> dict[str, np.ndarray]:
    """Return a table with one row per example: its index, mean_1..D, scale_1..D, and sample_1_1..S_D.

    A discrete z has code_1..D, its most probable codes, instead of means and scales, and samples are codes, too.
    """
    found, samples = dict[str, np.ndarray](), embeddings.samples
    parts = {"mean": embeddings.mean, "scale": embeddings.scale}
    if latent.discrete:
        parts, samples = {"code": latent.as_codes(embeddings.mean)}, latent.as_codes(samples)
    for name, values in parts.items():
        found.update({f"{name}_{d + 1}": column for d, column in enumerate(values.T)})
    for s, draws in enumerate(samples):
        found.update({f"sample_{s + 1}_{d + 1}": column for d, column in enumerate(draws.T)})
    return examples.columns(found)


def arrays(examples: Examples, embeddings: Embeddings, latent: Latent) -> dict[str, np.ndarray]:
    """Return the embeddings as named arrays, and the most probable codes of a discrete z, [N, D]."""
    codes = {"codes": latent.as_codes(embeddings.mean)} if latent.discrete else {}
    return examples.columns({**embeddings._asdict(), **codes})


FORMS: output.Forms = {
    ".npz": arrays,
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
    """Write the means, scales and samples of q(z|x) to a file.

    A discrete z gives the most probable codes, which are whole numbers from 0 on, or bits.
    """
    out_path = output.check_path(out, FORMS)
    found = output.find_run(run, runs_dir)
    output.check_run(found, out_path)
    examples = select_examples(found, data, split, data_dir, max_examples)
    restored = output.restore(found, weights)
    from tfp_vae.evaluation.latent_space import encode

    embeddings = encode(restored.vae, examples.split.batch, samples=samples, seed=(seed, int(Purpose.EMBEDDING)))
    latent = restored.vae.prior.latent
    name = f"embeddings-{examples.name}{output.ending('max_examples', 'samples', 'seed', 'weights')}.npz"
    path = output.write(found, out_path, name, FORMS, examples, embeddings, latent, text=examples.form)
    result = {
        **examples.origin,
        "num_examples": len(examples.split),
        "latent_dim": latent.dimensions,
        "samples": samples,
        "seed": seed,
        "mean_scale": float(np.mean(embeddings.scale)),
        "out": str(path),
    }
    output.print_result(output.record(found, restored, **result), as_json)
