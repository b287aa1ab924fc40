"""Records of result files: every missing, wrong, null, huge or nested value is refused, or the report does without it.

The checksum of each changed file is valid, so only the record can notice the change.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from tfp_vae.core import files as storage
from tfp_vae.core.errors import RunError, UsageError
from tfp_vae.evaluation.metrics import METRICS
from tfp_vae.reports import page
from tfp_vae.runs import run as runs
from tfp_vae.runs.folder import epochs
from tfp_vae.runs.folder.records import (
    Environment,
    Evaluation,
    Record,
    Status,
    TrainingResult,
    is_fuller,
    which_evaluation,
)
from tfp_vae.runs.results import Assessment
from tfp_vae.runs.run import Run

Keys: TypeAlias = tuple[str | int, ...]

TERMS = {"elbo": -27.5, "distortion": 27.0, "rate": 0.5}
MEASURE = {"likelihood": "bernoulli", "scaling": "pixels", "binarization": "dynamic", "measure": "a probability"}
TRAINING = {
    **MEASURE, "run": "runs/a", "dataset": "digits", "epochs": 2, "steps": 24, "parameters": 5_000, "train": TERMS,
    "validation": TERMS, "best": {"epoch": 2, "validation_elbo": -27.5, "validation_bound": -27.0},
    "weights": "best", "remarks": ["It overfits."],
    "stopped_early": {"epoch": 2, "best_epoch": 1, "patience": 1}, "ema": 0.9, "seconds": 1.5,
}  # fmt: skip
ENVIRONMENT = {
    "python": "3.12.1", "platform": "Linux", "packages": {"numpy": "2.0.0"}, "devices": ["/device:CPU:0"],
    "execution": "xla",
}  # fmt: skip
EVALUATION = {
    **MEASURE, "run": "runs/a", "dataset": "digits", "split": "test", "num_examples": 180, "iw_samples": 100, "seed": 0,
    "weights": "final", "step": 24, "log_likelihood": -23.5, "log_likelihood_se": 0.5, "active_units": 2,
    "bits_per_dim": None, "bits_per_dim_reason": "the likelihood is a density, which has no bits",
    "ais": {"log_likelihood": -23.4, "steps": 10}, "sweep": [{"iw_samples": 1, "log_likelihood": -25.0}],
    "advice": None, "remarks": ["One latent dimension is idle."],
}  # fmt: skip
STATUS = {"state": "failed", "reason": "the loss was not finite", "step": 12, "epochs": 1}

RECORDS: dict[type[Record], dict[str, Any]] = {
    TrainingResult: TRAINING,
    Environment: ENVIRONMENT,
    Evaluation: EVALUATION,
    Status: STATUS,
}
"""A good value of each record."""

LONG, HUGE = "x" * 20_000, 10**400
ODD = ["text", "", 3, -1, 0, 2.5, True, None, [], [1], {}, {"a": {"b": [None]}}, HUGE, 1e308, float("nan"), LONG]
"""Values to put in the place of each value of a file."""


def places(value: object, above: Keys = ()) -> Iterator[Keys]:
    """Yield the keys that lead to each value in a JSON object, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*above, key)
        yield from places(item, (*above, key))


def mutations(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield copies of a JSON object in which one value is gone or odd, or which has one more key."""
    yield {**value, "surprise": 1}
    for *above, last in places(value):
        for odd in (..., *ODD):
            changed = copy.deepcopy(value)
            inner: Any = changed
            for key in above:
                inner = inner[key]
            if odd is ...:
                del inner[last]
            else:
                inner[last] = odd
            yield changed


def as_read(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it comes back from a file."""
    return storage.unseal(storage.seal(value))


@pytest.mark.parametrize("record", RECORDS)
def test_good_values_are_read_back(record: type[Record]) -> None:
    assert record.model_validate(as_read(RECORDS[record])).model_dump(exclude_unset=True) == RECORDS[record]


def content(record: type[Record], value: dict[str, Any]) -> dict[str, Any] | None:
    """Return the content of a record, or None if it refuses the value or no file can hold it."""
    try:
        return record.model_validate(as_read(value)).model_dump()
    except UsageError:
        return None
    except ValueError as error:
        assert "not JSON compliant" in str(error)  # a list with NaN
        return None


@pytest.mark.parametrize("record", RECORDS)
def test_most_mutations_are_refused(record: type[Record]) -> None:
    found = [content(record, value) for value in mutations(RECORDS[record])]
    assert found.count(None) > len(found) / 2


def test_accepted_evaluations_have_a_description_and_rows() -> None:
    for found in filter(None, (content(Evaluation, value) for value in mutations(EVALUATION))):
        assert found["weights"] in which_evaluation(found)
        assert all(row.value for row in page.metric_rows(found))
        assert is_fuller(found, found) is False


METRIC_KEYS = sorted({key for metric in METRICS.values() for key in (metric.key, metric.error_key) if key})


@pytest.mark.parametrize("key", METRIC_KEYS)
def test_metrics_of_an_evaluation_are_numbers_or_null(key: str) -> None:
    *above, name = key.split(".")

    def evaluation(value: object) -> dict[str, Any]:
        return EVALUATION | functools.reduce(lambda inner, outer: {outer: inner}, reversed(above), {name: value})

    for good in (1.5, 2, None, float("inf")):
        Evaluation.model_validate(as_read(evaluation(good)))
    for bad in ("1.5", True, [1.5], {"a": 1}, 10**400):
        with pytest.raises(UsageError, match=key):
            Evaluation.model_validate(as_read(evaluation(bad)))


FILES = {
    runs.TRAINING: (TRAINING, Run.training_result),
    runs.ENVIRONMENT: (ENVIRONMENT, Run.environment),
    runs.EVALUATION: (EVALUATION, Run.evaluation),
    runs.STATE: (STATUS, Run.status),
}
"""Each file of a run with a record, its content, and the method that reads it."""


@pytest.fixture
def blank(trained: Path, tmp_path: Path) -> Run:
    """A run with nothing but a config, which reads fast."""
    return Run.create(tmp_path / "run", Run(trained).config())


def problem(run: Run, name: str, value: dict[str, Any], read: Callable[[Run], object]) -> str:
    """Write a file of a run, read it, and return the error's message without the folder, or an empty text."""
    try:
        run.write(name, value)
    except ValueError:
        return ""  # a list cannot hold NaN, so no file can
    try:
        assert read(run) is not None
    except RunError as error:
        assert error.exit_code == 4
        return str(error).replace(str(run.folder), "")
    return ""


@pytest.mark.parametrize("name", FILES)
def test_files_with_odd_values_raise_one_clear_error(name: str, blank: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # because the test writes hundreds of files
    good, read = FILES[name]
    for message in filter(None, (problem(blank, name, value, read) for value in mutations(good))):
        assert name in message
        assert "\n" not in message
        assert len(message) < 500


@pytest.mark.parametrize("name", FILES)
def test_report_refuses_odd_values_or_does_without_them(name: str, blank: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of the values. The same record reads all others, so their errors are the same."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    changed = list(mutations(FILES[name][0]))
    for value in changed[:: len(changed) // 8]:
        assert len(problem(blank, name, value, page.html_page)) < 500


def test_lines_of_metrics_with_odd_values_are_refused_or_read() -> None:
    line = {
        "epoch": 1, "step": 12, **TERMS, "validation_elbo": -27.0, "validation_distortion": 26.0,
        "validation_rate": 1.0, "validation_bound": -26.5, "learning_rate": 1e-3, "seconds": 0.5,
    }  # fmt: skip
    assert epochs.parse(epochs.text([line])) == [line]

    def parsed(value: dict[str, Any]) -> list[dict[str, Any]]:
        with contextlib.suppress(ValueError):
            return epochs.parse(epochs.text([value]))
        return []

    found = [numbers for value in mutations(line) for numbers in parsed(value)]
    assert 0 < len(found) < len(list(mutations(line))) / 2
    assert all(isinstance(item, int | float) for numbers in found for item in numbers.values())


@pytest.mark.slow
def test_a_real_evaluation_is_read_back_with_all_its_values(assessment: Assessment, copied: Run) -> None:
    copied.write(runs.EVALUATION, assessment.result)
    found = copied.evaluation()
    assert found is not None
    assert found.content() == copied.read(runs.EVALUATION)
    assert page.metric_rows(found.model_dump()) == page.metric_rows(assessment.result)


def test_a_real_run_has_a_result_and_an_environment(copied: Run) -> None:
    result, environment = copied.training_result(), copied.environment()
    assert result is not None
    assert (result.epochs, result.steps, result.best.epoch) == (2, 24, 2)
    assert result.train.elbo == copied.metrics()[-1]["elbo"]
    assert environment is not None
    assert environment.packages.keys() >= {"tensorflow", "numpy"}
    (copied.folder / runs.ENVIRONMENT).unlink()
    assert copied.environment() is None


def test_terms_without_data_are_nan_again(blank: Run) -> None:
    nothing = dict.fromkeys(TERMS, float("nan"))
    blank.write(runs.TRAINING, {**TRAINING, "validation": nothing})
    result = blank.training_result()
    assert result is not None
    assert np.isnan(result.validation.elbo)
    assert "<html" in page.html_page(blank)


def test_fuller_evaluations_have_more_examples_or_samples() -> None:
    assert is_fuller({**EVALUATION, "ais": None, "iw_samples": 101}, {**EVALUATION, "ais": None})
    assert not is_fuller({}, EVALUATION)
    assert not is_fuller({**EVALUATION, "split": "train", "iw_samples": 101}, EVALUATION)


def test_evaluations_with_another_refinement_replace_each_other() -> None:
    larger = {**EVALUATION, "ais": None, "iw_samples": 101}
    refined = {**EVALUATION, "ais": None, "refine": "local:steps=5"}
    assert not is_fuller(larger, refined)
    assert not is_fuller({**refined, "iw_samples": 101}, {**EVALUATION, "ais": None})
    assert is_fuller({**refined, "iw_samples": 101}, refined)
    assert ", refined by local:steps=5, seed" in which_evaluation(refined)
    assert "refined" not in which_evaluation(larger)


def test_evaluations_to_an_accuracy_compare_by_their_examples() -> None:
    wide = {**EVALUATION, "ais": None, "refine": "as-needed", "accuracy": 0.5}
    more = {**wide, "num_examples": EVALUATION["num_examples"] + 1, "iw_samples": 1}
    assert is_fuller(more, wide)
    assert not is_fuller({**wide, "iw_samples": 10**6}, wide)
    assert not is_fuller({**more, "accuracy": 0.1}, wide)
    assert not is_fuller(more, {**EVALUATION, "ais": None})
    assert ", to 0.5 nats, seed" in which_evaluation(wide)
    assert "K up to" in which_evaluation(wide)
