"""Scores from log p(x), its terms, and the cells of a table."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import record
from tfp_vae.evaluation.anomalies.backgrounds import BACKGROUNDS, Background
from tfp_vae.evaluation.anomalies.base import LARGEST, Evidence, Reference, Score, State
from tfp_vae.model.likelihoods import Columns

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["LikelihoodRatio", "LogLikelihood", "Reconstruction", "Typicality", "WorstCell"]


@final
@record
class LogLikelihood(Score):
    """-log p(x): rows that the model finds improbable."""

    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return -log p(x) of each row in nats, [N]."""
        del vae, state
        return -evidence.estimates.log_likelihood


@final
@record
class LikelihoodRatio(Score):
    """log background(x) - log p(x): rows that the model explains worse than a simple model does.

    Args:
      background: `independent` has the same distribution of each element for every row. `complexity` is the length of
        the compressed image.

    References:
      Ren et al. (2019), Likelihood ratios for out-of-distribution detection.
      Serra et al. (2020), Input complexity and out-of-distribution detection with likelihood-based generative models.
    """

    needs_reference: ClassVar[bool] = True
    background: Literal["independent", "complexity"] = field(default="independent", kw_only=True)

    @property
    def _model(self) -> Background:
        return BACKGROUNDS[self.background]()

    def check(self, vae: VAE) -> None:
        """Raise UsageError if the background does not apply."""
        self._model.check(vae)

    def fit(self, vae: VAE, reference: Reference) -> State:
        """Return the background's parameters."""
        return self._model.fit(vae, reference.train)

    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return how many nats the background is above log p(x), [N]."""
        return np.asarray(self._model.log_prob(vae, evidence.x, state) - evidence.estimates.log_likelihood)


@final
@record
class Typicality(Score):
    """The distance of log p(x) from its mean: rows that are unusually improbable or unusually probable.

    References:
      Nalisnick et al. (2019), Detecting out-of-distribution inputs to deep generative models using typicality.
    """

    needs_reference: ClassVar[bool] = True

    def fit(self, vae: VAE, reference: Reference) -> State:
        """Return the mean of log p(x) over the reference rows."""
        del vae
        return {"mean": np.array([reference.evidence.estimates.log_likelihood.mean()])}

    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return |log p(x) - mean| of each row in nats, [N]."""
        del vae
        return np.asarray(np.abs(evidence.estimates.log_likelihood - state["mean"]))


@final
@record
class WorstCell(Score):
    """The largest surprise of a cell given the rest of its row: rows with one wrong cell, for mixed tables."""

    needs_cells: ClassVar[bool] = True

    def check(self, vae: VAE) -> None:
        """Raise UsageError if the model has no likelihood for each column."""
        if not isinstance(vae.decoder.likelihood, Columns):
            raise UsageError(
                "The score `worst-cell` needs a model that has a likelihood for each column of a table. Choose another "
                "score, or train with the likelihood `columns`."
            )

    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return the largest surprise of each row in nats, [N]. A row without any cell is not unusual."""
        del vae, state
        assert evidence.surprise is not None  # because of `needs_cells`
        return np.asarray(np.where(np.isnan(evidence.surprise), -LARGEST, evidence.surprise).max(axis=1))


@final
@record
class Reconstruction(Score):
    """-E_q[log p(x|z)], the distortion: rows that the decoder cannot rebuild from their z, however rare that z is."""

    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return the distortion of each row in nats, [N]."""
        del vae, state
        return evidence.estimates.distortion
