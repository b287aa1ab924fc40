"""The values of learning curves on a page."""

from __future__ import annotations

import math

from tfp_vae.reports.curves import MOST_EPOCHS, Curve, curve_data, thin


def lines(count: int) -> list[dict[str, float]]:
    return [{"epoch": i + 1, "elbo": -float(i)} for i in range(count)]


def test_shorter_runs_end_early_and_unknown_values_are_none() -> None:
    unknown = [{"epoch": 1, "elbo": math.nan}]
    data = curve_data({"elbo": [Curve("a", lines(3), "elbo"), Curve("b", unknown, "elbo")]})
    assert data is not None
    assert data["epoch"] == [1, 2, 3]
    first, second = data["charts"]["elbo"]  # type: ignore[index]
    assert first["values"] == [0, -1, -2]
    assert second["values"] == [None, None, None]
    assert first["color"] != second["color"]
    assert first["dash"] != second["dash"]


def test_no_epoch_has_no_curve() -> None:
    assert curve_data({"elbo": [Curve("a", [], "elbo")]}) is None


def test_long_runs_are_thin_with_both_ends() -> None:
    shown = thin(lines(3 * MOST_EPOCHS), MOST_EPOCHS)
    assert len(shown) == MOST_EPOCHS
    assert (shown[0]["epoch"], shown[-1]["epoch"]) == (1, 3 * MOST_EPOCHS)
    assert thin([], 5) == []
