"""Adversarial variational Bayes: ratio, bound and gradients of a sampler whose density is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.commands import GRAPH, answer, call, one_sentence
from tests.helpers.oracles import FixedNormal
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.annealing import annealed_log_likelihood
from tfp_vae.model.latent import Latent
from tfp_vae.model.networks import mlp
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import Implicit
from tfp_vae.model.priors import StandardNormal
from tfp_vae.objectives import OBJECTIVES, Adversarial, elbo_for
from tfp_vae.runs.run import Run

tfd = tfp.distributions
MIX = np.array([[0.8, 0.0], [0.5, 0.4]])


class KnownSampler:
    """q(z|x) = N(x, A A^T) as a sampler x + A e, whose discriminator sees z only."""

    capabilities, params_size, latent, latent_dim = Implicit.capabilities, 2, Latent.vector(2), 2

    def __init__(self) -> None:
        self.learned = (mlp((2,), 1, seed=3, dtype="float64", hidden=(32, 32)),)

    def __call__(self, params: Any) -> Any:
        from tfp_vae.model.distributions.implicit import Sampler

        return Sampler(
            lambda noise: params + noise @ MIX.T,
            lambda z: tf.reshape(self.learned[0](tf.reshape(z, [-1, 2])), tf.shape(z)[:-1]),
            params,
            2,
        )


@pytest.mark.slow
def test_ratio_and_bound_of_a_known_density_approach_the_truth() -> None:
    """The discriminator alone learns, because the sampler and the decoder are fixed."""
    posterior = KnownSampler()
    decoder = tv.Decoder(Fixed(lambda z: z), FixedNormal(2, 1.0))
    vae = tv.VAE(tv.Encoder(Fixed(tf.identity), posterior), decoder, StandardNormal(2, "float64"))
    objective, optimizer = Adversarial(contrast_samples=200), tf_keras.optimizers.Adam(5e-3)
    x = np.zeros([128, 2])

    @tf.function
    def step(i: Any) -> None:
        with tf.GradientTape() as tape:
            loss = objective.loss(vae, x, seed=tf.stack([1, i]))
        variables = posterior.learned[0].trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    optimizer.build(posterior.learned[0].trainable_variables)
    covariance = MIX @ MIX.T
    q = tfd.MultivariateNormalFullCovariance(np.zeros(2), covariance)
    z = q.sample(2_000, seed=(0, 1)).numpy()
    scale = np.sqrt(np.diag(covariance))
    truth = (q.log_prob(z) - tfd.MultivariateNormalDiag(np.zeros(2), scale).log_prob(z)).numpy()
    errors = []
    for first, last in ((0, 10), (10, 700)):
        for i in range(first, last):
            step(tf.constant(i))
        found = posterior(tf.zeros([1, 2], tf.float64)).discriminator(z[:, np.newaxis] / scale)[:, 0].numpy()
        errors.append(np.abs(found - truth).mean())
    assert errors[1] < 0.5 * errors[0]
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    assert abs(found.mean() - truth.mean()) < 0.1
    bound = objective.bound(vae, np.zeros([4_000, 2]), seed=(0, 2))
    rate = q.kl_divergence(tfd.MultivariateNormalDiag(np.zeros(2), np.ones(2))).numpy()
    distortion = np.log(2 * np.pi) + np.trace(covariance) / 2
    assert abs(np.mean(bound.rate) - rate) < 0.12
    assert abs(np.mean(bound.value) + distortion + rate) < 0.15


def test_both_players_learn_and_the_discriminator_does_not_move_the_decoder() -> None:
    vae, x = builders.model("implicit"), builders.data("bernoulli")
    with tf.GradientTape() as tape:
        loss = Adversarial().loss(vae, x, seed=(0, 1))
    assert np.isfinite(loss)
    for variable, gradient in zip(vae.trainable_variables, tape.gradient(loss, vae.trainable_variables), strict=True):
        assert np.abs(gradient).max() > 0, variable.name
    bound = Adversarial().bound(vae, x, seed=(0, 1))
    np.testing.assert_allclose(bound.value, -bound.distortion - bound.rate, rtol=1e-5)
    assert isinstance(elbo_for(vae), Adversarial)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "adversarial"])
def test_other_objectives_refuse_a_posterior_without_a_density(name: str) -> None:
    with pytest.raises(UsageError, match=r"implicit|needs"):
        OBJECTIVES.resolve(name).loss(builders.model("implicit"), builders.data("bernoulli"), seed=(0, 0))


def test_adversarial_refuses_a_posterior_with_a_density() -> None:
    with pytest.raises(UsageError, match="but DiagonalNormal has one"):
        Adversarial().loss(builders.model(), builders.data("bernoulli"), seed=(0, 0))


def test_importance_weights_are_refused() -> None:
    vae, x = builders.model("implicit"), builders.data("bernoulli", 2)
    for refine in ("none", "laplace"):
        with pytest.raises(UsageError, match="no density, so importance weights"):
            tv.evaluation.estimate(vae, x, iw_samples=2, seed=(0, 0), refine=refine)
    with pytest.raises(UsageError, match="own samples only"):
        tv.evaluation.decomposition(vae, x, seed=(0, 0))


@pytest.mark.slow
def test_annealing_needs_no_density() -> None:
    vae, x = builders.model("implicit"), builders.data("bernoulli", 2)
    found = annealed_log_likelihood(vae, x, steps=1, chains=2, seed=(0, 5), execution="eager")
    assert np.isfinite(found.log_likelihood).all()


@pytest.mark.parametrize("options", ["--posterior implicit --objective iwae", "--objective adversarial"])
def test_command_refuses_members_that_do_not_fit(options: str, tmp_path: Path) -> None:
    found = call("train", *options.split(), "--run-dir", tmp_path / "run", code=2)
    assert "do not fit" in one_sentence(found)


@pytest.mark.slow
def test_runs_resume_bit_for_bit_and_sample_encode_and_plot(tmp_path: Path) -> None:
    chosen = ("--posterior", "implicit:hidden=8,context=4,noise=3", "--objective", "adversarial", "--hidden", "16")
    how = (*GRAPH, "--no-plots", "--steps-per-epoch", "3")
    run, other = tmp_path / "run", tmp_path / "other"
    call("train", *chosen, *how, "--epochs", "2", "--run-dir", run)
    call("train", *chosen, *how, "--epochs", "1", "--run-dir", other)
    call("train", "--resume", "--run-dir", other, "--epochs", "2", "--no-plots")
    first, second = (Run(each).checkpoint().variables for each in (run, other))
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    assert "no density" in one_sentence(call("evaluate", "--run", run, "--max-examples", "4", *GRAPH, code=2))
    annealing = ("--ais-steps", "2", "--ais-chains", "2", "--ais-examples", "2", "--max-examples", "20", *GRAPH)
    found = answer("evaluate", "--run", run, *annealing, "--factors", "label")
    assert np.isfinite(found["ais"]["log_likelihood"])
    assert found["log_likelihood"] is found["elbo"] is None
    assert "no density" in found["log_likelihood_reason"]
    assert "iw_samples" not in found
    assert "annealing, 2 steps" in call("evaluate", "--run", run, *annealing).stdout
    assert "no density" in one_sentence(call("evaluate", "--run", run, *annealing, "--iw-samples", "5", code=2))
    assert "no density" in one_sentence(call("score", "--run", run, *GRAPH, "--out", tmp_path / "s.csv", code=2))
    call("sample", "--run", run, "--n", "4", "--out", tmp_path / "x.npy")
    call("encode", "--run", run, "--max-examples", "5", "--out", tmp_path / "z.npz")
    call("reconstruct", "--run", run, "--max-examples", "3", "--out", tmp_path / "x.png")
    call("plot", "posterior-prior", "--run", run)
    assert "has no density" in one_sentence(call("plot", "extremes", "--run", run, code=2))
