"""What a run is: a validated record from which its model and its training are built.

A `RunConfig` is all that a run's numbers depend on, beside versions and the machine. Records are frozen pydantic models
that take no unknown key; members of tables may be given as text. `runs.build` makes the model of one, `runs.train` the
training. `identity` tells whether a checkpoint belongs to a config.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, EXECUTIONS
from tfp_vae.core.registry import AS_MAPPING, Member, Table, first_problem
from tfp_vae.core.supports import REAL, Support
from tfp_vae.data.dataset import DATASETS, LARGEST_EVENT
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.data.transforms.scaling import SCALINGS
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.objectives import OBJECTIVES, has_closed_form_rate, has_separate_rates
from tfp_vae.objectives.rate import NO_CLOSED_FORM, NO_SEPARATE_RATES
from tfp_vae.training.callbacks import CALLBACKS
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES

__all__ = ["TABLES", "DataConfig", "HandBuiltModel", "ModelConfig", "RunConfig", "TrainingConfig", "check_rate"]

TABLES: dict[str, Table] = {
    "posteriors": POSTERIORS,
    "priors": PRIORS,
    "likelihoods": LIKELIHOODS,
    "networks": NETWORKS,
    "objectives": OBJECTIVES,
    "binarizations": BINARIZATIONS,
    "scalings": SCALINGS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
}


def _bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    if math.prod(shape) > LARGEST_EVENT:
        raise ValueError(f"an example may have at most {LARGEST_EVENT} values")
    return shape


EventShape = Annotated[
    tuple[pydantic.PositiveInt, ...], pydantic.Field(min_length=1, max_length=3), pydantic.AfterValidator(_bounded)
]


MOST_EPOCHS, MOST_STEPS, MOST_BATCH, MOST_LATENT = 1_000_000, 1_000_000, 65_536, 100_000


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


def _leads_nowhere_else(path: str) -> str:
    if not DATASETS.knows(path) and (not Path(path).is_absolute() or ".." in Path(path).parts):
        raise ValueError("expected the name of a data set, or an absolute path without '..'")
    return path


_DataPath = Annotated[str, pydantic.AfterValidator(_leads_nowhere_else)]


class DataConfig(_Record):
    """Which data: where it came from, how it is read, split and scaled, and how to tell that it is the same.

    dataset: a name from `DATASETS`, or an absolute path.
    data_dir: where named data sets lie, absolute.
    event_shape: of one example, scaled.
    split_rule, splits: how it was split, in words, and how many examples are in each.
    fingerprint: see `datasets.Dataset.fingerprint`.
    binarization, scaling: members, with what the training data decided.
    reading: how a file was read.
    learned: what of these the data decided, as it was not given: the columns of a table, settings of the scaling.
    pixels_over: what the scaling `pixels` divided by, 255 or, of values that lie in [0, 1], 1; None of other scalings
      and values, and of runs from before it was noted.
    stored: whether the run's folder holds the data, because they were in memory. `dataset` is the path of that file.
    deeper: whether the source had values beyond 255, the largest of 8 bits; None of runs from before it was noted.
    """

    dataset: _DataPath
    data_dir: _DataPath | None = None
    event_shape: EventShape
    split_rule: str
    splits: dict[Literal["train", "validation", "test"], pydantic.PositiveInt]
    fingerprint: str
    binarization: Annotated[Member, BINARIZATIONS.validator, AS_MAPPING]
    reading: Reading = Reading()
    scaling: Annotated[Member, SCALINGS.validator, AS_MAPPING] = SCALINGS.member("none")
    learned: tuple[Literal["columns", "scaling"], ...] = ("scaling",)
    pixels_over: Literal[1, 255] | None = None
    deeper: bool | None = None
    stored: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """What a table calls the features of its vectors; nothing for other data."""
        return tuple(self.reading.columns or ())

    @property
    def standard(self) -> dict[str, np.ndarray]:
        """Of standardized data the loc and the scale, [*event_shape]; nothing of others."""
        if self.scaling.name != "standard":
            return {}
        return {name: np.reshape(self.scaling.settings[name], self.event_shape) for name in ("loc", "scale")}

    def unscaled(self, x: np.ndarray) -> np.ndarray:
        """Return values x [N, *event_shape] that a model gives as the run's source has them, float64."""
        found: np.ndarray = SCALINGS.build(self.scaling).inverse(x, self.pixels_over or 1.0)
        return found

    @property
    def unit(self) -> bool:
        """Whether they are images that were scaled to lie in [0, 1]."""
        return len(self.event_shape) == 3 and self.scaling.name in ("pixels", "divided")


class ModelConfig(_Record):
    """Which model: its latent dimension, and a member of each table.

    ```python
    tv.runs.config.ModelConfig(latent_dim=32, posterior="householder-flow:reflections=8", prior="vamp:components=50")
    ```

    latent_dim: D.
    encoder, decoder: members of `NETWORKS`.
    posterior, prior, likelihood: members of `POSTERIORS`, `PRIORS` and `LIKELIHOODS`.
    encoder_input: what the encoder's network is given of x, see `vae.ENCODER_INPUTS`; log(1 + x) of a run on counts.

    Raises:
      pydantic.ValidationError: an unknown key or member, a setting that a member does not take, or a number beyond its
      limits.
    """

    latent_dim: Annotated[int, pydantic.Field(ge=1, le=MOST_LATENT)] = 2
    encoder: Annotated[Member, NETWORKS.validator, AS_MAPPING] = NETWORKS.member("mlp")
    decoder: Annotated[Member, NETWORKS.validator, AS_MAPPING] = NETWORKS.member("mlp")
    posterior: Annotated[Member, POSTERIORS.validator, AS_MAPPING] = POSTERIORS.member("diagonal-normal")
    prior: Annotated[Member, PRIORS.validator, AS_MAPPING] = PRIORS.member("standard-normal")
    likelihood: Annotated[Member, LIKELIHOODS.validator, AS_MAPPING] = LIKELIHOODS.member("bernoulli")
    encoder_input: Literal["values", "log1p"] = "values"

    def support(self, event_shape: tuple[int, ...]) -> Support:
        """Return the values for which the likelihood has a density.

        Args:
          event_shape: the shape of one example.
        """
        support: Support = LIKELIHOODS.build(self.likelihood, event_shape).support
        return support


def _described_part(value: Member | Mapping[str, object]) -> Member:
    return value if isinstance(value, Member) else Member(str(value["name"]), {})


Described = Annotated[Member, pydantic.PlainValidator(_described_part), AS_MAPPING]
"""A part of a model as a description, which cannot build it."""


class HandBuiltModel(ModelConfig):
    """A VAE that your own function builds. Its parts are only described here.

    builder: the function, as `package.module:function`, or "" if it cannot be imported by name.
    """

    builder: str
    encoder: Described
    decoder: Described
    posterior: Described
    prior: Described
    likelihood: Described

    def support(self, event_shape: tuple[int, ...]) -> Support:
        """Return the real numbers, because the likelihood itself is not known before the model is built."""
        del event_shape
        return REAL


def _model_tag(value: object) -> str:
    by_hand = "builder" in value if isinstance(value, dict) else isinstance(value, HandBuiltModel)
    return "by-hand" if by_hand else "by-members"


AnyModel = Annotated[
    Annotated[ModelConfig, pydantic.Tag("by-members")] | Annotated[HandBuiltModel, pydantic.Tag("by-hand")],
    pydantic.Discriminator(_model_tag),
]


class TrainingConfig(_Record):
    """How it learns.

    objective, optimizer, lr_schedule: members of `OBJECTIVES`, `OPTIMIZERS` and `SCHEDULES`.
    epochs, steps_per_epoch, batch_size: an epoch is one pass over the data unless its steps are given.
    learning_rate: at step 0.
    beta, kl_warmup_epochs, free_bits: the rate's weight, its linear warm-up, and nats per latent dimension left free.
    clip_norm: the largest global norm of a gradient.
    early_stopping: patience in epochs, see `stopping.early_stop`.
    ema: decay of the averaged weights, see `training.Average`.
    seed: of every draw.
    execution: `auto`, `xla`, `graph` or `eager`.
    callbacks: members of `CALLBACKS`. They may end training, but change no number.
    objects: settings that were Python objects without a name here, so only Python can continue the training.

    Raises:
      pydantic.ValidationError: an unknown key, a number beyond its limits, or a weight of the rate under an objective
      that does not weigh it.
    """

    objective: Annotated[Member, OBJECTIVES.validator, AS_MAPPING] = OBJECTIVES.member("elbo")
    epochs: Annotated[int, pydantic.Field(ge=1, le=MOST_EPOCHS)] = 100
    steps_per_epoch: Annotated[int, pydantic.Field(ge=1, le=MOST_STEPS)] | None = None
    batch_size: Annotated[int, pydantic.Field(ge=1, le=MOST_BATCH)] = 128
    optimizer: Annotated[Member, OPTIMIZERS.validator, AS_MAPPING] = OPTIMIZERS.member("adam")
    learning_rate: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] = 1e-3
    lr_schedule: Annotated[Member, SCHEDULES.validator, AS_MAPPING] = SCHEDULES.member("constant")
    beta: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] = 1.0
    kl_warmup_epochs: pydantic.NonNegativeInt = 0
    free_bits: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] = 0.0
    clip_norm: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] | None = None
    early_stopping: Annotated[int, pydantic.Field(ge=1, le=MOST_EPOCHS)] | None = None
    ema: Annotated[float, pydantic.Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**31)] = 0
    execution: str = AUTO
    callbacks: tuple[Annotated[Member, CALLBACKS.validator, AS_MAPPING], ...] = ()
    objects: tuple[Literal["objective", "optimizer", "lr_schedule", "binarization"], ...] = ()

    @pydantic.field_validator("execution")
    @classmethod
    def _known_execution(cls, value: str) -> str:
        if value not in (AUTO, *EXECUTIONS):
            raise ValueError(f"expected one of {', '.join((AUTO, *EXECUTIONS))}")
        return value

    @pydantic.model_validator(mode="after")
    def _weighs_what_can_be_weighed(self) -> TrainingConfig:
        """Refuse a weight of the rate under an objective that has none: it would be accepted and do nothing."""
        weighed = [
            name for name in ("beta", "kl_warmup_epochs", "free_bits") if getattr(self, name) != RATE_DEFAULTS[name]
        ]
        known = OBJECTIVES.can_resolve(self.objective.name)
        if weighed and known and not OBJECTIVES[self.objective.name].weighs_rate:
            can = ", ".join(name for name, objective in OBJECTIVES.items() if objective.weighs_rate)
            raise ValueError(
                f"`{weighed[0]}` has no effect on the objective {self.objective.name}, which does not weigh the rate. "
                f"Leave it out, or choose `objective={can}`."
            )
        return self

    def steps(self, examples: int) -> int:
        """Return the steps of an epoch: as given, else one pass over the examples.

        Args:
          examples: in the training split.
        """
        return self.steps_per_epoch or math.ceil(examples / self.batch_size)


RATE_DEFAULTS = {"beta": 1.0, "kl_warmup_epochs": 0, "free_bits": 0.0}


LATER = {("training", "ema"): None, ("model", "encoder_input"): "values"}
"""Settings that runs were made without at first, and what those runs had in their place."""


class RunConfig(_Record):
    """A run: its data, its model, its training.

    Raises:
      pydantic.ValidationError: what one of its parts refuses, an objective or free bits without the closed form that
      they need, or early stopping without validation data.
    """

    version: Literal[1] = 1
    data: DataConfig
    model: AnyModel
    training: TrainingConfig

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if not isinstance(self.model, HandBuiltModel):
            check_rate(self.model, self.training)
        if self.training.early_stopping is not None and "validation" not in self.data.splits:
            raise UsageError("`early_stopping` needs a validation split, but the data have none. Leave it out.")
        return self

    def identity(self) -> str:
        """Return a digest of all that decides a run's numbers, but not of when it ends, which may be put off.

        `LATER` settings count where they are not as they were before they were there: older runs keep their digest. Who
        decided columns and
        scaling does not count, what they are does; nor what pixels are over and how deep they were, which follows from
        the data, whose fingerprint counts.

        Sixteen hexadecimal digits of SHA-256.
        """
        content = self.model_dump(mode="json")
        training = content["training"]
        for name in ("pixels_over", "deeper", "learned", *["dataset"] * self.data.stored, "stored"):
            del content["data"][name]
        for name in ("epochs", "early_stopping", "callbacks", "objects"):
            del training[name]
        for (part, name), before in LATER.items():
            if content[part][name] == before:
                del content[part][name]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def check_latent_dim(model: ModelConfig) -> None:
    """Raise UsageError if posterior or prior cannot be over so few dimensions, as a coupling flow over one.

    Here and not when the model is built, so that the error comes before data are read and TensorFlow is imported.
    """
    _check_family(POSTERIORS, model.posterior, model.latent_dim)
    _check_family(PRIORS, model.prior, model.latent_dim)


def _check_family(table: Table, member: Member, latent_dim: int) -> None:
    try:
        table.build(member, latent_dim, encoder=None, data_mean=None)
    except pydantic.ValidationError as error:
        raise UsageError(f"`latent_dim`: for {table.kind} {member.name} {first_problem(error)}.") from error


def check_rate(model: ModelConfig, training: TrainingConfig) -> None:
    """Raise UsageError if objective or free bits need a closed-form rate that posterior and prior do not have."""
    members = ((POSTERIORS, model.posterior), (PRIORS, model.prior), (OBJECTIVES, training.objective))
    if not all(table.can_resolve(member.name) for table, member in members):
        return  # the run names code that may not be imported here, so building the model will fail
    families = POSTERIORS[model.posterior.name], PRIORS[model.prior.name]
    if OBJECTIVES[training.objective.name].needs_closed_form_rate and not has_closed_form_rate(*families):
        raise UsageError(NO_CLOSED_FORM)
    if training.free_bits and not has_separate_rates(*families):
        raise UsageError(NO_SEPARATE_RATES.format(model.posterior.name, model.prior.name))
