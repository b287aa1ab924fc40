"""`tfp-vae runs`: list the runs under a folder."""

from __future__ import annotations

from pathlib import Path

import click

from tfp_vae.core.errors import TfpVaeError
from tfp_vae.runs.run import Run, all_runs

from .. import console, options

COLUMNS = (
    "run",
    "state",
    "dataset",
    "likelihood",
    "latent_dim",
    "epochs",
    "early_stopping",
    "ema",
    "validation_elbo",
    "log_likelihood",
    "split",
    "examples",
    "iw_samples",
)


def summary(run: Run) -> dict[str, object]:
    """Return the columns of a run. A damaged run has only its folder and its state."""
    try:
        config, metrics, state = run.config(), run.metrics(), run.status().state
        run.has_checkpoint()  # raises if the run's checkpoint is missing
        record = run.evaluation()
        evaluation = {} if record is None else record.model_dump()
    except TfpVaeError:
        return dict.fromkeys(COLUMNS) | {"run": str(run.folder), "state": "damaged"}
    return {
        "run": str(run.folder),
        "state": state,
        "dataset": config.data.dataset,
        "likelihood": config.model.likelihood.name,
        "latent_dim": config.model.latent_dim,
        "epochs": f"{len(metrics)}/{config.training.epochs}",
        "early_stopping": config.training.early_stopping,
        "ema": config.training.ema,
        "validation_elbo": metrics[-1]["validation_elbo"] if metrics else None,
        "log_likelihood": evaluation.get("log_likelihood"),
        "split": evaluation.get("split"),
        "examples": evaluation.get("num_examples"),
        "iw_samples": evaluation.get("iw_samples"),
    }


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae runs",
        "tfp-vae runs --runs-dir experiments --json",
    ),
)
@options.runs_dir_option
@options.json_option
@options.debug_option
def command(runs_dir: str, as_json: bool) -> None:
    """List the runs in --runs-dir, oldest first.

    If `train --run-dir DIR` wrote a run elsewhere, pass the folder that contains DIR as --runs-dir.
    """
    rows = [summary(run) for run in all_runs(Path(runs_dir))]
    if as_json:
        console.print_json({"runs": rows})
    elif not rows:
        here = "`tfp-vae runs --runs-dir .` lists those in this folder."
        new = "Make one with `tfp-vae train`, or name their folder with --runs-dir."
        console.notice(f"no runs under {runs_dir}. {here if all_runs(Path()) else new}")
    else:
        columns = [name for name in COLUMNS if any(row[name] is not None for row in rows)]
        texts = [
            {name: f"{value:g}" if name == "ema" else value for name, value in row.items() if value is not None}
            for row in rows
        ]
        console.print_table(columns, [[row.get(name, "") for name in columns] for row in texts])
