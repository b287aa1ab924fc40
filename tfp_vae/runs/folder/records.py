"""The content of the JSON files of a run, as records with a type and limits for each value.

A checksum shows that a file is as it was written, but not that its values make sense. So `Run` reads each file through
its record and refuses a missing, unknown or wrong value. To add a value to a file, add one field.

```python
from tfp_vae.runs.folder.records import Status

Status(state="failed", reason="the loss was not finite", step=12)
```
"""

from __future__ import annotations

import abc
import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal, final

import pydantic

from tfp_vae.core.errors import cut
from tfp_vae.core.files import restore_non_finite
from tfp_vae.core.registry import BaseRecord
from tfp_vae.evaluation.metrics import METRICS, samples_text

__all__ = [
    "AnomalyEvaluation",
    "BestEpoch",
    "Calibration",
    "EarlyEnd",
    "Environment",
    "Evaluation",
    "Measured",
    "Record",
    "ScoreCalibration",
    "ScoreRanking",
    "State",
    "Status",
    "Terms",
    "Threshold",
    "TrainingResult",
    "is_fuller",
    "which_evaluation",
]

LARGEST = 2**53
"""Largest whole number in a file. JSON readers in other languages round larger ones."""

LONGEST_LINE = 10_000


def check_length(text: str) -> str:
    """Return a text, or raise ValueError if it is too long. A limit of pydantic's would refuse names not in UTF-8."""
    if len(text) > LONGEST_LINE:
        raise ValueError(f"expected at most {LONGEST_LINE:,} characters")
    return text


Count = Annotated[int, pydantic.Field(ge=0, le=LARGEST)]
Positive = Annotated[int, pydantic.Field(ge=1, le=LARGEST)]
Line = Annotated[str, pydantic.AfterValidator(check_length)]
State = Literal["running", "finished", "interrupted", "failed"]


class Record(BaseRecord, abc.ABC):
    """The content of a JSON object: a type for each key, and no other keys.

    A null with a reason, as `files.json_text` writes it, is read back as inf, -inf or nan.
    """

    model_config = pydantic.ConfigDict(strict=True)

    def content(self) -> dict[str, Any]:
        """Return the object as it is written. Keys that may be missing are left out if they were."""
        return self.model_dump(exclude_unset=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _restore(cls, value: object) -> object:
        return restore_non_finite(value) if isinstance(value, dict) else value


@final
class Status(Record):
    """The state of a run and its progress at the last checkpoint.

    state: `running`, `finished`, `interrupted` or `failed`.
    reason: the error's message if the run failed, else empty.
    step: the step of the last checkpoint.
    epochs: the number of epochs finished at the last checkpoint.
    """

    state: State = "interrupted"
    reason: str = ""
    step: Count = 0
    epochs: Count = 0


class Measured(Record, abc.ABC):
    """What log p(x) and the ELBO of a result are, see `evaluation.metrics.Measure`.

    log_scale: the nats between densities of the data and of the scaled values, if their units differ.
    bits_per_dim_of: the kind of values that bits belong to, if they are binary or have noise.
    """

    likelihood: Line
    scaling: Line
    binarization: Line
    dequantization: Line = "none"
    measure: Line
    log_scale: pydantic.FiniteFloat | None = None
    bits_per_dim_of: Line | None = None


@final
class Terms(Record):
    """The ELBO and its two terms, in nats per example. They are NaN without data.

    elbo_scaled, distortion_scaled: those of the scaled values, if their units differ from those of the data.
    """

    elbo: float
    distortion: float
    rate: float
    elbo_scaled: float | None = None
    distortion_scaled: float | None = None


@final
class BestEpoch(Record):
    """The best epoch, in nats per example.

    validation_elbo, validation_bound: the ELBO and the objective's own bound of the validation data after it.
    """

    epoch: Positive
    validation_elbo: float
    validation_bound: pydantic.FiniteFloat


@final
class EarlyEnd(Record):
    """Where training stopped early, see `stopping.Stop`."""

    epoch: Positive
    best_epoch: Count
    patience: Positive


@final
class TrainingResult(Measured):
    """The result of a finished training, in `training.json`.

    run, dataset: the run's folder and its data, as they were at the time.
    epochs, steps, parameters: the numbers of epochs, steps and weights.
    train, validation: means over the last epoch, and over the validation data after it.
    best: the best epoch, or None if no epoch has a finite validation bound.
    weights: the weights that commands use by default.
    remarks: sentences about overfitting and unused dimensions.
    stopped_early: where training stopped early, or None.
    ema: the decay of the averaged weights, or None.
    seconds: the time of all epochs.
    """

    run: Line
    dataset: Line
    epochs: Positive
    steps: Positive
    parameters: Count
    train: Terms
    validation: Terms
    best: BestEpoch | None
    weights: Literal["final", "best"]
    remarks: list[Line]
    stopped_early: EarlyEnd | None
    ema: pydantic.FiniteFloat | None
    seconds: pydantic.FiniteFloat


@final
class Environment(Record):
    """The versions and devices of the process that trained the run, in `environment.json`.

    packages: versions by name.
    execution: `xla`, `graph` or `eager`.
    """

    python: Line
    platform: Line
    packages: dict[Line, Line]
    devices: list[Line]
    execution: Line


@final
class Evaluation(Measured):
    """An evaluation, in `evaluation.json`: the values that identify it, advice, and metrics.

    The metrics are those of `METRICS` with their errors. Each is a number, or None if it is not defined. Other values,
    such as the bound for several numbers of samples, are kept as they are.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    run: Line
    dataset: Line
    split: Literal["train", "validation", "test"]
    num_examples: Positive
    iw_samples: Positive
    refine: Line = "none"
    accuracy: pydantic.FiniteFloat | None = None
    seed: Count
    weights: Literal["final", "best"]
    step: Count
    log_likelihood: float | None
    advice: Line | None = None
    remarks: list[Line] = pydantic.Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _check_metrics(self) -> Evaluation:
        content = self.model_dump()
        for key in filter(None, (key for metric in METRICS.values() for key in (metric.key, metric.error_key))):
            found: object = content
            for part in key.split("."):
                if not isinstance(found, Mapping | None):
                    raise ValueError(f"{key}: expected an object around it, found {cut(repr(found))}")
                found = None if found is None else found.get(part)
            is_whole = isinstance(found, int) and not isinstance(found, bool) and abs(found) <= LARGEST
            if not (found is None or isinstance(found, float) or is_whole):
                raise ValueError(f"{key}: expected a number, found {cut(repr(found))}")
        return self


@final
class ScoreRanking(Record):
    """How well an anomaly score finds known anomalies, or why it does not apply. Unknown errors are None."""

    score: Line
    auroc: pydantic.FiniteFloat | None = None
    auroc_se: pydantic.FiniteFloat | None = None
    auroc_se_reason: Line | None = None
    average_precision: pydantic.FiniteFloat | None = None
    average_precision_se: pydantic.FiniteFloat | None = None
    average_precision_se_reason: Line | None = None
    reason: Line | None = None


@final
class AnomalyEvaluation(Record):
    """The last evaluation against labels, in `anomalies.json`. Metrics of log p(x) are kept without checks.

    data: the file of the rows, or None for a split of the run.
    split: the split, or None for a file.
    num_examples, num_anomalies: the numbers of rows.
    anomaly_label, anomaly_values: the column or array of the labels, and the values that mark anomalies.
    iw_samples, refine, seed: the settings of the estimates.
    weights, step: the weights.
    anomalies: a ranking for each score.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    dataset: Line
    data: Line | None
    split: Literal["train", "validation", "test"] | None
    num_examples: Positive
    num_anomalies: Positive
    anomaly_label: Line
    anomaly_values: list[Line]
    iw_samples: Positive
    refine: Line
    seed: Count
    weights: Literal["final", "best"]
    step: Count
    anomalies: list[ScoreRanking]

    def describe(self) -> str:
        """Return a description of the rows and the effort."""
        source = f"{self.num_examples:,} rows of {self.data or f'the {self.split} split'}"
        marked = f"{self.num_anomalies:,} anomalous by {self.anomaly_label}={','.join(self.anomaly_values)}"
        refined = "" if self.refine == "none" else f", refined by {self.refine}"
        effort = f"K = {self.iw_samples:,}{refined}, seed {self.seed}; weights {self.weights}, of step {self.step:,}"
        return f"{source}, {marked}, {effort}"


@final
class Threshold(Record):
    """The score above which a row is flagged.

    contamination: the largest rate of false alarms.
    threshold: the score, or None if there are too few held-out rows for this rate.
    """

    contamination: Annotated[float, pydantic.Field(gt=0, lt=1)]
    threshold: pydantic.FiniteFloat | None


@final
class ScoreCalibration(Record):
    """An anomaly score of the held-out rows.

    values: the scores.
    state: what the score learned, by name.
    """

    values: list[pydantic.FiniteFloat]
    state: dict[Line, list[pydantic.FiniteFloat]]


@final
class Calibration(Record):
    """Anomaly scores of held-out rows, in `calibration.json`. Other settings or weights have other scores.

    run: the identity of the run's config.
    weights, step: the weights that gave the scores.
    iw_samples, refine, seed, execution: the settings of the estimates.
    most: the most held-out rows that were asked for.
    packages: the versions that gave the scores.
    split, rows: the split of the held-out rows, and their indices in it.
    scores: by the full name of the score.
    thresholds: the last threshold of each score.
    """

    run: Line
    weights: Literal["final", "best"]
    step: Count
    iw_samples: Positive
    refine: Line
    seed: Count
    execution: Line
    most: Positive
    packages: dict[Line, Line]
    split: Literal["test", "validation"]
    rows: list[Count]
    scores: dict[Line, ScoreCalibration]
    thresholds: dict[Line, Threshold] = pydantic.Field(default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _check_sizes(self) -> Calibration:
        if not self.rows or any(len(each.values) != len(self.rows) for each in self.scores.values()):
            raise ValueError("scores: expected one for each of the held-out rows")
        return self


def which_evaluation(evaluation: Mapping[str, Any]) -> str:
    """Return a description that identifies an evaluation by its examples, effort, seed and weights."""
    refine, accuracy = evaluation.get("refine", "none"), evaluation.get("accuracy")
    refined = "" if refine == "none" else f", refined by {refine}"
    refined = refined if accuracy is None else f", to {accuracy:g} nats"
    size = "{num_examples:,} {split} examples, ".format(**evaluation) + samples_text(evaluation)
    return size + refined + ", seed {seed}; weights {weights}, of step {step:,}".format(**evaluation)


def is_fuller(kept: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Return whether one evaluation is more thorough than another of the same weights, split, refinement and accuracy.

    Sizes are the numbers of examples and importance samples, and the steps, chains and examples of annealing. A fuller
    evaluation is at least as large in each size and larger in one.

    Args:
      kept: the evaluation in the file. It may be damaged or empty, and then it is not fuller.
      result: the new evaluation.
    """

    def sizes(evaluation: Mapping[str, Any]) -> list[int]:
        names = ("steps", "chains", "examples")
        annealing = evaluation.get("ais") or dict.fromkeys(names, 0)
        return [
            int(evaluation["num_examples"]),
            int(evaluation["iw_samples"]) if result.get("accuracy") is None else 0,
            *(int(annealing[name]) for name in names),
        ]

    same = all(kept.get(key) == result[key] for key in ("split", "weights", "step"))
    defaults = {"refine": "none", "accuracy": None}
    if not same or any(kept.get(key, value) != result.get(key, value) for key, value in defaults.items()):
        return False
    try:
        old, new = sizes(kept), sizes(result)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return False
    return old != new and all(map(operator.ge, old, new))
