"""Imputed cells and scores of cells of a conditional model: each row has those of the model given its own context."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.conditional import CLASSES, classes
from tests.helpers.incomplete import TwoWords
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.imputation import impute, score_columns, typical_scores
from tfp_vae.model.networks.adapters import Fixed

WORDS, OFFSET = TwoWords(), np.random.default_rng(5).normal(size=(CLASSES, 7))
SETTINGS: dict[str, Any] = {"iw_samples": 4_000, "execution": "graph"}


@pytest.fixture(scope="module")
def vae() -> VAE:
    """`TwoWords` with logits that also depend on the class y."""
    plain = WORDS.vae()

    def decode(z: Any, y: Any) -> Any:
        return plain.decoder.network(z) + tf.matmul(tf.cast(y, z.dtype), OFFSET)

    encoder = Encoder(plain.encoder.network, plain.encoder.posterior, sees=plain.encoder.sees)
    return VAE(encoder, Decoder(Fixed(decode), plain.decoder.likelihood, context_size=CLASSES), plain.prior)


def rows(words: tuple[int, int], count: int) -> np.ndarray:
    """Return rows with the same two words, as the model sees them."""
    return np.repeat([[words[0] / 2, words[1] / 3]], count, axis=0)


def table_of(y: np.ndarray) -> np.ndarray:
    """Return p(first, second|y) in closed form."""
    words = TwoWords()
    words.start = words.start + y @ OFFSET
    return words.table()


def test_the_probability_of_a_word_is_that_given_the_context_of_its_row(vae: VAE) -> None:
    x, y = rows((2, 0), 6), classes(6)
    x[:, 1] = np.nan
    found = impute(vae, Batch(x, context=y), draws=2, interval=None, **SETTINGS)
    for row in range(6):
        joint = table_of(y[row])[2]
        place = round(found.values[row, 1] * 3)
        assert place == joint.argmax()
        assert found.probability[row, 1] == pytest.approx(joint.max() / joint.sum(), abs=0.03)


def test_scores_of_cells_are_those_given_the_context_of_their_row(vae: VAE) -> None:
    y = classes(6)
    found = score_columns(vae, Batch(rows((1, 2), 6), context=y), **SETTINGS)
    for row in range(6):
        joint = table_of(y[row])
        expected = np.log([joint[1, 2] / joint[:, 2].sum(), joint[1, 2] / joint[1].sum()])
        np.testing.assert_allclose(found.values[row], expected, atol=0.05)


def test_typical_scores_are_those_of_rows_with_the_contexts(vae: VAE) -> None:
    y = classes(1)
    some = Batch(rows((1, 2), 1), context=y)
    found = typical_scores(vae, some, rows=64, iw_samples=100, execution="graph")
    alone = typical_scores(vae.given(y[0]), some.x, rows=64, iw_samples=100, execution="graph")
    np.testing.assert_allclose(found, alone, rtol=1e-9)


def test_rows_without_a_context_are_refused(vae: VAE) -> None:
    with pytest.raises(UsageError, match="Imputation needs the context"):
        impute(vae, rows((1, 2), 2))
