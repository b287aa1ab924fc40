"""Anomalies by a run: scores of rows, their p-values against held-out rows, and how well scores find known anomalies.

`calibrate` returns the scores of held-out rows, which the run keeps, so that later calls need neither the data nor the
time. `detect` compares rows with them. `rank_scores` measures all scores against labels. Higher is more unusual.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib import metadata
from typing import Any, Literal, NamedTuple

import numpy as np

from tfp_vae.core.batch import Batch, as_batch
from tfp_vae.core.errors import DiskError, RunError, UsageError
from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.evaluation.anomalies import (
    SCORES,
    Effort,
    Evidence,
    Ranking,
    Reference,
    Score,
    p_values,
    percentiles,
    rank_anomalies,
    threshold,
)
from tfp_vae.evaluation.anomalies.base import MOST_HELD_OUT, State, limit_scores
from tfp_vae.evaluation.effort.settling import Stages
from tfp_vae.evaluation.importance import Progress
from tfp_vae.evaluation.proposals import full_name
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.folder.records import Calibration, ScoreCalibration, Threshold
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.results import number_of_samples, score
from tfp_vae.runs.tables.unusual import UnusualCells, find_unusual_cells

__all__ = [
    "Detection",
    "Effort",
    "Known",
    "calibrate",
    "detect",
    "keep_threshold",
    "observe",
    "observe_cells",
    "rank_scores",
]

MOST_REFERENCE = 500
"""Most reference rows that scores learn from."""

NO_STAGES: Stages = lambda name, total: nullcontext(lambda done: None)  # noqa: E731

logger = logging.getLogger("tfp_vae")


@check_keywords
class Known(NamedTuple):
    """Evidence that is there already, with the split of the run and the rows in it that it belongs to."""

    split: str
    rows: np.ndarray
    evidence: Evidence


@check_keywords
class Detection(NamedTuple):
    """The comparison of N rows with held-out rows.

    scores: [N]. Higher is more unusual.
    percentile: the share of held-out rows with a lower score, in percent, [N].
    p_value: conformal p-values, [N].
    """

    scores: np.ndarray
    percentile: np.ndarray
    p_value: np.ndarray


@check_keywords
def observe(
    restored: LoadedRun,
    x: np.ndarray | Batch,
    effort: Effort,
    *,
    cells_like: np.ndarray | Batch | None = None,
    stages: Stages = NO_STAGES,
    name: str = "scoring",
) -> Evidence:
    """Return the evidence of rows. It depends on each row alone.

    Args:
      restored: the run.
      x: rows as `examples.held_out_view` returns them, [N, *event_shape]. Those of a conditional model are a batch.
      effort: the settings of the estimates.
      cells_like: rows whose holes are usual, to find the surprise of each cell. None leaves the cells out.
      stages: called at the start of each stage, to report progress.
      name: of the stage.
    """
    values = np.asarray(as_batch(x).x)
    with stages(name, number_of_samples(len(values), effort.iw_samples, effort.refine)) as progress:
        _, estimates = score(restored, x, progress=progress, **effort._asdict())
    if cells_like is None:
        return Evidence(values, estimates)
    with stages(f"{name}, cells", len(values) * effort.iw_samples) as progress:
        cells = observe_cells(restored, x, effort, cells_like, progress=progress)
    return Evidence(values, estimates, cells.surprise)


@check_keywords
def observe_cells(
    restored: LoadedRun,
    x: np.ndarray | Batch,
    effort: Effort,
    like: np.ndarray | Batch | None,
    *,
    progress: Progress = lambda samples: None,
) -> UnusualCells:
    """Return the scores of the cells of a run's table, and how surprising each is.

    Args:
      restored: the run.
      x: the rows, [N, C]. Those of a conditional model are a batch.
      effort: the settings of the estimates. The execution `auto` is `graph` here, because XLA compiles longer than most
        tables take.
      like: rows whose holes are usual, or None if rows are usually complete.
      progress: called with the number of importance samples just taken.
    """
    graph = effort._replace(execution="graph") if effort.execution == AUTO else effort
    names = restored.config.data.features or ()
    return find_unusual_cells(restored.vae, x, names, like=like, progress=progress, **graph._asdict())


@check_keywords
def calibrate(
    restored: LoadedRun,
    load: Callable[[], Dataset],
    anomaly_score: Member | str = "log-likelihood",
    effort: Effort | None = None,
    *,
    most: int = MOST_HELD_OUT,
    known: Known | None = None,
    stages: Stages = NO_STAGES,
) -> Calibration:
    """Return the scores of held-out rows of a run, from its file if they are there, and keep them there otherwise.

    The rows are those of the test split, or of the validation split if there is no test split. Early stopping and you
    may have used validation rows for choices, so new rows may look a little less usual than they do. A score that
    learns from reference rows gets other rows: of the validation split, or of the training split.

    ```python
    restored = tv.runs.LoadedRun(tv.runs.find(None, "runs"))
    effort = tv.runs.anomalies.Effort(iw_samples=5)
    found = tv.runs.anomalies.calibrate(restored, lambda: tv.runs.reload(restored.config), effort=effort, most=50)
    found.split, len(found.rows)  # ("test", 50)
    ```

    Args:
      restored: the run.
      load: returns the data of the run. It is called only if the scores are not in the file.
      anomaly_score: a name from `SCORES` with settings.
      effort: the settings of the estimates.
      most: the most held-out rows. A random sample of that size is the same for every call.
      known: evidence of rows of a split, which is not computed again.
      stages: called at the start of each stage, to report progress.

    Raises:
      UsageError: the score is unknown or does not apply, or the data of the run have no held-out rows.
      DataError: the data of the run cannot be read.
    """
    member, effort = SCORES.member(anomaly_score), effort or Effort()
    scorer: Score = SCORES.build(member)
    scorer.check(restored.vae)
    identity = calibration_identity(restored, effort, most)
    kept = kept_calibration(restored, identity)
    if kept is not None and str(member) in kept.scores:
        return kept
    dataset = load()
    split: Literal["test", "validation"] = "test" if len(dataset.test) else "validation"
    if not len(dataset.splits[split]):
        raise UsageError(
            "p-values need rows that training did not fit, but the data of the run have no test or validation split."
        )
    rows = sample_rows(len(dataset.splits[split]), most, 5)
    like = dataset.train.batch if scorer.needs_cells else None
    evidence = known_evidence(known, split, rows, cells=scorer.needs_cells)
    if evidence is None:
        x = restored.as_unlabelled(held_out_view(restored.config, dataset, split)[rows]).batch
        evidence = observe(restored, x, effort, cells_like=like, stages=stages, name="scoring held-out rows")
    state: State = {}
    if scorer.needs_reference:
        state = scorer.fit(restored.vae, reference_of(restored, dataset, split, effort, like, stages))
    values = score_values(scorer, restored, evidence, state)
    found = ScoreCalibration(
        values=values.tolist(), state={name: np.asarray(array, np.float64).tolist() for name, array in state.items()}
    )
    scores = {**({} if kept is None else kept.scores), str(member): found}
    thresholds = {} if kept is None else kept.thresholds
    made = Calibration(**identity, split=split, rows=rows.tolist(), scores=scores, thresholds=thresholds)
    keep_calibration(restored, made)
    return made


def calibration_identity(restored: LoadedRun, effort: Effort, most: int) -> dict[str, Any]:
    """Return everything that decides the scores of held-out rows."""
    return {
        "run": restored.config.identity(),
        "weights": restored.weights,
        "step": restored.step,
        "iw_samples": effort.iw_samples,
        "refine": full_name(effort.refine),
        "seed": effort.seed,
        "execution": restored.choose_execution(effort.execution),
        "most": most,
        "packages": {name: metadata.version(name) for name in ("tfp-vae", "tensorflow", "tensorflow-probability")},
    }


def kept_calibration(restored: LoadedRun, identity: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration in the run's file if it has this identity, else None."""
    try:
        kept = restored.run.calibration()
    except RunError as error:
        logger.warning("The held-out rows are scored again, because the scores of the run cannot be read: %s", error)
        return None
    same = kept is not None and all(getattr(kept, key) == value for key, value in identity.items())
    return kept if same else None


def keep_calibration(restored: LoadedRun, made: Calibration) -> None:
    """Write a calibration into the run, or log a warning if the disk refuses it."""
    try:
        restored.run.write_calibration(made)
    except DiskError as error:
        logger.warning("The scores of the held-out rows were not kept, so the next call scores them again: %s", error)


def sample_rows(count: int, most: int, index: int) -> np.ndarray:
    """Return `most` of `count` rows in order, or all. The sample is the same for every call."""
    return np.sort(generator(FIXED_SEED, Purpose.SUBSET, index).permutation(count)[:most])


def known_evidence(known: Known | None, split: str, rows: np.ndarray, *, cells: bool) -> Evidence | None:
    """Return the evidence of rows of a split, if all of it is known, else None."""
    if known is None or known.split != split or (cells and known.evidence.surprise is None):
        return None
    places = {row: place for place, row in enumerate(known.rows.tolist())}
    if not places.keys() >= set(rows.tolist()):
        return None
    return select(known.evidence, np.array([places[row] for row in rows.tolist()]))


def select(evidence: Evidence, rows: np.ndarray) -> Evidence:
    """Return the evidence of some rows."""
    estimates = type(evidence.estimates)(*(column[rows] for column in evidence.estimates))
    return Evidence(evidence.x[rows], estimates, None if evidence.surprise is None else evidence.surprise[rows])


def reference_of(
    restored: LoadedRun,
    dataset: Dataset,
    split: str | None,
    effort: Effort,
    like: Batch | None = None,
    stages: Stages = NO_STAGES,
) -> Reference:
    """Return rows that scores may learn from, of the validation split unless it is empty or `split` itself."""
    other = "validation" if split != "validation" and len(dataset.validation) else "train"
    rows = sample_rows(len(dataset.splits[other]), MOST_REFERENCE, 6)
    x = restored.as_unlabelled(held_out_view(restored.config, dataset, other)[rows]).batch
    evidence = observe(restored, x, effort, cells_like=like, stages=stages, name="scoring reference rows")
    return Reference(held_out_view(restored.config, dataset, "train").x, evidence)


def score_values(scorer: Score, restored: LoadedRun, evidence: Evidence, state: State) -> np.ndarray:
    """Return the scores of rows, limited in size so that a file can hold them, [N]."""
    return limit_scores(scorer.values(restored.vae, evidence, state))


@check_keywords
def detect(
    restored: LoadedRun,
    evidence: Evidence,
    calibration: Calibration,
    anomaly_score: Member | str = "log-likelihood",
    *,
    rows: tuple[str, np.ndarray] | None = None,
) -> Detection:
    """Return the scores of rows, and how they compare with the held-out rows.

    Args:
      restored: the run.
      evidence: of the rows, from `observe`.
      calibration: from `calibrate`, with this score.
      anomaly_score: a name from `SCORES` with settings.
      rows: the split of the run that the rows belong to, and their indices. A row that is itself a held-out row is
        compared with the others.
    """
    member = SCORES.member(anomaly_score)
    kept = calibration.scores[str(member)]
    state = {name: np.array(values) for name, values in kept.state.items()}
    values, held_out = score_values(SCORES.build(member), restored, evidence, state), np.array(kept.values)
    is_own = rows is not None and rows[0] == calibration.split
    own = np.isin(rows[1], calibration.rows) if rows is not None and is_own else None
    return Detection(values, percentiles(values, held_out, own), p_values(values, held_out, own))


@check_keywords
def keep_threshold(
    restored: LoadedRun, calibration: Calibration, anomaly_score: Member | str, contamination: float
) -> float:
    """Return the threshold of a score for a rate of false alarms, and keep it in the run.

    It is inf if there are too few held-out rows for the rate, so that no row can be flagged.

    Args:
      restored: the run.
      calibration: from `calibrate`, with this score.
      anomaly_score: a name from `SCORES` with settings.
      contamination: the largest rate of false alarms.
    """
    name = str(SCORES.member(anomaly_score))
    found = threshold(np.array(calibration.scores[name].values), contamination)
    kept = Threshold(contamination=contamination, threshold=found if np.isfinite(found) else None)
    if calibration.thresholds.get(name) != kept:
        thresholds = {**calibration.thresholds, name: kept}
        keep_calibration(restored, calibration.model_copy(update={"thresholds": thresholds}))
    return found


@check_keywords
def rank_scores(
    restored: LoadedRun,
    dataset: Dataset,
    examples: Split,
    anomalous: np.ndarray,
    effort: Effort | None = None,
    *,
    scores: Sequence[Member | str] = (),
    stages: Stages = NO_STAGES,
) -> tuple[Evidence, dict[str, Ranking | str]]:
    """Return the evidence of rows, and how well each score ranks known anomalies above the other rows.

    No score learns from labels. Scores that learn from log p(x) use validation rows of the run, or training rows if the
    rows are those of the validation split.

    Args:
      restored: the run.
      dataset: its data, from `reload`.
      examples: the rows.
      anomalous: whether each is an anomaly, bool [N].
      effort: the settings of the estimates.
      scores: names from `SCORES` with settings. By default all, with both backgrounds.
      stages: called at the start of each stage, to report progress.

    Returns:
      The evidence, and by the name of each score its ranking, or the reason why it does not apply.
    """
    effort = effort or Effort()
    members, found = [SCORES.member(each) for each in scores or EVERY_SCORE], dict[str, Ranking | str]()
    built = {str(member): SCORES.build(member) for member in members}
    reasons = {name: reason_against(scorer, restored) for name, scorer in built.items()}
    usable = [scorer for name, scorer in built.items() if reasons[name] is None]
    like = dataset.train.batch if any(scorer.needs_cells for scorer in usable) else None
    evidence = observe(restored, examples.batch, effort, cells_like=like, stages=stages)
    reference = None
    if any(scorer.needs_reference for scorer in usable):
        reference = reference_of(restored, dataset, examples.part, effort, like, stages)
    for name, scorer in built.items():
        reason = reasons[name]
        if reason is not None:
            found[name] = reason
            continue
        state = scorer.fit(restored.vae, reference) if scorer.needs_reference and reference is not None else {}
        found[name] = rank_anomalies(score_values(scorer, restored, evidence, state), anomalous)
    return evidence, found


def reason_against(scorer: Score, restored: LoadedRun) -> str | None:
    """Return why a score does not apply to the model of a run, or None if it does."""
    try:
        scorer.check(restored.vae)
    except UsageError as error:
        return str(error)
    return None


EVERY_SCORE = (
    "log-likelihood",
    "likelihood-ratio",
    "likelihood-ratio:background=complexity",
    "typicality",
    "worst-cell",
    "reconstruction",
    "combined",
)
"""The scores that `rank_scores` measures by default."""
