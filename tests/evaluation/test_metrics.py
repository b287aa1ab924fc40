"""The table of metrics: complete entries, unique names, number formats, and the rows of the documents."""

from __future__ import annotations

import math
import typing
from pathlib import Path

import pytest

from tfp_vae.evaluation.metrics import METRICS, Metric, Place, metrics_of, significant

DOCUMENT = Path(__file__).parents[2] / "docs" / "evaluation.md"
DIMENSIONLESS = {"pareto_k_median"}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_entry_is_complete(metric: Metric) -> None:
    assert all((metric.key, metric.label, metric.format, metric.definition, metric.meaning))
    assert bool(metric.unit) == (metric.key not in DIMENSIONLESS)
    assert metric.places <= set(typing.get_args(Place))
    assert metric.error_key in ("", f"{metric.key}_se")
    assert f"{3:{metric.format}}".strip("+").startswith("3")


def test_labels_are_unique() -> None:
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


@pytest.mark.parametrize("place", typing.get_args(Place))
def test_every_place_has_metrics_in_the_order_of_the_table(place: Place) -> None:
    keys = [metric.key for metric in metrics_of(place)]
    assert keys
    assert keys == [key for key in METRICS if key in keys]


def test_documents_hold_the_rows_of_the_table() -> None:
    lines = DOCUMENT.read_text().splitlines()
    assert [metric.document_row for metric in METRICS.values() if metric.document_row not in lines] == []


def test_a_dotted_key_leads_into_an_object() -> None:
    result = {"ais": {"log_likelihood": -3.0, "log_likelihood_se": 0.25}}
    metric = METRICS["ais.log_likelihood"]
    assert (metric.value(result), metric.error(result)) == (-3.0, 0.25)
    assert metric.value({}) is None


def test_a_value_that_is_missing_null_or_nan_is_not_defined() -> None:
    metric = METRICS["elbo"]
    for result in ({}, {"elbo": None}, {"elbo": math.nan}):
        assert metric.text(result) == "not defined"
    assert METRICS["log_likelihood"].error_text({"log_likelihood": 1.0, "log_likelihood_se": math.nan}) == ""


def test_values_and_errors_have_the_formats_of_the_table() -> None:
    result = {"bits_per_dim": 0.60604, "active_units": 2, "elbo": -26.98335, "elbo_se": 0.24394}
    assert METRICS["bits_per_dim"].text(result) == "0.6060"
    assert METRICS["active_units"].text(result) == "2"
    assert (METRICS["elbo"].text(result), METRICS["elbo"].error_text(result)) == ("-26.983", "0.244")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-23.6432, "-23.64"),
        (0.29712, "0.2971"),
        (0.0, "0.00"),
        (12, "12"),
        (-12345.6, "-12,346"),
        (None, ""),
        (float("nan"), ""),
        (1e-9, "0.000000"),
    ],
)
def test_report_numbers_have_four_significant_digits(value: float | None, text: str) -> None:
    assert significant(value) == text
