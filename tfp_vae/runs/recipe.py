"""`choose` picks settings from facts about data, and `plan` applies them to a new run. Needs no TensorFlow.

A new run goes one way. `data.loading.read` reads its data, `Dataset.profile` measures them, `choose` turns the profile
and your settings into a `Recipe`, and `scale` and `prepare` apply that. `reload` repeats this from a run's config, and
`examples.read_examples` does the same for data that the run has never seen.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import numpy as np

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.registry import Member, Table, check_keywords
from tfp_vae.core.supports import BINARY, COUNTS, UNIT, Support, level_count
from tfp_vae.data.dataset import SPLITS, Dataset, Origin
from tfp_vae.data.doubts import Doubt
from tfp_vae.data.downloads import Progress
from tfp_vae.data.inspection import describe, find_duplicates
from tfp_vae.data.loading import read, refuse_for_tables
from tfp_vae.data.profile import SMALL_IMAGE, Profile, profile_arrays
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.splits import DEFAULT_FRACTIONS
from tfp_vae.data.transforms.binarization import BINARIZATIONS, prepare, usual_binarization
from tfp_vae.data.transforms.dequantization import DEQUANTIZATIONS, Dequantization, add_noise
from tfp_vae.data.transforms.scaling import PIXEL, SCALINGS, choose_scaling, scale, scaling_doubt
from tfp_vae.model.likelihoods import ELEMENTWISE, LIKELIHOODS
from tfp_vae.model.likelihoods.sizes import SIZE_FACTORS, SizeFactorLikelihood
from tfp_vae.model.missingness import MISSINGNESS, describe_missingness
from tfp_vae.model.networks import NETWORKS, needs_images
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.objectives import OBJECTIVES, usual_weight
from tfp_vae.objectives.labels import MIXES_EXAMPLES
from tfp_vae.runs.config import DataConfig, ModelConfig, RunConfig, TrainingConfig, check_latent_dim, check_rate
from tfp_vae.runs.folder.examples import read_splits
from tfp_vae.runs.tables.choices import choose_columns, latent_size, standard_of_features

__all__ = [
    "NUMBERS_LIKELIHOOD",
    "OPEN",
    "OPEN_TRAINING",
    "RARE_LIKELIHOOD",
    "Few",
    "Note",
    "Recipe",
    "check_fingerprint",
    "choose",
    "describe_few_values",
    "inspect",
    "likelihoods_that_fit",
    "plan",
    "reload",
    "source_facts",
    "stored_data",
]

logger = logging.getLogger("tfp_vae")

OPEN = ("encoder", "decoder", "likelihood", "latent_dim", "prior")
"""The settings of a model that `choose` can pick. It picks a prior only together with an objective."""

OPEN_TRAINING = ("epochs", "early_stopping", "batch_size", "learning_rate", "objective")
"""The settings of a training that `choose` can pick."""

LEVELS = 256
"""Values in [0, 1] on at most this many levels are treated as discrete."""

LEAST_COUNTS, LEAST_VARIATION = 50, 0.2
"""Rows of at least this many counts get a size factor if the logarithms of their totals deviate by at least this."""

LEAST_WIDTH, MOST_WIDTH = 16, 512
"""The limits of the width of a layer."""

SMALLEST_SIDE = 8
"""Convolutions halve an image until its sides are at most this."""

PHOTO_LATENTS, VALUES_PER_LATENT = 32, 8
"""Photos get this many latent dimensions, but at most one for eight values."""

CODE_LATENTS, BIT_LATENTS = 20, 60
"""The latent dimension of one-hot codes and of bits. Ten codes in 20 dimensions hold about as many nats as 60 bits."""

NUMBERS_LIKELIHOOD = "student-t:floor=0.1"
"""The likelihood of vectors of real values. Its tails keep an unusual value of one column from deciding log p(x).

The floor is a tenth of a standard deviation, so that whole numbers and repeated values get no spikes.
"""

RARE_LIKELIHOOD = "student-t:df=100,floor=0.1"
"""The likelihood of vectors of real values if most columns have two values, one of them rare.

A rare 1 lies many standard deviations from 0. With few degrees of freedom, the model would treat it as an outlier and
not learn how it depends on other columns.
"""

NUMBERS_NETWORK = "mlp:hidden=64,64"
"""The networks of vectors of real values, and of tables like them."""

NUMBERS_LATENTS, RARE_LATENTS = 10, 32
"""The largest latent dimension of vectors of real values, without and with rare values."""

NUMBERS_TRAINING = {"epochs": 150, "early_stopping": 20, "learning_rate": 3e-3}
"""The training of vectors of real values. Held-out log p(x) of tables chose it, see docs/benchmarks.md."""

CONTINUOUS = ("real", "positive")
"""The kinds of columns of a table that is trained like vectors of real values, see `is_continuous`."""

FAR_APART, GROUPED_PRIOR, GROUPED_OBJECTIVE = 3.0, "normal-mixture", "iwae:mc_samples=5"
"""The prior and the objective of vectors of real values in groups this far apart, see `data.separation`.

One Normal as the prior would have to be split into groups. Held-out log p(x) chose them.
"""

SMALLEST_BATCH, LARGEST_BATCH, BATCHES = 16, 128, 8
"""Few rows are divided into about 8 batches of at least 16, so that an epoch of them has several steps."""

SUITABLE = {
    "binary values": "bernoulli",
    "values in [0, 1]": "continuous-bernoulli",
    "counts": "negative-binomial",
    "real values": "normal",
}
"""The likelihood that suits each kind of values, as a start. `suit` makes exceptions for images."""


class Note(NamedTuple):
    """A sentence about a choice, or a warning about it.

    setting, value: the choice, such as `likelihood` and `normal`. Set it to override the choice.
    text: the sentence.
    warns: whether it is a warning.
    """

    setting: str
    value: str
    text: str
    warns: bool = False


@final
@check_keywords
@dataclass(frozen=True)
class Recipe:
    """The settings for a data set, all of them chosen.

    model: the model's config.
    scaling: a member of `SCALINGS`. Settings that the training data decide are still open.
    binarization: a member of `BINARIZATIONS`.
    dequantization: a member of `DEQUANTIZATIONS`. Settings that the data decide are still open.
    profile: facts about the data after scaling.
    notes: the choices, and warnings about them.
    training: the chosen settings of the training by name. The others keep their values.
    """

    model: ModelConfig
    scaling: Member
    binarization: Member
    dequantization: Member
    profile: Profile
    notes: tuple[Note, ...]
    training: Mapping[str, int | float | Member] = field(default_factory=dict)


@check_keywords
def choose(
    profile: Profile,
    model: ModelConfig | None = None,
    *,
    open_choices: Collection[str] = OPEN,
    open_training: Collection[str] = (),
    scaling: str | Member | None = None,
    binarization: str | Member | None = None,
    dequantization: str | Member = "none",
) -> Recipe:
    """Return settings that suit data, given facts about them. This function reads no data.

    ```python
    from tfp_vae.runs.recipe import choose

    recipe = choose(tv.data.load("digits").profile, scaling="none")  # because they are scaled already
    str(recipe.model.likelihood), str(recipe.binarization)  # "bernoulli" and "dynamic"
    ```

    Args:
      profile: facts about the data before scaling. For scaled data, use `scaling="none"`.
      model: the settings that you chose, and defaults.
      open_choices: the settings from `OPEN` to pick, no matter what `model` has.
      open_training: the settings from `OPEN_TRAINING` to pick, if the data suggest any.
      scaling: a name from `SCALINGS` with settings. None picks one.
      binarization: a name from `BINARIZATIONS`. None picks one.
      dequantization: a name from `DEQUANTIZATIONS`. With noise, a density is picked as the likelihood.

    Raises:
      UsageError: a network for images is set, but the data are vectors.
    """
    model = model or ModelConfig()
    if profile.columns:
        settings: dict[str, Any] = {"open_choices": open_choices, "open_training": open_training}
        return choose_for_table(profile, model, **settings, scaling=scaling, binarization=binarization)
    if model.missingness.name != "random":
        raise UsageError(f"`missingness={model.missingness.name}` needs a table with missing cells. Leave it out.")
    wanted = None if "likelihood" in open_choices else likelihood_support(model.likelihood)
    dequantizing = DEQUANTIZATIONS.member(dequantization)
    noise: Dequantization = DEQUANTIZATIONS.build(dequantizing)
    is_noisy = dequantizing.name != "none"
    rescaling = SCALINGS.member(noise.usual_scaling(profile, wanted) if scaling is None else scaling)
    seen = SCALINGS.build(rescaling).rescale(profile)
    suited = {"prior": model.prior} | suit(seen) | suit_codes(model)
    if is_noisy:
        suited["likelihood"] = LIKELIHOODS.member(SUITABLE["real values"])
    model = model.model_copy(update={name: suited[name] for name in open_choices})
    model = model.model_copy(update={"likelihood": count_levels(model.likelihood, seen)})
    support = likelihood_support(model.likelihood)
    if support is COUNTS and "encoder_input" not in model.model_fields_set:  # raw counts make training unstable
        model = model.model_copy(update={"encoder_input": "log1p"})
    check_networks(model, seen)
    usual = "none" if is_noisy else usual_binarization(support, seen)
    chosen = BINARIZATIONS.member(usual if binarization is None else binarization)
    training: dict[str, Any] = {name: value for name, value in suit_training(seen).items() if name in open_training}
    grouped = suit_groups(seen, model) if "prior" in open_choices and "objective" in open_training else {}
    made = {
        **({"scaling": short_text(SCALINGS, rescaling)} if scaling is None else {}),
        **({"binarization": chosen.name} if binarization is None else {}),
        **{name: short_text(OPEN_TABLES.get(name), getattr(model, name)) for name in open_choices if name != "prior"},
        **{name: f"{value:g}" for name, value in training.items()},
        **{name: str(value) for name, value in grouped.items()},
    }
    if grouped:
        model = model.model_copy(update={"prior": grouped["prior"]})
        training["objective"] = grouped["objective"]
    notes = choice_notes(made, seen, model)
    doubt = scaling_doubt(profile, rescaling.name)
    if doubt is not None and scaling is None and not is_noisy and wanted is not COUNTS and profile.largest > 1:
        notes.append(Note("scaling", rescaling.name, doubt, warns=True))
    density = density_doubt(profile, model.likelihood, binary=chosen.name != "none")
    if density is not None and not is_noisy:
        notes.append(Note("likelihood", model.likelihood.name, density, warns=True))
    if profile.lack is not None:
        notes.append(Note("dataset", "", f"{profile.lack}.", warns=True))
    return Recipe(model, rescaling, chosen, dequantizing, seen, tuple(notes), training)


def choose_for_table(
    profile: Profile,
    model: ModelConfig,
    *,
    open_choices: Collection[str],
    open_training: Collection[str],
    scaling: str | Member | None,
    binarization: str | Member | None,
) -> Recipe:
    """Return settings for a mixed table, in which each column has a likelihood of its own, see `choose`.

    Args:
      profile: facts about the table before scaling.
      model, open_choices, open_training: see `choose`. A likelihood that you chose is for the columns of numbers that
        it fits.
      scaling: the scaling that the table has already, or None to choose one.
      binarization: None, or one that changes nothing.

    Raises:
      UsageError: a network needs images, the table is to be binarized, or no column takes the likelihood.
    """
    chosen = BINARIZATIONS.member("none" if binarization is None else binarization)
    if chosen.name != "none":
        raise UsageError("`binarization` has no effect on a mixed table. Set `column` instead.")
    asked = None if "likelihood" in open_choices else model.likelihood
    columns = choose_columns(profile.columns, asked, None if scaling is None else SCALINGS.member(scaling))
    network = suitable_network(profile.train.size, profile.event_shape)
    if is_continuous(profile):
        network = NETWORKS.member(NUMBERS_NETWORK)
    suited = {"encoder": network, "decoder": network, "latent_dim": latent_size(profile.columns)}
    suited |= suit_codes(model)
    model = model.model_copy(update={name: suited[name] for name in open_choices if name in suited})
    model = model.model_copy(update={"likelihood": columns.likelihood, "encoder_input": "columns"})
    model = model.model_copy(update={"missingness": choose_missingness(profile, model)})
    check_networks(model, profile)
    training = {name: value for name, value in suit_training(profile).items() if name in open_training}
    made = {
        **{name: short_text(OPEN_TABLES.get(name), getattr(model, name)) for name in suited if name in open_choices},
        **{name: f"{value:g}" for name, value in training.items()},
    }
    notes = choice_notes(made, profile, model)
    notes += [Note("column", "", f"{text}. Set `column` to choose another kind.") for text in columns.kinds]
    notes += missingness_notes(model)
    if profile.lack is not None:
        notes.append(Note("dataset", "", f"{profile.lack}.", warns=True))
    return Recipe(model, columns.scaling, chosen, DEQUANTIZATIONS.member("none"), profile, tuple(notes), training)


def choice_notes(made: Mapping[str, str], profile: Profile, model: ModelConfig) -> list[Note]:
    """Return a note about each choice, with its reason.

    Args:
      made: the choices by the name of their setting.
      profile, model: see `reason`.
    """
    reasons = {name: reason(name, profile, model) for name in made}
    return [
        Note(name, value, f"`{name}` is {value}, because {reasons[name]}. Set `{name}` to choose another.")
        for name, value in made.items()
    ]


def choose_missingness(profile: Profile, model: ModelConfig) -> Member:
    """Return the assumption about missing cells, about the columns with missing cells if it names none.

    Raises:
      UsageError: no training cell is missing, or the likelihood of a column does not suit the assumption.
    """
    chosen = model.missingness
    if chosen.name == "random":
        return chosen
    holes = tuple(column.name for column in profile.columns if column.missing > 0)
    if not holes:
        raise UsageError(f"`missingness={chosen.name}` needs missing cells, but the training rows have none.")
    members = [LIKELIHOODS.member(text) for text in model.likelihood.settings["columns"].values()]
    loc, scale = zip(*map(standard_of_features, profile.columns, members), strict=True)
    suited = {"columns": holes, "loc": loc, "scale": scale}
    open_settings = {key: value for key, value in suited.items() if chosen.settings.get(key, ()) is None}
    chosen = Member(chosen.name, {**chosen.settings, **open_settings})
    MISSINGNESS.build(chosen, LIKELIHOODS.build(model.likelihood, profile.event_shape))
    return chosen


def missingness_notes(model: ModelConfig) -> list[Note]:
    """Return the assumption about missing cells as a note, unless it is the usual one."""
    if model.missingness.name == "random":
        return []
    assumption = describe_missingness(model.missingness)
    text = f"{assumption} Data cannot confirm this. `missingness=random` assumes that they are missing at random."
    return [Note("missingness", "", text)]


def check_networks(model: ModelConfig, profile: Profile) -> None:
    """Raise UsageError if a network for images is set, but the data are vectors."""
    for name in ("encoder", "decoder"):
        network = getattr(model, name).name
        if needs_images(network) and len(profile.event_shape) == 1:
            raise UsageError(
                f"`{name}={network}` needs images, but the data are vectors of {profile.event_shape[0]} values. "
                f"Choose `{name}=mlp`."
            )


OPEN_TABLES: dict[str, Table] = {"encoder": NETWORKS, "decoder": NETWORKS, "likelihood": LIKELIHOODS}
"""The tables of the settings in `OPEN`, except for numbers."""


def short_text(table: Table | None, value: Member | int) -> str:
    """Return a number, or a member of a table with the settings that differ from their defaults, as you would write it.

    Args:
      table: the table of the member.
      value: the number or the member.
    """
    if table is None or not isinstance(value, Member):
        return str(value)
    defaults = table.info(value.name).defaults
    return str(Member(value.name, {key: item for key, item in value.settings.items() if item != defaults.get(key)}))


def suit_codes(model: ModelConfig) -> dict[str, int]:
    """Return the latent dimension of a posterior over codes. Other posteriors leave it to the data."""
    name = model.posterior.name
    if name not in POSTERIORS or not POSTERIORS[name].capabilities.codes:
        return {}
    return {"latent_dim": BIT_LATENTS if POSTERIORS[name].capabilities.bits else CODE_LATENTS}


def reason(setting: str, profile: Profile, model: ModelConfig) -> str:
    """Return why a setting has its value, as the end of a sentence.

    Args:
      setting: the name of the setting.
      profile: facts about the data after scaling.
      model: the settings of the model.
    """
    if setting in suit_codes(model):
        return "z is discrete"
    if setting in ("prior", "objective"):
        return f"the rows form groups that lie far apart ({profile.train.apart:.1f} standard deviations)"
    if setting == "batch_size" or (setting in ("encoder", "decoder") and not is_continuous(profile)):
        return f"there are {profile.train.size:,} training examples of {math.prod(profile.event_shape):,} values"
    if setting == "likelihood" and profile.train.log_totals is not None and has_sizes(profile):
        deviation = profile.train.log_totals[1]
        totals = f"the totals of rows vary (standard deviation of their logarithm {deviation:.2f})"
        return f"the data are {profile.kind}, and {totals}, which z should not explain"
    if setting in ("likelihood", "latent_dim") and has_rare_values(profile):
        return f"the data are {profile.kind}, and {profile.train.rare:,} columns have two values, one of them rare"
    looks = "look like digits" if is_digits(profile) else "look like photos" if is_photos(profile) else ""
    return f"the data are {profile.kind}" + (f", and {looks}" if looks and setting != "scaling" else "")


def is_digits(profile: Profile) -> bool:
    """Return whether data are grey images with values in [0, 1], most of them black or white."""
    return profile.kind[:2] == ("grey images", "values in [0, 1]") and profile.looks_like_digits


def is_photos(profile: Profile) -> bool:
    """Return whether data are images with values in [0, 1] that do not look like digits."""
    form, values, _ = profile.kind
    return form != "vectors" and values == "values in [0, 1]" and not is_digits(profile)


def is_numbers(profile: Profile) -> bool:
    """Return whether data are vectors of real values, such as a table of numbers."""
    return profile.kind[:2] == ("vectors", "real values")


def is_continuous(profile: Profile) -> bool:
    """Return whether data are vectors of real values, or a mixed table that models such values and lacks no cells."""
    is_table = bool(profile.columns) and all(each.kind in CONTINUOUS and not each.missing for each in profile.columns)
    return is_table or is_numbers(profile)


def has_rare_values(profile: Profile) -> bool:
    """Return whether data are vectors of real values most of whose columns have two values, one of them rare."""
    return is_numbers(profile) and 2 * profile.train.rare > profile.event_shape[0]


def has_sizes(profile: Profile) -> bool:
    """Return whether data are rows of many counts whose totals vary, such as the counts of genes in cells."""
    totals = profile.train.log_totals
    is_matrix = profile.kind[:2] == ("vectors", "counts") and profile.event_shape[0] >= LEAST_COUNTS
    return is_matrix and totals is not None and totals[1] >= LEAST_VARIATION


def suit(profile: Profile) -> dict[str, Member | int]:
    """Return the likelihood, the networks and the latent dimension that suit data, as a start.

    Grey images that look like digits get a Bernoulli by convention, and two latent dimensions, which you can plot.
    Photos with at most 256 levels get a discretized logistic, because it has probabilities for levels, and 32 latent
    dimensions. Vectors of real values get a Student's t with a floor of its scale, and a latent dimension for two
    columns, between 2 and 10. If most columns have two values, one of them rare, the t has more degrees of freedom,
    and the largest latent dimension is 32. Rows of at least 50 counts whose totals vary get a size factor, so that z
    does not encode the totals.
    Images with more than 1,024 values get convolutions. Few examples get narrow layers, because wide ones would
    memorize them.

    Args:
      profile: facts about the data after scaling.
    """
    form, values, event_shape = profile.kind
    size, levels = math.prod(event_shape), profile.train.values
    if is_numbers(profile):
        network = NETWORKS.member(NUMBERS_NETWORK)
        is_rare = has_rare_values(profile)
        return {
            "likelihood": LIKELIHOODS.member(RARE_LIKELIHOOD if is_rare else NUMBERS_LIKELIHOOD),
            "encoder": network,
            "decoder": network,
            "latent_dim": max(2, min(RARE_LATENTS if is_rare else NUMBERS_LATENTS, size // 2)),
        }
    likelihood = SUITABLE[values]
    if is_digits(profile):
        likelihood = "bernoulli"
    elif has_sizes(profile):
        likelihood = "size-factor-negative-binomial"
    elif is_photos(profile) and levels is not None:
        count = level_count(levels[:, np.newaxis])
        likelihood = "discretized-logistic" if count is not None and count <= LEVELS else likelihood
    is_plain = form == "vectors" or values == "binary values" or is_digits(profile)
    latents = 2 if is_plain else max(2, min(PHOTO_LATENTS, size // VALUES_PER_LATENT))
    network = suitable_network(profile.train.size, event_shape)
    return {
        "likelihood": LIKELIHOODS.member(likelihood),
        "encoder": network,
        "decoder": network,
        "latent_dim": latents,
    }


def suit_training(profile: Profile) -> dict[str, int | float]:
    """Return the settings of the training that suit data. Only real values have any, see `is_continuous`.

    Early stopping needs validation data.

    Args:
      profile: facts about the data after scaling.
    """
    if not is_continuous(profile):
        return {}
    found = {**NUMBERS_TRAINING, "batch_size": suitable_batch(profile.train.size)}
    return found if "validation" in profile.splits else {n: v for n, v in found.items() if n != "early_stopping"}


def suit_groups(profile: Profile, model: ModelConfig) -> dict[str, Member]:
    """Return the prior and the objective of groups that lie far apart. None for other data, and for other posteriors.

    Args:
      profile: facts about the data after scaling.
      model: the settings of the model.
    """
    is_usual = model.posterior == ModelConfig().posterior
    if not (is_usual and is_numbers(profile) and profile.train.apart >= FAR_APART):
        return {}
    return {"prior": PRIORS.member(GROUPED_PRIOR), "objective": OBJECTIVES.member(GROUPED_OBJECTIVE)}


def still_open(open_training: Collection[str], training: TrainingConfig, *, is_conditional: bool = False) -> list[str]:
    """Return the settings of a training that can be picked. Settings for the usual objective keep it, as y does.

    Args:
      open_training: those from `OPEN_TRAINING` that you leave open.
      training: your settings.
      is_conditional: whether the model is p(x|y).
    """
    usual = TrainingConfig()
    names = ("objective", "beta", "kl_warmup_epochs", "free_bits")
    keeps = is_conditional or any(getattr(training, name) != getattr(usual, name) for name in names)
    return [name for name in open_training if name != "objective" or not keeps]


def suitable_batch(examples: int) -> int:
    """Return the examples per step that divide an epoch into about 8 steps, between 16 and 128."""
    return min(LARGEST_BATCH, max(SMALLEST_BATCH, 1 << max(0, (examples // BATCHES).bit_length() - 1)))


def suitable_network(examples: int, event_shape: tuple[int, ...]) -> Member:
    """Return a network for data: convolutions for large images, else an mlp.

    Layers are at most half as wide as there are examples, and between 16 and 512. Larger images get more convolutions,
    so that the dense layer after them does not grow with the image.

    Args:
      examples: the number of training examples.
      event_shape: the shape of one example.
    """
    width = min(MOST_WIDTH, max(LEAST_WIDTH, 2 ** int(math.log2(max(2, examples // 2)))))
    if len(event_shape) == 1 or math.prod(event_shape) <= SMALL_IMAGE:
        return NETWORKS.member({"name": "mlp", "hidden": (width, width)})
    halvings = max(2, math.ceil(math.log2(max(event_shape[:2]) / SMALLEST_SIDE)))
    channels = (32, *(64,) * (halvings - 1))
    return NETWORKS.member({"name": "conv", "channels": channels, "dense": (min(256, width),)})


def likelihood_support(likelihood: Member) -> Support:
    """Return the values for which a likelihood has a probability or a density. The event shape does not matter."""
    support: Support = LIKELIHOODS.build(likelihood, (1,)).support
    return support


def count_levels(likelihood: Member, profile: Profile) -> Member:
    """Return a likelihood with the settings that the training data decide: the number of levels, and sizes of rows.

    Args:
      likelihood: a member of `LIKELIHOODS`.
      profile: facts about the data after scaling.
    """
    values = np.array([np.nan]) if profile.train.values is None else profile.train.values
    family = LIKELIHOODS[likelihood.name]
    settings = family.settings_from(likelihood.settings, values[:, np.newaxis])
    if issubclass(family, SizeFactorLikelihood) and profile.train.log_totals is not None:
        settings = family.settings_from_sizes(settings, profile.train.log_totals)
    return LIKELIHOODS.member(Member(likelihood.name, settings))


@check_keywords
def likelihoods_that_fit(profile: Profile) -> list[str]:
    """Return the names of the likelihoods that have a probability, or a density, for all values.

    ```python
    from tfp_vae.data.profile import profile_arrays

    counts = profile_arrays({"train": np.array([[0.0, 1.0], [2.0, 5.0]])})
    tv.runs.recipe.likelihoods_that_fit(counts)  # normal, laplace, student-t, poisson, and two negative binomials
    ```

    Args:
      profile: facts about the data after scaling.
    """
    names = (*ELEMENTWISE, *SIZE_FACTORS) if has_sizes(profile) else ELEMENTWISE
    members = {name: count_levels(LIKELIHOODS.member(name), profile) for name in names}
    return [name for name, member in members.items() if profile.fits(likelihood_support(member))]


class Few(NamedTuple):
    """Facts about a data set with at most 32 distinct values.

    size: the number of distinct values.
    likely: the likelihoods that have probabilities for them. For binary values only the Bernoulli.
    unbounded: the likelihoods whose densities have no upper bound on them, see `likelihoods.Likelihood.unbounded_at`.
    """

    size: int
    likely: list[str]
    unbounded: list[str]


def describe_few_values(profile: Profile, *, binary: bool = False) -> Few | None:
    """Return the facts about data with few distinct values, else None.

    Args:
      profile: facts about the data before scaling.
      binary: whether the data will be binarized.
    """
    usual = "none" if len(profile.event_shape) == 1 else choose_scaling(profile)
    few = profile.few_values is not None
    values = SCALINGS.build(SCALINGS.member(usual)).rescale(profile).few_values if few else None
    if binary:
        values = np.array([0.0, 1.0])
    if values is None:
        return None
    fit = likelihoods_that_fit(profile_arrays({"train": values[:, np.newaxis]}))
    built = {name: LIKELIHOODS.build(LIKELIHOODS.member(name), (1,)) for name in fit}
    likely = ["bernoulli"] if BINARY.contains(values).all() else [name for name in fit if LIKELIHOODS[name].discrete]
    ends = {name: likelihood.unbounded_at for name, likelihood in built.items()}
    unbounded = [name for name, at in ends.items() if at is not None and at.contains(values).all()]
    return Few(len(values), likely, unbounded)


def density_doubt(profile: Profile, likelihood: Member, *, binary: bool) -> str | None:
    """Return why log p(x) under a density has no upper bound on data of few values, with a remedy, or None.

    Args:
      profile: facts about the data before scaling.
      likelihood: the one that was chosen.
      binary: whether the data will be binarized.
    """
    is_bounded = LIKELIHOODS.build(likelihood, (1,)).unbounded_at is None
    few = None if is_bounded else describe_few_values(profile, binary=binary)
    if few is None or few.size < 2 or likelihood.name not in few.unbounded:
        return None
    values = "0 and 1" if few.likely == ["bernoulli"] else f"{few.size} different ones"
    remedy = f"choose a `likelihood` that has one: {', '.join(few.likely)}"
    remedy = remedy if few.likely else "convert them to {0, 1}, levels or counts"
    return (
        f"its values are only {values}, on which the density of {likelihood.name} has no upper bound. log p(x) rises "
        f"as the density narrows, and does not compare with the logarithm of a probability. To get one, {remedy}."
    )


@check_keywords
def plan(
    dataset: str,
    data_dir: str | None,
    binarization: str | Member | None,
    model: ModelConfig,
    training: TrainingConfig,
    progress: Progress | None = None,
    *,
    reading: Reading | None = None,
    scaling: str | Member | None = None,
    dequantization: str | Member = "none",
    open_choices: Collection[str] = (),
    open_training: Collection[str] = (),
    notify: Callable[[Note], object] | None = None,
) -> tuple[RunConfig, Dataset]:
    """Return a new run's config, and its data ready for training.

    ```python
    model, training = tv.runs.config.ModelConfig(latent_dim=2), tv.runs.config.TrainingConfig(epochs=1)
    config, dataset = tv.runs.recipe.plan("digits", None, None, model, training)
    config.data.binarization.name, dataset.train.x.shape  # ("dynamic", (1437, 8, 8, 1))
    ```

    The data are read twice: once to measure them, and once to scale them and to take their fingerprint.

    Args:
      dataset, data_dir, progress, reading: see `data.loading.read`.
      binarization, scaling, dequantization, open_choices, open_training: see `choose`.
      model, training: your settings.
      notify: called with each choice, and with each warning about the data. The log has them, too.

    Returns:
      The config, and the data with binarized validation and test examples. The binarization may leave the training
      examples grey.

    Raises:
      DataError: the data are missing or malformed, or the likelihood has no density for them.
      UsageError: the latent dimension is too small for a family, a network for images is set for vectors, the objective
        or free bits need a rate in closed form that the families lack, or the likelihood cannot use binarized data.
    """
    check_latent_dim(model, is_conditional=reading is not None and reading.condition is not None)
    check_rate(model, training)
    raw = read(dataset, data_dir, progress, reading)
    if raw.reading.table is not None:
        refuse_for_tables(scaling, dequantization)
    if not raw.profile.finite:
        raw.check_finite()
    recipe = choose(
        raw.profile,
        model,
        open_choices=open_choices,
        open_training=still_open(open_training, training, is_conditional=raw.condition is not None),
        scaling=scaling,
        binarization=binarization,
        dequantization=dequantization,
    )
    data = scale(raw, recipe.scaling)
    if recipe.dequantization.name != "none":
        data = add_noise(raw, data, recipe.dequantization)
    doubts = (Note(each.setting, "", each.text, warns=True) for each in Doubt.find(raw))
    check_classifier(raw, model, training)
    about_y = condition_notes(raw, recipe.model, training)
    notes = *recipe.notes, *about_y, *objective_notes(recipe.model, training), *split_notes(raw)
    for note in (*notes, *doubts):
        logger.log(logging.WARNING if note.warns else logging.INFO, "%s: %s", raw.name, note.text)
        if notify is not None:
            notify(note)
    origin = raw.origin or Origin(dataset, data_dir)
    config = RunConfig(
        data=DataConfig(
            dataset=origin.dataset,
            data_dir=origin.data_dir,
            event_shape=data.event_shape,
            split_rule=data.split_rule,
            splits={split: size for split, size in data.sizes().items() if size},
            fingerprint=data.fingerprint(),
            reading=data.reading,
            scaling=data.scaling,
            binarization=recipe.binarization,
            dequantization=data.dequantization,
            condition=data.condition,
            form=raw.train.form,
            **source_facts(raw, data, None if recipe.profile.columns else recipe.scaling, columns=origin.columns),
        ),
        model=recipe.model,
        training=training.model_copy(update=dict(recipe.training)),
    )
    return config, prepare_for(config, data)


def condition_notes(raw: Dataset, model: ModelConfig, training: TrainingConfig) -> list[Note]:
    """Return notes about the condition of a conditional model, and about the classifier of a semi-supervised one."""
    if raw.condition is None:
        return []
    text = f"the model is p(x|y) with y = {raw.condition}. Leave out `condition` for p(x)."
    notes = [Note("condition", "", text)]  # without a value, because the data did not choose it
    if not raw.condition.is_partial or raw.train.context is None:
        return notes
    known, rows, (name,) = int(raw.train.context.any(axis=1).sum()), len(raw.train), raw.condition.names
    why = f"{known:,} of {rows:,} training rows have a {name!r}"
    if raw.reading.labelled is not None:
        why += f", because `labelled` is {known}"
    text = f"{why}. A classifier q(y|x) learns y for the others. Drop the rows without it for p(x|y) alone."
    notes.append(Note("condition", "", text))
    weight = usual_weight(known, rows)
    if model.classifier is None:
        network = short_text(NETWORKS, model.encoder)
        text = f"`classifier` is {network}, like the encoder. Set `classifier` to choose another."
        notes.append(Note("classifier", network, text))
    if training.classifier_weight is None:
        text = f"`classifier_weight` is {weight:.4g}, because {why}. Set `classifier_weight` to choose another."
        notes.append(Note("classifier_weight", f"{weight:.4g}", text))
    return notes


def check_classifier(raw: Dataset, model: ModelConfig, training: TrainingConfig) -> None:
    """Raise UsageError if settings of a classifier have no effect, or if free bits are used with one.

    Args:
      raw: the data set with its condition.
      model, training: your settings.
    """
    is_partial = raw.condition is not None and raw.condition.is_partial
    given = {"classifier": model.classifier, "classifier_weight": training.classifier_weight}
    for name in (name for name, value in given.items() if value is not None and not is_partial):
        raise UsageError(f"`{name}` needs a condition that some training rows lack. Leave it out, or set `labelled`.")
    name = training.objective.name
    if is_partial and OBJECTIVES.can_resolve(name) and OBJECTIVES[name].mixes_examples:
        raise UsageError(MIXES_EXAMPLES.format(f"`objective={name}`"))
    if is_partial and training.free_bits:
        raise UsageError("`free_bits` does not support a condition that some training rows lack. Leave it out.")
    if is_partial and model.classifier is not None and needs_images(model.classifier.name) and raw.train.x.ndim != 4:
        raise UsageError(f"`classifier={model.classifier.name}` needs images. Choose `classifier=mlp`.")


def objective_notes(model: ModelConfig, training: TrainingConfig) -> list[Note]:
    """Return a warning if the ELBO is to be maximized although cells are not missing at random."""
    name = training.objective.name
    if model.missingness.name == "random" or not OBJECTIVES.can_resolve(name) or not OBJECTIVES[name].weighs_rate:
        return []
    text = (
        f"The objective {name} is a loose bound if `missingness` is {model.missingness.name}, so imputed cells may be "
        "worse. Set `objective=iwae:mc_samples=20`."
    )
    return [Note("objective", "", text, warns=True)]


def split_notes(raw: Dataset) -> list[Note]:
    """Return a note about the shares of the splits if nobody chose them.

    Args:
      raw: a data set from `data.loading.read`.
    """
    if not raw.held_out or raw.reading.split_fractions is not None:
        return []
    value, missing = ",".join(map(str, DEFAULT_FRACTIONS)), " and ".join(raw.held_out)
    text = f"`split_fractions` is {value}, because the data have no {missing} split. Set `split_fractions` to choose"
    return [Note("split_fractions", value, f"{text} other shares.")]


def source_facts(
    raw: Dataset, data: Dataset, scaling: Member | None = None, *, columns: bool = False
) -> dict[str, Any]:
    """Return the fields `learned`, `pixels_over`, `deeper` and `ink` of a `DataConfig`, which follow from the source.

    Args:
      raw, data: the data before and after scaling.
      scaling: the scaling with open settings. If None, the settings are learned that the training data decide.
      columns: whether the source decided the columns.
    """
    if scaling is None and raw.reading.table is not None:
        scaling = SCALINGS.member("standard")  # because the kinds of columns decide on all of it
    elif scaling is None:
        name, settings = SCALINGS.member(data.scaling.name)
        learned = SCALINGS.member({"name": name, **SCALINGS[name].settings_from(settings, raw.train.x)})
        scaling = Member(name, settings) if learned == data.scaling else data.scaling
    pixels_over: Literal[1, 255] | None = None
    if scaling.name == "pixels" and (raw.profile.eight_bits or raw.profile.fits(UNIT)):
        pixels_over = PIXEL if raw.profile.eight_bits else 1
    return {
        "learned": (*["columns"] * columns, *["scaling"] * (scaling.settings != data.scaling.settings)),
        "pixels_over": pixels_over,
        "deeper": raw.profile.largest > PIXEL,
        "ink": raw.profile.train.ink,
    }


@check_keywords
def reload(config: RunConfig, data_dir: str | None = None, progress: Progress | None = None) -> Dataset:
    """Return the data of a run again, after checking that they have not changed since it was trained.

    Args:
      config: the run's.
      data_dir: where the data are now. By default where they were.
      progress: shows the progress of downloads.

    Raises:
      DataError: the data are missing or malformed, or their values have changed.
    """
    if config.data.stored:
        data = stored_data(config)
    else:
        folder, reading = data_dir or config.data.data_dir, config.data.reading
        raw = read(config.data.dataset, folder, progress, reading, recorded=True)
        data = add_noise(raw, scale(raw, config.data.scaling), config.data.dequantization)
    check_fingerprint(config, data)
    return prepare_for(config, data)


def check_fingerprint(config: RunConfig, data: Dataset) -> None:
    """Raise DataError if a data set has other values than that of a run, or gets other noise."""
    if data.noise != config.data.noise:
        raise DataError(
            f"{config.data.dataset}: expected data with `dequantization={config.data.dequantization}`, as the run was "
            f"trained on, found {data.dequantization}. Load them with that setting."
        )
    if data.fingerprint() != config.data.fingerprint:
        raise DataError(
            f"{config.data.dataset}: expected the data the run was trained on (fingerprint {config.data.fingerprint}), "
            f"found other values ({data.fingerprint()}). Name their folder with `data_dir`."
        )


def stored_data(config: RunConfig) -> Dataset:
    """Return the data that a run's folder holds because they were in memory. They are scaled already.

    Args:
      config: the config of the run.

    Raises:
      DataError: the run does not hold its data.
      RunError: the file is damaged.
    """
    path = Path(config.data.dataset)
    if not path.exists():
        raise DataError(f"{path}: the run does not hold its data, which were in memory. Pass new data as a file.")
    data = config.data
    splits = read_splits(path, data.event_shape)
    train, validation, test = (splits[name] for name in SPLITS)
    return Dataset(
        str(path),
        data.split_rule,
        train,
        validation,
        test,
        data.reading,
        data.scaling,
        dequantization=data.dequantization,
        condition=data.condition,
    )


def prepare_for(config: RunConfig, data: Dataset) -> Dataset:
    """Return data as a run trains on them, after checking that its likelihood has a density for them.

    Args:
      config: the run's.
      data: scaled.
    """
    binarization, support = BINARIZATIONS.build(config.data.binarization), config.model.support(data.event_shape)
    return prepare(
        data, binarization, config.training.seed, support=support, advice=lambda: advise(data.profile, support)
    )


def advise(profile: Profile, support: Support) -> str:
    """Return what to do with data that a likelihood does not take, as a sentence. Each remedy works on these data.

    Args:
      profile: facts about the data after scaling.
      support: of the likelihood.
    """
    if profile.columns:
        return "Correct the cell, or set `column` to give the column another kind."
    unit, remedies = profile.fits(UNIT), list[str]()
    if support is BINARY and unit:
        remedies.append("`binarization=dynamic`, static or threshold")
    divided = SCALINGS.build(SCALINGS.member("divided")).rescale(profile)
    if profile.largest > 1 and profile.smallest >= 0 and divided.fits(UNIT if support is BINARY else support):
        remedies.append("`scaling=divided:by=255`")
    fit = likelihoods_that_fit(profile)
    names = [name for name in ELEMENTWISE if name in fit or (unit and support is not BINARY and name == "bernoulli")]
    members = [count_levels(LIKELIHOODS.member(name), profile) for name in names]
    texts = [short_text(LIKELIHOODS, member) for member in members]  # with levels, because yours may be too few
    remedies.append(f"a `likelihood` that fits: {', '.join(texts)}")
    return f"Choose {', or '.join(remedies)}."


def inspect(raw: Dataset, scaling: str | None = None) -> dict[str, Any]:
    """Return what a data set contains and how tfp_vae would train on it, as a JSON object.

    `range`, `missing` and `infinite` refer to the values before scaling. Data that can be used for training have `kind`
    and more about the values after scaling, and `assumed` if the scaling may be wrong. `doubts` lists properties that
    are probably mistakes. Other data have a `problem`.

    ```python
    found = tv.runs.recipe.inspect(tv.data.loading.read("digits"))
    found["trainable"], found["picked"]["likelihood"], found["duplicates"]["test"]["near"]
    ```

    Args:
      raw: before scaling.
      scaling: a name from `SCALINGS` with settings. By default one that suits the data.
    """
    found = describe(raw)
    try:
        if not raw.profile.finite:
            raw.check_finite()
        recipe = choose(raw.profile, open_training=OPEN_TRAINING, scaling=scaling)
        data = scale(raw, recipe.scaling)
    except DataError as error:
        return {**found, "trainable": False, "problem": str(error)}
    few, profile = describe_few_values(raw.profile), data.profile
    likelihoods = likelihoods_that_fit(profile)
    binarizable = profile.fits(UNIT) and "bernoulli" not in likelihoods
    pairs = {name: find_duplicates(data, name) for name in ("validation", "test")}
    return {
        **found,
        "trainable": True,
        "lack": raw.profile.lack,
        "doubts": [doubt.text for doubt in Doubt.find(raw)],
        "assumed": None if scaling else scaling_doubt(raw.profile, recipe.scaling.name),
        "few_values": None if few is None else few._asdict(),
        "kind": str(recipe.profile.kind),
        "constant": profile.constant,
        "likelihoods": likelihoods,
        "likelihoods_if_binarized": ["bernoulli"] * binarizable,
        "picked": {
            **({} if raw.profile.columns else {"scaling": recipe.scaling.name}),
            **{n.setting: n.value for n in (*recipe.notes, *split_notes(raw)) if not n.warns and n.value},
        },
        "duplicates": {
            name: {**each._asdict(), "nearest": [pair._asdict() for pair in each.nearest]}
            for name, each in pairs.items()
        },
    }
