"""A run's config and its data: planned from what is asked, and loaded again for a run. Needs no TensorFlow."""

from __future__ import annotations

from typing import Any

from tfp_vae.binarization import BINARIZATIONS
from tfp_vae.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from tfp_vae.datasets import Dataset, Split, check_kind, default_binarization, load, prepare
from tfp_vae.errors import DataError
from tfp_vae.likelihoods import LIKELIHOODS
from tfp_vae.seeds import FIXED_SEED, Purpose, generator

__all__ = ["held_out_view", "plan", "reload"]


def plan(
    dataset: str,
    data_dir: str | None,
    binarization: str | None,
    model: ModelConfig,
    training: TrainingConfig,
    progress: Any = None,
) -> tuple[RunConfig, Dataset]:
    """Return a new run's config, and its data as it will see them.

    Raises:
      DataError: data that are missing, malformed, or of a kind the likelihood has no density for.
    """
    data = load(dataset, data_dir=data_dir, progress=progress)
    accepts = LIKELIHOODS[model.likelihood.name].accepts
    chosen = BINARIZATIONS.member(binarization or default_binarization(data, accepts))
    described = DataConfig(
        dataset=dataset,
        data_dir=data_dir,
        event_shape=data.event_shape,
        split_rule=data.split_rule,
        splits=data.sizes(),
        fingerprint=data.fingerprint(),
        binarization=chosen,
    )
    config = RunConfig(data=described, model=model, training=training)
    return config, _prepared(config, data)


def reload(config: RunConfig, data_dir: str | None = None, progress: Any = None) -> Dataset:
    """Return the data of a run again, refusing data that changed since it was trained."""
    data = load(config.data.dataset, data_dir=data_dir or config.data.data_dir, progress=progress)
    if data.fingerprint() != config.data.fingerprint:
        raise DataError(
            f"{config.data.dataset}: expected the data the run was trained on (fingerprint {config.data.fingerprint}), "
            f"found other values ({data.fingerprint()}); name their folder with --data-dir."
        )
    return _prepared(config, data)


def _prepared(config: RunConfig, data: Dataset) -> Dataset:
    binarization = BINARIZATIONS.build(config.data.binarization)
    check_kind(data, LIKELIHOODS[config.model.likelihood.name].accepts, binarization)
    return prepare(data, binarization, config.training.seed)


def held_out_view(config: RunConfig, dataset: Dataset, split: str) -> Split:
    """Return a split as evaluation sees it: binarized once, from a fixed seed."""
    given: Split = getattr(dataset, split)
    binarization = BINARIZATIONS.build(config.data.binarization)
    return Split(binarization.held_out(given.x, generator(FIXED_SEED, Purpose.HELD_OUT, 0)), given.y)
