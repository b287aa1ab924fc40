"""`python -m benchmarks.layers`: whether a second layer of z raises log p(x) at equal CPU time of training.

Each model trains for the same number of CPU seconds, by Adam at 1e-3 along a cosine. A short training of its own
measures the time of its epochs before, after which the number of epochs is known. CPU time counts all threads, so
other programs on the machine hardly change it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple, final

import click
import numpy as np

import tfp_vae as tv
from benchmarks.options import out_option
from tfp_vae.core.files import write_bytes
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import BINARIZATIONS, transform_held_out

SAMPLES = 1_000
"""Importance samples of each example in the evaluation."""

BATCH = 128
"""Examples in a step, the default of `tv.fit`."""


@final
class Case(NamedTuple):
    """A model of binarized images.

    name: names the model.
    posterior, latent_dim: the layers of z.
    objective: the bound to maximize.
    warmup: share of the steps in which the weight of the rate rises to 1, for estimators of the ELBO.
    """

    name: str
    posterior: str
    latent_dim: int
    objective: str
    warmup: float = 0.0

    def vae(self, data: Dataset, hidden: tuple[int, ...]) -> tv.VAE:
        """Return the model with its initial weights."""
        return tv.build(data, posterior=self.posterior, latent_dim=self.latent_dim, hidden=hidden)


CASES = (
    Case("one layer, ELBO", "diagonal-normal", 50, "elbo"),
    Case("two layers from the top down, ELBO", "top-down:layers=50,25", 75, "monte-carlo-elbo", 0.2),
    Case("two layers from the bottom up, ELBO", "bottom-up:layers=50,25", 75, "monte-carlo-elbo", 0.2),
    Case("one layer, DReG 8", "diagonal-normal", 50, "dreg:mc_samples=8"),
    Case("two layers from the top down, DReG 8", "top-down:layers=50,25", 75, "dreg:mc_samples=8"),
    Case("two layers from the bottom up, DReG 8", "bottom-up:layers=50,25", 75, "dreg:mc_samples=8"),
)
"""One and two layers, by the ELBO and by an importance-weighted bound."""


@final
class Clock(tv.training.Callback):
    """Record the CPU time of the process at the end of each epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def epoch(self, training: Any) -> None:
        """Record the time."""
        del training
        self.times.append(time.process_time())


def train(case: Case, data: Dataset, hidden: tuple[int, ...], seconds: float, execution: str) -> tuple[tv.VAE, int]:
    """Return the model after about this many CPU seconds of training, and its number of epochs."""
    objective: tv.objectives.Objective = tv.objectives.OBJECTIVES.resolve(case.objective)

    def fit(vae: tv.VAE, epochs: int, objective: tv.objectives.Objective, clock: Clock) -> tv.VAE:
        how = {"lr_schedule": "cosine", "binarization": "dynamic", "execution": execution}
        tv.fit(vae, data, objective, epochs=epochs, seed=0, callbacks=[clock], **how)  # type: ignore[arg-type]
        return vae

    clock = Clock()
    fit(case.vae(data, hidden), 4, objective, clock)
    epochs = max(1, round(seconds / float(np.median(np.diff(clock.times)))))
    if case.warmup and isinstance(objective, tv.objectives.ELBOEstimator):
        steps = int(case.warmup * epochs * len(data.train) / BATCH)
        objective = tv.objectives.Weighted(objective, warmup_steps=steps)
    return fit(case.vae(data, hidden), epochs, objective, Clock()), epochs


def measure(vae: tv.VAE, data: Dataset, examples: int, execution: str) -> dict[str, Any]:
    """Return log p(x) of test examples with its standard error, and the rate and active units of each layer of z."""
    test = transform_held_out(data.test, BINARIZATIONS.resolve("dynamic")).x[:examples]
    found = tv.log_likelihood(vae, test, iw_samples=SAMPLES, seed=0, execution=execution)
    active = tv.evaluation.is_active(found.estimates)
    parts = np.split(active, np.cumsum(vae.prior.latent.blocks)[:-1])
    rates = tv.evaluation.rate_per_layer(vae, test, seed=(0, 0))
    return {
        "log_likelihood": float(found.mean()),
        "standard_error": found.standard_error,
        "active_units": [int(part.sum()) for part in parts],
        "rates": [float(found.estimates.rate.mean())] if rates is None else rates.tolist(),
    }


@click.command()
@click.option("--dataset", default="mnist", show_default=True, help="Grey images that are binarized in every step.")
@click.option("--data-dir", help="Folder with the files of the data set.")
@click.option("--seconds", default=900.0, show_default=True, help="CPU seconds of training of each model.")
@click.option("--examples", default=10_000, show_default=True, help="Test examples, at most.")
@click.option("--hidden", default="200,200", show_default=True, help="Widths of the layers of encoder and decoder.")
@click.option("--execution", default="auto", show_default=True, help="How TensorFlow runs.")
@out_option("layers.json", "Models")
def main(
    dataset: str, data_dir: str | None, seconds: float, examples: int, hidden: str, execution: str, out: Path
) -> None:
    """Compare models with one and with two layers of z at equal CPU time of training."""
    data = tv.data.load(dataset, data_dir=data_dir)
    widths = tuple(map(int, hidden.split(",")))
    results = json.loads(out.read_text()) if out.exists() else {}
    for case in CASES:
        if case.name not in results:
            vae, epochs = train(case, data, widths, seconds, execution)
            results[case.name] = {"epochs": epochs, **measure(vae, data, examples, execution)}
            write_bytes(out, json.dumps(results, indent=2).encode())
        row = results[case.name]
        units, rates = " + ".join(map(str, row["active_units"])), " + ".join(f"{rate:.2f}" for rate in row["rates"])
        value = f"{row['log_likelihood']:.2f} ± {row['standard_error']:.2f}"
        click.echo(f"| {case.name} | {row['epochs']} | {value} | {rates} | {units} |")


if __name__ == "__main__":
    main()
