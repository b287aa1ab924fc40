"""Runs on disk: config, folder, checkpoints, results; training and loading one.

A `Run` is a folder, and each of its files is read and checked when you ask for it. A `LoadedRun` also has the data and
the model. Modules that share a name with a function keep it, so training a run is `tv.runs.train.train`. To add a
setting, add one field with a `Setting` to a record in `config`. To add a file to a run, see `folder`.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.runs import (
        anomalies,
        build,
        config,
        examples,
        folder,
        frames,
        load,
        recipe,
        results,
        run,
        tensorboard,
        train,
    )
    from tfp_vae.runs.build import build_from_config, build_model, describe_model
    from tfp_vae.runs.config import SETTINGS, DataConfig, ModelConfig, RunConfig, TrainingConfig
    from tfp_vae.runs.examples import held_out_view, new_examples
    from tfp_vae.runs.folder.checkpoint import Checkpoint
    from tfp_vae.runs.folder.records import State, Status
    from tfp_vae.runs.frames import Film
    from tfp_vae.runs.load import LoadedRun, sample, save
    from tfp_vae.runs.recipe import Recipe, choose, likelihoods_that_fit, plan, reload
    from tfp_vae.runs.results import AnnealingPlan, Assessment, Plan, assess, compare, ladder, most_anomalous, score
    from tfp_vae.runs.run import Run, all_runs, find, finished_runs
    from tfp_vae.runs.tensorboard import Events

_PLACES = {
    "SETTINGS": "config",
    "AnnealingPlan": "results",
    "Assessment": "results",
    "Checkpoint": "folder.checkpoint",
    "DataConfig": "config",
    "Events": "tensorboard",
    "Film": "frames",
    "LoadedRun": "load",
    "ModelConfig": "config",
    "Plan": "results",
    "Recipe": "recipe",
    "Run": "run",
    "RunConfig": "config",
    "State": "folder.records",
    "Status": "folder.records",
    "TrainingConfig": "config",
    "all_runs": "run",
    "assess": "results",
    "build_from_config": "build",
    "build_model": "build",
    "choose": "recipe",
    "compare": "results",
    "describe_model": "build",
    "find": "run",
    "finished_runs": "run",
    "held_out_view": "examples",
    "ladder": "results",
    "likelihoods_that_fit": "recipe",
    "most_anomalous": "results",
    "new_examples": "examples",
    "plan": "recipe",
    "reload": "recipe",
    "sample": "load",
    "save": "load",
    "score": "results",
}

__all__ = [
    "SETTINGS",
    "AnnealingPlan",
    "Assessment",
    "Checkpoint",
    "DataConfig",
    "Events",
    "Film",
    "LoadedRun",
    "ModelConfig",
    "Plan",
    "Recipe",
    "Run",
    "RunConfig",
    "State",
    "Status",
    "TrainingConfig",
    "all_runs",
    "anomalies",
    "assess",
    "build",
    "build_from_config",
    "build_model",
    "choose",
    "compare",
    "config",
    "describe_model",
    "examples",
    "find",
    "finished_runs",
    "folder",
    "frames",
    "held_out_view",
    "ladder",
    "likelihoods_that_fit",
    "load",
    "most_anomalous",
    "new_examples",
    "plan",
    "recipe",
    "reload",
    "results",
    "run",
    "sample",
    "save",
    "score",
    "tensorboard",
    "train",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
