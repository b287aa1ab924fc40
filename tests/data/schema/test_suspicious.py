"""Suspicious values: placeholders of missing cells far below or above the rest."""

from __future__ import annotations

import numpy as np

from tfp_vae.data.schema.suspicious import Tally, find_suspicious


def tally(*values: float) -> Tally:
    return Tally(*np.unique(np.array(values), return_counts=True))


def test_a_repeated_negative_number_far_below_the_rest_is_suspicious() -> None:
    assert find_suspicious({"co": tally(*[-200.0] * 5, 1.2, 2.6, 0.7, 4.0)}) == {"co": [-200.0]}


def test_nines_far_above_the_rest_are_suspicious() -> None:
    assert find_suspicious({"age": tally(*[999.0] * 4, *range(20, 60))}) == {"age": [999.0]}


def test_the_least_of_several_positive_columns_is_suspicious_even_if_their_spread_is_large() -> None:
    wide = tally(*[-200.0] * 4, *np.linspace(40, 2_000, 30))
    assert find_suspicious({"a": wide, "b": wide}) == {"a": [-200.0], "b": [-200.0]}
    assert find_suspicious({"a": wide}) == {}


def test_a_number_that_is_far_in_one_column_is_suspicious_in_another_wide_one() -> None:
    wide = tally(*[-200.0] * 4, *np.linspace(40, 2_000, 30))
    far = tally(*[-200.0] * 4, 1.0, 2.0, 3.0)
    assert find_suspicious({"a": wide, "b": far}) == {"a": [-200.0], "b": [-200.0]}


def test_ordinary_numbers_are_not_suspicious() -> None:
    draw = np.random.default_rng(0)
    assert (
        find_suspicious({"x": tally(*draw.normal(size=200)), "n": tally(*draw.poisson(3, 200)), "c": tally(5.0)}) == {}
    )
    assert find_suspicious({"rare": tally(-200.0, -200.0, 1.0, 2.0, 3.0)}) == {}
