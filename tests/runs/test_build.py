"""Building a VAE from the settings of a model and from a data set."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.commands import call
from tests.helpers.runs import CONFIGS, assert_same, small_model, small_training
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import allow_code
from tfp_vae.data.dataset import Dataset
from tfp_vae.model.likelihoods import ELEMENTWISE
from tfp_vae.model.networks import NETWORKS
from tfp_vae.objectives import elbo_for
from tfp_vae.runs.build import build_from_config, build_model, describe_model
from tfp_vae.runs.config import HandBuiltModel, ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run
from tfp_vae.training.state import State

SHAPE = (8, 8, 1)

SMALL = {"posterior": "real-nvp:depth=2,hidden=8", "hidden": (16,)}
"""Settings of a small model."""


def weights(model: ModelConfig, seed: int = 0, data_mean: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return State(build_model(model, SHAPE, seed, data_mean)).capture()


@pytest.mark.slow
@pytest.mark.parametrize("changes", CONFIGS, ids=lambda changes: ",".join(map(str, changes.values())))
def test_every_member_is_built_with_equal_weights_from_equal_seeds(changes: dict[str, str]) -> None:
    model = small_model(**changes)
    vae = build_model(model, SHAPE)
    assert vae.encoder.posterior.latent.dimensions == model.latent_dim
    assert tuple(vae.decoder.likelihood.event_shape) == SHAPE
    assert_same(State(vae).capture(), weights(model))


def test_another_seed_draws_other_kernels() -> None:
    first, second = weights(small_model(), seed=1), weights(small_model(), seed=2)
    kernels = [name for name in first if name.endswith("kernel")]
    assert len(kernels) == 4
    assert not any(np.array_equal(first[name], second[name]) for name in kernels)


def test_another_prior_leaves_the_weights_of_encoder_and_decoder() -> None:
    plain, mixture = weights(small_model()), weights(small_model(prior="normal-mixture:components=3"))
    assert_same(plain, {name: mixture[name] for name in plain})
    assert any(name.startswith("prior/") for name in mixture)


def test_the_decoder_starts_at_the_mean_of_the_data() -> None:
    mean = np.random.default_rng(0).uniform(0.1, 0.9, SHAPE)
    vae = build_model(small_model(), SHAPE, data_mean=mean)
    np.testing.assert_allclose(vae.decoder(np.zeros((1, 2), np.float32)).mean()[0], mean, atol=1e-5)


def test_the_decoder_of_a_table_starts_at_the_distributions_of_its_columns() -> None:
    rows = np.array([[1.0, 0], [3, 0], [np.nan, 1], [2, 0.5], [2, 0]])
    columns = {"a": "normal:scale=per-element", "b": "categorical:levels=3"}
    likelihood = {"name": "columns", "columns": columns, "missing": True}
    vae = build_model(small_model(likelihood=likelihood, encoder_input="columns"), (2,), rows=rows)
    p = vae.decoder(np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(p.column(0).mean(), [2], rtol=1e-5)
    np.testing.assert_allclose(p.column(0).stddev(), [np.std([1, 3, 2, 2])], rtol=1e-5)
    np.testing.assert_allclose(np.exp(p.column(1).log_prob(np.float32([0]))), [3.5 / 6.5], rtol=1e-5)
    assert vae.encoder(rows.astype(np.float32)).batch_shape == (5,)


def test_features_of_columns_need_that_likelihood() -> None:
    with pytest.raises(UsageError, match="`encoder_input=columns` needs `likelihood=columns`, found bernoulli"):
        build_model(small_model(encoder_input="columns"), SHAPE)


def test_the_encoder_of_counts_sees_their_logarithms() -> None:
    counts = np.random.default_rng(0).poisson(50.0, (3, *SHAPE)).astype(np.float32)
    plain, logs = (build_model(small_model(encoder_input=name), SHAPE).encoder for name in ("values", "log1p"))
    np.testing.assert_allclose(logs.mean(counts), plain.mean(np.log1p(counts)), rtol=1e-5)


def test_settings_of_a_part_that_was_replaced_no_longer_describe_the_vae() -> None:
    vae = build_model(small_model(), SHAPE)
    assert describe_model(vae) == small_model()
    vae.decoder.likelihood = tv.likelihoods.ContinuousBernoulli(SHAPE)
    described = describe_model(vae)
    assert isinstance(described, HandBuiltModel)
    assert described.likelihood.name.startswith("ContinuousBernoulli")


@pytest.fixture(scope="module")
def digits_data() -> Dataset:
    return tv.data.load("digits")


class TestBuild:
    def test_choices_equal_those_of_the_command_and_appear_in_the_log(
        self, digits_data: Dataset, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "tfp_vae"):
            vae = tv.build(digits_data, hidden=(16,))
        assert describe_model(vae) == small_model(likelihood="bernoulli")
        assert "`likelihood` is bernoulli, because the data are grey images" in caplog.text
        assert "`encoder" not in caplog.text  # because `hidden` decides it
        caplog.clear()
        with caplog.at_level(logging.INFO, "tfp_vae"):
            tv.build(
                digits_data,
                latent_dim=2,
                encoder="mlp:hidden=8",
                decoder="mlp:hidden=8",
                likelihood="continuous-bernoulli",
            )
        assert not caplog.records

    def test_vectors_of_counts_get_a_likelihood_of_counts(self, rng: np.random.Generator) -> None:
        vae = tv.build(tv.data.load(rng.poisson(40.0, (60, 3)), scaling="none"), hidden=(8,))
        assert type(vae.decoder.likelihood).__name__ == "NegativeBinomial"
        assert vae.encoder.sees == "log1p"

    def test_refuses_settings_that_do_not_fit(self, digits_data: Dataset) -> None:
        with pytest.raises(UsageError, match="Did you mean `latent_dim`"):
            tv.build(digits_data, latent_dims=2)
        with pytest.raises(UsageError, match="Did you mean 'bernoulli'"):
            tv.build(digits_data, likelihood="bernouli")
        with pytest.raises(UsageError, match=r"^`latent_dim`: expected a number of at least 1"):
            tv.build(digits_data, latent_dim=0)
        with pytest.raises(UsageError, match="`hidden` has no effect"):
            tv.build(digits_data, encoder="mlp", decoder="mlp", hidden=(8,))
        with pytest.raises(UsageError, match="Load it with"):
            tv.build(digits_data.train.x)

    @pytest.mark.slow
    @pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted-and-averaged"])
    def test_build_and_fit_give_the_weights_of_the_command(
        self, weighted: bool, digits_data: Dataset, tmp_path: Path
    ) -> None:
        vae = tv.build(digits_data, seed=3, **SMALL)
        objective = tv.objectives.MonteCarloELBO(mc_samples=2)
        more = {"ema": 0.9} if weighted else {}
        if weighted:
            objective = tv.objectives.Weighted(objective, beta=2.0, warmup_steps=12)
        tv.fit(vae, digits_data, objective, epochs=1, seed=3, execution="graph", **more)
        command = ("--hidden", "16", "--posterior", SMALL["posterior"], "--objective", "monte-carlo-elbo:mc_samples=2")
        options = ("--beta", "2", "--kl-warmup-epochs", "1", "--ema", "0.9") if weighted else ()
        call(
            "train", *command, *options, "--epochs", "1", "--seed", "3", "--execution", "graph", "--no-plots",
            "--run-dir", tmp_path / "run",
        )  # fmt: skip
        assert_same(State(vae).capture(), State(tv.load(tmp_path / "run")).capture())
        saved = tv.save(vae, tmp_path / "saved")
        assert_same(saved.checkpoint().variables, Run(tmp_path / "run").checkpoint().variables)
        assert saved.config().training == Run(tmp_path / "run").config().training


MEMBERS = [
    (field, name)
    for field, table in (
        ("posterior", builders.REAL_POSTERIORS),
        ("prior", builders.REAL_PRIORS),
        ("likelihood", ELEMENTWISE),
        ("encoder", NETWORKS),
        ("decoder", NETWORKS),
    )
    for name in table
]


class TestDtype:
    """`dtype="float64"` holds for the weights and densities of every member."""

    @pytest.mark.slow
    @pytest.mark.parametrize(("field", "name"), MEMBERS)
    def test_densities_agree_with_those_in_float32(self, field: str, name: str) -> None:
        settings = {"encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli", field: name}
        if name == "real-nvp":
            settings[field] = "real-nvp:depth=2,hidden=8"
        parts = {key: builders.SMALL.get(value, value) for key, value in settings.items()}
        single, double = (
            build_model(ModelConfig(latent_dim=2, dtype=dtype, **parts), SHAPE) for dtype in ("float32", "float64")
        )
        assert {variable.dtype for variable in double.variables} == {tf.float64}
        for variable, start in zip(double.variables, single.variables, strict=True):
            variable.assign(tf.cast(start, tf.float64))
        x, z = builders.data(settings["likelihood"], 4), np.float32([[0.5, -1.0], [2.0, 0.1], [0.0, 0.0], [-1.0, 1.0]])
        found = [
            (vae.encoder.params(x), vae.prior().log_prob(y), vae.decoder(y).log_prob(tf.cast(x, vae.dtype)))
            for vae, y in ((single, z), (double, z.astype(np.float64)))
        ]
        for one, two in zip(*found, strict=True):
            assert (one.dtype, two.dtype) == (tf.float32, tf.float64)
            np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-4)
        loss = elbo_for(double).loss(double, x, seed=(0, 1))
        assert loss.dtype == tf.float64
        assert np.isfinite(loss)

    def test_a_run_keeps_the_type(self, digits_data: Dataset, tmp_path: Path) -> None:
        vae = tv.build(digits_data, latent_dim=2, dtype="float64", hidden=(8,))
        assert vae.dtype == tf.float64
        tv.fit(vae, digits_data, epochs=1, steps_per_epoch=1, batch_size=4, execution="eager")
        run = tv.save(vae, tmp_path / "run")
        assert run.config().model.dtype == "float64"
        loaded = tv.load(tmp_path / "run")
        assert_same(State(vae).capture(), State(loaded).capture())
        x = np.round(digits_data.test.x[:3])
        first, second = (tv.log_likelihood(each, x, iw_samples=2, execution="eager").values for each in (vae, loaded))
        np.testing.assert_array_equal(first, second)
        assert loaded.sample(2).dtype == loaded.reconstruct(x).dtype == tf.float64

    def test_a_part_of_your_own_must_have_the_type(self, own_code: Path) -> None:
        (own_code / "my_net.py").write_text(OWN_NETWORK)
        with allow_code(own_code):
            model = ModelConfig(dtype="float64", encoder="my_net:net")
            with pytest.raises(UsageError, match=r"^`dtype=float64` does not fit the encoder my_net:net, whose"):
                build_model(model, SHAPE)

    def test_refuses_other_types(self, digits_data: Dataset) -> None:
        with pytest.raises(UsageError, match=r"^`dtype`: expected 'float32' or 'float64', found 'float16'\.$"):
            tv.build(digits_data, dtype="float16")


OWN_NETWORK = """
import tfp_vae as tv

def net(input_shape, output_size, *, width: int = 4) -> tv.networks.Network:
    return tv.networks.mlp(input_shape, output_size, hidden=(width,))
"""
"""A network without a parameter `dtype`."""


class TestEncoderInput:
    """Encoders of counts see log(1 + x)."""

    @pytest.mark.parametrize(
        ("likelihood", "sees"), [("poisson", "log1p"), ("negative-binomial", "log1p"), ("normal", "values")]
    )
    def test_a_run_on_counts_uses_logarithms(self, likelihood: str, sees: str, tmp_path: Path) -> None:
        counts = np.random.default_rng(0).poisson(3_000, (40, 5))
        np.save(tmp_path / "counts.npy", counts)
        model = small_model(likelihood=likelihood)
        planned, data = plan(str(tmp_path / "counts.npy"), None, None, model, small_training())
        assert planned.model.encoder_input == sees
        assert planned.data.scaling.name == ("standard" if sees == "values" else "none")
        read = RunConfig.model_validate_json(planned.model_dump_json())
        encoder = build_from_config(read).encoder
        assert encoder.sees == sees
        assert np.abs(encoder(data.train.x).mean()).max() < 50  # raw counts would give thousands

    def test_input_is_the_values_by_default(self) -> None:
        kept = ModelConfig().model_dump()
        del kept["encoder_input"]
        assert ModelConfig(**kept).encoder_input == "values"

    def test_keeps_an_explicit_input(self, tmp_path: Path) -> None:
        np.save(tmp_path / "counts.npy", np.random.default_rng(0).poisson(3, (40, 5)))
        model = small_model(likelihood="poisson", encoder_input="values")
        planned, _ = plan(str(tmp_path / "counts.npy"), None, None, model, small_training())
        assert planned.model.encoder_input == "values"


def masks(network: object, size: int) -> np.ndarray:
    """Return which units of the last hidden layer are dropped, for 50 rows."""
    with tv.networks.dropping((0, 1)):
        return network.layers[-2](tf.ones([50, size])).numpy() == 0


def test_encoder_and_decoder_of_a_run_drop_different_units() -> None:
    vae = build_from_config(
        config(small_model(encoder="mlp:hidden=64,dropout=0.5", decoder="mlp:hidden=64,dropout=0.5"))
    )
    first, last = (masks(part.network, 64) for part in (vae.encoder, vae.decoder))
    assert 0.4 < np.mean(first == last) < 0.6


def test_encoder_and_decoder_of_a_run_have_different_weights() -> None:
    vae = build_from_config(config(small_model(latent_dim=64)))  # so that the first kernels have one shape
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
