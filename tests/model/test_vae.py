"""The model: maps that return distributions, whose every variable learns."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tests.helpers.models import SHAPE, make
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import UsageError
from tfp_vae.model.networks import NETWORKS
from tfp_vae.objectives import OBJECTIVES
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.config import ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.recipe import plan

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


def test_sample_is_decided_by_its_seed() -> None:
    vae = make()
    first, again, other = (vae.sample(20, seed=seed).numpy() for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


class TestWhatAnEncoderSees:
    """Of counts their logarithms."""

    def test_the_network_is_given_the_logarithms(self, rng: np.random.Generator) -> None:
        vae, x = make(), rng.poisson(1_000, (4, *SHAPE)).astype(np.float32)
        of_logs = tv.Encoder(vae.encoder.network, vae.encoder.posterior, "log1p")
        np.testing.assert_array_equal(of_logs.params(x), vae.encoder.network(tf.math.log1p(x)))
        np.testing.assert_array_equal(of_logs(x).mean(), vae.encoder(tf.math.log1p(x)).mean())
        np.testing.assert_array_equal(of_logs.mean(x), of_logs(x).mean())

    def test_what_is_below_zero_counts_as_none(self) -> None:
        of_logs = tv.Encoder(make().encoder.network, make().encoder.posterior, "log1p")
        below, none = (np.full((1, *SHAPE), value, np.float32) for value in (-3.0, 0.0))
        np.testing.assert_array_equal(of_logs.params(below), of_logs.params(none))

    def test_another_name_is_refused(self) -> None:
        with pytest.raises(UsageError, match="sees: expected one of values, log1p, found 'log'"):
            tv.Encoder(make().encoder.network, make().encoder.posterior, "log")

    @pytest.mark.parametrize(
        ("likelihood", "sees"), [("poisson", "log1p"), ("negative-binomial", "log1p"), ("normal", "values")]
    )
    def test_a_run_on_counts_takes_logarithms(self, likelihood: str, sees: str, tmp_path: Path) -> None:
        counts = np.random.default_rng(0).poisson(3_000, (40, 5))
        np.save(tmp_path / "counts.npy", counts)
        model = small_model(likelihood=likelihood)
        planned, data = plan(str(tmp_path / "counts.npy"), None, None, model, small_training())
        assert planned.model.encoder_input == sees
        assert planned.data.scaling.name == ("standard" if sees == "values" else "none")
        read = RunConfig.model_validate_json(planned.model_dump_json())
        encoder = build_from_config(read).encoder
        assert encoder.sees == sees
        assert np.abs(encoder(data.train.x).mean()).max() < 50  # where the values themselves give thousands

    def test_a_run_from_before_sees_values(self) -> None:
        kept = ModelConfig().model_dump()
        del kept["encoder_input"]
        assert ModelConfig(**kept).encoder_input == "values"

    def test_what_the_model_says_is_kept(self, tmp_path: Path) -> None:
        np.save(tmp_path / "counts.npy", np.random.default_rng(0).poisson(3, (40, 5)))
        model = small_model(likelihood="poisson", encoder_input="values")
        planned, _ = plan(str(tmp_path / "counts.npy"), None, None, model, small_training())
        assert planned.model.encoder_input == "values"


def test_tensorflow_says_nothing_of_retracing_and_all_else() -> None:
    of_retracing, of_else = (
        logging.LogRecord("tensorflow", logging.WARNING, "", 0, text, (), None)
        for text in ("5 out of the last 5 calls to %s triggered tf.function retracing.", "something else")
    )
    assert not tf.get_logger().filter(of_retracing)
    assert tf.get_logger().filter(of_else)


def test_temperature_zero_point_one_narrows_the_samples() -> None:
    vae = make()
    spread = [vae.generate(200, seed=(0, 1), temperature=t).mean().numpy().std(axis=0).mean() for t in (0.1, 1.0)]
    assert spread[0] < 0.5 * spread[1]


def test_reconstruct_is_the_mean_at_the_posterior_mean(x: np.ndarray) -> None:
    vae = make()
    np.testing.assert_array_equal(vae.reconstruct(x), vae.decoder(vae.encoder(x).mean()).mean())


def test_parts_of_different_latent_spaces_are_refused() -> None:
    vae = make(latent_dim=2)
    with pytest.raises(
        UsageError, match=r"expected a prior over the posterior's z .2 continuous., found one over 5 continuous"
    ):
        tv.VAE(vae.encoder, vae.decoder, tv.priors.StandardNormal(5))


@pytest.mark.parametrize("seed", [1, (1,), (1, 2, 3)])
def test_a_seed_is_two_integers(seed: object) -> None:
    with pytest.raises(UsageError, match="two integers"):
        make().sample(2, seed=seed)


def test_a_network_that_would_not_learn_is_refused() -> None:
    def plain(x: object) -> object:
        return x

    with pytest.raises(UsageError, match="encoder's network plain shows no trainable variable"):
        tv.Encoder(plain, tv.posteriors.DiagonalNormal(2))
    with pytest.raises(UsageError, match="decoder's network"):
        tv.Decoder(plain, tv.likelihoods.Bernoulli(SHAPE))


def test_dropout_drops_in_training_only(x: np.ndarray) -> None:
    network = tv.networks.mlp(SHAPE, 4, hidden=(64,), dropout=0.5, normalization="layer")
    np.testing.assert_array_equal(network(x), network(x))
    dropped = []
    for seed in ((0, 1), (0, 1), (0, 2)):
        with tv.networks.dropping(seed):
            dropped.append(network(x).numpy())
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert (dropped[0] != dropped[2]).any()
    assert (dropped[0] != network(x).numpy()).any()


def masks(network: object, size: int) -> np.ndarray:
    """Which of the first layer's units are dropped, of a network that was built with a constant first layer."""
    with tv.networks.dropping((0, 1)):
        return network.layers[-2](tf.ones([50, size])).numpy() == 0


def test_networks_drop_units_of_their_own() -> None:
    def dropout(seed: int, size: int) -> np.ndarray:
        return masks(tv.networks.mlp(SHAPE, size, seed=seed, hidden=(64,), dropout=0.5), 64)

    first, again, seed, size = dropout(0, 4), dropout(0, 4), dropout(1, 4), dropout(0, 5)
    np.testing.assert_array_equal(first, again)
    for other in (seed, size):
        assert 0.4 < np.mean(first == other) < 0.6  # as of two independent draws
    assert 0.45 < first.mean() < 0.55


def test_encoder_and_decoder_of_a_run_drop_units_apart() -> None:
    vae = build_from_config(
        config(small_model(encoder="mlp:hidden=64,dropout=0.5", decoder="mlp:hidden=64,dropout=0.5"))
    )
    first, last = (masks(part.network, 64) for part in (vae.encoder, vae.decoder))
    assert 0.4 < np.mean(first == last) < 0.6


@pytest.mark.parametrize("name", ["conv", "resnet"])
def test_convolutions_name_the_shape_that_is_no_image(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected a shape \[H, W, C\], found \[10\]. Use an `mlp`"):
        NETWORKS[name]((10,), 4)
    with pytest.raises(UsageError, match=r"expected a shape \[H, W, C\], found \[7\]. Use an `mlp`"):
        NETWORKS[name]((2,), 7, image_shape=(7,))


def test_what_a_family_learns_belongs_to_its_value() -> None:
    value, other = tv.likelihoods.Normal(SHAPE), tv.likelihoods.Normal(SHAPE)
    first, second, third = (
        tv.Decoder(tv.networks.mlp((2,), value.params_size, hidden=()), family) for family in (value, value, other)
    )
    shared = {id(v) for v in first.trainable_variables} & {id(v) for v in second.trainable_variables}
    assert shared == {id(value.learned[0])}
    assert not {id(v) for v in first.trainable_variables} & {id(v) for v in third.trainable_variables}


def test_every_variable_is_tracked() -> None:
    vae = make()
    networks = [vae.encoder.network, vae.decoder.network]
    expected = {id(v) for network in networks for v in network.trainable_variables}
    assert {id(v) for v in vae.trainable_variables} == expected
    assert len(expected) == 2 * (3 + 2)


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_every_variable_receives_a_gradient(objective: str, x: np.ndarray) -> None:
    vae = make()
    with tf.GradientTape() as tape:
        loss = OBJECTIVES.build(OBJECTIVES.member(objective)).loss(vae, x, seed=(0, 1))
    for variable, gradient in zip(vae.trainable_variables, tape.gradient(loss, vae.trainable_variables), strict=True):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


@pytest.mark.parametrize("name", list(NETWORKS))
def test_network_weights_are_decided_by_the_seed(name: str) -> None:
    first, again, other = (NETWORKS[name](SHAPE, 5, seed=seed).get_weights() for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or (a != c).any()


def test_encoder_and_decoder_of_a_run_start_apart() -> None:
    vae = build_from_config(config(small_model(latent_dim=12)))
    first, last = vae.encoder.network.get_weights()[0], vae.decoder.network.get_weights()[0]
    assert first.shape == last.shape
    assert (first != last).all()


def test_decoder_starts_at_the_data_mean(rng: np.random.Generator) -> None:
    mean = rng.uniform(0.05, 0.95, SHAPE)
    vae = build_from_config(config(small_model()), mean)
    bias = vae.decoder.network.get_weights()[-1]
    np.testing.assert_allclose(bias, np.log(mean / (1 - mean)).ravel(), rtol=1e-5)


def config(model: object) -> RunConfig:
    data = {
        "dataset": "digits",
        "event_shape": SHAPE,
        "split_rule": "",
        "splits": {},
        "fingerprint": "",
        "binarization": "none",
    }
    return RunConfig(data=data, model=model, training=TrainingConfig())


def test_encoder_and_reconstruction_accept_a_batch() -> None:
    vae = make()
    x = np.random.default_rng(0).integers(2, size=(5, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(vae.encoder(tv.Batch(x)).mean(), vae.encoder(x).mean())
    np.testing.assert_array_equal(vae.reconstruct(tv.Batch(x)), vae.reconstruct(x))


@pytest.mark.parametrize("name", ["observed", "context"])
def test_encoder_refuses_parts_of_a_batch_that_it_does_not_support(name: str) -> None:
    vae, x = make(), np.zeros((5, *SHAPE), np.float32)
    with pytest.raises(UsageError, match=f"The encoder does not support `{name}`"):
        vae.encoder(tv.Batch(x, **{name: np.ones_like(x)}))
