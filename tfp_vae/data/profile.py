"""Kinds of data: what their form and values are, and which likelihood, network and scaling suit them.

A kind is a form (vectors, grey or colour images) and a set of values, the narrowest of `VALUES` that holds them all.
`SUITED` picks a likelihood by both. A suggestion is where to begin, by convention, and no finding about the data.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tfp_vae.core.registry import Member
from tfp_vae.core.supports import BINARY, COUNTS, REAL, UNIT, Support, are_identical, first_violation, level_count
from tfp_vae.data.dataset import Dataset, default_scaling, scaled

__all__ = [
    "Kind",
    "Suggestion",
    "assumption",
    "fits",
    "kind_of",
    "lack",
    "suggest",
    "suited_scaling",
    "warn_of_assumption",
    "warn_of_lack",
]

logger = logging.getLogger("tfp_vae")

MLP_VALUES = 1_024
"""Images of more values than these, such as 32x32 grey ones have, are given convolutions."""

LEVELS = 256
"""The most levels of grey that are taken for levels, and not for a continuum."""

FULL = 255
"""What 8-bit pixels are over, whatever the largest of them is."""

FULL_PIXELS = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""The values of a full pixel, by the bits that cameras and scanners have."""

FORMS = {1: "grey images", 3: "colour images"}
"""Forms of data by the number of channels."""

VALUES = {"binary values": BINARY, "values in [0, 1]": UNIT, "counts": COUNTS, "real values": REAL}
"""Kinds of values, the narrowest first."""


ENOUGH = 10
"""Below so many training examples a word is said."""

NOT_FINITE = "some of them missing or infinite"

STANDARDIZED: dict[Support | None, tuple[str, ...]] = {None: ("real values",), REAL: ("real values", "counts")}
"""Values of vectors that are standardized, under a likelihood of a support that was asked for, or of none."""


class Kind(NamedTuple):
    """What data are: their form, and their values once they are scaled.

    form: `vectors`, `grey images`, `colour images` or `images of many channels`.
    values: a key of `VALUES`, or that some are not finite.
    event_shape: of one example.
    """

    form: str
    values: str
    event_shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.form} of {'x'.join(map(str, self.event_shape))}, {self.values}"


class Suggestion(NamedTuple):
    """What suits a kind of data: the names of a likelihood and of a network."""

    likelihood: str
    network: str


SUITED = {
    ("vectors", "binary values"): "bernoulli",
    ("vectors", "values in [0, 1]"): "continuous-bernoulli",
    ("vectors", "counts"): "negative-binomial",
    ("vectors", "real values"): "normal",
    ("grey images", "binary values"): "bernoulli",
    ("grey images", "values in [0, 1]"): "bernoulli",  # the field's convention, with dynamic binarization
    ("grey images", "counts"): "negative-binomial",
    ("grey images", "real values"): "normal",
    ("colour images", "binary values"): "bernoulli",
    ("colour images", "values in [0, 1]"): "continuous-bernoulli",
    ("colour images", "counts"): "negative-binomial",
    ("colour images", "real values"): "normal",
}
"""The likelihood that suits each form and kind of values."""


def kind_of(dataset: Dataset) -> Kind:
    """Return the kind of a data set, scaled; its values are those of all splits.

    Args:
      dataset: scaled; another kind may come out of the values before.
    """
    values = (name for name, support in VALUES.items() if fits(dataset, support))
    return Kind(_form(dataset.event_shape), next(values, NOT_FINITE), dataset.event_shape)


def _form(event_shape: tuple[int, ...]) -> str:
    if len(event_shape) == 1:
        return "vectors"
    return FORMS.get(event_shape[-1], "images of many channels")


def suggest(dataset: Dataset) -> Suggestion:
    """Return what suits a data set, scaled.

    Colours of 8 bits are levels, which a discretized logistic has probabilities for. Large images are given
    convolutions.

    ```python
    data = tv.data.dataset.load("digits")
    str(tv.data.profile.kind_of(data))  # grey images of 8x8x1, values in [0, 1]
    tv.data.profile.suggest(data)  # bernoulli, mlp
    ```
    """
    kind = kind_of(dataset)
    form = "colour images" if kind.form.startswith("images") else kind.form
    likelihood = SUITED[form, kind.values]
    if likelihood == "continuous-bernoulli" and form != "vectors" and _has_levels(dataset):
        likelihood = "discretized-logistic"
    convolutional = form != "vectors" and math.prod(kind.event_shape) > MLP_VALUES
    return Suggestion(likelihood, "conv" if convolutional else "mlp")


def _has_levels(dataset: Dataset) -> bool:
    count = level_count(dataset.train.x)
    return count is not None and count <= LEVELS


def suited_scaling(dataset: Dataset, support: Support | None) -> str:
    """Return the scaling that suits a data set, not yet scaled, under a likelihood of `support`, or under any.

    Vectors of real values are brought to mean 0 and standard deviation 1, if the likelihood takes real values; so are
    those of whole numbers, if such a likelihood was asked for.
    Images are scaled as `default_scaling` says, unless their values fit the likelihood as they are and not so.

    Args:
      dataset: as `datasets.read` gives it.
      support: of the likelihood that was asked for; None where it is open.

    Returns:
      A name from `SCALINGS`.
    """
    usual = default_scaling(dataset)
    if len(dataset.event_shape) > 1:
        misfits = support is not None and fits(dataset, support) and not fits(scaled(dataset, usual), support)
        return "none" if misfits else usual
    return "standard" if kind_of(dataset).values in STANDARDIZED.get(support, ()) else usual


def assumption(parts: Sequence[np.ndarray], scaling: str) -> str | None:
    """Return what a scaling takes for granted of images of whole numbers, where that may be wrong; None of others.

    That is of 8-bit pixels whose largest is less than half of 255, and of larger types whose largest is more than that:
    they may be pixels too, and are taken for counts.

    Args:
      parts: examples [N, *event_shape] not yet scaled, of each split.
      scaling: the name of the scaling that was picked for them.
    """
    if any(x.ndim == 2 or x.dtype.kind not in "iu" for x in parts):
        return None
    largest, bits = max(int(x.max()) for x in parts), 8 * max(x.dtype.itemsize for x in parts)
    eight = all(x.dtype == np.uint8 for x in parts)
    told = _ASSUMED.get((scaling, eight))
    return told(largest, bits) if told and (0 < largest <= FULL // 2) == eight else None


def _assumed_of_pixels(largest: int, bits: int) -> str:
    return (
        f"the largest of its {bits}-bit pixels is {largest}, and 255 is taken for full: values end at "
        f"{largest / FULL:.2g}; if {largest} is full, multiply by {FULL / largest:g} first, or train with "
        f"`scaling=divided:by={largest}`."
    )


def _assumed_of_unscaled(largest: int, bits: int) -> str:
    return f"the largest of its {bits}-bit pixels is {largest}, so they are taken as they are, and not over 255."


def _assumed_of_counts(largest: int, bits: int) -> str | None:
    full = next((full for full in FULL_PIXELS if full >= largest), None)
    if full is None:
        return None
    return (
        f"its {bits}-bit whole numbers, up to {largest}, are taken as they are, as counts; if they are pixels, say "
        f"what a full one is, such as `scaling=divided:by={full}`; if they are counts, `scaling=none`."
    )


_ASSUMED: dict[tuple[str, bool], Callable[[int, int], str | None]] = {
    ("pixels", True): _assumed_of_pixels,
    ("none", True): _assumed_of_unscaled,
    ("none", False): _assumed_of_counts,
}
"""What is said, by the scaling, and whether pixels are of 8 bits."""


def warn_of_assumption(name: str, parts: Sequence[np.ndarray], scaling: Member) -> None:
    """Warn if a scaling treats whole numbers as pixels or counts and may be wrong. Binary data need no warning.

    Args:
      name: the data set's name.
      parts: the examples of each split, not yet scaled.
      scaling: the member that was picked for them.
    """
    assumed = assumption(parts, scaling.name)
    if assumed is not None and max(x.max() for x in parts) > 1:
        logger.warning("%s: %s", name, assumed)


def warn_of_lack(dataset: Dataset) -> None:
    """Warn if a model can learn next to nothing from a data set."""
    lacking = lack(dataset)
    if lacking is not None:
        logger.warning("%s: %s.", dataset.name, lacking)


def lack(dataset: Dataset) -> str | None:
    """Return why there is next to nothing to learn from data that can be trained on; None where there is something."""
    count = len(dataset.train)
    return next((text.format(count) for text, lacks in _LACKS.items() if lacks(dataset)), None)


_LACKS: dict[str, Callable[[Dataset], bool]] = {
    "all examples are identical, so that there is nothing to learn": lambda data: are_identical(data.parts),
    "there is one training example, and nothing to learn beyond it": lambda data: len(data.train) == 1,
    "all {} training examples are identical, so that there is nothing to learn from them": lambda data: are_identical(
        data.parts[:1]
    ),
    "{} training examples are too few to learn how others differ": lambda data: len(data.train) < ENOUGH,
}
"""What is said of data from which little is learned, worst first, and when."""


def fits(dataset: Dataset, support: Support) -> bool:
    """Return whether all values of a data set lie in a support.

    A pass over all splits, which ends at the first value outside.
    """
    return all(first_violation(x, support) is None for x in dataset.parts)
