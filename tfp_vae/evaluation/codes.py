"""The use of the codes of a discrete z over many examples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.model.latent import Latent

__all__ = ["CodeUsage"]


@check_keywords
class CodeUsage(NamedTuple):
    """The use of K codes in each of D dimensions of z. A bit has two codes.

    frequencies: the probability of each code under the aggregate posterior, 1/N sum_n q(z_d|x_n), [D, K].
    chosen: whether a code is the most probable one for an example, bool [D, K].
    """

    frequencies: np.ndarray
    chosen: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, latent: Latent) -> CodeUsage:
        """Return the use of the codes by N examples.

        ```python
        from tfp_vae.evaluation.codes import CodeUsage
        from tfp_vae.model.latent import Latent

        usage = CodeUsage.of(np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]]), Latent.one_hots(1, 3))
        usage.share, usage.perplexity  # 2/3 and 2
        ```

        Args:
          means: E_q[z|x], [N, D K], or [N, D] for bits.
          latent: the space of z.

        Raises:
          UsageError: z is not discrete.
        """
        if not latent.discrete:
            raise UsageError(f"The use of codes needs a discrete z, found {latent}.")
        p = np.asarray(means, np.float64).reshape(len(means), latent.dimensions, latent.codes)
        if latent.codes == 1:
            p = np.concatenate([1 - p, p], axis=-1)
        chosen = np.zeros(p.shape[1:], bool)
        chosen[np.arange(latent.dimensions), p.argmax(axis=-1)] = True
        return cls(p.mean(axis=0), chosen)

    @property
    def share(self) -> float:
        """The share of the D K codes that are the most probable one for an example."""
        return float(self.chosen.mean())

    @property
    def perplexities(self) -> np.ndarray:
        """Exp of the entropy of the frequencies of each dimension, [D]: from 1 for a single code to K for equal use."""
        logarithms = np.log(np.maximum(self.frequencies, 1e-300))
        return np.asarray(np.exp(-np.sum(self.frequencies * logarithms, axis=-1)))

    @property
    def perplexity(self) -> float:
        """The mean of `perplexities`."""
        return float(self.perplexities.mean())
