"""`python -m benchmarks.posteriors`: whether a richer posterior gives a better model than the diagonal one.

Each model trains for the same number of steps, with as many decoded z in each step, by Adam at 1e-3 along a cosine.
Annealed importance sampling, which does not use the posterior, estimates log p(x) of test examples. All models are
compared on the same examples.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, final

import click
import numpy as np

import tfp_vae as tv
from benchmarks.options import out_option
from tfp_vae.core.files import write_bytes
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import BINARIZATIONS, transform_held_out
from tfp_vae.evaluation.annealing import annealed_log_likelihood

CHAINS = 4
"""Chains of annealing for each example."""


@final
class Case(NamedTuple):
    """A model of binarized images.

    posterior: the family of q(z|x).
    objective: the bound to maximize.
    """

    posterior: str
    objective: str


CASES = (
    Case("diagonal-normal", "elbo:mc_samples=4"),
    Case("normal-mixture:components=4", "monte-carlo-elbo:mc_samples=1"),
    Case("diagonal-normal", "iwae:mc_samples=4"),
    Case("normal-mixture:components=4", "iwae:mc_samples=1"),
)
"""The diagonal posterior and a mixture, each by the ELBO and by an importance-weighted bound. Four z in each step."""


def measure(case: Case, data: Dataset, settings: dict[str, Any]) -> dict[str, Any]:
    """Train a model, and return the ELBO of the validation split and log p(x) of each test example."""
    execution = settings["execution"]
    vae = tv.build(data, posterior=case.posterior, latent_dim=settings["latent_dim"], hidden=settings["hidden"])
    how = {"lr_schedule": "cosine", "binarization": "dynamic", "execution": execution, "seed": settings["seed"]}
    objective = tv.objectives.OBJECTIVES.resolve(case.objective)
    history = tv.fit(vae, data, objective, epochs=settings["epochs"], **how)  # type: ignore[arg-type]
    test = transform_held_out(data.test, BINARIZATIONS.resolve("dynamic")).x[: settings["examples"]]
    steps = settings["ais_steps"]
    found = annealed_log_likelihood(vae, test, steps=steps, chains=CHAINS, seed=(0, 0), execution=execution)
    return {
        "validation_elbo": float(history[-1].validation.elbo),
        "log_likelihood": found.log_likelihood.tolist(),
        "error": float(np.sqrt(np.mean(found.error**2))),
    }


def line(case: Case, row: dict[str, Any], first: dict[str, Any]) -> str:
    """Return a line of the table: log p(x), and the difference from the first model with its standard error."""
    values = np.asarray(row["log_likelihood"])
    difference = values - np.asarray(first["log_likelihood"])
    own, paired = (each.std() / np.sqrt(len(each)) for each in (values, difference))
    gain = "" if row is first else f"{difference.mean():+.2f} ± {paired:.2f}"
    return (
        f"| `{case.posterior}` | `{case.objective}` | {row['validation_elbo']:.2f} | {values.mean():.2f} ± {own:.2f} | "
        f"{gain} |"
    )


@click.command()
@click.option("--dataset", default="mnist", show_default=True, help="Grey images that are binarized in every step.")
@click.option("--data-dir", help="Folder with the files of the data set.")
@click.option("--epochs", default=10, show_default=True, help="Epochs of training of each model.")
@click.option("--latent-dim", default=2, show_default=True, help="Dimension of z.")
@click.option("--examples", default=500, show_default=True, help="Test examples, at most.")
@click.option("--ais-steps", default=200, show_default=True, help="Temperatures of annealing.")
@click.option("--hidden", default="200,200", show_default=True, help="Widths of the layers of encoder and decoder.")
@click.option("--seed", default=0, show_default=True, help="Seed of the training.")
@click.option("--execution", default="auto", show_default=True, help="How TensorFlow runs.")
@out_option("posteriors.json", "Models")
def main(dataset: str, data_dir: str | None, hidden: str, out: Path, **settings: Any) -> None:
    """Compare posteriors by log p(x) from annealing, after the same number of steps."""
    data = tv.data.load(dataset, data_dir=data_dir)
    settings["hidden"] = tuple(map(int, hidden.split(",")))
    results = json.loads(out.read_text()) if out.exists() else {}
    for case in CASES:
        name = " by ".join(case)
        if name not in results:
            results[name] = measure(case, data, settings)
            write_bytes(out, json.dumps(results, indent=2).encode())
        click.echo(line(case, results[name], results[" by ".join(CASES[0])]))


if __name__ == "__main__":
    main()
