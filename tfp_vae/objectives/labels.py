"""The bound of a model whose classes y are known for some examples only. Sums over unknown classes are exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from tfp_vae.core.batch import Batch, has_class
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.objectives.bound import Bound, Objective
from tfp_vae.objectives.weighting import Weighted

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["SemiSupervised", "usual_weight", "with_labels"]

MIXES_EXAMPLES = (
    "{} compares the examples of a batch, so it does not support classes that are unknown for some of them. Choose "
    "another objective, such as `objective=elbo`."
)

NO_CLASSIFIER = "SemiSupervised needs a VAE with a classifier. Pass `classifier` to `VAE`."


@final
@check_keywords
@dataclass(frozen=True)
class SemiSupervised(Objective):
    """A bound on log p(x), or on log p(x, y) where y is known, of a VAE with a classifier q(y|x).

    unknown y:  U(x) = sum_y q(y|x) (L(x, y) + log p(y) - log q(y|x))  <=  log p(x)
    known y:    L(x, y) + log p(y) + alpha log q(y|x)

    L(x, y) is the bound of another objective on log p(x|y). The sum over the classes is exact, so the classifier needs
    no samples of y. With alpha = 0, the value is a lower bound. The term with alpha trains the classifier on examples
    with known y, for which L does not depend on it.

    A step costs C times one of the other objective, for C classes, because each example is paired with each class.

    ```python
    encoder = tv.networks.WithContext(tv.networks.mlp((64 + 3,), 4, hidden=(16,)))
    decoder = tv.networks.WithContext(tv.networks.mlp((2 + 3,), 64, hidden=(16,)))
    model = tv.VAE(
        tv.Encoder(encoder, tv.posteriors.DiagonalNormal(2), context_size=3),
        tv.Decoder(decoder, tv.likelihoods.Bernoulli((8, 8, 1)), context_size=3),
        tv.priors.StandardNormal(2),
        tv.Classifier(tv.networks.mlp((8, 8, 1), 3, hidden=(16,)), probs=(1, 1, 1)),
    )
    objective = tv.objectives.SemiSupervised(tv.objectives.ELBO(), weight=10.0)
    y = np.zeros((16, 3), np.float32)  # unknown
    y[0, 2] = 1  # except for the first example
    objective.loss(model, tv.Batch(x, context=y), seed=(0, 2))  # a scalar, nats
    ```

    Args:
      objective: the bound on log p(x|y).
      weight: alpha, at least 0.

    Raises:
      UsageError: the weight is out of range, or the bound of an example depends on the others in its batch, as with
        free bits and the total correlation.

    References:
      Kingma, Rezende, Mohamed and Welling (2014), Semi-supervised learning with deep generative models, equations 6-9.
    """

    needs_reparameterized_posterior: ClassVar[bool] = False  # the other objective checks this
    objective: Objective
    weight: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.objective, SemiSupervised):
            raise UsageError("SemiSupervised needs a bound on log p(x|y), found another SemiSupervised.")
        if not 0 <= self.weight < float("inf"):
            raise UsageError(f"`weight` must be a finite number of at least 0, found {self.weight}.")
        weighted = self.objective if isinstance(self.objective, Weighted) else None
        if weighted is not None and weighted.free_bits:
            raise UsageError("Free bits do not support labels for some examples only. Leave out `free_bits`.")
        inner = self.objective if weighted is None else weighted.objective
        if inner.mixes_examples:
            raise UsageError(MIXES_EXAMPLES.format(type(inner).__name__))

    @property
    def is_elbo(self) -> bool:
        """Whether the other objective's value is the ELBO. Without labels, the value is then that of the sum."""
        return self.objective.is_elbo

    def _bound_of(self, vae: VAE, batch: Batch, seed: Seed, step: int | Tensor) -> Bound:
        classifier, labels = vae.classifier, vae.batch_with_labels(batch).context
        assert classifier is not None  # `_check_model` has refused other models
        count, classes = tf.shape(batch.x)[0], classifier.classes
        labels, known = tf.cast(labels, vae.dtype), has_class(labels)[:, tf.newaxis]
        log_q = classifier.log_probs(batch.x)  # [B, C]
        y = tf.repeat(tf.eye(classes, dtype=vae.dtype), count, axis=0)  # [C B, C]
        x = tf.tile(batch.x, [classes, *[1] * (len(batch.x.shape) - 1)])
        each = self.objective._bound(vae.given(y), x, seed, step)  # noqa: SLF001
        value, distortion, rate = (tf.transpose(tf.reshape(part, [classes, count])) for part in each)  # [B, C]
        weights = tf.where(known, labels, tf.exp(log_q))
        log_ratio = tf.where(known, tf.zeros_like(log_q), log_q) - tf.cast(classifier.log_prior, vae.dtype)
        log_q_known = tf.reduce_sum(tf.where(known, labels * log_q, tf.zeros_like(log_q)), axis=-1)
        return Bound(
            tf.reduce_sum(weights * (value - log_ratio), axis=-1) + self.weight * log_q_known,
            tf.reduce_sum(weights * distortion, axis=-1),
            tf.reduce_sum(weights * (rate + log_ratio), axis=-1),
        )

    def classification(self, vae: VAE, batch: Batch) -> Tensor:
        """Return the mean of alpha log q(y|x) over examples whose class is known: a scalar, in nats."""
        if vae.classifier is None:
            raise UsageError(NO_CLASSIFIER)
        y = tf.cast(batch.context, vae.dtype)
        return self.weight * tf.reduce_mean(tf.reduce_sum(y * vae.classifier.log_probs(batch.x), axis=-1))

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        return self._bound_of(vae, Batch(x), seed, step)

    def _check_gradient(self, vae: VAE) -> None:
        self.objective._check_gradient(vae)  # noqa: SLF001

    def _check_model(self, vae: VAE) -> None:
        self.objective._check_model(vae)  # noqa: SLF001
        if vae.classifier is None:
            raise UsageError(NO_CLASSIFIER)


@check_keywords
def with_labels(objective: Objective, vae: VAE, weight: float = 0.0) -> Objective:
    """Return an objective for a VAE, in `SemiSupervised` if the VAE has a classifier and it is not in one yet."""
    if vae.classifier is None or isinstance(objective, SemiSupervised):
        return objective
    return SemiSupervised(objective, weight=weight)


@check_keywords
def usual_weight(known: int, examples: int) -> float:
    """Return alpha = N / M for M examples with known y among N, or 0 without any.

    The mean of log q(y|x) over the M examples then has the weight of one nat of the bound of each example. A tenth of
    this, as in Kingma et al. (2014), found fewer classes of held-out digits.
    """
    return examples / known if known else 0.0
