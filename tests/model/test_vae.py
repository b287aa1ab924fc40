"""The model: an encoder, a decoder and a prior that return distributions, and their variables."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.models import SHAPE, make
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.seeds import fold
from tfp_vae.objectives import OBJECTIVES

tfd = tfp.distributions


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (6, *SHAPE)).astype(np.float32)


def test_encoder_returns_a_diagonal_normal(x: np.ndarray) -> None:
    q = make().encoder(x)
    assert isinstance(q, tfd.MultivariateNormalDiag)
    assert q.batch_shape == [6]
    assert q.event_shape == [2]


@pytest.mark.parametrize("leading", [(), (5,), (3, 5), (2, 3, 5)])
def test_decoder_takes_any_leading_axes(leading: tuple[int, ...], rng: np.random.Generator) -> None:
    vae = make()
    z = rng.normal(size=(*leading, 2)).astype(np.float32)
    p = vae.decoder(z)
    assert p.batch_shape == list(leading)
    assert p.event_shape == list(SHAPE)
    one_by_one = [vae.decoder(each[np.newaxis]).mean()[0] for each in z.reshape(-1, 2)]
    np.testing.assert_allclose(tf.reshape(p.mean(), [-1, *SHAPE]), one_by_one, atol=1e-6)


def test_sample_has_the_event_shape_and_binary_values() -> None:
    x = make().sample(7, seed=(0, 1)).numpy()
    assert x.shape == (7, *SHAPE)
    assert set(np.unique(x)) <= {0.0, 1.0}


def test_seed_decides_the_sample() -> None:
    vae = make()
    first, again, other = (vae.sample(20, seed=seed).numpy() for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


class TestEncoderInput:
    """An encoder receives the values or, for counts, their logarithms."""

    def test_log1p_passes_the_logarithms_to_the_network(self, rng: np.random.Generator) -> None:
        vae, x = make(), rng.poisson(1_000, (4, *SHAPE)).astype(np.float32)
        of_logs = tv.Encoder(vae.encoder.network, vae.encoder.posterior, "log1p")
        np.testing.assert_array_equal(of_logs.params(x), vae.encoder.network(tf.math.log1p(x)))
        np.testing.assert_array_equal(of_logs(x).mean(), vae.encoder(tf.math.log1p(x)).mean())
        np.testing.assert_array_equal(of_logs.mean(x), of_logs(x).mean())

    def test_negative_values_are_treated_as_zero(self) -> None:
        of_logs = tv.Encoder(make().encoder.network, make().encoder.posterior, "log1p")
        below, zero = (np.full((1, *SHAPE), value, np.float32) for value in (-3.0, 0.0))
        np.testing.assert_array_equal(of_logs.params(below), of_logs.params(zero))

    def test_an_unknown_name_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="sees: expected one of values, log1p, or `Columns`, found 'log'"):
            tv.Encoder(make().encoder.network, make().encoder.posterior, "log")


def test_tensorflow_warns_about_everything_except_retracing() -> None:
    retracing, other = (
        logging.LogRecord("tensorflow", logging.WARNING, "", 0, text, (), None)
        for text in ("5 out of the last 5 calls to %s triggered tf.function retracing.", "something else")
    )
    assert not tf.get_logger().filter(retracing)
    assert tf.get_logger().filter(other)


def test_a_low_temperature_narrows_the_samples() -> None:
    vae = make()
    spread = [vae.generate(200, seed=(0, 1), temperature=t).mean().numpy().std(axis=0).mean() for t in (0.1, 1.0)]
    assert spread[0] < 0.5 * spread[1]


def test_reconstruct_is_the_mean_at_the_posterior_mean(x: np.ndarray) -> None:
    vae = make()
    np.testing.assert_array_equal(vae.reconstruct(x), vae.decoder(vae.encoder(x).mean()).mean())


def test_reconstruct_accepts_grey_values_but_no_others(x: np.ndarray) -> None:
    vae = make()
    grey = (x + 0.5) / 2
    np.testing.assert_array_equal(vae.reconstruct(grey), vae.decoder(vae.encoder(grey).mean()).mean())
    with pytest.raises(DataError, match=r"expected values in \[0, 1\], found 255 in row 0"):
        vae.reconstruct(255 * np.ones_like(x))
    with pytest.raises(DataError, match=r"expected values in \{0, 1\}, found 0\.\d+ in row 0"):
        vae.examples(grey)


def test_posterior_and_prior_need_one_latent_space() -> None:
    vae = make(latent_dim=2)
    with pytest.raises(
        UsageError, match=r"expected a prior over the posterior's z .2 continuous., found one over 5 continuous"
    ):
        tv.VAE(vae.encoder, vae.decoder, tv.priors.StandardNormal(5))


@pytest.mark.parametrize("seed", [(1,), (1, 2, 3)])
def test_a_seed_is_one_or_two_integers(seed: object) -> None:
    with pytest.raises(UsageError, match="two integers"):
        make().sample(2, seed=seed)


def test_a_network_without_variables_is_an_error() -> None:
    def plain(x: object) -> object:
        return x

    with pytest.raises(UsageError, match="encoder's network plain shows no trainable variable"):
        tv.Encoder(plain, tv.posteriors.DiagonalNormal(2))
    with pytest.raises(UsageError, match="decoder's network"):
        tv.Decoder(plain, tv.likelihoods.Bernoulli(SHAPE))


def test_decoders_with_one_likelihood_share_its_variables() -> None:
    value, other = tv.likelihoods.Normal(SHAPE), tv.likelihoods.Normal(SHAPE)
    first, second, third = (
        tv.Decoder(tv.networks.mlp((2,), value.params_size, hidden=()), family) for family in (value, value, other)
    )
    shared = {id(v) for v in first.trainable_variables} & {id(v) for v in second.trainable_variables}
    assert shared == {id(value.learned[0])}
    assert not {id(v) for v in first.trainable_variables} & {id(v) for v in third.trainable_variables}


def test_model_tracks_every_variable() -> None:
    vae = make()
    networks = [vae.encoder.network, vae.decoder.network]
    expected = {id(v) for network in networks for v in network.trainable_variables}
    assert {id(v) for v in vae.trainable_variables} == expected
    assert len(expected) == 2 * (3 + 2)


@pytest.mark.parametrize("objective", builders.REAL_OBJECTIVES)
def test_every_variable_receives_a_gradient(objective: str, x: np.ndarray) -> None:
    vae = make()
    with tf.GradientTape() as tape:
        loss = OBJECTIVES.build(OBJECTIVES.member(objective)).loss(vae, x, seed=(0, 1))
    for variable, gradient in zip(vae.trainable_variables, tape.gradient(loss, vae.trainable_variables), strict=True):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


def test_encoder_and_reconstruction_accept_a_batch() -> None:
    vae = make()
    x = np.random.default_rng(0).integers(2, size=(5, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(vae.encoder(tv.Batch(x)).mean(), vae.encoder(x).mean())
    np.testing.assert_array_equal(vae.reconstruct(tv.Batch(x)), vae.reconstruct(x))


@pytest.mark.parametrize("name", ["observed", "context"])
def test_encoder_does_not_support_masks_or_context(name: str) -> None:
    vae, x = make(), np.zeros((5, *SHAPE), np.float32)
    with pytest.raises(UsageError, match=f"The encoder does not support `{name}`"):
        vae.encoder(tv.Batch(x, **{name: np.ones_like(x)}))


def test_generate_is_the_decoder_at_samples_of_the_prior() -> None:
    vae = make()
    p = vae.generate(5, seed=(0, 1))
    assert (p.batch_shape, p.event_shape) == ((5,), SHAPE)
    np.testing.assert_array_equal(vae.sample(5, seed=(0, 1)), p.sample(seed=fold((0, 1), 1)))


def test_samples_average_to_the_means_of_the_decoder() -> None:
    vae, n = make(), 20_000
    samples, means = vae.sample(n, seed=(0, 1)).numpy(), vae.generate(n, seed=(0, 1)).mean().numpy()
    np.testing.assert_array_less(np.abs(samples.mean(axis=0) - means.mean(axis=0)), 4.5 * 0.5 / np.sqrt(n))


def test_repr_names_families_networks_and_the_number_of_parameters() -> None:
    vae = make()
    size = sum(variable.numpy().size for variable in vae.trainable_variables)
    assert repr(vae).startswith(f"VAE of {size} parameters")
    for text in ("q(z|x)", "p(x|z)", "p(z)", "DiagonalNormal(latent_dim=2", "Bernoulli(", "Sequential of"):
        assert text in repr(vae)
    assert "<table" in vae._repr_html_()
    assert repr(vae.encoder).startswith("Encoder(Sequential of ")
    assert repr(vae.decoder).startswith("Decoder(Sequential of ")


@pytest.mark.parametrize("seed", [(0, 0), (3, 4)])
def test_seed_does_not_change_the_mean_of_a_normal_encoder(seed: tuple[int, int], x: np.ndarray) -> None:
    vae = make()
    np.testing.assert_array_equal(vae.encoder.mean(x, seed=seed), vae.encoder(x).mean())


def test_params_have_the_size_of_the_family(x: np.ndarray) -> None:
    vae = make()
    assert vae.encoder.params(x).shape == (6, vae.encoder.posterior.params_size)


def test_variables_of_learned_parts_belong_to_the_model() -> None:
    vae = make()
    likelihood, prior = tv.likelihoods.Normal(SHAPE), tv.priors.NormalMixture(2, components=3)
    decoder = tv.Decoder(tv.networks.mlp((2,), likelihood.params_size, hidden=()), likelihood)
    model = tv.VAE(vae.encoder, decoder, prior)
    known = {id(variable) for variable in model.trainable_variables}
    assert known >= {id(variable) for variable in (*likelihood.learned, *prior.learned)}


@pytest.mark.slow
def test_saved_model_has_functions_that_return_the_same_means(x: np.ndarray, tmp_path: Path) -> None:
    vae = make()
    tf.saved_model.save(vae, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    z = loaded.encode(x)
    np.testing.assert_allclose(z, vae.encoder.mean(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loaded.decode(z), vae.decoder(z).mean(), rtol=1e-5)
    np.testing.assert_allclose(loaded.reconstruct(x), vae.reconstruct(x), rtol=1e-5)
    (served,) = loaded.signatures["serving_default"](x=tf.constant(x)).values()
    np.testing.assert_array_equal(served, loaded.reconstruct(x))


def test_checkpoint_of_tensorflow_holds_variables_only(tmp_path: Path) -> None:
    vae, other = make(), make(seed=1)
    tf.train.Checkpoint(vae).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(other).read(str(tmp_path / "weights")).assert_consumed()
    for first, second in zip(vae.variables, other.variables, strict=True):
        np.testing.assert_array_equal(first, second)


def test_samples_take_an_integer_as_seed_or_a_pair_or_none() -> None:
    vae = make()
    default, *others = (np.asarray(vae.sample(3, **seed)) for seed in ({}, {"seed": 0}, {"seed": (0, 0)}))
    for other in others:
        np.testing.assert_array_equal(other, default)
    assert not np.array_equal(vae.sample(3, seed=1), default)


@pytest.mark.parametrize("n", ["3", 3.0, None])
def test_samples_refuse_a_number_that_is_not_an_integer(n: object) -> None:
    with pytest.raises(UsageError, match=r"^`n`: expected a whole number, found "):
        make().sample(n, seed=0)
