"""Save a VAE as a run, and load the VAE of a run.

`save` writes the same files as `tfp-vae train`, so every command takes the run. `LoadedRun` holds a run's VAE with its
trained weights. Evaluation, scores and pictures take a `LoadedRun`.

```python
data = tv.data.load("digits")
tv.fit(vae, data, epochs=1, execution="graph")
run = tv.save(vae, "runs/digits")
```
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from tfp_vae.core import registry
from tfp_vae.core.errors import RunError, TfpVaeError, UsageError, pick, require
from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.files import arrays_bytes
from tfp_vae.core.registry import Member, Table, check_keywords
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.data.condition import hide_classes
from tfp_vae.data.dataset import SPLITS, Dataset, Split
from tfp_vae.data.loading import read
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.data.transforms.scaling import PIXEL, scale
from tfp_vae.evaluation.latent_space import Region, generate_within
from tfp_vae.evaluation.metrics import Measure
from tfp_vae.evaluation.outputs import OUTPUTS
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import OBJECTIVES, Weighted, elbo_for
from tfp_vae.runs import run as runs
from tfp_vae.runs.build import build_from_config, describe_model
from tfp_vae.runs.config import DataConfig, RunConfig, TrainingConfig
from tfp_vae.runs.folder.checkpoint import BEST, FINAL, Checkpoint, shapes
from tfp_vae.runs.folder.examples import COLUMNS
from tfp_vae.runs.recipe import source_facts
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import environment, measure, trained_execution, training_result, write_snapshot
from tfp_vae.training.average import Average, copies
from tfp_vae.training.fitting import Fit, last_fit
from tfp_vae.training.history import History, Snapshot, Totals
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.state import AVERAGE, OPTIMIZER, State, weights_in_use

if TYPE_CHECKING:
    import os

    from tfp_vae.runs.build import Builder

__all__ = ["LoadedRun", "load", "sample", "save"]

_LOADED: weakref.WeakKeyDictionary[VAE, DataConfig] = weakref.WeakKeyDictionary()
"""The data of the run that each VAE was loaded from, for `save`."""

SAMPLES_AT_ONCE = 1_000
"""How many samples are decoded at once. The samples of a seed depend on it."""


@check_keywords
def save(
    vae: VAE, folder: str | os.PathLike[str], *, builder: Builder | str | None = None, store_data: bool = True
) -> Run:
    """Save a VAE as a run, with the data, settings and history of its last `fit`.

    A VAE that was loaded and not trained since keeps the data of its run, with their scaling and columns.

    Every command takes the run like one that `tfp-vae train` wrote. You can also resume its training there, if the
    settings of `fit` have names in the tables. A data set with a name or a path is read again from there. The run's
    folder stores data that were in memory.

    ```python
    run = tv.save(vae, "runs/copy")  # for commands, add `builder="my_package.my_module:make_vae"`
    run.metrics()[0]["elbo"]  # of the first epoch, in nats per example
    ```

    Args:
      vae: a VAE from `build`, `load` or your own code. Its current weights are saved.
      folder: a new or empty folder.
      builder: the function without arguments that builds this VAE, or its name `package.module:function`, if you built
        the VAE by hand. The commands import it if you allow it. Without a name, only `load(folder, builder=...)` can
        load the run.
      store_data: whether to store data that were in memory. Without them, commands take new data only.

    Raises:
      RunError: the folder holds a run or other files, or the builder builds another VAE.
      UsageError: a setting of `fit` or the shape of an example is beyond the limits of a run.
      DiskError: a file could not be written.
    """
    require(VAE, vae, "save: vae")
    folder = Path(folder)
    Run.refuse_existing(folder)
    fit = last_fit(vae)
    data = None if fit is None else fit.data
    try:
        training = _default_training(vae) if fit is None else _training_config(fit)
        config = RunConfig(data=_data_config(vae, fit, folder), model=describe_model(vae, builder), training=training)
    except UsageError as error:
        raise UsageError(f"A run cannot hold this VAE and its `fit`. {error}") from None
    if builder is not None:
        with registry.allow_code():
            every = shapes(config, optimizer=False, builder=builder if callable(builder) else None)
        found = {name: shape for name, shape in every.items() if not name.startswith(AVERAGE)}
        expected = State(vae).shapes()
        different = sorted(expected.keys() ^ found.keys()) or [
            name for name in expected if expected[name] != found[name]
        ]
        if different:
            raise RunError(f"The `builder` builds another VAE than the one to save: they differ in {different[0]}.")
    stored = _stored(vae, data) if config.data.stored and store_data else None
    run = Run.create(folder, config)
    with run.claim():
        if stored is not None:
            run.files.write_bytes(runs.DATA, stored)
        sizes = {} if fit is None else {"examples": len(fit.data.train), "steps": training.epochs * fit.steps}
        run.write(runs.ENVIRONMENT, {**environment(), "execution": choose(vae, training.execution, **sizes)})
        snapshot, in_use = _snapshot(vae, fit, training)
        write_snapshot(run, config.identity(), snapshot, in_use=in_use)
        finished = fit is not None and fit.history.finished
        if fit is not None and finished:
            result = training_result(run, vae, fit.history).content()
            run.write(runs.TRAINING, {**result, "weights": in_use})
        run.mark("finished" if finished else "interrupted")
    return run


def _stored(vae: VAE, data: Dataset | None) -> bytes | memoryview | None:
    """Return the content of the file of a run's data, or None if there are no data.

    A data set that no file can hold raises an error here.
    """
    if data is None:
        file = None if vae not in _LOADED else Path(_LOADED[vae].dataset)
        return file.read_bytes() if file is not None and file.is_file() else None
    parts = {split: getattr(data, split) for split in SPLITS}
    for split, part in parts.items():
        if part.ids and part.names is None:  # a row is named by its ids
            names = np.array([part.source_name(row) for row in range(len(part))], np.str_)
            parts[split] = dataclasses.replace(part, names=names)
    columns = {f"{name}_{split}": getattr(part, name) for split, part in parts.items() for name in COLUMNS}
    return arrays_bytes({name: x for name, x in columns.items() if x is not None})


def _data_config(vae: VAE, fit: Fit | None, folder: Path) -> DataConfig:
    """Return the config of the data of a fit, or of the run that the VAE was loaded from, or of none."""
    shape = tuple(map(int, vae.decoder.likelihood.event_shape))
    stored = str((folder / runs.DATA).resolve())
    if fit is None and vae in _LOADED:
        loaded = _LOADED[vae]
        return loaded.model_copy(update={"dataset": stored}) if loaded.stored else loaded
    if fit is None:
        none = BINARIZATIONS.member("none")
        return DataConfig(
            dataset=stored, event_shape=shape, split_rule="", splits={}, fingerprint="", binarization=none, stored=True
        )
    data, origin, fingerprint = fit.data, fit.data.origin, fit.data.fingerprint()
    eight_bits = data.scaling.name == "pixels" and data.profile.eight_bits
    facts: dict[str, Any] = {"pixels_over": PIXEL if eight_bits else None, "ink": data.profile.train.ink}
    if origin is not None:
        try:
            raw = read(origin.dataset, origin.data_dir, reading=data.reading, recorded=True)
            again = scale(raw, data.scaling)
            if again.fingerprint() == fingerprint:
                facts = source_facts(raw, data, columns=origin.columns)
            else:
                origin = None  # because you changed the data set
        except TfpVaeError:
            origin = None
    return DataConfig(
        dataset=stored if origin is None else origin.dataset,
        data_dir=None if origin is None else origin.data_dir,
        event_shape=shape,
        split_rule=data.split_rule,
        splits={split: size for split, size in data.sizes().items() if size},
        fingerprint=fingerprint,
        binarization=_member(BINARIZATIONS, fit.settings["binarization"]) or BINARIZATIONS.member("none"),
        dequantization=data.dequantization,
        reading=data.reading,
        scaling=data.scaling,
        condition=data.condition,
        stored=origin is None,
        **facts,
    )


def _default_training(vae: VAE) -> TrainingConfig:
    """Return default settings for a VAE without a fit, with an objective that it can be trained on."""
    return TrainingConfig(objective=_member(OBJECTIVES, elbo_for(vae)) or OBJECTIVES.member("elbo"))


def _training_config(fit: Fit) -> TrainingConfig:
    """Return the settings of a fit, and which of them were objects that no table names."""
    settings = dict(fit.settings)
    objective = settings["objective"]
    if isinstance(objective, Weighted):
        epochs, rest = divmod(objective.warmup_steps, fit.steps)
        settings |= {"beta": objective.beta, "kl_warmup_epochs": epochs, "free_bits": objective.free_bits}
        settings["objective"] = None if rest else objective.objective
    named = {
        "objective": _member(OBJECTIVES, settings["objective"]),
        "optimizer": _member(OPTIMIZERS, settings["optimizer"]),
        "lr_schedule": _member(SCHEDULES, settings["lr_schedule"]),
        "binarization": _member(BINARIZATIONS, settings.pop("binarization")),
    }
    objects = tuple(name for name, member in named.items() if member is None)
    del named["binarization"]
    known = {name: member for name, member in named.items() if member is not None}
    plain = {name: value for name, value in settings.items() if name not in named}
    return TrainingConfig(**plain, **known, early_stopping=fit.patience, objects=objects)


def _member(table: Table, value: object) -> Member | None:
    """Return the member of a table that builds an object, or None if there is none."""
    if isinstance(value, str | Member):
        return table.member(value)
    kind = type(value)
    if not dataclasses.is_dataclass(kind) or kind.__module__ == "__main__":
        return None
    name = next((name for name, entry in table.items() if entry is kind), f"{kind.__module__}:{kind.__qualname__}")
    try:
        return table.member({"name": name, **{key: getattr(value, key) for key in table.info(name).defaults}})
    except TfpVaeError:  # a class that cannot be imported by name
        return None


def _snapshot(vae: VAE, fit: Fit | None, training: TrainingConfig) -> tuple[Snapshot, str]:
    """Return the state at the end of a fit, and which of its weights the VAE has.

    If the VAE has others than the last and the best ones, they replace the last ones.
    """
    history = History() if fit is None else fit.history
    kept = history.snapshot
    if kept is not None:
        there = {FINAL: weights_in_use(kept.variables)} | ({} if kept.best is None else {BEST: kept.best.variables})
        for name in (FINAL, BEST) if training.early_stopping is None else (BEST, FINAL):
            if name in there and _has_weights(vae, there[name]):
                return kept, name
    optimizer = OPTIMIZERS.build(training.optimizer, training.learning_rate)
    optimizer.build(vae.trainable_variables)
    average = None if training.ema is None else Average(copies(vae.trainable_variables), training.ema)
    current = State(vae, optimizer, average).capture()
    if kept is None:
        step = history[-1].step if history.epochs else 0
        return Snapshot(step, Totals(), current, epochs=tuple(history)), FINAL
    changed = {name: array for name, array in current.items() if not name.startswith(OPTIMIZER)}
    return kept._replace(variables={**kept.variables, **changed}), FINAL


def _has_weights(vae: VAE, arrays: Mapping[str, np.ndarray]) -> bool:
    weights = State(vae).capture()
    return all(np.array_equal(arrays[name], array, equal_nan=True) for name, array in weights.items())


def _usual(training: TrainingConfig, checkpoint: Checkpoint) -> str:
    """Return which weights of a checkpoint are used by default."""
    implied = BEST if training.early_stopping is not None and checkpoint.best is not None else FINAL
    return checkpoint.in_use or implied


@check_keywords
def load(
    folder: str | os.PathLike[str],
    *,
    weights: Literal["final", "best"] | None = None,
    builder: Builder | None = None,
    allow_code: bool = False,
) -> VAE:
    """Return the VAE of a run with its trained weights.

    ```python
    tv.save(tv.build(data, hidden=(16,)), "runs/built")
    vae = tv.load("runs/built")  # or a run of `tfp-vae train`
    vae.sample(4, seed=(0, 0))  # [4, 8, 8, 1]
    ```

    Args:
      folder: the folder of the run.
      weights: `final` or `best`, see `LoadedRun`. By default the best ones if the run stops early.
      builder: the function that builds the VAE, if you built it by hand. By default the config names it.
      allow_code: whether to import the code that the config names, such as the builder. Set it if you trust the run.

    Raises:
      RunError: the run is missing or damaged, or it needs code that is not known or not allowed.
    """
    with registry.allow_code() if allow_code else contextlib.nullcontext():
        return LoadedRun(Run.open(folder), weights, builder=builder).vae


@final
@check_keywords
class LoadedRun:
    """The VAE of a run, with weights from its checkpoint.

    The config decides which weights are read, so a damaged or foreign file is refused before it takes memory. `vae` is
    an ordinary VAE: you can evaluate it, sample from it or train it further.

    ```python
    loaded = tv.runs.load.LoadedRun(tv.runs.run.find("runs/built", "runs"))
    loaded.vae.sample(4, seed=(0, 0))  # [4, 8, 8, 1]
    loaded.description  # "final, of step 0": which weights, and whether they are averaged
    ```

    Args:
      run: the run.
      weights: `final` for the weights of the last step, or `best` for those after the epoch with the greatest
        validation bound. Both are averaged if the run averages its weights. None means the best ones if the run has
        early stopping, else the final ones.
      builder: the function that builds a hand-built VAE. By default the config names it.

    Raises:
      RunError: the config or the checkpoint is missing or damaged, or they do not fit each other.
    """

    def __init__(self, run: Run, weights: str | None = None, *, builder: Builder | None = None) -> None:
        if weights is not None:
            pick(WEIGHTS, weights, "weights")
        self.run = run
        self.config = run.config()
        checkpoint = run.checkpoint(shapes(self.config, builder=builder))
        self.weights = weights or _usual(self.config.training, checkpoint)
        self.step, variables = WEIGHTS[self.weights](checkpoint)
        self.vae: VAE = build_from_config(self.config, builder=builder)
        State(self.vae).restore(variables)
        _LOADED[self.vae] = self.config.data

    def __repr__(self) -> str:
        return f"LoadedRun({self.run!r}, weights {self.description})"

    @property
    def measure(self) -> Measure:
        """The kind of likelihood that this run gives, and the units of its densities."""
        return measure(self.config, self.vae)

    def choose_execution(self, execution: str = AUTO) -> str:
        """Return `execution`, or for `auto` the one that the run was trained with."""
        return choose(self.vae, trained_execution(self.run) if execution == AUTO else execution)

    def as_unlabelled(self, split: Split) -> Split:
        """Return examples as log p(x) takes them: if the model has a classifier, it sums over the classes of all."""
        return split if self.vae.classifier is None else hide_classes(split)

    @property
    def description(self) -> str:
        """Which weights these are: their name, their step, and whether they are averaged."""
        ema = self.config.training.ema
        averaged = "" if ema is None else f", averaged (EMA with decay {ema:g})"
        return f"{self.weights}, of step {self.step:,}{averaged}"


def _best(checkpoint: Checkpoint) -> tuple[int, Mapping[str, np.ndarray]]:
    if checkpoint.best is None:
        raise RunError("The run has no best weights yet, because no epoch has ended with a finite validation bound.")
    return checkpoint.best.step, checkpoint.best.variables


WEIGHTS: dict[str, Callable[[Checkpoint], tuple[int, Mapping[str, np.ndarray]]]] = {
    FINAL: lambda checkpoint: (checkpoint.step, checkpoint.variables),
    BEST: _best,
}
"""How to get the step and the variables of each kind of weights from a checkpoint."""


def usual_contexts(config: RunConfig, n: int) -> np.ndarray:
    """Return the contexts of n samples if you choose none, [n, C]: equally many of each class, in their order.

    A condition with numbers or several variables gives its typical context for all of them.
    """
    condition = config.data.condition
    if condition is None:
        raise UsageError("The run does not record its condition. Pass `context`.")
    if not condition.classes:
        return np.repeat(condition.typical()[np.newaxis], n, axis=0)
    return np.eye(condition.size, dtype=np.float32)[np.arange(n) * condition.size // n]


@check_keywords
def sample(
    loaded: LoadedRun,
    n: int,
    *,
    seed: int,
    temperature: float = 1.0,
    show: str = "draw",
    region: Region | None = None,
    context: np.ndarray | None = None,
) -> np.ndarray:
    """Return n samples from p(x) of a run, [n, *event_shape].

    ```python
    loaded = tv.runs.load.LoadedRun(tv.runs.run.find("runs/built", "runs"))
    tv.runs.load.sample(loaded, 4, seed=0, temperature=0.8)  # [4, 8, 8, 1], each pixel 0 or 1
    tv.runs.load.sample(loaded, 4, seed=0, show="mean")  # [4, 8, 8, 1], E[x|z]
    ```

    Args:
      loaded: the run.
      n: the number of samples.
      seed: seeds the samples.
      temperature: scales the spread of the prior.
      show: `draw` for x ~ p(x|z) with z from the prior, or `mean` for E[x|z]. Means vary less than the data. Draws of a
        run with a dequantization are rounded down to levels.
      region: the region of z, see `latent_space.generate_within`. None is all of latent space.
      context: y of a conditional run, [C], or one for each sample, [n, C]. By default equally many of each class, in
        their order, or the mean of numbers.

    Raises:
      UsageError: `show` is unknown, the prior has no temperature, or hardly any of its mass lies in the region.
    """
    parts, output = [], pick(OUTPUTS, show, "show")
    if loaded.vae.context_size and context is None:
        context = usual_contexts(loaded.config, n)
    for start in range(0, n, SAMPLES_AT_ONCE):
        latent_seed, data_seed = (seed_for(seed, Purpose.SAMPLE, stage, start) for stage in (0, 1))
        y = context if context is None or context.ndim == 1 else context[start : start + SAMPLES_AT_ONCE]
        vae = loaded.vae if y is None else loaded.vae.given(y)
        if region is not None and vae.prior().batch_shape.rank:
            raise UsageError("`region` needs one context for all samples if the prior depends on it. Set `given`.")
        generate = vae.generate if region is None else functools.partial(generate_within, vae, region=region)
        p = generate(min(SAMPLES_AT_ONCE, n - start), seed=latent_seed, temperature=temperature)
        parts.append(np.asarray(output.values(p, data_seed)))
    x, noise = np.concatenate(parts), loaded.config.data.noise
    return noise.floor(x) if noise is not None and show == "draw" else x
