"""The classifier of a semi-supervised model: x -> q(y|x) with the frequencies p(y) of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from tfp_vae.core.batch import Batch, has_class
from tfp_vae.core.errors import DataError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Distribution, Tensor
from tfp_vae.model.inputs import Input, check_input, network_input
from tfp_vae.model.networks import Network
from tfp_vae.model.networks.adapters import network_output, require_active_layers, require_variables

__all__ = ["Classifier"]


@final
@check_keywords
class Classifier(tf.Module):
    """The classifier q(y|x) of a conditional model whose y is unknown for some examples.

    y is one of C classes. Its context is one-hot, and zeros mean that y is unknown.

    ```python
    classifier = tv.Classifier(tv.networks.mlp((8, 8, 1), 3, hidden=(16,)), probs=(0.5, 0.3, 0.2))
    classifier(x).probs_parameter()  # [16, 3]
    ```

    Args:
      network: tensor -> tensor, [B, *event_shape] -> logits [B, C].
      probs: p(y), the frequencies of the C classes. They are scaled to add up to 1.
      sees: the network's input, see `Encoder`.

    Raises:
      DataError: there are fewer than two classes, or a frequency that is not positive.
      UsageError: a network that training could not change, see `networks.adapters`.

    References:
      Kingma, Rezende, Mohamed and Welling (2014), Semi-supervised learning with deep generative models.
    """

    def __init__(self, network: Network, probs: Array | Sequence[float], sees: Input = "values") -> None:
        super().__init__()
        self.network = require_active_layers(require_variables(network, "classifier"), "classifier")
        frequencies = np.asarray(probs, np.float64)
        if frequencies.ndim != 1 or len(frequencies) < 2 or not (np.isfinite(frequencies) & (frequencies > 0)).all():
            raise DataError(
                f"`probs`: expected positive numbers for two or more classes, found {frequencies.tolist()}."
            )
        self.sees = check_input(sees)
        self._log_prior: np.ndarray = np.log(frequencies / frequencies.sum())

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return len(self._log_prior)

    @property
    def log_prior(self) -> np.ndarray:
        """Log p(y), float64 [C]."""
        return self._log_prior

    def __call__(self, x: Batch | Array) -> Distribution:
        """Return q(y|x) over one-hot vectors, batch [B], event [C], for x [B, *event_shape]."""
        distribution: Distribution = tfd.OneHotCategorical(logits=self.log_probs(x))
        return distribution

    def log_probs(self, x: Batch | Array) -> Tensor:
        """Return log q(y|x), [B, C], for x [B, *event_shape]."""
        values = network_input(x, self.sees, "The classifier")
        return tf.math.log_softmax(network_output(self.network, values, role="classifier", size=self.classes))

    def complete(self, x: Array, context: Array) -> Tensor:
        """Return contexts [B, C] in which the most probable class replaces an unknown y.

        Args:
          x: [B, *event_shape].
          context: [B, C].
        """
        log_probs = self.log_probs(x)
        best = tf.one_hot(tf.argmax(log_probs, axis=-1), self.classes, dtype=log_probs.dtype)
        context = tf.cast(context, log_probs.dtype)
        return tf.where(has_class(context)[:, tf.newaxis], context, best)
