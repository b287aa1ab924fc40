"""The use of codes."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.codes import CodeUsage
from tfp_vae.model.latent import Latent


def test_equal_use_has_the_largest_perplexity_and_one_code_the_smallest() -> None:
    first, second = np.eye(4), np.tile(np.eye(4)[1], (4, 1))
    usage = CodeUsage.of(np.concatenate([first, second], axis=1), Latent.one_hots(2, 4))
    np.testing.assert_allclose(usage.perplexities, [4, 1], rtol=1e-12)
    assert usage.share == (4 + 1) / 8
    assert usage.perplexity == pytest.approx(2.5)


def test_a_bit_has_two_codes() -> None:
    usage = CodeUsage.of(np.array([[0.9, 0.2], [0.1, 0.2]]), Latent.bits(2))
    np.testing.assert_allclose(usage.frequencies, [[0.5, 0.5], [0.8, 0.2]])
    assert usage.chosen.tolist() == [[True, True], [True, False]]


def test_refuses_a_continuous_z() -> None:
    with pytest.raises(UsageError, match="needs a discrete z"):
        CodeUsage.of(np.zeros([2, 3]), Latent.vector(3))
