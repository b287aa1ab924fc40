"""`tfp-vae runs`: list the runs under a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tfp_vae.core.errors import TfpVaeError
from tfp_vae.runs import run as runs

from .. import console, options


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
    rows = [_row(run) for run in runs.all_runs(Path(runs_dir))]
    if as_json:
        console.print_json({"runs": rows})
    elif not rows:
        console.notice(f"no runs under {runs_dir}. {_elsewhere()}")
    else:
        told = [name for name in _COLUMNS if any(row[name] is not None for row in rows)]
        console.print_table(
            told, [["" if row[name] is None else _text(name, row[name]) for name in told] for row in rows]
        )


def _elsewhere() -> str:
    """Return where runs are, or how to make one."""
    if runs.all_runs(Path()):
        return "`tfp-vae runs --runs-dir .` lists those in this folder."
    return "Make one with `tfp-vae train`, or name their folder with --runs-dir."


def _text(name: str, value: Any) -> Any:
    return f"{value:g}" if name == "ema" else value


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
    "early_stopping",
    "ema",
    "validation_elbo",
    "log_likelihood",
    "split",
    "examples",
    "iw_samples",
)


def _told(run: runs.Run) -> dict[str, Any]:
    config, metrics = run.config(), run.metrics()
    run.has_checkpoint()  # raises if it had one, and it is gone
    evaluation = run.read(runs.EVALUATION) if (run.folder / runs.EVALUATION).exists() else {}
    values = (
        str(run.folder),
        run.status().state,
        config.data.dataset,
        config.model.latent_dim,
        f"{len(metrics)}/{config.training.epochs}",
        config.training.early_stopping,
        config.training.ema,
        metrics[-1]["validation_elbo"] if metrics else None,
        evaluation.get("log_likelihood"),
        evaluation.get("split"),
        evaluation.get("num_examples"),
        evaluation.get("iw_samples"),
    )
    return dict(zip(_COLUMNS, values, strict=True))
