"""Batches: plain arrays as batches, and models that support neither missing cells nor context."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.batch import Batch, as_batch, plain_values
from tfp_vae.core.errors import UsageError


def test_array_becomes_a_fully_observed_batch() -> None:
    x = np.zeros((3, 2))
    batch = as_batch(x)
    assert batch.x is x
    assert batch.observed is None
    assert batch.context is None


def test_batch_of_a_batch_is_the_same_object() -> None:
    batch = Batch(np.zeros((3, 2)), context=np.ones((3, 1)))
    assert as_batch(batch) is batch


def test_plain_returns_the_array_itself() -> None:
    x = np.zeros((3, 2))
    assert plain_values(Batch(x), "A network") is x


@pytest.mark.parametrize("name", ["observed", "context"])
def test_part_without_support_refuses_and_names_the_field(name: str) -> None:
    batch = Batch(np.zeros((3, 2)))._replace(**{name: np.ones((3, 2))})
    with pytest.raises(UsageError, match=f"The objective ELBO does not support `{name}`. Pass a batch without it."):
        plain_values(batch, "The objective ELBO")
