"""Posteriors over bits and one-hot vectors."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tfp_vae.core.errors import UsageError
from tfp_vae.model.latent import Latent
from tfp_vae.model.posteriors import Bernoulli, Categorical


def test_spaces_are_bits_and_one_hot_vectors() -> None:
    assert Bernoulli(3).latent == Latent.bits(3)
    assert Categorical(3, codes=4).latent == Latent.one_hots(3, 4)
    assert (Bernoulli(3).params_size, Categorical(3, codes=4).params_size) == (3, 12)


@pytest.mark.parametrize("name", builders.CODE_POSTERIORS)
def test_reconstructions_decode_the_most_probable_z(name: str) -> None:
    vae, x = builders.model(name), builders.data("bernoulli")
    q = vae.encoder(x)
    np.testing.assert_array_equal(vae.encoder.typical(x), q.mode())
    np.testing.assert_array_equal(vae.reconstruct(x), vae.decoder(q.mode()).mean())
    np.testing.assert_array_equal(vae.encoder.mean(x), q.mean())


def test_equal_logits_give_equal_probabilities() -> None:
    np.testing.assert_allclose(Categorical(2, codes=4)(tf.zeros([1, 8])).mean(), np.full([1, 8], 0.25))
    np.testing.assert_allclose(Bernoulli(2)(tf.zeros([1, 2])).mean(), np.full([1, 2], 0.5))


@pytest.mark.parametrize("codes", [0, 1, 65_537])
def test_codes_have_limits(codes: int) -> None:
    with pytest.raises(UsageError, match="codes: expected"):
        Categorical(2, codes=codes)
