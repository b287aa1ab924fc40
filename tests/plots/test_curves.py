"""Learning curves, the bound, and rates."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import pixels
from tfp_vae import plots


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


def test_bound_of_a_single_example_has_no_error_band() -> None:
    axes = plots.bound_curve([1, 2], np.zeros(2), np.full(2, np.nan), -1.0).axes[0]
    assert not axes.collections
    assert len(axes.lines) == 2
