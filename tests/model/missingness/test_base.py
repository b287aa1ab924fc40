"""What all assumptions about missing cells have in common."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import MISSINGNESS, describe_missingness

TABLE = Columns({"a": "normal", "b": "log-normal"})


@pytest.mark.parametrize("name", list(MISSINGNESS))
class TestEvery:
    def test_description_names_the_assumption(self, name: str) -> None:
        text = describe_missingness(MISSINGNESS.member(name))
        assert text == f"Cells are assumed to be missing {MISSINGNESS[name].assumption}."

    def test_mask_changes_the_density_unless_it_is_ignorable(self, name: str) -> None:
        assumption = MISSINGNESS.resolve(name, TABLE)
        p = TABLE(np.zeros([1, TABLE.params_size], np.float32))
        row = np.float32([[np.nan, 1.0]])
        assert bool(assumption(p).log_prob(row) == p.log_prob(row)) == assumption.ignorable
        mask = assumption.mask_log_prob(assumption(p), row)
        np.testing.assert_allclose(assumption(p).log_prob(row), p.log_prob(row) + np.sum(mask, axis=-1), rtol=1e-6)
        assert (not assumption.learned) == assumption.ignorable
        assert (not assumption.density_size) == assumption.ignorable

    def test_missing_cells_can_be_drawn(self, name: str) -> None:
        assumption = MISSINGNESS.resolve(name, TABLE)
        p = assumption(TABLE(np.zeros([3, TABLE.params_size], np.float32)))
        x = assumption.given_missing(p).sample(7, seed=(0, 1)).numpy()
        assert x.shape == (7, 3, 2)
        assert (x[..., 1] > 0).all()


def test_description_names_the_columns() -> None:
    text = describe_missingness(MISSINGNESS.member("self-masking:columns=a,b"))
    assert text == "Cells of a, b are assumed to be missing depending on their own value (self-masking)."
