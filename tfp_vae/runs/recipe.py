"""A run's config and its data: planned from what is asked, and loaded again for a run. Needs no TensorFlow.

`plan` is the way from a command to a run: read, pick what is open by the kind of the data, scale, count levels, choose
a binarization, check, and write it all down in a `RunConfig`. `reload` goes the same way again from the config, and
`new_examples` takes data that the run never saw along it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.registry import Member
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.core.supports import BINARY, COUNTS, NEAR_UNIT, REAL, UNIT, Support, few_values, first_violation
from tfp_vae.data.dataset import (
    DATASETS,
    SPLITS,
    Dataset,
    Split,
    as_split,
    binarize_held_out,
    check_split,
    check_support,
    default_binarization,
    default_scaling,
    load,
    prepare,
    read,
    scaled,
    warn_of_namesake,
)
from tfp_vae.data.inspection import Duplicates, duplicates, facts
from tfp_vae.data.profile import (
    assumption,
    fits,
    kind_of,
    lack,
    suggest,
    suited_scaling,
    warn_of_assumption,
    warn_of_lack,
)
from tfp_vae.data.readers import sources
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.data.readers.images import RESIZE
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.data.transforms.scaling import SCALINGS
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS, needs_images
from tfp_vae.runs.config import DataConfig, ModelConfig, RunConfig, TrainingConfig, check_latent_dim, check_rate

__all__ = [
    "OPEN",
    "Binarized",
    "Few",
    "as_seen",
    "binarized",
    "fitting",
    "held_out_view",
    "inspect",
    "new_examples",
    "of_few_values",
    "plan",
    "reload",
    "scaled_examples",
    "split_to_show",
    "stored_data",
]

logger = logging.getLogger("tfp_vae")

OPEN = ("encoder", "decoder", "likelihood")
"""What of a model the kind of the data may pick."""


def plan(
    dataset: str,
    data_dir: str | None,
    binarization: str | Member | None,
    model: ModelConfig,
    training: TrainingConfig,
    progress: Any = None,
    *,
    reading: Reading | None = None,
    scaling: str | Member | None = None,
    open_choices: Collection[str] = (),
) -> tuple[RunConfig, Dataset]:
    """Return a new run's config, and its data as it will see them.

    ```python
    model, training = tv.runs.config.ModelConfig(latent_dim=2), tv.runs.config.TrainingConfig(epochs=1)
    config, dataset = tv.runs.recipe.plan("digits", None, None, model, training)
    config.data.binarization.name, dataset.train.x.shape  # ("dynamic", (1437, 8, 8, 1))
    ```

    Args:
      dataset, data_dir, progress, reading: see `datasets.load`.
      binarization: a member of `BINARIZATIONS`; by the data and the likelihood, if not given.
      model, training: what is asked.
      scaling: a member of `SCALINGS`; by the data and the likelihood, if not given.
      open_choices: which of `OPEN` the kind of the data picks, whatever the model says of them.

    Returns:
      The config, and the data as training takes them: held-out splits binarized, training data as the binarization
        keeps them.

    Raises:
      DataError: data that are missing, malformed, or of a kind the likelihood has no density for.
      UsageError: a latent dimension that a family does not take, convolutions for vectors, an objective or free bits
        without the closed form that they need, or a binarization that is of no use to the likelihood.
    """
    check_latent_dim(model)
    check_rate(model, training)
    warn_of_namesake(dataset, data_dir)
    raw = read(dataset, data_dir=data_dir, progress=progress, reading=reading)
    support = None if "likelihood" in open_choices else _support(model.likelihood, raw.event_shape)
    data = scaled(raw, scaling or suited_scaling(raw, support))
    if not scaling and support is not COUNTS:
        warn_of_assumption(raw.name, raw.parts, data.scaling)
    model = _completed(_picked(model, data, open_choices), data)
    _check_networks(model, data)
    support = _support(model.likelihood, data.event_shape)
    chosen = BINARIZATIONS.member(binarization or default_binarization(data, support))
    origin = {"dataset": dataset if DATASETS.knows(dataset) else _absolute(dataset)}
    origin |= {} if data_dir is None else {"data_dir": _absolute(data_dir)}
    decided = {
        "binarization": chosen,
        "learned": _learned(reading or Reading(), data, scaling),
        "pixels_over": _pixels_over(raw, data.scaling),
        "deeper": any(bool(x.max() > PIXEL) for x in raw.parts),
    }
    config = RunConfig(data=_described(data, **origin, **decided), model=model, training=training)
    _warn_of_density(raw, config)
    warn_of_lack(raw)
    return config, _prepared(config, data)


def _described(data: Dataset, **more: Any) -> DataConfig:
    """Return what a config says of data, scaled: what they are themselves, and more that was asked or decided."""
    return DataConfig(
        event_shape=data.event_shape,
        split_rule=data.split_rule,
        splits=data.sizes(),
        fingerprint=data.fingerprint(),
        reading=data.reading,
        scaling=data.scaling,
        **more,
    )


def _learned(reading: Reading, data: Dataset, scaling: str | Member | None) -> tuple[str, ...]:
    """Return what the data decided of how they are read and scaled, as nobody said it."""
    columns = reading.columns is None and data.reading.columns is not None
    settings = SCALINGS.member(scaling or data.scaling.name).settings != data.scaling.settings
    return (*["columns"] * columns, *["scaling"] * settings)


def _pixels_over(raw: Dataset, scaling: Member) -> Literal[1, 255] | None:
    """Return what `pixels` divides a data set by, if that is one number and leads to [0, 1]."""
    if scaling.name != "pixels":
        return None
    if all(x.dtype == np.uint8 for x in raw.parts):
        return PIXEL
    return 1 if not any(x.dtype == np.uint8 for x in raw.parts) and fits(raw, UNIT) else None


def _support(likelihood: Member, event_shape: tuple[int, ...]) -> Support:
    support: Support = LIKELIHOODS.build(likelihood, event_shape).support
    return support


def _picked(model: ModelConfig, data: Dataset, open_choices: Collection[str]) -> ModelConfig:
    """Return the model with what the kind of the data picks of it."""
    if not open_choices:
        return model
    suited = suggest(data)
    members = {
        "encoder": NETWORKS.member(suited.network),
        "decoder": NETWORKS.member(suited.network),
        "likelihood": LIKELIHOODS.member(suited.likelihood),
    }
    return model.model_copy(update={name: members[name] for name in open_choices})


def _check_networks(model: ModelConfig, data: Dataset) -> None:
    """Refuse convolutions for vectors, here already and not when the run is there and its model is built."""
    for option in ("encoder", "decoder"):
        name = getattr(model, option).name
        if needs_images(name) and len(data.event_shape) == 1:
            raise UsageError(
                f"--{option} {name}: expected images, found vectors of {data.event_shape[0]} values in {data.name}; "
                "choose mlp."
            )


def _absolute(path: str) -> str:
    """Return a path that still leads there from another folder."""
    return str(Path(path).expanduser().resolve())


def reload(config: RunConfig, data_dir: str | None = None, progress: Any = None) -> Dataset:
    """Return the data of a run again, refusing data that changed since it was trained.

    Args:
      config: the run's.
      data_dir: where the data lie now; where they lay, if not given.
      progress: see `datasets.load`.

    Raises:
      DataError: data that are missing, malformed, or have other values than those trained on.
    """
    if config.data.stored:
        data = stored_data(config)
    else:
        data = load(
            config.data.dataset,
            data_dir=data_dir or config.data.data_dir,
            progress=progress,
            reading=config.data.reading,
            scaling=config.data.scaling,
            recorded=True,
        )
    if data.fingerprint() != config.data.fingerprint:
        raise DataError(
            f"{config.data.dataset}: expected the data the run was trained on (fingerprint {config.data.fingerprint}), "
            f"found other values ({data.fingerprint()}); name their folder with `data_dir`."
        )
    return _prepared(config, data)


def stored_data(config: RunConfig) -> Dataset:
    """Return the data that a run's folder holds because they were in memory. They are scaled already.

    Args:
      config: the config of the run.

    Raises:
      DataError: the run does not hold its data, or the file is damaged.
    """
    path = Path(config.data.dataset)
    if not path.exists():
        raise DataError(f"{path}: the run does not hold its data, which were in memory. Pass new data as a file.")
    arrays = read_npz(path)
    try:
        train, validation, test = (
            Split(
                arrays[f"x_{split}"],
                arrays.get(f"y_{split}"),
                rows=arrays.get(f"rows_{split}"),
                names=arrays.get(f"names_{split}"),
            )
            for split in SPLITS
        )
    except KeyError as error:
        raise DataError(f"{path}: expected the data of the run, found no array {error}.") from error
    data = config.data
    return Dataset(str(path), data.split_rule, train, validation, test, data.reading, data.scaling)


def _completed(model: ModelConfig, data: Dataset) -> ModelConfig:
    """Return the model with what its likelihood takes from the data, such as the number of levels.

    Counts may be of any size, so the encoder is given their logarithms, unless the model says what it is given.
    """
    is_open = "encoder_input" not in model.model_fields_set
    counts = _support(model.likelihood, data.event_shape) is COUNTS
    decided = {"encoder_input": "log1p"} if is_open and counts else {}
    return model.model_copy(update={"likelihood": _counted(model.likelihood, data.train.x), **decided})


def _prepared(config: RunConfig, data: Dataset) -> Dataset:
    binarization = BINARIZATIONS.build(config.data.binarization)
    support = config.model.support(data.event_shape)
    check_support(data, binarization.takes(support), lambda: _advice(data, support))
    return prepare(data, binarization, config.training.seed)


def _advice(data: Dataset, support: Support) -> str:
    """Return what to do with data that a likelihood of `support` does not take; each of it works.

    Each remedy is tried on the data before it is given.
    """
    remedies = [remedy for remedy, helps in _REMEDIES.items() if helps(data, support)]
    unit = support is not BINARY and fits(data, UNIT)  # under a Bernoulli they are binarized, unless told not to be
    fit = [set(fitting(x, data.event_shape)) for x in data.parts]
    names = [name for name in LIKELIHOODS if name in set.intersection(*fit) or (unit and name == "bernoulli")]
    return ", or ".join([*remedies, f"choose a `likelihood` that fits: {', '.join(names)}"])


def _helps_to_divide(data: Dataset, support: Support) -> bool:
    if max(x.max() for x in data.parts) <= 1 or min(x.min() for x in data.parts) < 0:
        return False
    takes = UNIT if support is BINARY else support
    return all(first_violation(x / PIXEL, takes) is None for x in data.parts)


PIXEL: Literal[255] = 255
"""The largest value of an 8-bit pixel."""

_REMEDIES: dict[str, Callable[[Dataset, Support], bool]] = {
    "choose `binarization=dynamic`, static or threshold": lambda data, support: support is BINARY and fits(data, UNIT),
    "choose `scaling=divided:by=255`": _helps_to_divide,
}
"""What helps data that a likelihood of a support does not take, and when."""


def fitting(x: np.ndarray, event_shape: tuple[int, ...]) -> list[str]:
    """Return the names of the likelihoods that have a probability, or a density, for x [N, *event_shape].

    ```python
    tv.runs.recipe.fitting(np.array([[0.0, 1.0], [2.0, 5.0]]), (2,))  # normal, laplace, poisson, negative-binomial
    ```
    """
    built = {name: LIKELIHOODS.build(_counted(LIKELIHOODS.member(name), x), event_shape) for name in LIKELIHOODS}
    return [name for name, likelihood in built.items() if first_violation(x, likelihood.support) is None]


class Few(NamedTuple):
    """What there is to say of data of few values.

    size: how many they are.
    likely: the likelihoods that have probabilities for them; of binary ones the one that is meant for them.
    unbounded: those whose densities grow there without end, see `likelihoods.Likelihood.unbounded_at`.
    """

    size: int
    likely: list[str]
    unbounded: list[str]


def of_few_values(raw: Dataset, *, binarized: bool = False) -> Few | None:
    """Return what there is to say of a data set, not yet scaled, if it has few values or is binarized; else None."""
    values = np.array([0.0, 1.0]) if binarized else _few_values(raw)
    if values is None:
        return None
    fit = [LIKELIHOODS.member(name) for name in fitting(values[:, np.newaxis], (1,))]
    binary = bool(BINARY.contains(values).all())
    likely = ["bernoulli"] if binary else [each.name for each in fit if LIKELIHOODS[each.name].discrete]
    return Few(len(values), likely, [each.name for each in fit if _is_unbounded(each, values)])


def inspect(raw: Dataset, scaling: str | None = None) -> dict[str, Any]:
    """Return what there is to say of a data set as `datasets.read` gives it, as a JSON object.

    `range`, `missing` and `infinite` are of the values in the source. Data that can be trained on have `assumed`, what
    is taken for granted of their scale, and from `kind` on what is true of the values scaled; other data have a
    `problem`.

    ```python
    found = tv.runs.recipe.inspect(tv.data.dataset.read("digits"))
    found["trainable"], found["picked"]["likelihood"], found["duplicates"]["test"]["near"]
    ```

    Args:
      raw: not yet scaled.
      scaling: a member of `SCALINGS`; what suits the data, if not given.
    """
    found = facts(raw)
    try:
        data = scaled(raw, scaling or suited_scaling(raw, None))
    except DataError as error:
        return {**found, "trainable": False, "problem": str(error)}
    assumed = None if scaling else assumption(raw.parts, data.scaling.name)
    few = of_few_values(raw)
    return {
        **found,
        "trainable": True,
        "lack": lack(raw),
        "assumed": assumed,
        "few_values": None if few is None else few._asdict(),
        **_of_scaled(data),
    }


def _of_scaled(data: Dataset) -> dict[str, Any]:
    suited, kind = suggest(data), kind_of(data)
    whole = np.concatenate(data.parts)
    likelihoods = fitting(whole, data.event_shape)
    support = LIKELIHOODS.build(LIKELIHOODS.member(suited.likelihood), data.event_shape).support
    return {
        "kind": str(kind),
        "constant": int((np.ptp(data.train.x, axis=0) == 0).sum()),
        "likelihoods": likelihoods,
        "likelihoods_if_binarized": _if_binarized(whole, likelihoods),
        "picked": {
            "likelihood": suited.likelihood,
            "encoder": suited.network,
            "decoder": suited.network,
            "scaling": data.scaling.name,
            "binarization": default_binarization(data, support),
        },
        "duplicates": {name: _as_json(duplicates(data, name)) for name in SPLITS if name != "train"},
    }


def _if_binarized(x: np.ndarray, fit: list[str]) -> list[str]:
    """Return the likelihoods that fit x only once it is binarized, by any of `BINARIZATIONS` but none."""
    if first_violation(x, UNIT) is not None:
        return []
    binary = BINARIZATIONS["threshold"]().training(x[:1], generator(FIXED_SEED, Purpose.INSPECTION))
    return [name for name in fitting(binary, x.shape[1:]) if name not in fit and name == "bernoulli"]


def _as_json(found: Duplicates) -> dict[str, Any]:
    return {**found._asdict(), "nearest": [each._asdict() for each in found.nearest]}


def _few_values(raw: Dataset) -> np.ndarray | None:
    """Return the values of a data set if they are few, as `default_scaling` has them."""
    few = few_values(raw.parts) is not None
    return few_values(scaled(raw, default_scaling(raw)).parts) if few else None


def _is_unbounded(likelihood: Member, values: np.ndarray) -> bool:
    at: Support | None = LIKELIHOODS.build(likelihood, (1,)).unbounded_at
    return at is not None and bool(at.contains(values).all())


def _warn_of_density(raw: Dataset, config: RunConfig) -> None:
    """Warn of a density that has no upper bound on the few values of the data."""
    likelihood = LIKELIHOODS.build(config.model.likelihood, (1,))
    if likelihood.unbounded_at is None:
        return
    few = of_few_values(raw, binarized=config.data.binarization.name != "none")
    if few is not None and few.size > 1 and config.model.likelihood.name in few.unbounded:
        what = "0 and 1" if few.likely == ["bernoulli"] else f"{few.size} different ones"
        remedy = f"`likelihood={', '.join(few.likely)}`" if few.likely else "bring them to {0, 1}, levels or counts"
        logger.warning(_UNBOUNDED, raw.name, what, config.model.likelihood.name, remedy)


_UNBOUNDED = (
    "%s: its values are only %s, on which the density of %s has no upper bound: log p(x) rises as the "
    "density narrows, and does not compare with the logarithm of a probability. For one of those: %s."
)


def _counted(likelihood: Member, x: np.ndarray) -> Member:
    name, settings = likelihood
    return LIKELIHOODS.member({"name": name, **LIKELIHOODS[name].settings_from(settings, x)})


def held_out_view(config: RunConfig, dataset: Dataset, split: str) -> Split:
    """Return a split as evaluation sees it: binarized once, from a fixed seed.

    A split that is binary already stays as it is, as every binarization keeps 0 and 1.

    ```python
    test = tv.runs.recipe.held_out_view(config, dataset, "test")  # of the example above; 180 examples of 0 and 1
    ```

    Args:
      config: the run's.
      dataset: from `plan` or `reload`.
      split: `train`, `validation` or `test`. Of training data under dynamic binarization it is one draw of many.

    Raises:
      UsageError: the split is empty.
    """
    if not len(getattr(dataset, split)):
        there = ", ".join(f"`split={name}`" for name, size in dataset.sizes().items() if size)
        raise UsageError(f"The data of the run have no {split} split. Choose {there}.")
    return binarized(config, getattr(dataset, split)).split


def split_to_show(dataset: Dataset) -> str:
    """Return the split that pictures show: `test`, or another one if the data have no test examples."""
    return next(name for name in ("test", "validation", "train") if len(getattr(dataset, name)))


def as_seen(config: RunConfig) -> str:
    """Return what to call examples as the model sees them."""
    return "data" if config.data.binarization.name == "none" else "data, binarized"


class Binarized(NamedTuple):
    """A split as evaluation sees it, and whether that is a draw: of grey values, by a binarization that draws."""

    split: Split
    drawn: bool


def binarized(config: RunConfig, given: Split) -> Binarized:
    """Return a split binarized as evaluation sees it, from one fixed seed, whichever split or file it is.

    Validation and test data are binarized at load already, and 0 and 1 stay 0 and 1.

    Args:
      config: the run's.
      given: scaled, such as `scaled_examples` gives.
    """
    binarization = BINARIZATIONS.build(config.data.binarization)
    seen = binarize_held_out(given, binarization)
    return Binarized(seen, binarization.draws and first_violation(given.x, BINARY) is not None)


def new_examples(config: RunConfig, path: str) -> Split:
    """Return the examples of a file or folder as a run's evaluation sees held-out data.

    They are `scaled_examples`, binarized as the run's own data were; their labels, if any, are kept.

    ```python
    from pathlib import Path

    run = tv.runs.run.find(None, "runs")
    np.save("new.npy", np.random.default_rng(0).random((3, 8, 8)).astype(np.float32))
    tv.runs.recipe.new_examples(run.config(), "new.npy").x  # [3, 8, 8, 1], of 0 and 1 as the run saw its data
    ```

    Args:
      config: the run's.
      path: of a file or folder of a kind that is read, see `sources.read`.

    Raises:
      UsageError, DataError: as `scaled_examples`.
    """
    return binarized(config, scaled_examples(config, path)).split


def scaled_examples(config: RunConfig, path: str) -> Split:
    """Return the examples of a file or folder read and scaled as a run's own were, not binarized yet.

    Args:
      config: the run's.
      path: of a file or folder of a kind that is read, see `sources.read`.

    Raises:
      UsageError: an empty path.
      DataError: examples that are missing or malformed, of another shape than the run's, or of a kind that its
        likelihood has no density for.
    """
    if not path:
        raise UsageError("expected the path of examples, found an empty one; name a file or a folder.")
    with _sized(config):
        source = sources.read(Path(path).expanduser(), config.data.reading, again=True)
    if len(source.parts) > 1:
        raise DataError(f"{path}: expected examples without splits, found {', '.join(source.parts)}; give one of them.")
    given = as_split(next(iter(source.parts.values())))
    _check_shape(config, path, given)
    check_split(path, given, REAL, lambda: "remove or mend it")
    split = replace(given, x=_scaled_as_the_runs(config, path, given.x))
    support = config.model.support(config.data.event_shape)
    takes = BINARIZATIONS.build(config.data.binarization).takes(support)
    if takes is REAL and config.data.pixels_over is not None:
        takes = NEAR_UNIT
    check_split(path, split, takes, lambda: _MEND[config.data.pixels_over].format(config.data.dataset))
    return split


@contextmanager
def _sized(config: RunConfig) -> Iterator[None]:
    """Say of images of several sizes what a run's own have, as new ones are not resized unless those were."""
    try:
        yield
    except DataError as error:
        size = "x".join(map(str, config.data.event_shape[:2]))
        raise DataError(str(error).replace(RESIZE, f"bring each to {size}, as the run was trained on")) from error


_MEND = {
    None: "bring it to the values the run was trained on: {}",
    1: "bring it to the values in [0, 1] the run was trained on: {}",
    255: "bring it to the values the run was trained on, pixels from 0 to 255 as uint8, or over 255: {}",
}
"""What to do with new examples whose values are not those of a run, by what its pixels were over."""


def _scaled_as_the_runs(config: RunConfig, path: str, x: np.ndarray) -> np.ndarray:
    """Return new examples scaled as the run's own were, with a word where they are stored as another type.

    Of a run on pixels, values of 8 bits are over 255, unless they are 0 and 1 and the run's were not divided; values of
    other types are taken to lie in [0, 1], which is checked once they are scaled.
    """
    scaling, over = config.data.scaling, config.data.pixels_over
    if scaling.name != "pixels":
        if config.data.deeper:
            _warn_of_depth(path, x, scaling)
        return _as_scaled(scaling, x)
    warn_of_assumption(path, [x], scaling)
    eight = x.dtype == np.uint8
    divided = eight and (over != 1 or x.max() > 1)
    if over is not None and divided != (over == PIXEL):
        logger.warning(_OTHER_TYPE[divided], path, x.dtype)
    return _as_scaled(scaling if divided else SCALINGS.member("none"), x)


def _warn_of_depth(path: str, x: np.ndarray, scaling: Member) -> None:
    """Warn of 8-bit values that are divided by what the deeper pixels of a run were."""
    by = scaling.settings.get("by", PIXEL)
    if x.dtype == np.uint8 and by > PIXEL:
        logger.warning(_SHALLOW, path, by, int(x.max()) / by, by / PIXEL)


_SHALLOW = (
    "%s: its 8-bit values are divided by %g, as the run's own were, and end at %.2g; if they are pixels of 8 bits, "
    "multiply by %g first."
)

_OTHER_TYPE = {
    True: "%s: its %s pixels are taken over 255, as the run was trained on numbers in [0, 1].",
    False: "%s: its values of type %s are taken as they are, as the run was trained on 8-bit pixels over 255.",
}
"""What is said of new examples of another type than a run's, by whether they are divided."""


def _as_scaled(scaling: Member, x: np.ndarray) -> np.ndarray:
    scaled_x: np.ndarray = SCALINGS.build(scaling)(x)
    return scaled_x


def _check_shape(config: RunConfig, path: str, given: Split) -> None:
    expected, found = ("x".join(map(str, shape)) for shape in (config.data.event_shape, given.x.shape[1:]))
    if expected != found:
        raise DataError(
            f"{path}: expected examples of shape {expected}, as the run was trained on, found {found}; bring them to "
            "that shape, or choose another `run`."
        )
