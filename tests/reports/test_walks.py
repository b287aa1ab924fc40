"""Walks start at a typical example and change one dimension each."""

from __future__ import annotations

import numpy as np

from tfp_vae.reports import RunData
from tfp_vae.reports.walks import STEPS, walks


def test_each_walk_changes_its_own_dimension(deep: RunData) -> None:
    found = walks(deep, 16)
    np.testing.assert_array_equal(found.dims, np.sort(deep.active))
    assert found.z.shape == (len(found.dims), STEPS, 3)
    for dim, z in zip(found.dims, found.z, strict=True):
        assert (np.diff(z[:, dim]) > 0).all()
        assert (np.delete(z, dim, axis=1) == np.delete(z[:1], dim, axis=1)).all()


def test_the_most_active_dimensions_come_first_if_some_are_left_out(deep: RunData) -> None:
    np.testing.assert_array_equal(walks(deep, 1).dims, deep.active[:1])
