"""Learning curves, the bound, and rates."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import pixels
from tfp_vae import plots
from tfp_vae.plots.curves import mean_text


def test_learning_curves_show_three_terms_of_two_splits() -> None:
    keys = [f"{prefix}{term}" for prefix in ("", "validation_") for term in ("elbo", "distortion", "rate")]
    metrics = [{"epoch": i + 1, **{key: float(i + 10 * j) for j, key in enumerate(keys)}} for i in range(5)]
    figure = plots.learning_curves(metrics)
    for axes, term in zip(figure.axes, ("elbo", "distortion", "rate"), strict=True):
        train, validation = (line.get_ydata() for line in axes.lines)
        np.testing.assert_array_equal(train, [line[term] for line in metrics])
        np.testing.assert_array_equal(validation, [line[f"validation_{term}"] for line in metrics])
        assert axes.get_ylabel() == "nats per example"


def test_bound_has_its_errors_the_elbo_and_a_legend(rng: np.random.Generator) -> None:
    figure = plots.bound_curve([1, 2, 5, 10], np.arange(4.0), np.full(4, 0.5), -1.0)
    axes = figure.axes[0]
    figure.canvas.draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "bound from K samples", "± its standard error over examples", "ELBO"]  # fmt: skip
    assert {"1", "2", "5", "10"} <= {label.get_text() for label in axes.get_xticklabels()}
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), np.arange(4.0))
    assert axes.collections[0].get_paths()[0].get_extents().bounds[1] == -0.5
    assert pixels(figure).std() > 0.05


@pytest.mark.parametrize("dims", [1, 2, 50])
def test_bars_are_sorted_and_named_by_their_dimensions(dims: int, rng: np.random.Generator) -> None:
    rates = rng.permutation(dims) + 1.0
    axes = plots.rate_bars(rates, rates > 1).axes[0]
    bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
    assert [bars[i] for i in range(dims)] == sorted(rates, reverse=True)
    order = np.argsort(-rates)
    for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        assert label.get_text() == f"$z_{{{order[int(place)] + 1}}}$"
    assert max(bar.get_width() for bar in axes.patches) <= 0.8 * np.ptp(axes.get_xlim()) / 2


@pytest.mark.parametrize(
    ("samples", "means", "title"),
    [
        ([1, 500, 1_000], [-3.0, -1.25, -1.0], "Bound on log p(x), +0.25 nats from K = 500 to 1,000"),
        ([1, 2], [-1.0, -1.5], "Bound on log p(x), -0.50 nats from K = 1 to 2"),
        ([1, 2], [-1.0, -1.001], "Bound on log p(x), +0.00 nats from K = 1 to 2"),
        ([1], [-1.0], "Bound on log p(x)"),
    ],
)
def test_title_of_the_bound_says_how_much_it_changes(samples: list[int], means: list[float], title: str) -> None:
    """A noisy curve may fall, so the title does not promise that more samples raise it."""
    figure = plots.bound_curve(samples, np.array(means), np.ones(len(means)), -2.0)
    assert figure.axes[0].get_title() == title


def test_bound_of_a_single_example_has_no_error_band() -> None:
    axes = plots.bound_curve([1, 2], np.zeros(2), np.full(2, np.nan), -1.0).axes[0]
    assert not axes.collections
    assert len(axes.lines) == 2


def epoch_metrics(epochs: int) -> list[dict[str, float]]:
    terms = [f"{prefix}{term}" for prefix in ("", "validation_") for term in ("elbo", "distortion", "rate")]
    return [{"epoch": i + 1, **{term: float(i * (j + 1)) for j, term in enumerate(terms)}} for i in range(epochs)]


@pytest.mark.parametrize(("epochs", "marker"), [(1, "o"), (2, "None"), (9, "None")])
def test_single_epoch_is_a_dot(epochs: int, marker: str) -> None:
    figure = plots.learning_curves(epoch_metrics(epochs))
    assert {str(line.get_marker()) for axes in figure.axes for line in axes.lines} == {marker}


def test_learning_curves_have_titles_labels_and_one_legend() -> None:
    figure = plots.learning_curves(epoch_metrics(3))
    assert [axes.get_title() for axes in figure.axes] == ["ELBO", "distortion", "rate"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"epoch"}
    assert [axes.get_legend() is None for axes in figure.axes] == [False, True, True]


def test_training_and_validation_differ_in_colour_and_line() -> None:
    train, validation = plots.learning_curves(epoch_metrics(3)).axes[0].lines
    assert train.get_color() != validation.get_color()
    assert (train.get_linestyle(), validation.get_linestyle()) == ("-", "--")


def test_bound_has_a_logarithmic_axis_of_samples() -> None:
    axes = plots.bound_curve([1, 10, 1_000], np.arange(3.0), np.ones(3), -1.0).axes[0]
    axes.figure.canvas.draw()
    assert axes.get_xscale() == "log"
    assert "1,000" in [label.get_text() for label in axes.get_xticklabels()]
    assert axes.get_ylabel() == "nats per example"


def test_error_band_is_one_standard_error_wide(rng: np.random.Generator) -> None:
    means, errors = rng.normal(size=4), rng.random(4)
    corners = plots.bound_curve([1, 2, 3, 4], means, errors, 0.0).axes[0].collections[0].get_paths()[0].vertices
    for k in range(4):
        band = corners[corners[:, 0] == k + 1, 1]
        np.testing.assert_allclose([band.min(), band.max()], [means[k] - errors[k], means[k] + errors[k]])


@pytest.mark.parametrize(("active", "entries"), [([True] * 3, 1), ([False] * 3, 1), ([True, False, True], 2)])
def test_legend_of_rates_counts_both_groups(active: list[bool], entries: int) -> None:
    rates = np.array([0.5, 2.0, 1.0])
    figure = plots.rate_bars(rates, np.array(active))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == entries
    assert sum(int(label.rpartition("(")[2].rstrip(")")) for label in labels) == 3
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == pytest.approx(rates.sum())


def test_rates_of_codes_have_one_colour_and_no_legend() -> None:
    figure = plots.rate_bars(np.array([1.0, 3.0, 2.0]))
    assert [bar.get_height() for bar in figure.axes[0].patches] == [3, 2, 1]
    assert len({bar.get_facecolor() for bar in figure.axes[0].patches}) == 1
    assert not figure.legends


def test_axis_of_many_rates_omits_ticks() -> None:
    axes = plots.rate_bars(np.arange(100.0), np.ones(100, bool)).axes[0]
    assert len(axes.get_xticks()) <= 24
    assert axes.get_xticklabels()[0].get_text() == "$z_{100}$"


def test_gaps_have_their_means_with_errors_and_a_point_for_each_example(rng: np.random.Generator) -> None:
    gaps, errors = rng.normal(1, 0.5, (2, 30)), rng.random((2, 30))
    figure = plots.gap_parts(gaps, errors, "Gaps of $x")
    means, points = figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in means.patches], gaps.mean(axis=1))
    ends = means.collections[0].get_segments()
    np.testing.assert_allclose([np.ptp(end[:, 1]) / 2 for end in ends], gaps.std(axis=1, ddof=1) / np.sqrt(30))
    labels = [label.get_text() for label in means.get_xticklabels()]
    assert labels[0] == f"approximation\n{gaps[0].mean():.2f} ± {gaps[0].std(ddof=1) / np.sqrt(30):.2f}"
    across, up, dots = points.collections
    np.testing.assert_allclose(dots.get_offsets(), gaps.T)
    np.testing.assert_allclose([np.ptp(bar[:, 0]) / 2 for bar in across.get_segments()], errors[0])
    np.testing.assert_allclose([np.ptp(bar[:, 1]) / 2 for bar in up.get_segments()], errors[1])
    assert figure.get_suptitle() == r"Gaps of \$x"


def test_gaps_of_many_examples_have_no_error_bars_and_count_those_out_of_view(rng: np.random.Generator) -> None:
    gaps = rng.random((2, 1_000))
    gaps[:, 7] = 50.0
    points = plots.gap_parts(gaps, np.ones((2, 1_000)), "Gaps").axes[1]
    assert len(points.collections) == 1
    (low, high), beyond = points.get_xlim(), int(points.get_title().split()[2])
    assert low < 0 < high < 2
    cut = [np.sort(part)[[1, -2]] for part in gaps]
    assert beyond == np.any([(part < a) | (part > b) for part, (a, b) in zip(gaps, cut, strict=True)], axis=0).sum()


@pytest.mark.parametrize(
    ("error", "text"), [(0.2, "1.23 ± 0.20"), (0.0021, "1.234 ± 0.002"), (np.nan, "1.23"), (np.inf, "1.23")]
)
def test_error_of_a_mean_is_never_rounded_to_zero(error: float, text: str) -> None:
    assert mean_text(1.2341, error) == text


def test_gaps_of_one_example_have_its_monte_carlo_errors() -> None:
    means = plots.gap_parts(np.array([[0.5], [1.5]]), np.array([[0.1], [np.nan]]), "Gaps").axes[0]
    assert [label.get_text() for label in means.get_xticklabels()] == [
        "approximation\n0.50 ± 0.10",
        "amortization\n1.50",
    ]
