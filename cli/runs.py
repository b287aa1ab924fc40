"""`tfp-vae runs`: list the runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tfp_vae import runs
from tfp_vae.errors import TfpVaeError

from . import console, options


@click.command()
@options.runs_dir_option
@options.json_option
@options.debug_option
def command(runs_dir: str, as_json: bool) -> None:
    """List the runs here, oldest first."""
    rows = [_row(run) for run in runs.all_runs(Path(runs_dir))]
    if as_json:
        console.print_json({"runs": rows})
    elif not rows:
        console.notice(f"no runs under {runs_dir}; make one with `tfp-vae train`.")
    else:
        console.print_table(list(rows[0]), [["" if v is None else v for v in row.values()] for row in rows])


def _row(run: runs.Run) -> dict[str, Any]:
    """Return what there is to say of a run; of a damaged one, that it is."""
    try:
        return _told(run)
    except TfpVaeError:
        return dict.fromkeys(_COLUMNS) | {"run": str(run.folder), "state": "damaged"}


_COLUMNS = (
    "run",
    "state",
    "dataset",
    "latent_dim",
    "epochs",
    "validation_elbo",
    "log_likelihood",
    "split",
    "examples",
    "iw_samples",
)


def _told(run: runs.Run) -> dict[str, Any]:
    config, metrics = run.config(), run.metrics()
    evaluation = run.read(runs.EVALUATION) if (run.folder / runs.EVALUATION).exists() else {}
    values = (
        str(run.folder),
        run.status().state,
        config.data.dataset,
        config.model.latent_dim,
        f"{len(metrics)}/{config.training.epochs}",
        metrics[-1]["validation_elbo"] if metrics else None,
        evaluation.get("log_likelihood"),
        evaluation.get("split"),
        evaluation.get("num_examples"),
        evaluation.get("iw_samples"),
    )
    return dict(zip(_COLUMNS, values, strict=True))
