"""The settings of a run: validated records, and one table of all settings of `tfp-vae train`.

A `RunConfig` holds everything that the numbers of a run depend on, except the versions and the machine. Its records are
frozen pydantic models that refuse unknown keys. `Request` holds the settings that a user may give in addition.

To add a setting, add one field with a `Setting` to one of the records, and use the field. The option with its limits,
default and help, the key in TOML files and the line in reports come from that field. `SETTINGS` lists all of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, TypeVar, final

import numpy as np
import pydantic
from pydantic.fields import FieldInfo

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import UsageError, first_problem, suggest
from tfp_vae.core.files import user_path
from tfp_vae.core.registry import AS_MAPPING, BaseRecord, Member, Table, Widths, allow_code, parse
from tfp_vae.core.supports import REAL, Support
from tfp_vae.core.types import FloatType
from tfp_vae.data.condition import Condition
from tfp_vae.data.dataset import LARGEST_EVENT
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.images import Background, Channels, SplitFolders
from tfp_vae.data.readers.sources import (
    KINDS,
    Arrays,
    Column,
    Columns,
    Fractions,
    ImageShape,
    Kinds,
    Labelled,
    Names,
    Reading,
    SeedNumber,
    Size,
)
from tfp_vae.data.readers.tables import COMMAS, Header, TextFormat
from tfp_vae.data.readers.words import join_names
from tfp_vae.data.schema.columns import KINDS as COLUMN_KINDS
from tfp_vae.data.schema.columns import Column as SchemaColumn
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.data.transforms.dequantization import DEQUANTIZATIONS, UniformNoise
from tfp_vae.data.transforms.scaling import SCALINGS, Scaling, Standard
from tfp_vae.model.latent import Latent
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.missingness import MISSINGNESS
from tfp_vae.model.networks import NETWORKS
from tfp_vae.model.posteriors import POSTERIORS, Posterior
from tfp_vae.model.priors import PRIORS
from tfp_vae.objectives import OBJECTIVES, has_closed_form_rate, has_separate_rates
from tfp_vae.objectives.bound import NO_COMPONENTS
from tfp_vae.objectives.rate import NO_CLOSED_FORM, NO_DIMENSIONS, NO_SEPARATE_RATES
from tfp_vae.runs.tables.choices import common_likelihood
from tfp_vae.training.callbacks import CALLBACKS
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES

__all__ = [
    "GROUPS",
    "SETTINGS",
    "TABLES",
    "Change",
    "DataConfig",
    "HandBuiltModel",
    "ModelConfig",
    "Request",
    "RunConfig",
    "Setting",
    "TrainingConfig",
    "check_rate",
    "check_values",
    "choices_reason",
    "expand_shortcuts",
    "implied_choices",
    "read_settings",
]

R = TypeVar("R", bound=pydantic.BaseModel)

TABLES: dict[str, Table] = {
    "posteriors": POSTERIORS,
    "priors": PRIORS,
    "likelihoods": LIKELIHOODS,
    "missingness": MISSINGNESS,
    "networks": NETWORKS,
    "objectives": OBJECTIVES,
    "binarizations": BINARIZATIONS,
    "dequantizations": DEQUANTIZATIONS,
    "scalings": SCALINGS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
}

NetworkMember = Annotated[Member, NETWORKS.validator, AS_MAPPING]
PosteriorMember = Annotated[Member, POSTERIORS.validator, AS_MAPPING]
PriorMember = Annotated[Member, PRIORS.validator, AS_MAPPING]
LikelihoodMember = Annotated[Member, LIKELIHOODS.validator, AS_MAPPING]
MissingnessMember = Annotated[Member, MISSINGNESS.validator, AS_MAPPING]
ObjectiveMember = Annotated[Member, OBJECTIVES.validator, AS_MAPPING]
OptimizerMember = Annotated[Member, OPTIMIZERS.validator, AS_MAPPING]
ScheduleMember = Annotated[Member, SCHEDULES.validator, AS_MAPPING]
BinarizationMember = Annotated[Member, BINARIZATIONS.validator, AS_MAPPING]
DequantizationMember = Annotated[Member, DEQUANTIZATIONS.validator, AS_MAPPING]
ScalingMember = Annotated[Member, SCALINGS.validator, AS_MAPPING]


def read_callback(value: object, info: pydantic.ValidationInfo) -> Member:
    """Return a callback as a member of `CALLBACKS`, unchecked if a run recorded it.

    Callbacks change no number, so a run stays readable if the code of its callbacks is gone, such as a class that was
    defined in a notebook. `CALLBACKS.build` checks the member before training.
    """
    if not isinstance(value, str | Mapping | Member):
        raise ValueError("expected the name of a callback")
    if info.context and info.context.get("recorded"):
        return Member(*parse(value))
    return CALLBACKS.member(value)


CallbackMember = Annotated[Member, pydantic.PlainValidator(read_callback), AS_MAPPING]

Group = Literal["Data", "Model", "Objective", "Optimization", "Run", "Output"]
GROUPS: tuple[Group, ...] = typing.get_args(Group)
"""The headings of help pages, in order."""

MOST_EPOCHS, MOST_STEPS, MOST_BATCH, MOST_LATENT, MOST_SAMPLES = 1_000_000, 1_000_000, 65_536, 100_000, 100_000

UNIT = frozenset({"prefix", "suffix"})
"""The settings of a column that count for the digest of a run only if they are used."""

BY_DATA = "chosen from the data"


@final
@dataclasses.dataclass(frozen=True)
class Setting:
    """The texts of a setting of `tfp-vae train`, as metadata of the field that holds its value.

    Args:
      group: heading on the help page.
      label: name in reports.
      help: text on the help page. The first sentence has at most 60 characters.
      table: the table that the values are members of. A text may be a member or something else.
      default: the default in words, for an option whose default is not the field's.
      metavar: placeholder for the value on the help page.
      line: format of the value in reports.
      key: name of the option and of the key in TOML files. The field's name by default.
      variable: environment variable that sets the option.
      fills: settings with a key of the field's name. This setting is a short way to write that key.
      separator: character between the parts of a value such as `28x28`.
      multiple: whether the option may be repeated.
      aliases: further names of the option.
      field: the field. `SETTINGS` fills it in.
    """

    group: Group
    label: str
    help: str
    table: Table | None = None
    default: str = ""
    metavar: str | None = None
    line: str = "{}"
    key: str = ""
    variable: str | None = None
    fills: tuple[str, ...] = ()
    separator: str = ","
    multiple: bool = False
    aliases: tuple[str, ...] = ()
    field: FieldInfo = dataclasses.field(default_factory=FieldInfo, repr=False)

    @property
    def kind(self) -> object:
        """The type of the values, without None."""
        parts = typing.get_args(self.field.annotation)
        kind = parts[0] if type(None) in parts else self.field.annotation
        return Member if typing.get_args(kind)[:1] == (Member,) else kind

    @property
    def choices(self) -> tuple[str, ...]:
        """All values, if the field lists them."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is Literal else ()

    @property
    def limits(self) -> dict[str, Any]:
        """The limits of a number by pydantic's names: `ge`, `gt`, `le` and `lt`."""
        names = ("ge", "gt", "le", "lt")
        return {name: getattr(each, name) for each in self.field.metadata for name in names if hasattr(each, name)}

    def text(self, value: object) -> str:
        """Return a value as the command line writes it."""
        if isinstance(value, Member):
            settings = (f"{key}={self.text(item)}" for key, item in value.settings.items() if item is not None)
            return f"{value.name}:{','.join(settings)}".rstrip(":")
        if isinstance(value, tuple | list):
            return join_names(value, self.separator)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def texts(self, value: object) -> list[str]:
        """Return the values of the option, more than one if it is repeated."""
        if not isinstance(value, tuple) or not self.multiple:
            return [self.text(value)]
        return [join_names([each]) if isinstance(each, str) else self.text(each) for each in value]

    def report(self, value: object) -> str:
        """Return a value as reports show it."""
        if self.multiple:
            return ", ".join(self.texts(value))
        return self.line.format(value if isinstance(value, int | float) else self.text(value).replace(":", ": ", 1))


@final
class Request(BaseRecord):
    """The settings of `tfp-vae train` that choose data, a folder and output, and the short ways to write others.

    A run does not record them as they are, because it records the data and complete members of tables.
    """

    dataset: Annotated[
        str, Setting("Data", "Data", f"Data set: {', '.join(DATASETS)}. Or the path of {KINDS}.", DATASETS)
    ] = "digits"
    data_dir: Annotated[
        str | None,
        Setting(
            "Data",
            "Data folder",
            "Folder of downloaded data sets.",
            default="the user's cache folder",
            variable="TFP_VAE_DATA_DIR",
        ),
    ] = None
    label_column: Annotated[
        Column | None,
        Setting(
            "Data",
            "Label column",
            "Column of a table that holds labels, by name or position. Position 1 is the first, -1 the last.",
            metavar="NAME",
        ),
    ] = None
    columns: Annotated[
        Columns | None,
        Setting(
            "Data",
            "Columns",
            "Columns of a table to learn from, as a,b,c. Wildcards are * and ?.",
            default="all but the labels",
            metavar="NAMES",
        ),
    ] = None
    drop_columns: Annotated[
        Names | None,
        Setting(
            "Data",
            "Columns left out",
            "Columns of a table to leave out, such as an index. Repeat for more.",
            default="none",
            metavar="NAMES",
            aliases=("drop",),
            multiple=True,
        ),
    ] = None
    schema_file: Annotated[
        str | None,
        Setting(
            "Data",
            "Schema",
            "TOML file with the kinds of a table's columns. `tfp-vae data inspect` writes one.",
            default="guessed if a table has words or missing cells",
            metavar="FILE",
            key="schema",
        ),
    ] = None
    column: Annotated[
        Kinds | None,
        Setting(
            "Data",
            "Kinds of columns",
            f"Kind of a column of a table: {', '.join(COLUMN_KINDS)}. Repeat for more.",
            default=BY_DATA,
            metavar="NAME=KIND",
            multiple=True,
        ),
    ] = None
    id_column: Annotated[
        Names | None,
        Setting(
            "Data",
            "Id columns",
            "Column that names the rows of a table. Results repeat it. Repeat for more.",
            default=BY_DATA,
            metavar="NAMES",
            key="id",
            multiple=True,
        ),
    ] = None
    missing: Annotated[
        Names | None,
        Setting(
            "Data",
            "Missing cells",
            "Text or number that marks a missing cell, such as -200. Empty cells, NA, NaN, null, none and ? always do. "
            "Repeat for more.",
            default="none",
            metavar="TEXTS",
            multiple=True,
        ),
    ] = None
    condition: Annotated[
        Names | None,
        Setting(
            "Data",
            "Condition",
            "Condition y of p(x|y): label, or a column of a table. Repeat for more. Rows may lack their class.",
            default="none",
            metavar="NAMES",
            multiple=True,
        ),
    ] = None
    labelled: Annotated[
        Labelled | None,
        Setting(
            "Data",
            "Labelled examples",
            "Hide the classes of all but N training examples. As many of each class stay.",
            default="all",
            line="{:,}",
        ),
    ] = None
    labelled_seed: Annotated[
        SeedNumber,
        Setting("Data", "Seed of labelled examples", "Seed of the choice of labelled examples."),
    ] = 0
    image_shape: Annotated[
        ImageShape | None,
        Setting(
            "Data",
            "Shape of images",
            "Shape of images that are stored as rows of numbers.",
            metavar="HxW[xC]",
            separator="x",
        ),
    ] = None
    header: Annotated[
        Header,
        Setting("Data", "First line", "Whether the first line of a table holds names. auto judges by its cells."),
    ] = "auto"
    arrays: Annotated[
        Arrays | None,
        Setting(
            "Data",
            "Arrays",
            "Roles of arrays in an .npz file, as x_train=a,y_train=b. x and y without a split hold all examples.",
            default="by their names",
            metavar="ROLES",
        ),
    ] = None
    split_folders: Annotated[
        SplitFolders,
        Setting(
            "Data",
            "Split folders",
            "Read train, val and test folders as splits or as classes.",
        ),
    ] = "auto"
    resize: Annotated[
        Size | None,
        Setting(
            "Data",
            "Image size",
            "Height and width for the images of a folder, in pixels.",
            metavar="HxW",
            separator="x",
        ),
    ] = None
    channels: Annotated[
        Channels, Setting("Data", "Image channels", "Read the images of a folder in grey or in colour.")
    ] = "auto"
    background: Annotated[
        Background,
        Setting("Data", "Background", "Colour behind transparent pixels of images. auto is white, with a warning."),
    ] = "auto"
    split_fractions: Annotated[
        Fractions | None,
        Setting(
            "Data",
            "Shares of splits",
            "Shares of train, validation and test, if data lack splits.",
            default="0.8,0.1,0.1",
            metavar="SHARES",
        ),
    ] = None
    scaling: Annotated[
        Member | None,
        SCALINGS.validator,
        Setting("Data", "Scaling", "How to scale the values.", SCALINGS, default=BY_DATA),
    ] = None
    binarization: Annotated[
        Member | None,
        BINARIZATIONS.validator,
        Setting(
            "Data",
            "Binarization",
            "How to make grey values binary.",
            BINARIZATIONS,
            default="chosen from data and likelihood",
        ),
    ] = None
    dequantization: Annotated[
        Member,
        DEQUANTIZATIONS.validator,
        Setting(
            "Data",
            "Dequantization",
            "Add noise to integer levels, for densities of them.",
            DEQUANTIZATIONS,
        ),
    ] = DEQUANTIZATIONS.member("none")
    hidden: Annotated[
        Widths | None,
        pydantic.Field(min_length=1),
        Setting(
            "Model",
            "Layer widths",
            "Layer widths of `mlp` networks, such as 512,256.",
            default=BY_DATA,
            metavar="WIDTHS",
            fills=("encoder", "decoder"),
        ),
    ] = None
    mc_samples: Annotated[
        int | None,
        pydantic.Field(ge=1, le=MOST_SAMPLES),
        Setting(
            "Objective", "Samples of z", "Samples of z per example in the objective.", default="1", fills=("objective",)
        ),
    ] = None
    runs_dir: Annotated[
        str, Setting("Run", "Folder of runs", "Folder that holds the runs.", variable="TFP_VAE_RUNS_DIR")
    ] = "runs"
    run_dir: Annotated[
        str | None,
        Setting(
            "Run",
            "Folder of the run",
            "Folder of the new run.",
            default="<dataset>-<date>-<time> under `runs_dir`",
            metavar="DIR",
        ),
    ] = None
    resume: Annotated[bool, Setting("Run", "Resume", "Continue the run in `run_dir`. `epochs` is then the total.")] = (
        False
    )
    plots: Annotated[bool, Setting("Output", "Pictures", "Draw pictures and animations of the training.")] = True
    tensorboard: Annotated[
        bool,
        Setting(
            "Output",
            "TensorBoard",
            "Write metrics and samples for TensorBoard. Needs `pip install 'tfp_vae[tensorboard]'`.",
        ),
    ] = False
    as_json: Annotated[bool, Setting("Output", "JSON", "Print one JSON object to stdout.", key="json")] = False

    def reading(self) -> Reading:
        """Return how to read the data."""
        schema = None if self.schema_file is None else str(user_path(self.schema_file).resolve())
        own = {name: getattr(self, name) for name in Reading.model_fields if name in type(self).model_fields}
        return Reading(**{**own, "schema_file": schema})


def check_event_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an example, or raise ValueError if it has too many values."""
    if math.prod(shape) > LARGEST_EVENT:
        raise ValueError(f"an example may have at most {LARGEST_EVENT} values")
    return shape


def check_data_path(path: str) -> str:
    """Return the name of a data set or an absolute path, or raise ValueError for anything else."""
    if not DATASETS.knows(path) and (not Path(path).is_absolute() or ".." in Path(path).parts):
        raise ValueError("expected the name of a data set, or an absolute path without '..'")
    return path


EventShape = Annotated[
    tuple[pydantic.PositiveInt, ...],
    pydantic.Field(min_length=1, max_length=3),
    pydantic.AfterValidator(check_event_shape),
]
DataPath = Annotated[str, pydantic.AfterValidator(check_data_path)]


@final
class Tones(TypedDict):
    """How grey images are drawn, as keywords of functions in `tfp_vae.plots`.

    unit: whether values approximate data in [0, 1], see `canvas.range_of`.
    ink: whether they are drawn dark on white, see `canvas.is_ink`.
    """

    unit: bool
    ink: bool | None


@final
class Look(TypedDict):
    """How examples are drawn, as keywords of functions in `tfp_vae.plots`: the names of features, and `Tones`."""

    features: Sequence[str]
    unit: bool
    ink: bool | None


@final
class DataConfig(BaseRecord):
    """The data of a run: their source, how they are read, split, scaled and binarized, and a fingerprint.

    Attributes:
      dataset: a name from `DATASETS`, or an absolute path.
      data_dir: folder of named data sets, absolute.
      event_shape: shape of one example after scaling.
      split_rule, splits: the rule of the split in words, and the number of examples in each split.
      fingerprint: see `data.dataset.Dataset.fingerprint`.
      binarization, dequantization, scaling: members of their tables, with settings computed from the training data.
      reading: how the source is read.
      learned: which of these the data decided: the columns of a table, settings of the scaling.
      pixels_over: the divisor of the scaling `pixels`: 255, or 1 for values that lie in [0, 1] already.
      deeper: whether the source has values above 255, the largest of 8 bits.
      ink: whether pictures show grey images dark on white, see `supports.looks_like_ink`. None if unknown.
      condition: how the contexts y of a conditional model p(x|y) are computed, or None.
      form: the marks in the source, if it is a table of text. Files of results have the same.
      stored: whether the run's folder holds the data, because they were in memory. `dataset` is the path of that file.
    """

    dataset: DataPath
    data_dir: DataPath | None = None
    event_shape: EventShape
    split_rule: str
    splits: dict[Literal["train", "validation", "test"], pydantic.PositiveInt]
    fingerprint: str
    binarization: BinarizationMember
    dequantization: DequantizationMember = DEQUANTIZATIONS.member("none")
    reading: Reading = Reading()
    scaling: ScalingMember = SCALINGS.member("none")
    learned: tuple[Literal["columns", "scaling"], ...] = ("scaling",)
    pixels_over: Literal[1, 255] | None = None
    deeper: bool | None = None
    ink: bool | None = None
    condition: Condition | None = None
    form: TextFormat = COMMAS
    stored: bool = False

    @pydantic.model_validator(mode="after")
    def _check_scaling(self) -> DataConfig:
        if self.scaling.name == "standard" and not Standard(**self.scaling.settings).fits(self.event_shape):
            raise ValueError("scaling: expected a loc and a scale for each value of an example, or one for all")
        return self

    @property
    def context_size(self) -> int:
        """C, the number of values of the condition, or 0 without one."""
        return 0 if self.condition is None else self.condition.size

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features if the data are a table, else nothing."""
        return tuple(self.reading.columns or ()) if len(self.event_shape) == 1 else ()

    @property
    def standard(self) -> dict[str, np.ndarray]:
        """The loc and the scale of standardized data, each `event_shape`. Other data have neither."""
        if self.scaling.name != "standard":
            return {}
        loc, scale = Standard(**self.scaling.settings).spread(self.event_shape)
        return {"loc": loc, "scale": scale}

    def unscaled(self, x: np.ndarray) -> np.ndarray:
        """Return values x [N, *event_shape] of a model in the units of the source, float64. Levels are exact."""
        full, noise = self.pixels_over or 1.0, self.noise
        if noise is not None and np.array_equal(noise.floor(x), x):
            return noise.levels(x) * (noise.step * full)
        values: np.ndarray = SCALINGS.build(self.scaling).inverse(x, full)
        return values

    def as_columns(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return values x [N, *event_shape] of a model as a table in the units of the source: columns [N] by name.

        The columns of a mixed table are texts with its words, dates and decimals, within their ranges.
        """
        if self.reading.table is not None:
            return self.reading.table.decode(self.unscaled(x))
        flat = self.unscaled(x).reshape(len(x), -1)
        names = self.features or [f"x_{i}" for i in range(1, flat.shape[1] + 1)]
        return dict(zip(names, flat.T, strict=True))

    def shown(self, x: np.ndarray) -> np.ndarray:
        """Return values x [..., *event_shape] of a model as pictures show them.

        Standardized images and series are shown in the units of the source. The columns of a table stay standardized,
        because they may differ in their units. The counts of a mixed table are mapped to a similar range.
        """
        if self.reading.table is not None:
            loc, spread = np.transpose([middle_and_spread(column) for column in self.reading.table.modelled])
            is_scaled = self.standard["scale"] != 1
            return np.asarray(np.where(is_scaled, x, (x - loc) / spread), np.float32)
        if self.features or self.scaling.name != "standard":
            return x
        examples = x.reshape(-1, *self.event_shape)
        return self.unscaled(examples).astype(np.float32).reshape(x.shape)

    @property
    def noise(self) -> UniformNoise | None:
        """The noise that scaled values get, or None."""
        return UniformNoise.find(self.dequantization, self.scaling, self.event_shape)

    @property
    def log_scale(self) -> float:
        """The log-density of the source's values is that of scaled ones minus this number of nats.

        If levels get noise, it is the density in units of levels.
        """
        if self.noise is not None:
            return self.noise.log_scale
        scaling: Scaling = SCALINGS.build(self.scaling)
        return scaling.log_scale(self.event_shape)

    @property
    def unit(self) -> bool:
        """Whether the data are images scaled to [0, 1]."""
        return len(self.event_shape) == 3 and self.scaling.name in ("pixels", "divided")

    @property
    def tones(self) -> Tones:
        """How grey images are drawn."""
        return {"unit": self.unit, "ink": self.ink}

    @property
    def look(self) -> Look:
        """How examples are drawn: images by their tones, and vectors with the names of their features."""
        return {"features": self.features, **self.tones}

    def request(self) -> dict[str, object]:
        """Return the settings that give the same data again.

        Columns and settings of the scaling are left out if the data decided them, because training learns them again.
        """
        reading = {name: getattr(self.reading, name) for name in self.reading.given() - {"table", *self.learned}}
        own: dict[str, object] = {"dataset": self.dataset, "data_dir": self.data_dir}
        if self.reading.table is not None:
            return {**own, **reading}
        own["binarization"] = self.binarization
        scaling = Member(self.scaling.name, {}) if "scaling" in self.learned else self.scaling
        noise = {} if self.noise is None else {"dequantization": self.dequantization}
        return {**own, **noise, "scaling": scaling, **reading}


def middle_and_spread(column: SchemaColumn) -> tuple[float, float]:
    """Return the location and the scale with which pictures show a column of a mixed table. Most keep their values."""
    if column.kind != "count" or column.low is None or column.high is None or column.low == column.high:
        return 0.0, 1.0
    return (column.low + column.high) / 2, (column.high - column.low) / 4


class ModelConfig(BaseRecord):
    """The settings of a model: the dimension of z, and a member of each table.

    Members may be given as text.

    ```python
    tv.runs.config.ModelConfig(latent_dim=32, posterior="householder-flow:reflections=8", prior="vamp:components=50")
    ```

    Attributes:
      encoder_input: `values`, or `log1p` for log(1 + x), which suits counts, see `model.inputs.ENCODER_INPUTS`.
        `columns` is for a likelihood `Columns`, whose features the encoder then sees.

    Raises:
      UsageError: for an unknown key or member, a setting that a member does not have, or a number beyond
        its limits.
    """

    latent_dim: Annotated[
        int,
        pydantic.Field(ge=1, le=MOST_LATENT),
        Setting("Model", "Latent dimensions", "Dimension of z.", default=BY_DATA),
    ] = 2
    encoder: Annotated[
        NetworkMember, Setting("Model", "Encoder", "Network of the encoder.", NETWORKS, default=BY_DATA)
    ] = NETWORKS.member("mlp")
    decoder: Annotated[
        NetworkMember, Setting("Model", "Decoder", "Network of the decoder.", NETWORKS, default=BY_DATA)
    ] = NETWORKS.member("mlp")
    posterior: Annotated[
        PosteriorMember, Setting("Model", "Posterior q(z|x)", "Family of the posterior q(z|x).", POSTERIORS)
    ] = POSTERIORS.member("diagonal-normal")
    prior: Annotated[
        PriorMember,
        Setting(
            "Model",
            "Prior p(z)",
            "Family of the prior p(z).",
            PRIORS,
            default="standard-normal, normal-mixture for groups far apart, uniform if z is discrete, or hierarchical "
            "if it has layers",
        ),
    ] = PRIORS.member("standard-normal")
    likelihood: Annotated[
        LikelihoodMember,
        Setting("Model", "Likelihood p(x|z)", "Family of the likelihood p(x|z).", LIKELIHOODS, default=BY_DATA),
    ] = LIKELIHOODS.member("bernoulli")
    missingness: Annotated[
        MissingnessMember,
        Setting("Model", "Missingness p(mask|x)", "Assumption about why cells of a table are missing.", MISSINGNESS),
    ] = MISSINGNESS.member("random")
    classifier: Annotated[
        NetworkMember | None,
        Setting(
            "Model",
            "Classifier q(y|x)",
            "Network of the classifier, if some classes are unknown.",
            NETWORKS,
            default="that of the encoder",
        ),
    ] = None
    dtype: Annotated[
        FloatType,
        Setting("Model", "Floating-point type", "Type of weights and densities. `float64` is slower but more exact."),
    ] = "float32"
    encoder_input: Literal["values", "log1p", "columns"] = "values"

    def support(self, event_shape: tuple[int, ...]) -> Support:
        """Return the values for which the likelihood has a density.

        Args:
          event_shape: the shape of one example.
        """
        support: Support = LIKELIHOODS.build(self.likelihood, event_shape).support
        return support


def describe_part(value: object) -> Member:
    """Return a member of any name without checking its settings, or raise ValueError for anything else."""
    if isinstance(value, Member):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ValueError("expected a mapping with a name")
    return Member(value["name"], {})


Described = Annotated[Member, pydantic.PlainValidator(describe_part), AS_MAPPING]
"""A part of a model as a description, which cannot build it."""


@final
class HandBuiltModel(ModelConfig):
    """A VAE that your own function builds. Its parts are only described here.

    Attributes:
      builder: the function, as `package.module:function`, or "" if it cannot be imported by name.
    """

    builder: str
    encoder: Described
    decoder: Described
    posterior: Described
    prior: Described
    likelihood: Described
    missingness: Described = MISSINGNESS.member("random")

    def support(self, event_shape: tuple[int, ...]) -> Support:
        """Return the real numbers, because the likelihood itself is not known before the model is built."""
        del event_shape
        return REAL


def tag_model(value: object) -> str:
    """Return whether a model is built `by-hand` or `by-members` of the tables."""
    by_hand = "builder" in value if isinstance(value, dict) else isinstance(value, HandBuiltModel)
    return "by-hand" if by_hand else "by-members"


AnyModel = Annotated[
    Annotated[ModelConfig, pydantic.Tag("by-members")] | Annotated[HandBuiltModel, pydantic.Tag("by-hand")],
    pydantic.Discriminator(tag_model),
]


@final
class Change(BaseRecord):
    """A setting of training that `resume` changed.

    Attributes:
      setting: its name.
      epoch: the first epoch that the new value affects, counted from 1.
      step: the number of steps taken before.
      before, after: the old and the new value.
    """

    setting: Literal["epochs", "early_stopping", "learning_rate"]
    epoch: Annotated[int, pydantic.Field(ge=1, le=MOST_EPOCHS)]
    step: Annotated[int, pydantic.Field(ge=0, le=MOST_EPOCHS * MOST_STEPS)]
    before: Annotated[int, pydantic.Field(ge=1, le=MOST_EPOCHS)] | pydantic.FiniteFloat | None
    after: Annotated[int, pydantic.Field(ge=1, le=MOST_EPOCHS)] | pydantic.FiniteFloat | None

    def __str__(self) -> str:
        before, after = ("never" if value is None else f"{value:,.6g}" for value in (self.before, self.after))
        return f"{SETTINGS[self.setting].label.lower()}: {before} before epoch {self.epoch}, then {after}"


@final
class TrainingConfig(BaseRecord):
    """The settings of training: objective, optimizer, length, seed and execution.

    Members may be given as text. The help text of each field describes it.

    Attributes:
      callbacks: members of `CALLBACKS`. They may end training, but change no number.
      objects: settings that were Python objects without a name here, so only Python can continue the training.

    Raises:
      UsageError: for an unknown key, a number beyond its limits, or a weight of the rate under an
        objective that does not weight it.
    """

    objective: Annotated[
        ObjectiveMember,
        Setting(
            "Objective",
            "Objective",
            "Bound to maximize.",
            OBJECTIVES,
            default="elbo, iwae:mc_samples=5 for groups far apart, gumbel-softmax if z is discrete, or "
            "monte-carlo-elbo if it has layers",
        ),
    ] = OBJECTIVES.member("elbo")
    epochs: Annotated[
        int,
        pydantic.Field(ge=1, le=MOST_EPOCHS),
        Setting(
            "Optimization",
            "Epochs",
            "Epochs in total, also with `resume`.",
            default="100, or 150 for vectors of real values",
            line="{:,}",
        ),
    ] = 100
    steps_per_epoch: Annotated[
        int | None,
        pydantic.Field(ge=1, le=MOST_STEPS),
        Setting("Optimization", "Steps per epoch", "Steps in an epoch.", default="one pass over the data", line="{:,}"),
    ] = None
    batch_size: Annotated[
        int,
        pydantic.Field(ge=1, le=MOST_BATCH),
        Setting(
            "Optimization",
            "Batch size",
            "Examples per step.",
            default="128, or fewer for vectors of real values",
            line="{:,} examples",
        ),
    ] = 128
    optimizer: Annotated[
        OptimizerMember, Setting("Optimization", "Optimizer", "Optimizer of the weights.", OPTIMIZERS)
    ] = OPTIMIZERS.member("adam")
    learning_rate: Annotated[
        float,
        pydantic.Field(gt=0, allow_inf_nan=False),
        Setting(
            "Optimization",
            "Learning rate",
            "Peak learning rate.",
            default="0.001, or 0.003 for vectors of real values",
            line="{:g}",
        ),
    ] = 1e-3
    lr_schedule: Annotated[
        ScheduleMember, Setting("Optimization", "Learning-rate schedule", "Schedule of the learning rate.", SCHEDULES)
    ] = SCHEDULES.member("constant")
    beta: Annotated[
        float,
        pydantic.Field(ge=0, allow_inf_nan=False),
        Setting("Objective", "Weight of the rate", "Weight of the rate (the KL term).", line="{:g}"),
    ] = 1.0
    kl_warmup_epochs: Annotated[
        int,
        pydantic.Field(ge=0),
        Setting("Objective", "KL warm-up", "Epochs over which `beta` rises linearly from 0.", line="{:,} epochs"),
    ] = 0
    free_bits: Annotated[
        float,
        pydantic.Field(ge=0, allow_inf_nan=False),
        Setting(
            "Objective",
            "Free bits",
            "Rate that costs nothing, in nats per latent dimension.",
            line="{:g} nats per latent dimension",
        ),
    ] = 0.0
    classifier_weight: Annotated[
        float | None,
        pydantic.Field(ge=0, allow_inf_nan=False),
        Setting(
            "Objective",
            "Weight of the classifier",
            "Weight of log q(y|x) if y is known for some examples only.",
            default="N / M for N rows, M of them with a class",
            line="{:g}",
        ),
    ] = None
    clip_norm: Annotated[
        float | None,
        pydantic.Field(gt=0, allow_inf_nan=False),
        Setting(
            "Optimization", "Gradient clipping", "Largest global norm of a gradient.", default="no limit", line="{:g}"
        ),
    ] = None
    early_stopping: Annotated[
        int | None,
        pydantic.Field(ge=0, le=MOST_EPOCHS),
        pydantic.AfterValidator(lambda value: value or None),
        Setting(
            "Optimization",
            "Early stopping",
            "Stop if the validation bound does not rise for this long. 0 never stops.",
            default="never, or 20 for vectors of real values",
            metavar="EPOCHS",
            line="after {:,} epochs without a better validation bound",
        ),
    ] = None
    ema: Annotated[
        float | None,
        pydantic.Field(gt=0, lt=1),
        Setting(
            "Optimization",
            "Averaged weights",
            "Decay of averaged weights, such as 0.999. It averages about 1 / (1 - DECAY) steps.",
            default="none",
            metavar="DECAY",
            line="decay {:g}",
        ),
    ] = None
    seed: Annotated[
        int,
        pydantic.Field(ge=0, le=2**31 - 1),
        Setting("Run", "Seed", "Seed of all random numbers. Results repeat on the same machine and versions."),
    ] = 0
    execution: Annotated[
        Literal["auto", "xla", "graph", "eager"],
        Setting("Run", "Execution", "How to run TensorFlow. `auto` picks the fastest, and a run keeps its choice."),
    ] = "auto"
    callbacks: Annotated[
        tuple[CallbackMember, ...],
        Setting(
            "Run",
            "Callbacks",
            "Callback of your own, or of an installed package. Repeat for more.",
            CALLBACKS,
            metavar="MODULE:NAME",
            key="callback",
            multiple=True,
        ),
    ] = ()
    objects: tuple[Literal["objective", "optimizer", "lr_schedule", "binarization"], ...] = ()

    @pydantic.model_validator(mode="after")
    def _check_weight_of_the_rate(self) -> TrainingConfig:
        """Refuse a weight of the rate under an objective that would ignore it."""
        for name in ("beta", "kl_warmup_epochs", "free_bits"):
            known = OBJECTIVES.can_resolve(self.objective.name)
            ignored = known and not OBJECTIVES[self.objective.name].weighs_rate
            if ignored and getattr(self, name) != type(self).model_fields[name].default:
                names = ", ".join(name for name, objective in OBJECTIVES.items() if objective.weighs_rate)
                raise ValueError(
                    f"`{name}` has no effect on the objective {self.objective.name}, which does not weigh the rate. "
                    f"Leave it out, or choose `objective={names}`."
                )
        return self

    def steps(self, examples: int) -> int:
        """Return the number of steps in an epoch.

        Args:
          examples: number of examples in the training split.
        """
        return self.steps_per_epoch or math.ceil(examples / self.batch_size)

    def changes(self, new: Mapping[str, float | None], *, epoch: int, step: int) -> list[Change]:
        """Return a record of each setting that has a new value from an epoch on.

        Args:
          new: the new values by name.
          epoch: the first epoch that they affect, counted from 1.
          step: the number of steps taken before.
        """
        at = {"epoch": epoch, "step": step}
        return [
            Change.model_validate({**at, "setting": name, "before": getattr(self, name), "after": value})
            for name, value in new.items()
        ]


@final
class RunConfig(BaseRecord):
    """The config of a run: its data, its model and its training.

    Attributes:
      changes: the settings that `resume` changed, in order. `training` has the new values.

    Raises:
      UsageError: for an error in one of the parts, an objective or free bits that need a closed form
        which the families lack, or early stopping without validation data.
    """

    version: Literal[1] = 1
    data: DataConfig
    model: AnyModel
    training: TrainingConfig
    changes: tuple[Change, ...] = ()

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if not isinstance(self.model, HandBuiltModel) and "objective" not in self.training.objects:
            check_rate(self.model, self.training)
        if self.training.early_stopping is not None and "validation" not in self.data.splits:
            raise UsageError("`early_stopping` needs a validation split, but the data have none. Leave it out.")
        return self

    def identity(self) -> str:
        """Return a digest of everything that decides the numbers of a run: 16 hexadecimal digits of SHA-256.

        The end of training does not count, because you may extend a run. Of the learning rates, only the first counts,
        because you may change it when you resume. Facts that follow from the data do not count either, because the
        fingerprint of the data does. Some settings, such as averaging, count only if they are used.
        """
        usual: dict[str, object] = {
            "encoder_input": "values",
            "dtype": "float32",
            "missingness": MISSINGNESS.member("random"),
            "classifier": None,
        }
        unused = {name for name, value in usual.items() if getattr(self.model, name) == value}
        later = {"drop_columns", "header", "arrays", "split_folders", "background", "split_fractions"}
        later |= {"schema_file", "column", "id_column", "missing", "table", "condition", "labelled", "labelled_seed"}
        reading = later - self.data.reading.given()
        facts = {"pixels_over", "deeper", "ink", "learned", "stored", "condition", "form"} | (
            {"dataset"} if self.data.stored else set()
        )
        other = {"epochs", "early_stopping", "callbacks", "objects"}
        other |= {name for name in ("ema", "classifier_weight") if getattr(self.training, name) is None}
        noise = {"dequantization"} if self.data.noise is None else set[str]()
        exclude: dict[str, Any] = {
            "data": {**dict.fromkeys(facts | noise, True), "reading": reading},
            "model": unused,
            "training": other,
            "changes": True,
        }
        content = self.model_dump(mode="json", exclude=exclude)
        for column in (content["data"]["reading"].get("table") or {}).get("columns", ()):
            for name in UNIT & {name for name, text in column.items() if text == ""}:
                del column[name]  # because runs of earlier versions have no units
        rates = [change.before for change in self.changes if change.setting == "learning_rate"]
        content["training"]["learning_rate"] = next(iter(rates), self.training.learning_rate)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def settings(self) -> dict[str, object]:
        """Return the settings that train the same run again, by name and in the order of `SETTINGS`."""
        values = {**self.data.request(), **dict(self.model), **dict(self.training)}
        schema = self.data.reading.table
        if schema is not None and self.model.likelihood.name == "columns":
            values["likelihood"] = common_likelihood(schema.modelled, self.model.likelihood)
        return {name: values[name] for name in SETTINGS if values.get(name) not in (None, ())}


SETTINGS: dict[str, Setting] = {
    name: dataclasses.replace(setting, key=setting.key or name.replace("_", "-"), field=field)
    for group in GROUPS
    for record in (ModelConfig, TrainingConfig, Request)
    for name, field in record.model_fields.items()
    for setting in field.metadata
    if isinstance(setting, Setting) and setting.group == group
}
"""Every setting of `tfp-vae train` by the name of its field, in the order of the help page."""


def check_values(values: Mapping[str, Any]) -> dict[str, object]:
    """Return values of settings as their fields' types, by the names of the fields. Members of tables stay as written.

    ```python
    tv.runs.config.check_values({"batch-size": 10, "hidden": "64,64"})  # {"batch_size": 10, "hidden": (64, 64)}
    ```

    Args:
      values: by the names or keys of settings: `batch_size` or `batch-size`.

    Raises:
      UsageError: for an unknown name or a value beyond the limits of its field.
    """
    names = {setting.key.replace("-", "_"): name for name, setting in SETTINGS.items()}
    fields: dict[str, Any] = {}
    members, others = dict[str, object](), dict[str, object]()
    for key, value in values.items():
        name = names.get(key.replace("-", "_"))
        if name is None:
            raise UsageError(f"unknown key {key!r}.{suggest(key.replace('-', '_'), names)}")
        setting = SETTINGS[name]
        if isinstance(value, bool) and setting.kind is not bool:
            raise UsageError(f"{key}: expected a value, found {str(value).lower()}")
        if setting.table is not None and setting.kind is not str:
            several = setting.multiple and isinstance(value, list | tuple)
            for each in value if several else [value]:
                if not isinstance(each, str | Mapping | Member):
                    raise UsageError(f"{key}: expected text, found {each!r}")
                setting.table.member(each)
            members[name] = [value] if setting.multiple and not several else value
        else:
            fields[name], others[name] = (setting.field.annotation, setting.field), value
    try:
        return {**dict(pydantic.create_model("Values", **fields)(**others)), **members}
    except pydantic.ValidationError as error:
        raise UsageError(first_problem(error)) from None


class SpecialSpace(NamedTuple):
    """A kind of z that needs other members than most, and the settings that it gets unless you choose others.

    reason: why they are chosen, as the end of a sentence.
    prior, objective: the names.
    """

    reason: str
    prior: str
    objective: str


SPECIAL_SPACES = {
    "codes": SpecialSpace("z is discrete", "uniform", "gumbel-softmax"),
    "layers": SpecialSpace("z has layers", "hierarchical", "monte-carlo-elbo"),
}
"""Special kinds of z by the capability of their posteriors."""

LAYERED_LATENTS = 24
"""The latent dimension of a z in layers whose sizes you leave out."""


def special_space(posterior: str) -> SpecialSpace | None:
    """Return the special kind of z of a posterior with this name, if it has one."""
    if posterior not in POSTERIORS:
        return None
    capabilities = POSTERIORS[posterior].capabilities
    return next((space for name, space in SPECIAL_SPACES.items() if getattr(capabilities, name)), None)


def implied_choices(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a posterior over codes or layers implies, for those that `values` leaves open.

    ```python
    tv.runs.config.implied_choices({"posterior": "bernoulli", "objective": "rloo"})  # {"prior": "uniform"}
    ```

    Args:
      values: settings by name.
    """
    posterior = values.get("posterior")
    if not isinstance(posterior, str | Mapping | Member):
        return {}
    name, _ = parse(posterior)
    space = special_space(name)
    if space is None:
        return {}
    choices: dict[str, Any] = {"prior": space.prior, "objective": space.objective}
    if POSTERIORS[name].capabilities.layers:
        choices["latent_dim"] = sum(POSTERIORS.member(posterior).settings["layers"]) or LAYERED_LATENTS
    return {key: choice for key, choice in choices.items() if values.get(key) is None}


def choices_reason(model: ModelConfig) -> str:
    """Return why a posterior implies choices, as the end of a sentence."""
    space = special_space(model.posterior.name)
    return "" if space is None else space.reason


def expand_shortcuts(values: Mapping[str, Any]) -> dict[str, object]:
    """Return settings with `hidden` and `mc_samples` written into the members that they are short for.

    ```python
    tv.runs.config.expand_shortcuts({"hidden": (64,), "encoder": "mlp", "decoder": "conv"})["encoder"].settings
    ```

    Args:
      values: settings by name. Members are text or mappings, in which a key may be missing.

    Raises:
      UsageError: if no member has such a key, or if all that have it set it already.
    """
    values = {**values, **implied_choices(values)}
    expanded = {name: value for name, value in values.items() if not SETTINGS[name].fills}
    for key in values.keys() - expanded.keys():
        fills = SETTINGS[key].fills
        members = {name: parse(values.get(name, SETTINGS[name].field.default.name)) for name in fills}
        table = typing.cast("Table", SETTINGS[fills[0]].table)
        with allow_code():  # because you name the members yourself
            takers = {name for name, (member, _) in members.items() if key in table.info(member).defaults}
        if not takers:
            found = ", ".join(dict.fromkeys(member for member, _ in members.values()))
            raise UsageError(f"`{key}` has no meaning for the {table.kind} {found}. Leave it out.")
        if all(key in members[name][1] for name in takers):
            raise UsageError(f"`{key}` and the key {key} of {' and '.join(sorted(takers))} were both given. Keep one.")
        for name, (member, settings) in members.items():
            extra = {key: values[key]} if name in takers else {}
            expanded[name] = table.member({"name": member, **extra, **settings})
    return expanded


def read_settings(values: Mapping[str, object]) -> tuple[Request, ModelConfig, TrainingConfig]:
    """Return the records of settings that may contain `hidden` and `mc_samples`.

    Args:
      values: settings by name. The others keep their defaults.

    Raises:
      UsageError: for a value beyond its limits, or settings that contradict each other.
    """
    expanded = expand_shortcuts(values)

    def own(record: type[R]) -> R:
        return record(**{name: expanded[name] for name in record.model_fields if name in expanded})

    return own(Request), own(ModelConfig), own(TrainingConfig)


def check_latent_dim(model: ModelConfig, *, is_conditional: bool = False) -> None:
    """Raise UsageError if the posterior or the prior needs more latent dimensions, as a coupling flow does.

    The same goes for families over different spaces, such as real vectors and codes, and for a prior that does not
    support a condition. This check comes before data are read and TensorFlow is imported.

    Args:
      model: the settings of the model.
      is_conditional: whether the encoder takes a context.
    """
    encoder = SimpleNamespace(context_size=int(is_conditional))
    part, member = "posterior", model.posterior
    try:
        posterior = POSTERIORS.build(model.posterior, model.latent_dim)
        part, member, encoder.posterior = "prior", model.prior, posterior
        more = {"codes": posterior.latent.codes, "posterior": posterior, "encoder": encoder, "data_mean": None}
        prior = PRIORS.build(model.prior, model.latent_dim, **more)
    except UsageError as error:
        _, field, problem = str(error).rpartition("latent_dim: ")
        if not field:
            raise
        raise UsageError(f"`latent_dim`: for {part} {member.name} {problem}") from None
    if posterior.latent != prior.latent:
        space = special_space(model.posterior.name)
        raise UsageError(
            f"`prior={model.prior.name}` is over {describe_space(prior.latent)}, but "
            f"`posterior={model.posterior.name}` is over {describe_space(posterior.latent)}. Choose "
            f"`prior={'standard-normal' if space is None else space.prior}`."
        )


def describe_space(latent: Latent) -> str:
    """Return the kind of z as the object of a sentence."""
    if latent.discrete:
        return "codes"
    return "real vectors" if len(latent.blocks) == 1 else "real vectors in layers"


def check_rate(model: ModelConfig, training: TrainingConfig) -> None:
    """Raise UsageError if the objective or free bits need something that posterior and prior do not have.

    It is a closed-form rate, or a gradient of the samples, which codes do not have.
    """
    members = ((POSTERIORS, model.posterior), (PRIORS, model.prior), (OBJECTIVES, training.objective))
    if not all(table.can_resolve(member.name) for table, member in members):
        return  # the run names code that may not be imported here, so building the model will fail
    families = POSTERIORS[model.posterior.name], PRIORS[model.prior.name]
    check_objective(families[0], model.posterior.name, training.objective.name)
    if OBJECTIVES[training.objective.name].needs_dimensions and not families[0].capabilities.diagonal:
        names = f"`objective={training.objective.name}`", f"`posterior={model.posterior.name}`"
        raise UsageError(NO_DIMENSIONS.format(*names))
    if OBJECTIVES[training.objective.name].needs_closed_form_rate and not has_closed_form_rate(*families):
        raise UsageError(NO_CLOSED_FORM)
    if training.free_bits and not has_separate_rates(*families):
        raise UsageError(NO_SEPARATE_RATES.format(model.posterior.name, model.prior.name))


def check_objective(posterior: type[Posterior], name: str, objective: str) -> None:
    """Raise UsageError if an objective cannot train a posterior, because of codes or because it needs them.

    Args:
      posterior: the family.
      name, objective: the names of the family and of the objective.
    """
    has, wanted = posterior.capabilities, OBJECTIVES[objective]
    wanted.check_codes(has, name=f"`objective={objective}`", found=f"`posterior={name}`")
    if has.implicit != wanted.takes_implicit:
        raise UsageError(
            f"`posterior={name}` and `objective={objective}` do not fit. A posterior without a density needs "
            "`objective=adversarial`, and this objective needs `posterior=implicit`."
        )
    if has.mixture and not wanted.trains(has):
        raise UsageError(NO_COMPONENTS.format(f"`objective={objective}`", f"`posterior={name}`"))
    if has.codes and not wanted.trains(has):
        usual = SPECIAL_SPACES["codes"].objective
        others = [key for key, each in OBJECTIVES.items() if each.trains(has) and key != usual]
        raise UsageError(
            f"`objective={objective}` needs samples with a gradient, which those of `posterior={name}` do not have. "
            f"Choose `objective={usual}`, or one of {list_names(others)}."
        )
