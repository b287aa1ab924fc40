"""The inputs of networks of x."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.model.inputs import ENCODER_INPUTS, check_input, network_input


def test_logarithms_of_counts_are_those_of_one_plus_the_count() -> None:
    x = np.array([[0.0, 3.0, 1e6]])
    np.testing.assert_allclose(network_input(x, "log1p", "The encoder"), np.log1p(x))
    np.testing.assert_array_equal(network_input(Batch(x), "values", "The encoder"), x)


def test_unknown_inputs_and_missing_cells_are_refused() -> None:
    assert [check_input(name) for name in ENCODER_INPUTS] == list(ENCODER_INPUTS)
    with pytest.raises(UsageError, match="expected one of values, log1p"):
        check_input("pixels")
    with pytest.raises(UsageError, match="The encoder does not support `observed`"):
        network_input(Batch(np.zeros((1, 2)), observed=np.ones((1, 2), bool)), "values", "The encoder")
