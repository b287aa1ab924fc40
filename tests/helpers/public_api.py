"""A program that uses the whole public API, for type checkers and for a test that runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from typing_extensions import assert_type

import tfp_vae as tv


def make_vae() -> tv.VAE:
    posterior = tv.posteriors.DiagonalNormal(latent_dim=2)
    likelihood = tv.likelihoods.Bernoulli(event_shape=(8, 8, 1))
    return tv.VAE(
        encoder=tv.Encoder(tv.networks.mlp((8, 8, 1), posterior.params_size, hidden=(16,)), posterior),
        decoder=tv.Decoder(tv.networks.mlp((2,), likelihood.params_size, hidden=(16,)), likelihood),
        prior=tv.priors.StandardNormal(2),
    )


def make_decoder_of_a_table() -> tv.Decoder:
    table = tv.likelihoods.Columns({"age": "normal", "income": "log-normal"}, missing=True)
    mask = tv.missingness.SelfMasking(table, columns=("income",), hides="high")
    return tv.Decoder(tv.networks.mlp((2,), table.params_size), table, mask)


def make_classifier() -> tv.Classifier:
    return tv.Classifier(tv.networks.mlp((8, 8, 1), 3, hidden=(16,)), probs=(0.5, 0.3, 0.2))


def main(folder: Path) -> None:
    data = tv.data.load("digits")
    assert_type(data, tv.data.Dataset)
    vae = tv.build(data, latent_dim=2, likelihood="bernoulli", posterior="real-nvp:depth=2,hidden=8", hidden=(16,))
    assert_type(vae, tv.VAE)
    assert_type(make_decoder_of_a_table(), tv.Decoder)
    assert_type(make_classifier(), tv.Classifier)
    q = vae.encoder(data.test.x)
    z = q.sample(3, seed=(0, 0))
    vae.decoder(z).mean()
    vae.prior().log_prob(z)
    objective = tv.objectives.Weighted(tv.objectives.MonteCarloELBO(mc_samples=2), beta=2.0, warmup_steps=4)
    callbacks = [tv.training.Progress(), tv.training.EarlyStopping(5), tv.training.BestWeights(restore=False)]
    history = tv.fit(
        vae,
        data,
        objective,
        epochs=1,
        steps_per_epoch=3,
        batch_size=32,
        optimizer="adam",
        learning_rate=1e-3,
        lr_schedule="cosine",
        clip_norm=10.0,
        ema=0.9,
        seed=0,
        execution="graph",
        callbacks=callbacks,
    )
    assert_type(history, tv.training.History)
    assert_type(history[-1].elbo, float)
    assert_type(history.to_frame(), pd.DataFrame)
    log_px = tv.log_likelihood(vae, data.test[:8], iw_samples=2, seed=0)
    assert_type(log_px, tv.evaluation.LogLikelihood)
    assert_type(log_px.mean(), float)
    assert_type(log_px.values, np.ndarray)
    run = tv.save(vae, folder / "built")
    assert_type(run, tv.runs.Run)
    assert_type(tv.load(folder / "built"), tv.VAE)
    by_hand = make_vae()
    binary = (data.train.x > 0.5).astype(np.float32)
    tv.fit(by_hand, binary, epochs=1, steps_per_epoch=1, execution="graph")
    tv.save(by_hand, folder / "by-hand", builder=make_vae)
    tv.load(folder / "by-hand", builder=make_vae).sample(2, seed=(0, 0))
    bound = tv.objectives.ELBO().bound(by_hand, tv.Batch(binary[:8]), seed=(0, 0))
    assert_type(bound, tv.objectives.Bound)
    assert np.isfinite(bound.value).all()
    try:
        tv.load(folder / "nothing")
    except tv.errors.RunError as error:
        assert_type(error.remedy, str)
    likelihoods = list(tv.likelihoods.LIKELIHOODS)
    assert_type(likelihoods, list[str])
    for package in (tv.data, tv.evaluation, tv.interop, tv.plots, tv.reports, tv.runs, tv.training):
        assert package.__doc__


if __name__ == "__main__":
    main(Path())
