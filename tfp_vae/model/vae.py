"""The variational autoencoder: an encoder, a decoder and a prior, which return distributions.

An `Encoder` joins a network to a family from `posteriors`, and a `Decoder` joins one to a family from `likelihoods`.
The last axis of the network's output has the size `params_size` of the family. The variables that a family learns are
tracked here too, so the model's `trainable_variables` are everything that training changes. Objectives, evaluation and
sampling only use the distributions.
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from tfp_vae.core.batch import Batch, as_batch, batch_rows, batch_values, check_context
from tfp_vae.core.display import table
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import fold
from tfp_vae.core.supports import BINARY, UNIT, check_values
from tfp_vae.core.types import Array, Distribution, DType, Seed, Tensor
from tfp_vae.model.classifier import Classifier
from tfp_vae.model.inputs import Input, check_input, network_input
from tfp_vae.model.likelihoods import Columns, Likelihood
from tfp_vae.model.missingness import Missingness, Random
from tfp_vae.model.networks import Network, apply_to_last_axis
from tfp_vae.model.networks.adapters import network_output, require_active_layers, require_variables
from tfp_vae.model.networks.context import bind, require_context
from tfp_vae.model.posteriors import Posterior
from tfp_vae.model.priors import Prior

__all__ = ["VAE", "Decoder", "Encoder", "sample_prior"]


@final
@check_keywords
class Encoder(tf.Module):
    """The encoder, x -> q(z|x): a network that returns the parameters of a variational family.

    ```python
    q = vae.encoder(x)  # q(z|x): batch [16], event [2]
    z = q.sample(5, seed=(0, 1))  # [5, 16, 2]
    kl = q.kl_divergence(vae.prior())  # [16], nats
    ```

    Args:
      network: tensor -> tensor, [B, *event_shape] -> [B, posterior.params_size].
      posterior: the family of q(z|x).
      sees: the network's input, a name from `ENCODER_INPUTS`. For a table, pass the likelihood `Columns`. The network
        then takes its `features`, [B, features_size]. The decoder models x itself in each case.
      context_size: C, for a conditional model q(z|x, y). The network then has the context y [B, C] as a second input,
        see `networks.WithContext`. 0 for none.

    Raises:
      UsageError: a network that training could not change or that needs Keras' own training (see
        `networks.adapters`), one that does not take the context, or an unknown input.

    References:
      Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics, for log(1 + x).
    """

    def __init__(self, network: Network, posterior: Posterior, sees: Input = "values", context_size: int = 0) -> None:
        super().__init__()
        self.network = require_active_layers(require_variables(network, "encoder"), "encoder")
        self.posterior, self.sees, self.context_size = posterior, check_input(sees), context_size
        self._context: Array | None = None
        if context_size:
            require_context(network, "encoder")
        self._learned = posterior.learned  # tf.Module tracks its own attributes only

    def __repr__(self) -> str:
        return f"Encoder({_network(self)}, {self.posterior})"

    def given(self, context: Array) -> Encoder:
        """Return the encoder of p(x|y), with the same weights, for a context [C] or for those of a batch, [B, C]."""
        return bind(self, _context=context) if self.context_size else self

    def __call__(self, x: Batch | Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], for x [B, *event_shape]."""
        return self.posterior(self.params(x))

    def params(self, x: Batch | Array) -> Tensor:
        """Return the parameters of q(z|x), [B, posterior.params_size], for x [B, *event_shape].

        Raises:
          UsageError: a context that is missing or that the encoder does not take, a batch with missing cells if the
            encoder does not see `Columns`, or a shape that does not fit the network or the posterior.
        """
        batch = as_batch(x)
        context = check_context(
            self._context if batch.context is None else batch.context, self.context_size, "The encoder"
        )
        values = network_input(batch._replace(context=None), self.sees, "The encoder")
        if context is not None:
            context = broadcast_context(context, tf.shape(values)[:1], values.shape[0])
        return network_output(self.network, values, role="encoder", size=self.posterior.params_size, context=context)

    def mean(self, x: Batch | Array, *, seed: int | Seed = 0) -> Tensor:
        """Return E_q[z|x], [B, D], for x [B, *event_shape].

        A Normal family takes one pass of the network. A flow's mean is an average of samples, so it depends on the
        seed, and the same seed returns the same mean.

        Args:
          x: examples, [B, *event_shape].
          seed: an integer, or a stateless seed of two integers. Normal families ignore it.
        """
        return self.posterior.mean(self.params(x), seed=fold(seed))

    def typical(self, x: Batch | Array, *, seed: int | Seed = 0) -> Tensor:
        """Return one z for each example of x [B, *event_shape], [B, D]: E_q[z|x], or the most probable discrete z.

        Args:
          x: examples, [B, *event_shape].
          seed: see `mean`.
        """
        return self.posterior.typical(self.params(x), seed=fold(seed))


@final
@check_keywords
class Decoder(tf.Module):
    """The decoder, z -> p(x|z): a network that returns the parameters of an observation model.

    Networks take one batch axis. The decoder therefore folds the leading axes of z into one and unfolds the result, so
    z [S, B, D] takes one pass over S B rows, with the memory for as many.

    ```python
    p = vae.decoder(np.zeros([5, 16, 2], np.float32))  # p(x|z): batch [5, 16], event [8, 8, 1]
    log_px = p.log_prob(x)  # [5, 16], nats, summed over the event
    ```

    Args:
      network: tensor -> tensor, [B, D] -> [B, likelihood.params_size].
      likelihood: the family of p(x|z).
      missingness: the assumption about why cells are missing, from `tv.missingness`. By default they are missing at
        random. Otherwise the result is p(x_observed, mask|z).
      context_size: C, for a conditional model p(x|z, y). The network then has the context y [B, C] as a second input,
        see `networks.WithContext`. 0 for none.

    Raises:
      UsageError: a network that training could not change or that needs Keras' own training (see
        `networks.adapters`), or one that does not take the context.
    """

    def __init__(
        self,
        network: Network,
        likelihood: Likelihood,
        missingness: Missingness | None = None,
        context_size: int = 0,
    ) -> None:
        super().__init__()
        self.network = require_active_layers(require_variables(network, "decoder"), "decoder")
        self.likelihood, self.missingness = likelihood, missingness or Random(likelihood)
        self.context_size = context_size
        self._context: Array | None = None
        if context_size:
            require_context(network, "decoder")
        self._learned = *likelihood.learned, *self.missingness.learned

    def __repr__(self) -> str:
        return f"Decoder({_network(self)}, {self.likelihood})"

    def given(self, context: Array) -> Decoder:
        """Return the decoder of p(x|y), with the same weights, for a context [C] or for those of a batch, [B, C]."""
        return bind(self, _context=context) if self.context_size else self

    def __call__(self, z: Array, context: Array | None = None) -> Distribution:
        """Return p(x|z), batch [...], event `event_shape`, for z [..., D] with any leading axes.

        Args:
          z: [..., D].
          context: y of a conditional model, [C], or [B, C] for z [..., B, D].

        Raises:
          UsageError, DataError: see `params`.
        """
        return self.from_params(self.params(z, context))

    def params(self, z: Array, context: Array | None = None) -> Tensor:
        """Return the parameters of p(x|z), [..., likelihood.params_size], for z [..., D] with any leading axes.

        Args:
          z: [..., D].
          context: y of a conditional model, [C], or [B, C] for z [..., B, D].

        Raises:
          UsageError: a context that is missing or that the decoder does not take, or a shape that does not fit the
            network or the likelihood.
          DataError: a context of another shape.
        """
        context = check_context(self._context if context is None else context, self.context_size, "The decoder")
        if context is not None:
            y = tf.cast(context, z.dtype)
            z = tf.concat([z, broadcast_context(y, tf.shape(z)[:-1], (1, *z.shape)[-2])], axis=-1)

        def decode(z: Array) -> Tensor:
            z, y = (z, None) if context is None else tf.split(z, [-1, self.context_size], axis=-1)
            return network_output(self.network, z, role="decoder", size=self.likelihood.params_size, context=y)

        return apply_to_last_axis(decode, z)

    def from_params(self, params: Array) -> Distribution:
        """Return p(x|z), batch [...], event `event_shape`, from its parameters [..., likelihood.params_size]."""
        return self.missingness(self.likelihood(params))

    @property
    def density_size(self) -> int:
        """About how many numbers a density takes for each z, by which evaluation limits its memory."""
        return self.likelihood.params_size + self.missingness.density_size


@final
@check_keywords
class VAE(tf.Module):
    """A variational autoencoder, p(x, z) = p(x|z) p(z) with the approximate posterior q(z|x).

    A VAE does not train itself. Objectives and evaluation are functions of it. log p(x) is an integral over z without a
    closed form, so `evaluation` estimates it. A VAE is a `tf.Module`, so you can save its `variables` like those
    of any other module. A SavedModel from `tf.saved_model.save` has the functions `encode(x)`, `decode(z)` and
    `reconstruct(x)`, which return means. They work without this package. Those of a conditional VAE take the context as
    a second argument.

    ```python
    bound = tv.objectives.ELBO().bound(vae, x, seed=(0, 2)).value  # [16], nats
    images = vae.sample(64, seed=(0, 4))  # [64, 8, 8, 1], each pixel 0 or 1
    means = vae.reconstruct(x)  # [16, 8, 8, 1], in [0, 1]
    ```

    Args:
      encoder: x [B, *event_shape] -> q(z|x), batch [B], event [D].
      decoder: z [..., D] -> p(x|z), batch [...], event `event_shape`.
      prior: () -> p(z), batch [], event [D].
      classifier: x -> q(y|x), for a conditional VAE whose y is unknown for some examples.

    A conditional VAE models p(x|y). Its encoder, its decoder or its prior, or all of them, take a context y: give them
    a `context_size`. A `Batch` holds the contexts of its examples. `vae.given(y)` is the ordinary VAE for one y.

    With a classifier, y is one of C classes with the frequencies p(y), and the VAE models p(x) = sum_y p(y) p(x|y). A
    context of zeros means that y is unknown, and so does a batch without context. Parts that need y then take the most
    probable class under q(y|x).

    Raises:
      UsageError: the posterior and the prior have different latent spaces, the parts have contexts of different sizes,
        or the classifier has another number of classes.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
      Rezende, Mohamed and Wierstra (2014), Stochastic backpropagation and approximate inference in deep generative
      models.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, prior: Prior, classifier: Classifier | None = None) -> None:
        super().__init__()
        if encoder.posterior.latent != prior.latent:
            raise UsageError(
                subject="latent space",
                expected=f"a prior over the posterior's z ({encoder.posterior.latent})",
                found=f"one over {prior.latent}",
                remedy="Give both the same `latent_dim`."
                if encoder.posterior.latent.discrete == prior.latent.discrete
                else "Give both a discrete z, such as `prior=uniform` with codes, or both a continuous one.",
            )
        sizes = sorted({getattr(part, "context_size", 0) for part in (encoder, decoder, prior)} - {0})
        if len(sizes) > 1:
            raise UsageError(
                f"The parts of a conditional VAE must take the same context, found sizes {', '.join(map(str, sizes))}. "
                "Give all of them the same `context_size`."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.context_size = sizes[0] if sizes else 0
        if classifier is not None and classifier.classes != self.context_size:
            raise UsageError(
                f"A classifier of {classifier.classes} classes needs parts with `context_size={classifier.classes}`, "
                f"found {self.context_size}."
            )
        self.classifier = classifier
        self._learned = prior.learned

    @property
    def dtype(self) -> DType:
        """The type of its weights, float32 or float64. Its densities take x and z of this type."""
        variables = self.trainable_variables
        return variables[0].dtype if variables else self.prior().dtype

    def __repr__(self) -> str:
        width = 8 if self.classifier is None else 10
        lines = (f"\n  {name:<{width}} {symbol:<7} {made}" for name, symbol, made in self._parts())
        return f"VAE of {_size(self):,} parameters{''.join(lines)}"

    def _repr_html_(self) -> str:
        return table(f"VAE of {_size(self):,} parameters", self._parts())

    def _parts(self) -> list[tuple[str, str, str]]:
        """Return the name of each map, the symbol of its distribution, and its family and network."""
        missingness = self.decoder.missingness
        return [
            ("encoder", "q(z|x)", f"{self.encoder.posterior}, {_network(self.encoder)}"),
            ("decoder", "p(x|z)", f"{self.decoder.likelihood}, {_network(self.decoder)}"),
            ("prior", "p(z)", str(self.prior)),
            *([] if self.classifier is None else [("classifier", "q(y|x)", _network(self.classifier))]),
            *([] if missingness.ignorable else [("mask", "p(m|x)", str(missingness))]),
        ]

    def _trackable_children(self, save_type: str = "checkpoint", **more: Any) -> dict[str, object]:
        """Return the parts that TensorFlow saves. A SavedModel also gets functions, because it holds no Python code.

        TensorFlow asks more than once while it saves, and `more["cache"]` lasts until it has saved.
        """
        children = dict(super()._trackable_children(save_type, **more))
        if save_type != "savedmodel":
            return children
        x = tf.TensorSpec([None, *self.decoder.likelihood.event_shape], self.dtype, "x")
        z = tf.TensorSpec([None, *self.prior.latent.event_shape], self.dtype, "z")
        y = [tf.TensorSpec([None, self.context_size], self.dtype, "context")] if self.context_size else []
        maps = {
            "encode": (lambda x, *y: self._given_any(*y).encoder.mean(x), x),
            "decode": (lambda z, *y: self._given_any(*y).decoder(z).mean(), z),
            "reconstruct": (lambda x, *y: self._given_any(*y).reconstruct(x), x),
        }
        made = more["cache"].setdefault(self, {})
        for name, (function, spec) in maps.items() if not made else ():
            made[name] = tf.function(function, input_signature=[spec, *y], autograph=False)
            made[name].get_concrete_function()
        return {**children, **made, "_default_save_signature": made["reconstruct"]}

    def given(self, context: Array) -> VAE:
        """Return p(x|y) as an ordinary VAE, which shares the weights of this conditional one.

        With one context for all examples, everything works that works for other VAEs: samples, bounds, estimates,
        codes. With one context [B, C] for each example, it takes batches of these B examples.

        ```python
        encoder = tv.networks.WithContext(tv.networks.mlp((64 + 2,), 4, hidden=(16,)))
        decoder = tv.networks.WithContext(tv.networks.mlp((2 + 2,), 64, hidden=(16,)))
        conditional = tv.VAE(
            tv.Encoder(encoder, tv.posteriors.DiagonalNormal(2), context_size=2),
            tv.Decoder(decoder, tv.likelihoods.Bernoulli((8, 8, 1)), context_size=2),
            tv.priors.StandardNormal(2),
        )
        conditional.given(np.float32([0, 1])).sample(4, seed=0)  # [4, 8, 8, 1], of the second class
        ```

        Args:
          context: y, [C] or [B, C].

        Raises:
          UsageError: this VAE has no context.
          DataError: the context has another shape, or values that are not finite.
        """
        y = check_context(context, self.context_size, "A VAE without a condition")
        prior = self.prior.given(y) if getattr(self.prior, "context_size", 0) else self.prior
        encoder, decoder = self.encoder.given(y), self.decoder.given(y)
        return bind(self, context_size=0, encoder=encoder, decoder=decoder, prior=prior, classifier=None)

    def condition(self, batch: Batch | Array) -> tuple[VAE, Array]:
        """Return the VAE of a batch, conditioned on its context if it has one, and the batch's values.

        Objectives and estimates see no context after this, so they are the same for every VAE. If there is a
        classifier, its most probable class replaces an unknown y.
        """
        batch = as_batch(batch)
        if self.classifier is not None:
            batch = self.batch_with_labels(batch)
            batch = batch._replace(context=self.classifier.complete(batch.x, batch.context))
        return (self if batch.context is None else self.given(batch.context)), batch.x

    def batch_with_labels(self, batch: Batch) -> Batch:
        """Return a batch with a context of zeros if it has none, because y is then unknown for all examples."""
        if self.classifier is None or batch.context is not None:
            return batch
        return batch._replace(context=tf.zeros([tf.shape(batch.x)[0], self.context_size], self.dtype))

    def batch(self, x: Batch | Array, what: str = "A VAE", *, density: bool = True) -> Batch:
        """Return examples with their context after the checks of `examples`.

        Its values have NaN in place of missing cells. Its context is None if the VAE has none, or is given one already.

        Args:
          x, what, density: see `examples`.

        Raises:
          UsageError: the context is missing, or the model does not take one. See `examples` for others.
          DataError: the context has another shape, or values that are not finite. See `examples` for others.
        """
        batch = as_batch(x)
        if np.ndim(batch.x) > 0:
            batch = self.batch_with_labels(batch)
        count = None if np.ndim(batch.x) == 0 else batch.x.shape[0]
        batch = batch._replace(context=check_context(batch.context, self.context_size, what, count))
        return Batch(self._values(batch, what, density=density), context=batch.context)

    def _given_any(self, *context: Array) -> VAE:
        """Return the VAE itself, or conditioned on a context."""
        return self.given(*context) if context else self

    def examples(self, x: Batch | Array, what: str = "A VAE", *, density: bool = True) -> Array:
        """Return the values of examples, [N, *event_shape], after a check that this model can have produced them.

        A density formula returns a number for any x, even for values outside its support. Bounds and estimates
        therefore take their data from here. The check reads the values once. It is left out for the symbolic tensors of
        a `tf.function`, which have no values yet.

        ```python
        vae.examples(x).shape  # (16, 8, 8, 1). `vae.examples(255 * x)` raises DataError.
        ```

        Args:
          x: an array, or a batch without context. If the likelihood allows missing cells, such as `Columns`, the result
            has NaN there.
          what: the name of the caller, for the error about missing cells and context.
          density: whether the caller evaluates the density of x. If not, x may be grey if the likelihood is for binary
            data, because each value is then the mean of its draws.

        Raises:
          DataError: x has another shape than the model's examples, or values outside the likelihood's support.
          UsageError: the VAE is conditional, the batch has context, or it has missing cells that the likelihood or the
            encoder does not allow.
        """
        batch = as_batch(x)
        if self.context_size:
            raise UsageError(f"{what} takes no context of its examples. Condition the model first with `vae.given(y)`.")
        check_context(batch.context, 0, what)
        return self._values(batch, what, density=density)

    def _values(self, batch: Batch, what: str, *, density: bool) -> Array:
        """Return the values of examples after the checks of `examples`. The context has been checked."""
        likelihood = self.decoder.likelihood
        values = batch_values(batch._replace(context=None), what, missing=likelihood.allows_missing)
        if tf.is_symbolic_tensor(values):
            return values
        expected, found = tuple(map(int, likelihood.event_shape)), tuple(np.shape(values)[1:])
        if found != expected:
            raise DataError(f"x: expected examples of shape {expected}, found {found}.")
        support = UNIT if likelihood.support is BINARY and not density else likelihood.support
        check_values("x", np.asarray(values), support, "Scale or binarize it as in training.")
        if likelihood.allows_missing:
            self.check_missing(np.asarray(values), batch.context)
        return values

    def check_missing(self, x: np.ndarray, context: Array | None = None) -> None:
        """Raise an error if the encoder returns NaN for the first example of x with missing cells, which are NaN.

        An encoder that sees `Columns` replaces them, and a network of your own may do so.

        Raises:
          UsageError: the encoder does not support missing cells.
        """
        if isinstance(self.encoder.sees, Columns):
            return
        rows = np.flatnonzero(np.isnan(x).any(axis=tuple(range(1, x.ndim))))
        if not len(rows):
            return
        model, row = self.condition(batch_rows(Batch(x, context=context), rows[:1]))
        if np.isnan(model.encoder.params(row.astype(self.dtype.as_numpy_dtype))).any():
            raise UsageError(
                "x has missing cells, but the encoder's network gets them as NaN. Pass the likelihood to the encoder: "
                "`Encoder(network, posterior, sees=likelihood)`."
            )

    def generate(self, n: int, *, seed: int | Seed = 0, temperature: float = 1.0) -> Distribution:
        """Return p(x|z_i) for z_1..z_n sampled from the prior: batch [n], event `event_shape`.

        A temperature below 1 keeps z closer to the centres of the prior's Normals. Samples then look cleaner but vary
        less, and they no longer follow the model.

        Args:
          n: number of samples, all decoded at once. With one context for each sample, their number.
          seed: an integer, or a stateless seed of two integers.
          temperature: factor for the scales of the prior's Normals.

        Raises:
          UsageError: a temperature other than 1 if the prior has none, a number of samples that is not an integer, or a
            seed that is neither an integer nor two.
        """
        return self.decoder(sample_prior(self.prior(temperature), [], n, fold(seed, 0)))

    def sample(self, n: int, *, seed: int | Seed = 0, temperature: float = 1.0) -> Tensor:
        """Return n samples from p(x) by ancestral sampling, z ~ p(z), x ~ p(x|z): [n, *event_shape].

        The samples include the noise of the likelihood, so those of a Bernoulli are black and white. Pictures usually
        show E[x|z] instead, which is `generate(...).mean()`. The same seed samples the same z in both. See `generate`
        for the arguments.
        """
        return self.generate(n, seed=seed, temperature=temperature).sample(seed=fold(seed, 1))

    def reconstruct(self, x: Batch | Array) -> Tensor:
        """Return E[x'|z] at z = E_q[z|x], or at the most probable discrete z: [B, *event_shape], like x.

        Takes one pass of the encoder and one of the decoder. The result is the decoder's mean at one point, which is
        less smooth than the mean of E[x'|z] over q(z|x). For a flow, the point is an average of samples from a fixed
        seed.

        Raises:
          DataError: x has another shape than the model's examples, or values outside the likelihood's support.
        """
        model, x = self.condition(self.batch(x, "Reconstruction", density=False))
        return model.decoder(model.encoder.typical(x)).mean()


def sample_prior(p: Distribution, leading: list[int], count: int, seed: Seed) -> Tensor:
    """Return samples of p(z), or of p(z|y) for the contexts of `count` examples, [*leading, count, D]."""
    if not p.batch_shape.rank:
        return p.sample([*leading, count], seed=seed)
    check_count(p.batch_shape[0], count)
    return p.sample(leading, seed=seed)


def check_count(contexts: int | None, count: int | None) -> None:
    """Raise an error if a VAE that is conditioned on the contexts of some examples gets others. None is unknown."""
    if None not in (contexts, count) and contexts != count:
        raise UsageError(
            f"The model is conditioned on the contexts of {contexts} examples, but is used for {count}. Pass "
            "`Batch(x, context=y)` to the conditional model, or condition it on one context for all."
        )


def broadcast_context(context: Array, leading: Tensor, count: int | None) -> Tensor:
    """Return a context [C] or [B, C] for values with some leading axes, [*leading, C]. The last one is `count`."""
    if len(context.shape) == 2:
        check_count(context.shape[0], count)
    return tf.broadcast_to(context, tf.concat([leading, tf.shape(context)[-1:]], axis=0))


def _size(module: tf.Module) -> int:
    """Return the number of trainable parameters of a module."""
    return sum(math.prod(variable.shape) for variable in module.trainable_variables)


def _network(part: Encoder | Decoder | Classifier) -> str:
    return f"{type(part.network).__name__} of {_size(part):,} parameters"
