"""The table of metrics: complete entries, unique names, number formats, and the rows of the documents."""

from __future__ import annotations

import math
import typing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import Split
from tfp_vae.data.loading import load
from tfp_vae.data.transforms.binarization import BINARIZATIONS, choose_transform
from tfp_vae.data.transforms.dequantization import DEQUANTIZATIONS
from tfp_vae.data.transforms.scaling import SCALINGS
from tfp_vae.evaluation.importance import Estimates, Summary, summarize
from tfp_vae.evaluation.metrics import METRICS, Measure, Metric, Place, metrics_of, rounded_pair, significant
from tfp_vae.model.latent import Latent
from tfp_vae.model.likelihoods import ELEMENTWISE, LIKELIHOODS

DOCUMENT = Path(__file__).parents[2] / "docs" / "evaluation.md"
DIMENSIONLESS = {"pareto_k_median", "classification.calibration_error"}


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


def test_missing_null_and_nan_values_count_as_undefined_metrics() -> None:
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


@pytest.mark.parametrize(
    ("value", "error", "texts"),
    [
        (0.62217, 0.03614, ("0.622", "0.036")),
        (-98.3216, 0.8708, ("-98.32", "0.87")),
        (-12345.6, 31.7, ("-12,346", "32")),
        (0.5, 1e-9, ("0.500000", "0.000000")),
        (1.0, 0.0, ("1.000", "0.00")),
        (0.62217, None, ("0.6222", "")),
        (0.62217, float("nan"), ("0.6222", "")),
        (None, None, ("", "")),
    ],
)
def test_errors_decide_the_digits_of_their_numbers(
    value: float | None, error: float | None, texts: tuple[str, str]
) -> None:
    assert rounded_pair(value, error) == texts


def synthetic_estimates() -> Estimates:
    """Return synthetic estimates of 50 examples with ten samples each, without a model."""
    draw = np.random.default_rng(4)
    return Estimates(
        log_likelihood=draw.normal(-90, 5, 50),
        distortion=draw.normal(80, 5, 50),
        rate=draw.uniform(5, 15, 50),
        ess=draw.uniform(9.9, 15, 50),
        pareto_k=np.append(draw.uniform(0, 1.2, 49), np.nan),
        sweep=np.zeros([50, 0]),
        posterior_mean=draw.normal(size=(50, 4)) * [1.0, 0.01, 0.5, 0.0],
        posterior_mean_variance=np.zeros([50, 4]),
        spread=draw.uniform(0.1, 0.3, 50),
        shortfall=draw.uniform(0.01, 0.05, 50),
        low=draw.normal(-95, 5, 50),
        high=draw.normal(-85, 5, 50),
        refined_elbo=draw.normal(-92, 5, 50),
        refined_elbo_error=draw.uniform(0.1, 0.3, 50),
        refined_gap_error=draw.uniform(0.1, 0.3, 50),
        elbo_error=draw.uniform(0.1, 0.3, 50),
        refined=np.zeros(50, bool),
    )


@pytest.mark.parametrize(
    ("key", "definition"),
    [
        ("log_likelihood", lambda e: e.log_likelihood.mean()),
        ("log_likelihood_se", lambda e: e.log_likelihood.std(ddof=1) / math.sqrt(50)),
        ("log_likelihood_mc_error", lambda e: math.sqrt(np.sum(e.spread**2)) / 50),
        ("likely_bias", lambda e: np.mean(e.shortfall)),
        ("error_unknown_share", lambda e: np.sum(e.ess < 10) / 50),
        ("elbo", lambda e: np.mean(-e.distortion - e.rate)),
        ("elbo_se", lambda e: np.std(-e.distortion - e.rate, ddof=1) / math.sqrt(50)),
        ("distortion", lambda e: e.distortion.mean()),
        ("rate", lambda e: e.rate.mean()),
        ("bits_per_dim", lambda e: -e.log_likelihood.mean() / (64 * math.log(2))),
        ("active_units", lambda e: sum(np.var(column) > 0.01 for column in e.posterior_mean.T)),
        ("ess_median", lambda e: np.sort(e.ess)[[24, 25]].mean()),
        ("ess_p5", lambda e: np.percentile(e.ess, 5)),
        ("ess_min", lambda e: min(e.ess)),
        ("pareto_k_share_above", lambda e: np.sum(e.pareto_k > 0.7) / 49),
    ],
)
def test_summary_follows_the_definition(key: str, definition: Callable[[Estimates], float]) -> None:
    estimates = synthetic_estimates()
    summary = summarize(estimates, event_size=64, discrete=True)
    assert getattr(summary, key) == pytest.approx(definition(estimates), rel=1e-12)


def test_every_field_of_a_summary_is_a_metric_or_its_error() -> None:
    errors = {metric.error_key for metric in METRICS.values()}
    assert [name for name in Summary._fields if name not in METRICS and name not in errors] == []


def test_a_density_has_no_bits() -> None:
    assert math.isnan(summarize(synthetic_estimates(), event_size=64, discrete=False).bits_per_dim)


def test_a_discrete_z_has_no_active_units() -> None:
    estimates = synthetic_estimates()
    spaces = Latent.vector(2), Latent.bits(2), Latent.one_hots(1, 2)
    counts = [summarize(estimates, 64, discrete=True, latent=latent).active_units for latent in spaces]
    assert [math.isnan(count) for count in counts] == [False, True, True]


def test_one_example_has_neither_standard_errors_nor_active_units() -> None:
    one = Estimates(*(column[:1] for column in synthetic_estimates()))
    summary = summarize(one, event_size=64, discrete=True)
    assert all(math.isnan(value) for value in (summary.log_likelihood_se, summary.elbo_se, summary.active_units))


def measure(likelihood: str, **more: object) -> Measure:
    family = LIKELIHOODS.build(LIKELIHOODS.member(likelihood), (4,))
    return Measure.of(family, likelihood, **{"log_scale": 0.0, **more})


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (measure("bernoulli"), "a probability of binary values"),
        (
            measure("bernoulli", scaling="pixels", binarization="dynamic"),
            "a probability of binarized values",
        ),
        (measure("poisson"), "a probability"),
        (measure("normal"), "a density in the units of the data"),
        (measure("normal", scaling="standard", log_scale=2.5), "a density in the units of the data"),
        (measure("continuous-bernoulli", scaling="pixels"), "a density of intensities from 0 to 1"),
        (
            measure("continuous-bernoulli", scaling="divided", binarization="threshold", log_scale=2.5),
            "a density of binarized values",
        ),
        (
            measure("normal", scaling="divided", dequantization="uniform", log_scale=2.5),
            "a density of dequantized levels, a lower bound of their log-probability on average",
        ),
    ],
)
def test_measure_names_its_likelihood(found: Measure, text: str) -> None:
    assert found.text == text
    described = found.describe()
    assert list(found.names) == ["likelihood", "scaling", "binarization", "dequantization"]
    assert described.items() >= {**found.names, "measure": text}.items()
    bits = {"probability of binary": "binary values", "probability of binarized": "binarized values"}
    bits["density of dequantized"] = "dequantized levels"
    assert described.get("bits_per_dim_of") == next((of for start, of in bits.items() if f"a {start}" in text), None)
    assert found.has_bits == (found.discrete or found.dequantization == "uniform")


def numeric_log_scale(split: Split, *, noisy: bool) -> float:
    """Return the log of the derivative of the data's units by the scaled values, by differences, summed over values."""
    scaling = SCALINGS.build(split.scaling)
    zero = np.zeros((1, *split.x.shape[1:]))
    size = scaling.inverse(zero + 0.5) - scaling.inverse(zero)
    if noisy:  # one unit is one level, and the scaling `pixels` divided levels by 255
        return float(np.log(2 * size * (255 if split.scaling.name == "pixels" else 1)).sum())
    is_intensity = zero.ndim == 4 and split.scaling.name in ("pixels", "divided")
    return 0.0 if is_intensity else float(np.log(2 * size).sum())


@pytest.mark.parametrize("shape", [(3,), (2, 2, 1)], ids=str)
@pytest.mark.parametrize("dequantization", list(DEQUANTIZATIONS))
@pytest.mark.parametrize("scaling", ["none", "pixels", "divided:by=300", "standard"])
@pytest.mark.parametrize("binarization", list(BINARIZATIONS))
def test_units_of_every_combination(
    scaling: str, binarization: str, dequantization: str, shape: tuple[int, ...]
) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (50, *shape), dtype=np.uint8)
    split = load(levels, scaling=scaling, dequantization=dequantization).test
    noisy, binarized = dequantization != "none", binarization != "none"
    if noisy and binarized:
        with pytest.raises(UsageError, match="cannot be combined"):
            choose_transform(split.noise, BINARIZATIONS[binarization]())
        return
    names = {"scaling": split.scaling.name, "binarization": binarization, "dequantization": dequantization}
    for name in ELEMENTWISE:
        kind = LIKELIHOODS[name]
        found = measure(name, **names, log_scale=split.log_scale)
        has_units = not kind.discrete and not binarized
        expected = numeric_log_scale(split, noisy=noisy) if has_units else 0.0
        assert found.log_scale == pytest.approx(expected), name
        assert ("log_scale" in found.describe()) == (expected != 0)
        in_units = " in the units of the data" in found.text
        assert in_units == (has_units and not noisy and not (expected == 0 and split.scaling.name in INTENSITIES))


INTENSITIES = ("pixels", "divided")


def test_figures_of_the_scaled_values_are_there_if_the_units_differ() -> None:
    figures = {"log_likelihood": -3.0, "elbo": -4.0, "distortion": 3.5, "rate": 0.5}
    scaled = {"log_likelihood_scaled": -0.5, "elbo_scaled": -1.5, "distortion_scaled": 1.0}
    assert measure("normal", log_scale=2.5).of_scaled_values(figures) == scaled
    assert measure("normal").of_scaled_values(figures) == {}
    assert measure("poisson", log_scale=2.5).of_scaled_values(figures) == {}  # a probability has no units
    assert measure("normal", binarization="threshold", log_scale=2.5).of_scaled_values(figures) == {}  # nor have bits


def test_unit_of_bits_names_binary_values() -> None:
    metric = METRICS["bits_per_dim"]
    assert metric.unit_text({"bits_per_dim_of": "binary values"}) == "bits of binary values"
    assert metric.unit_text({}) == "bits"
