"""`tfp-vae evaluate`: importance-weighted log-likelihood and diagnostics on held-out data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae import runs, storage
from tfp_vae.datasets import SPLITS
from tfp_vae.errors import DiskError
from tfp_vae.preparation import reload

from . import console, library, options

_ROWS = (
    ("log p(x), importance-weighted", "log_likelihood", ".3f", "nats"),
    ("ELBO", "elbo", ".3f", "nats"),
    ("distortion", "distortion", ".3f", "nats"),
    ("rate", "rate", ".3f", "nats"),
    ("-log p(x) per dimension", "bits_per_dim", ".4f", "bits"),
    ("active units", "active_units", "d", "dimensions"),
    ("effective sample size, median", "ess_median", ".1f", "samples"),
)


@click.command()
@options.run_options
@options.data_dir_option
@click.option(
    "--iw-samples",
    type=click.IntRange(1, 10**9),
    default=100,
    show_default=True,
    help="K, importance samples for each example.",
)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True, help="Which examples.")
@click.option("--max-examples", type=click.IntRange(1), help="Only the first of them.  [default: all]")
@click.option("--seed", type=options.SEED, default=0, show_default=True, help="Same seed: the same estimate.")
@click.option("--per-example", metavar="FILE.npz", type=options.NPZ, help="Write each example's values.")
@options.weights_option
@options.execution_option
@options.json_option
@options.debug_option
def command(
    run: str | None,
    runs_dir: str,
    data_dir: str | None,
    per_example: str | None,
    weights: str,
    as_json: bool,
    **asked: Any,
) -> None:
    """Importance-weighted log-likelihood and diagnostics on held-out data."""
    if per_example is not None and not Path(per_example).absolute().parent.is_dir():
        raise DiskError(f"could not write {per_example}: its folder does not exist.")
    found = runs.find(run, runs_dir)
    console.notice(f"run: {found.folder}")
    dataset = reload(found.config(), data_dir, console.DownloadProgress())
    experiments, split = library.experiments(), getattr(dataset, asked["split"])
    restored = experiments.Restored(found, weights)
    console.notice(f"weights: {weights}, of step {restored.step:,}")
    with console.counted("evaluating", len(split.x[: asked["max_examples"]]) * asked["iw_samples"]) as progress:
        result, estimates = experiments.evaluate(restored, dataset, progress=progress, **asked)
    console.print_json(storage.sealed(result)) if as_json else _print(result)
    found.write(runs.EVALUATION, result)
    if per_example is not None:
        _write_examples(Path(per_example), estimates, split.y)


def _write_examples(path: Path, estimates: Any, labels: np.ndarray | None) -> None:
    arrays = estimates._asdict() | {"elbo": -estimates.distortion - estimates.rate}
    if labels is not None:
        arrays["label"] = labels[: len(estimates.log_likelihood)]
    storage.write_arrays(path, arrays)


def _print(result: dict[str, Any]) -> None:
    head = "{dataset}, {split} split: {num_examples:,} examples, K = {iw_samples:,}, seed {seed}, {seconds:.1f} s"
    click.echo(head.format(**result))
    rows = [[label, _value(result[key], shape), _error(result, key), unit] for label, key, shape, unit in _ROWS]
    console.print_table(["mean over examples", "value", "standard error", "unit"], rows)


def _value(value: float, shape: str) -> str:
    return f"{value:{shape}}" if math.isfinite(value) else "not defined"


def _error(result: dict[str, Any], key: str) -> str:
    error = result.get(f"{key}_se", math.nan)
    return f"{error:.3f}" if math.isfinite(error) else ""
