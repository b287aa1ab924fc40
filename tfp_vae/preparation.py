"""A run's config and its data: planned from what is asked, and loaded again for a run. Needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfp_vae.binarization import BINARIZATIONS
from tfp_vae.config import DataConfig, ModelConfig, RunConfig, TrainingConfig, check_rate
from tfp_vae.datasets import DATASETS, Dataset, Split, check_support, default_binarization, load, prepare
from tfp_vae.errors import DataError
from tfp_vae.likelihoods import LIKELIHOODS
from tfp_vae.members import Member
from tfp_vae.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.supports import UNIT, first_violation

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
    check_rate(model, training)
    data = load(dataset, data_dir=data_dir, progress=progress)
    model = _completed(model, data)
    support = LIKELIHOODS.build(model.likelihood, data.event_shape).support
    chosen = BINARIZATIONS.member(binarization or default_binarization(data, support))
    described = DataConfig(
        dataset=dataset if dataset in DATASETS else _absolute(dataset),
        data_dir=None if data_dir is None else _absolute(data_dir),
        event_shape=data.event_shape,
        split_rule=data.split_rule,
        splits=data.sizes(),
        fingerprint=data.fingerprint(),
        binarization=chosen,
    )
    config = RunConfig(data=described, model=model, training=training)
    return config, _prepared(config, data)


def _absolute(path: str) -> str:
    """Return a path that still leads there from another folder."""
    return str(Path(path).expanduser().resolve())


def reload(config: RunConfig, data_dir: str | None = None, progress: Any = None) -> Dataset:
    """Return the data of a run again, refusing data that changed since it was trained."""
    data = load(config.data.dataset, data_dir=data_dir or config.data.data_dir, progress=progress)
    if data.fingerprint() != config.data.fingerprint:
        raise DataError(
            f"{config.data.dataset}: expected the data the run was trained on (fingerprint {config.data.fingerprint}), "
            f"found other values ({data.fingerprint()}); name their folder with --data-dir."
        )
    return _prepared(config, data)


def _completed(model: ModelConfig, data: Dataset) -> ModelConfig:
    """Return the model with what its likelihood takes from the data, such as the number of levels."""
    return model.model_copy(update={"likelihood": _counted(model.likelihood, data.train.x)})


def _prepared(config: RunConfig, data: Dataset) -> Dataset:
    binarization = BINARIZATIONS.build(config.data.binarization)
    likelihood = LIKELIHOODS.build(config.model.likelihood, data.event_shape)
    check_support(data, binarization.takes(likelihood.support), lambda: _advice(data))
    return prepare(data, binarization, config.training.seed)


def _advice(data: Dataset) -> str:
    """Return what to do with data that does not fit: scale it, or choose a likelihood that it fits."""
    x = data.train.x
    unit = first_violation(x, UNIT) is None
    first = "choose --binarization dynamic, static or threshold" if unit else "divide 8-bit pixels by 255"
    return f"{first}, or choose a --likelihood that fits: {', '.join(_fitting(x, data.event_shape))}"


def _fitting(x: np.ndarray, event_shape: tuple[int, ...]) -> list[str]:
    built = {name: LIKELIHOODS.build(_counted(LIKELIHOODS.member(name), x), event_shape) for name in LIKELIHOODS}
    return [name for name, likelihood in built.items() if first_violation(x, likelihood.support) is None]


def _counted(likelihood: Member, x: np.ndarray) -> Member:
    name, settings = likelihood
    return LIKELIHOODS.member({"name": name, **LIKELIHOODS[name].settings_from(settings, x)})


def held_out_view(config: RunConfig, dataset: Dataset, split: str) -> Split:
    """Return a split as evaluation sees it: binarized once, from a fixed seed.

    A split that is binary already stays as it is, as every binarization keeps 0 and 1.
    """
    given: Split = getattr(dataset, split)
    binarization = BINARIZATIONS.build(config.data.binarization)
    return Split(binarization.held_out(given.x, generator(FIXED_SEED, Purpose.HELD_OUT, 0)), given.y)
