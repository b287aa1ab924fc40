"""Examples as a run's evaluation sees them: a split of its data, or new data that are read, scaled and binarized alike.

`held_out_view` returns a split, and `new_examples` the examples of a file or folder.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.files import user_path
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.supports import BINARY, NEAR_UNIT, REAL, first_violation, multiples
from tfp_vae.data.condition import given_context, with_context
from tfp_vae.data.dataset import SPLITS, Dataset, Split, check_split
from tfp_vae.data.profile import profile_arrays
from tfp_vae.data.readers import sources
from tfp_vae.data.readers.images import RESIZE
from tfp_vae.data.splits import as_split
from tfp_vae.data.transforms.binarization import BINARIZATIONS, choose_transform, transform_each, transform_held_out
from tfp_vae.data.transforms.dequantization import NO_LEVELS
from tfp_vae.data.transforms.scaling import PIXEL, SCALINGS, scaling_doubt
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.tables.holes import warn_about_holes

__all__ = [
    "View",
    "as_seen",
    "held_out_view",
    "new_examples",
    "read_examples",
    "split_to_show",
    "view",
]

logger = logging.getLogger("tfp_vae")


@check_keywords
def held_out_view(config: RunConfig, dataset: Dataset, split: str) -> Split:
    """Return a split as evaluation sees it: binarized or with noise once, from a fixed seed.

    A split that evaluation has seen already stays as it is.

    ```python
    model, training = tv.runs.config.ModelConfig(latent_dim=2), tv.runs.config.TrainingConfig(epochs=1)
    config, dataset = tv.runs.recipe.plan("digits", None, None, model, training)
    test = tv.runs.examples.held_out_view(config, dataset, "test")  # 180 examples of 0 and 1
    ```

    Args:
      config: the run's.
      dataset: from `plan` or `reload`.
      split: `train`, `validation` or `test`. Of training data with noise in every step this is one draw of many.

    Raises:
      UsageError: the split is empty.
    """
    if not len(dataset.splits[split]):
        others = ", ".join(f"`split={name}`" for name, size in dataset.sizes().items() if size)
        raise UsageError(f"The data of the run have no {split} split. Choose {others}.")
    return view(config, dataset.splits[split]).split


def split_to_show(dataset: Dataset) -> str:
    """Return the split that pictures show: `test`, or another one if the data have no test examples."""
    return next(name for name in ("test", "validation", "train") if len(dataset.splits[name]))


def as_seen(config: RunConfig, name: str = "data", joint: str = ", ") -> str:
    """Return a label for examples as the model sees them, such as `data, binarized`.

    Args:
      config: the run's.
      name: the label for the examples themselves.
      joint: between the name and the word for their change.
    """
    if config.data.noise is not None:
        return f"{name}{joint}dequantized"
    return name if config.data.binarization.name == "none" else f"{name}{joint}binarized"


class View(NamedTuple):
    """A split as evaluation sees it.

    split: the examples.
    random: whether values were drawn at random.
    """

    split: Split
    random: bool


def view(config: RunConfig, split: Split) -> View:
    """Return examples binarized or with noise, as evaluation sees them, from fixed seeds.

    Validation and test data were seen so since they were loaded, and stay as they are. Equal new examples stay equal,
    because the values of each decide its noise.

    Args:
      config: the run's.
      split: scaled, for example from `read_examples`.
    """
    noise = config.data.noise
    transform = choose_transform(noise, BINARIZATIONS.build(config.data.binarization))
    draws = noise is not None or first_violation(split.x, BINARY) is not None
    apply = transform_held_out if split.part in SPLITS else transform_each
    return View(apply(split, transform), transform.draws and draws)


@check_keywords
def new_examples(config: RunConfig, path: str) -> Split:
    """Return the examples of a file or folder as a run's evaluation sees held-out data.

    They are read, scaled, and binarized or dequantized like the run's own data. Their labels are kept.

    ```python
    from pathlib import Path

    run = tv.runs.run.find(None, "runs")
    np.save("new.npy", np.random.default_rng(0).random((3, 8, 8)).astype(np.float32))
    tv.runs.examples.new_examples(run.config(), "new.npy").x  # [3, 8, 8, 1], of 0 and 1 like the run's own data
    ```

    Args:
      config: the run's.
      path: a file or folder of a kind in `sources.READERS`.

    Raises:
      UsageError, DataError: see `read_examples`.
    """
    return view(config, read_examples(config, path)).split


REMEDIES = {
    None: "Convert them to the values the run was trained on: {}.",
    1: "Convert them to the values in [0, 1] the run was trained on: {}.",
    255: "Convert them to the values the run was trained on, pixels from 0 to 255 as uint8, or divided by 255: {}.",
}
"""How to fix new examples with other values than a run's data, by the number that its pixels were divided by."""


def read_examples(config: RunConfig, path: str, context: np.ndarray | None = None) -> Split:
    """Return the examples of a file or folder, read and scaled like a run's own but neither binarized nor with noise.

    Args:
      config: the run's.
      path: a file or folder of a kind in `sources.READERS`.
      context: the context [C] of all examples of a conditional run. By default their labels or columns tell.

    Raises:
      UsageError: the path is empty.
      DataError: the examples are missing or malformed, have another shape than the run's, or the likelihood has no
        density for them.
    """
    if not path:
        raise UsageError("expected the path of examples, found an empty one. Name a file or a folder.")
    try:
        source = sources.read(user_path(path), config.data.reading, again=True)
    except DataError as error:
        size = "x".join(map(str, config.data.event_shape[:2]))
        raise DataError(str(error).replace(RESIZE, f"Resize all to {size}, as in training")) from error
    if len(source.parts) > 1:
        raise DataError(f"{path}: expected examples without splits, found {', '.join(source.parts)}. Pass one of them.")
    split = as_split(next(iter(source.parts.values())))
    expected, found = ("x".join(map(str, shape)) for shape in (config.data.event_shape, split.x.shape[1:]))
    if expected != found:
        raise DataError(
            f"{path}: expected examples of shape {expected}, as the run was trained on, found {found}. Convert them, "
            "or choose another `run`."
        )
    check_split(path, split, config.data.reading.numbers, "Correct or remove it.", config.data.features)
    noise, raw = config.data.noise, split
    split = replace(
        split,
        x=scale_like(config, path, split.x),
        scaling=config.data.scaling,
        dequantization=config.data.dequantization,
    )
    if noise is not None:
        levels = multiples(noise.step)
        check_split(path, split if config.data.scaling.name == "pixels" else raw, levels, NO_LEVELS)
    transform = choose_transform(noise, BINARIZATIONS.build(config.data.binarization))
    takes = transform.takes(config.model.support(config.data.event_shape))
    if takes is REAL and config.data.pixels_over is not None:
        takes = NEAR_UNIT
    check_split(path, split, takes, REMEDIES[config.data.pixels_over].format(config.data.dataset))
    warn_about_holes(config, path, split.x)
    return with_context(split, config.data.condition, path) if context is None else given_context(split, context)


def scale_like(config: RunConfig, path: str, x: np.ndarray) -> np.ndarray:
    """Return new examples scaled like a run's own, with a warning if they are stored as another type.

    If the run scales pixels, values of 8 bits are divided by 255, unless they are 0 and 1 and the run's were not
    divided. Values of other types must lie in [0, 1] already.

    Args:
      config: the run's.
      path: the name of the examples in warnings.
      x: the examples before scaling, [N, *event_shape].
    """
    scaling, over, eight_bits = config.data.scaling, config.data.pixels_over, x.dtype == np.uint8
    if scaling.name != "pixels":
        by = scaling.settings.get("by", PIXEL)
        if config.data.deeper and eight_bits and by > PIXEL:
            logger.warning(
                "%s: its 8-bit values are divided by %g, like the run's own, so they end at %.2g. If they are pixels "
                "of 8 bits, multiply by %g first.",
                path,
                by,
                int(x.max()) / by,
                by / PIXEL,
            )
        return np.asarray(SCALINGS.build(scaling)(x))
    doubt = scaling_doubt(profile_arrays({"train": x}), scaling.name)
    if doubt is not None and x.max() > 1:
        logger.warning("%s: %s", path, doubt)
    divide = eight_bits and (over != 1 or x.max() > 1)
    if over is not None and divide and over != PIXEL:
        logger.warning("%s: its uint8 pixels are divided by 255, because the run was trained on [0, 1].", path)
    elif over == PIXEL and not divide:
        logger.warning(
            "%s: its values of type %s are not divided, because the run was trained on 8-bit pixels divided by 255.",
            path,
            x.dtype,
        )
    return np.asarray(SCALINGS.build(scaling if divide else SCALINGS.member("none"))(x))
