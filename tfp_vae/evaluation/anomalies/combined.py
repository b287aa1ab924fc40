"""Several scores in one, by way of their p-values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

import numpy as np
import pydantic

from tfp_vae.core.registry import record, split_numbers
from tfp_vae.evaluation.anomalies.base import Evidence, Reference, Score, State, limit_scores
from tfp_vae.evaluation.anomalies.conformal import MERGES
from tfp_vae.evaluation.anomalies.scores import LikelihoodRatio, LogLikelihood, Reconstruction, Typicality, WorstCell

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["Combined"]

PARTS: Mapping[str, type[Score]] = {
    "log-likelihood": LogLikelihood,
    "likelihood-ratio": LikelihoodRatio,
    "typicality": Typicality,
    "worst-cell": WorstCell,
    "reconstruction": Reconstruction,
}
"""The scores that can be combined."""

Names = Annotated[
    tuple[Literal["log-likelihood", "likelihood-ratio", "typicality", "worst-cell", "reconstruction"], ...],
    pydantic.Field(min_length=1),
    pydantic.BeforeValidator(split_numbers),
]

TAIL = 0.1
"""The share of the highest reference scores whose mean excess continues the tail."""


SMALLEST_SCALE = 1e-3
"""The smallest scale of the tail in nats, for reference rows with equal scores."""


@final
@record
class Combined(Score):
    """-log of the merged p-values of several scores: rows that are unusual in any respect.

    Each part gets a p-value among the reference rows. Beyond their highest score it continues as an exponential tail,
    so that rows far out do not tie. The merged number is a score like any other: its own conformal p-value comes from
    rows that no part has seen, so its false alarms are bounded however the parts depend on each other.

    Args:
      parts: names of scores.
      merge: `harmonic`, `bonferroni` or `arithmetic`, see `merge_p_values`.

    References:
      Vovk and Wang (2020), Combining p-values via averaging.
    """

    parts: Names = field(default=("log-likelihood", "likelihood-ratio", "typicality", "reconstruction"), kw_only=True)
    merge: Literal["harmonic", "bonferroni", "arithmetic"] = field(default="harmonic", kw_only=True)
    needs_reference: ClassVar[bool] = True

    @property
    def needs_cells(self) -> bool:  # type: ignore[override]  # the parts decide
        """Whether a part needs the surprise of each cell."""
        return any(part.needs_cells for _, part in self._scores())

    def _scores(self) -> Iterator[tuple[str, Score]]:
        for name in self.parts:
            yield name, PARTS[name]()

    def check(self, vae: VAE) -> None:
        """Raise UsageError if a part does not apply."""
        for _, part in self._scores():
            part.check(vae)

    def fit(self, vae: VAE, reference: Reference) -> State:
        """Return the states of the parts, and their scores of the reference rows in order."""
        state = dict[str, np.ndarray]()
        for name, part in self._scores():
            own = part.fit(vae, reference)
            state |= {f"{name}/{key}": array for key, array in own.items()}
            state[f"{name}/scores"] = np.sort(limit_scores(part.values(vae, reference.evidence, own)))
        return state

    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return minus the logarithm of the merged p-value of each row, [N]."""
        columns = []
        for name, part in self._scores():
            own = {key.removeprefix(f"{name}/"): array for key, array in state.items() if key.startswith(f"{name}/")}
            columns.append(log_p_values(limit_scores(part.values(vae, evidence, own)), own["scores"]))
        return -MERGES[self.merge](np.stack(columns, axis=1))


def log_p_values(scores: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return log p of scores [N] among sorted reference scores [n], with an exponential tail beyond the highest."""
    as_high = len(ordered) - np.searchsorted(ordered, scores, side="left")
    tail = ordered[-max(2, round(TAIL * len(ordered))) :]
    scale = max(float(np.mean(tail - tail[0])), SMALLEST_SCALE)
    beyond = np.maximum(scores - ordered[-1], 0) / scale
    return np.asarray(np.log((1 + as_high) / (len(ordered) + 1)) - beyond)
