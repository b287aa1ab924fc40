"""Build a VAE: from the settings of a model, or from the config of a run."""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tfp_vae.core.errors import RunError, UsageError, one_line
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, check_keywords, import_object
from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import Array, FloatType
from tfp_vae.data.condition import Condition
from tfp_vae.data.dataset import Dataset
from tfp_vae.model.likelihoods import LIKELIHOODS, Columns
from tfp_vae.model.missingness import MISSINGNESS
from tfp_vae.model.networks import NETWORKS, Network, needs_images
from tfp_vae.model.networks.context import shape_with_context
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.runs.config import HandBuiltModel, ModelConfig, RunConfig, check_latent_dim, implied_choices
from tfp_vae.runs.recipe import OPEN, choose

if TYPE_CHECKING:
    from tfp_vae.model.networks.joined import WithContext
    from tfp_vae.model.vae import VAE

logger = logging.getLogger("tfp_vae")

Builder: TypeAlias = "Callable[[], VAE]"
"""A function without arguments that builds a VAE."""

__all__ = ["Builder", "build", "build_from_config", "build_model", "describe_model"]


@check_keywords
def build(
    data: Dataset,
    *,
    latent_dim: int | None = None,
    likelihood: Member | str | None = None,
    posterior: Member | str = "diagonal-normal",
    prior: Member | str | None = None,
    encoder: Member | str | None = None,
    decoder: Member | str | None = None,
    missingness: Member | str = "random",
    hidden: Sequence[int] | None = None,
    dtype: FloatType = "float32",
    seed: int = 0,
) -> VAE:
    """Return a VAE with initial weights that suits a data set.

    Settings that you leave out are chosen from the data, as `tfp-vae train` does, and the log names the choices at the
    level `INFO`. With equal settings, `fit` then gives the same weights as the command, bit for bit.

    ```python
    data = tv.data.load("digits")
    vae = tv.build(data, latent_dim=2, posterior="real-nvp:depth=2", hidden=(16,))
    tv.fit(vae, data, "monte-carlo-elbo", epochs=1, execution="graph")
    ```

    Args:
      data: a data set from `data.load`.
      latent_dim: the dimension of z. By default 2, and up to 32 for photos.
      likelihood: a name from `LIKELIHOODS` with settings. By default it suits the form and the values of the data.
      posterior: a name from `POSTERIORS` with settings.
      prior: a name from `PRIORS` with settings. By default `standard-normal`, `uniform` for a discrete z, or
        `hierarchical` for a z in layers.
      encoder: a name from `NETWORKS` with settings. By default `conv` for large images, else `mlp`, with narrow layers
        for few examples.
      decoder: see `encoder`.
      missingness: a name from `MISSINGNESS` with settings, for tables with missing cells.
      hidden: the layer widths of the networks that you leave out, which are then `mlp`.
      dtype: `float32`, or `float64` for densities that need more digits. It doubles memory and takes more time.
      seed: seeds the initial weights. Give `fit` the same seed to repeat a run of the command.

    Raises:
      UsageError: a name or a setting does not exist, or does not fit the data or another setting.
    """
    if not isinstance(data, Dataset):
        raise UsageError(f"`data` must be a data set, found {type(data).__name__}. Load it with `data.load`.")
    given: dict[str, object] = {
        "likelihood": likelihood,
        "encoder": encoder,
        "decoder": decoder,
        "latent_dim": latent_dim,
    }
    networks = [name for name in ("encoder", "decoder") if given[name] is None]
    if hidden is not None:
        if not networks:
            raise UsageError("`hidden` has no effect if `encoder` and `decoder` are given. Leave it out.")
        given |= {name: {"name": "mlp", "hidden": tuple(hidden)} for name in networks}
    implied = implied_choices({"posterior": posterior})
    prior = prior or implied.get("prior", "standard-normal")
    given["latent_dim"] = implied.get("latent_dim") if latent_dim is None else latent_dim
    settings = {"posterior": posterior, "prior": prior, "missingness": missingness, "dtype": dtype, **given}
    open_choices = [name for name in OPEN if name in given and given[name] is None]
    asked = ModelConfig.model_validate({name: value for name, value in settings.items() if value is not None})
    check_latent_dim(asked)
    scaling = data.scaling if data.profile.columns else "none"  # which the density of a column needs to know
    recipe = choose(data.profile, asked, open_choices=open_choices, scaling=scaling, dequantization=data.dequantization)
    for note in recipe.notes:
        if note.setting in (*open_choices, "column", "missingness") or (note.warns and note.setting == "likelihood"):
            logger.log(logging.WARNING if note.warns else logging.INFO, "%s: %s", data.name, note.text)
    size, frequencies = size_and_frequencies(data.condition)
    start = data.train_mean, data.train.x
    return build_model(recipe.model, data.event_shape, seed, *start, context_size=size, frequencies=frequencies)


def size_and_frequencies(condition: Condition | None) -> tuple[int, tuple[float, ...]]:
    """Return the number of values of a condition, and p(y) if y is unknown for some examples. None has neither."""
    return (0, ()) if condition is None else (condition.size, condition.frequencies)


@check_keywords
def build_model(
    model: ModelConfig,
    event_shape: tuple[int, ...],
    seed: int = 0,
    data_mean: Array | None = None,
    rows: Array | None = None,
    *,
    context_size: int = 0,
    frequencies: Sequence[float] = (),
) -> VAE:
    """Return a VAE with initial weights.

    Encoder, decoder, posterior and prior draw their weights with seeds of their own, so another prior leaves the
    encoder's initial weights as they were.

    ```python
    model = tv.runs.config.ModelConfig(latent_dim=2, likelihood="bernoulli", decoder="mlp:hidden=16")
    tv.runs.build.build_model(model, event_shape=(8, 8, 1))
    ```

    Args:
      model: the settings of the model.
      event_shape: the shape of one example.
      seed: seeds the weights.
      data_mean: the mean of the training data, `event_shape`. The decoder's output starts there. You do not need it if
        you restore the weights afterwards.
      rows: the training data of a table whose columns differ. The decoder's output starts at their distributions.
      context_size: C, the number of values of the condition of a conditional model. Networks for images get them as
        more channels of x, and others as more values of x or z, see `networks.WithContext`.
      frequencies: p(y) of the C classes, if y is unknown for some examples. The model then gets a classifier.
    """
    from tfp_vae.model.classifier import Classifier
    from tfp_vae.model.vae import VAE, Decoder, Encoder

    encoder_seed, decoder_seed, posterior_seed, prior_seed, classifier_seed = (
        integer(seed, Purpose.INITIALIZATION, i) for i in range(5)
    )
    posterior = POSTERIORS.build(model.posterior, model.latent_dim, seed=posterior_seed, dtype=model.dtype)
    likelihood = LIKELIHOODS.build(model.likelihood, event_shape, dtype=model.dtype)
    mean = np.zeros(event_shape) if data_mean is None else np.asarray(data_mean)
    start = likelihood.initial_params(mean)
    if isinstance(likelihood, Columns) and rows is not None:
        start = likelihood.initial_marginals(rows)
    sees: str | Columns = model.encoder_input
    input_shape = event_shape
    if sees == "columns":
        if not isinstance(likelihood, Columns):
            raise UsageError(f"`encoder_input=columns` needs `likelihood=columns`, found {model.likelihood.name}.")
        sees, input_shape = likelihood, (likelihood.features_size,)
    network = build_network(
        model.encoder, input_shape, posterior.params_size, context_size, seed=encoder_seed, dtype=model.dtype
    )
    encoder = Encoder(network, posterior, sees, context_size)
    lowest, *above = posterior.latent.blocks
    decoder = build_network(
        model.decoder,
        (lowest,),
        likelihood.params_size,
        context_size,
        output_bias=start,
        seed=decoder_seed,
        image_shape=event_shape,
        dtype=model.dtype,
    )
    if above:
        from tfp_vae.model.networks.joined import LowestLayer

        decoder = LowestLayer(decoder, lowest)
    prior = PRIORS.build(
        model.prior,
        model.latent_dim,
        codes=posterior.latent.codes,
        posterior=posterior,
        encoder=encoder,
        data_mean=mean,
        context_size=context_size,
        seed=prior_seed,
        dtype=model.dtype,
    )
    missingness = MISSINGNESS.build(model.missingness, likelihood)
    classifier = None
    if frequencies:
        member = model.classifier or model.encoder
        network = build_network(member, input_shape, context_size, 0, seed=classifier_seed, dtype=model.dtype)
        classifier = Classifier(network, frequencies, sees)
    vae = VAE(encoder, Decoder(decoder, likelihood, missingness, context_size), prior, classifier)
    check_dtype(vae, model)
    _SETTINGS[vae] = model, _parts(vae)
    return vae


def build_network(
    member: Member, input_shape: tuple[int, ...], output_size: int, context_size: int, **settings: object
) -> Network | WithContext:
    """Return a network of a model, which takes the context as a second input if there is one.

    Args:
      member: from `NETWORKS`.
      input_shape: shape of one input, without the context.
      output_size: number of values per output.
      context_size: C, or 0.
      settings: more arguments of its constructor.
    """
    if not context_size:
        return NETWORKS.build(member, input_shape, output_size, **settings)
    from tfp_vae.model.networks.joined import WithContext

    maps = len(input_shape) == 3 and needs_images(member.name)
    joined = shape_with_context(input_shape, context_size, maps=maps)
    return WithContext(NETWORKS.build(member, joined, output_size, **settings), maps=maps)


def check_dtype(vae: VAE, model: ModelConfig) -> None:
    """Raise UsageError if a part of a VAE has weights of another type than its settings, as one of your own may."""
    learned = {
        "encoder": (vae.encoder.network,),
        "decoder": (vae.decoder.network,),
        "posterior": vae.encoder.posterior.learned,
        "likelihood": vae.decoder.likelihood.learned,
        "missingness": vae.decoder.missingness.learned,
        "prior": vae.prior.learned,
    }
    for name, parts in learned.items():
        variables = [v for part in parts for v in getattr(part, "trainable_variables", [part])]
        for found in {tf.as_dtype(variable.dtype).name for variable in variables} - {model.dtype}:
            raise UsageError(
                f"`dtype={model.dtype}` does not fit the {name} {getattr(model, name).name}, whose weights are "
                f"{found}. Its constructor must take and use `dtype`."
            )


def _parts(vae: VAE) -> tuple[weakref.ref[object], ...]:
    """Return weak references to the parts of a VAE that its settings describe."""
    encoder, decoder = vae.encoder, vae.decoder
    parts = (encoder.network, encoder.posterior, decoder.network, decoder.likelihood, decoder.missingness, vae.prior)
    return tuple(weakref.ref(part) for part in parts)


_SETTINGS: weakref.WeakKeyDictionary[VAE, tuple[ModelConfig, tuple[weakref.ref[object], ...]]] = (
    weakref.WeakKeyDictionary()
)
"""The settings that built each VAE, and its parts then. Settings of a part that was replaced no longer hold."""


@check_keywords
def build_from_config(
    config: RunConfig, data_mean: Array | None = None, rows: Array | None = None, *, builder: Builder | None = None
) -> VAE:
    """Return the VAE that the config of a run describes, with its initial weights.

    ```python
    config = tv.runs.run.find(None, "runs").config()
    tv.runs.build.build_from_config(config)  # `tv.load` returns the trained weights
    ```

    Args:
      config: the config.
      data_mean, rows: see `build_model`.
      builder: the function that builds a hand-built VAE. By default the config names it.

    Raises:
      RunError: the builder is not known, may not be imported, or builds another VAE than the run has.
      UsageError: the function that you pass needs arguments or returns no VAE.
    """
    model = config.model
    if not isinstance(model, HandBuiltModel):
        if builder is not None:
            raise UsageError("`builder` is for runs of hand-built VAEs. The config of this run describes its VAE.")
        seed, (size, frequencies) = config.training.seed, size_and_frequencies(config.data.condition)
        shape = config.data.event_shape
        return build_model(model, shape, seed, data_mean, rows, context_size=size, frequencies=frequencies)
    from tfp_vae.model.vae import VAE

    if builder is None and not model.builder:
        raise RunError(
            "The VAE of this run was built by hand, and its config does not name the function. "
            "Load it in Python and pass the function as `builder`."
        )
    function = builder or import_object(model.builder, "builder", VAE)
    problem = RunError if builder is None else UsageError
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise problem(f"`builder` must be a function without arguments ({one_line(error)}).") from error
    except ValueError:
        pass  # some functions of other languages have no signature
    vae = function()
    if not isinstance(vae, VAE):
        raise problem(f"`builder` must return a VAE, found {type(vae).__name__}.")
    found = describe_model(vae, model.builder)
    for part in ("latent_dim", "dtype", "posterior", "prior", "likelihood", "missingness"):
        if getattr(found, part) != getattr(model, part):
            raise RunError(
                f"The builder's VAE does not fit the run: expected the {part.replace('_', ' ')} "
                f"{getattr(model, part)}, found {getattr(found, part)}."
            )
    _SETTINGS[vae] = model, _parts(vae)
    return vae


@check_keywords
def describe_model(vae: VAE, builder: Builder | str | None = None) -> ModelConfig:
    """Return the config of a VAE: the settings that built it, or a description if you built it by hand.

    ```python
    tv.runs.build.describe_model(vae).latent_dim  # 2
    ```

    Args:
      vae: the VAE.
      builder: the function that builds it, or its name `package.module:function`. A function of a script or notebook
        has no name under which another program can import it.
    """
    if builder is None and vae in _SETTINGS:
        model, parts = _SETTINGS[vae]
        if all(then() is now() for then, now in zip(parts, _parts(vae), strict=True)):
            return model
    if callable(builder):
        module, name = getattr(builder, "__module__", "__main__"), getattr(builder, "__qualname__", "")
        builder = f"{module}:{name}" if module != "__main__" and name.isidentifier() else ""
    return HandBuiltModel(
        builder=builder or "",
        latent_dim=vae.prior.latent.dimensions,
        dtype=vae.dtype.name,
        encoder=Member(type(vae.encoder.network).__name__, {}),
        decoder=Member(type(vae.decoder.network).__name__, {}),
        posterior=Member(str(vae.encoder.posterior), {}),
        prior=Member(str(vae.prior), {}),
        likelihood=Member(str(vae.decoder.likelihood), {}),
        missingness=Member("random" if vae.decoder.missingness.ignorable else str(vae.decoder.missingness), {}),
    )
