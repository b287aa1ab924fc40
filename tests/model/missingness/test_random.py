"""Cells that are missing at random: nothing changes."""

from __future__ import annotations

import numpy as np

import tfp_vae as tv
from tests.helpers.incomplete import IncompleteGaussian
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import Random


def test_likelihood_stays_as_it_is() -> None:
    table = Columns({"a": "normal", "b": "poisson"})
    p, random = table(np.zeros([2, table.params_size], np.float32)), Random(table)
    assert random(p) is p
    assert random.given_missing(p) is p
    assert (random.learned, random.density_size) == ((), 0)


def test_bound_has_the_bits_of_a_decoder_without_an_assumption() -> None:
    model = IncompleteGaussian()
    _, rows = model.data(5)
    plain = model.vae()
    given = tv.VAE(plain.encoder, tv.Decoder(plain.decoder.network, plain.decoder.likelihood), plain.prior)
    bounds = [tv.objectives.IWAE().bound(vae, rows, seed=3).value.numpy().tobytes() for vae in (plain, given)]
    assert bounds[0] == bounds[1]
