"""Paths from one z to another."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.paths import PATHS, path


@pytest.mark.parametrize("kind", list(PATHS))
def test_paths_begin_and_end_at_the_given_points(kind: str, rng: np.random.Generator) -> None:
    first, last = rng.normal(size=(2, 6, 5))
    z = path(first, last, 9, kind)
    assert z.shape == (6, 9, 5)
    np.testing.assert_allclose(z[:, 0], first, atol=1e-12)
    np.testing.assert_allclose(z[:, -1], last, atol=1e-12)
    np.testing.assert_allclose(path(last, first, 9, kind)[:, ::-1], z, atol=1e-12)


def test_a_line_is_straight_and_even(rng: np.random.Generator) -> None:
    z = path(*rng.normal(size=(2, 6, 5)), 9)
    np.testing.assert_allclose(np.diff(z, n=2, axis=1), 0, atol=1e-12)


def test_an_arc_keeps_its_radius_and_turns_evenly(rng: np.random.Generator) -> None:
    first, last = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 6, 5)))
    z = path(3 * first, 3 * last, 9, "spherical")
    np.testing.assert_allclose(np.linalg.norm(z, axis=2), 3, rtol=1e-12)
    turns = np.sum(z[:, 1:] * z[:, :-1], axis=2)
    np.testing.assert_allclose(turns, turns[:, :1] * np.ones(8), rtol=1e-9)


@pytest.mark.parametrize(
    ("first", "last"), [([1.0, 0], [-1.0, 0]), ([1.0, 1], [2.0, 2]), ([0.0, 0], [1.0, 2]), ([0.0, 0], [0.0, 0])]
)
def test_arc_is_a_line_if_no_arc_exists(first: list[float], last: list[float]) -> None:
    ends = (np.array([end]) for end in (first, last))
    z = path(*ends, 5, "spherical")
    np.testing.assert_allclose(np.diff(z, n=2, axis=1), 0, atol=1e-12)


def test_an_unknown_kind_of_path_raises_an_error() -> None:
    with pytest.raises(UsageError, match=r"`kind`: expected 'linear' or 'spherical', found 'round'"):
        path(np.zeros((1, 2)), np.ones((1, 2)), steps=3, kind="round")
