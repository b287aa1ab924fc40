"""Conditional models p(x|z, y), q(z|x, y) and p(z|y): against a closed form, and against the model of each context."""

from __future__ import annotations

from typing import Any

import keras as keras3
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.conditional import CLASSES, ConditionalLinearGaussian, classes, conditional_model
from tfp_vae.core.batch import batch_rows
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.priors import LearnedNormal
from tfp_vae.objectives import OBJECTIVES

EXACT = [
    name
    for name in builders.REAL_OBJECTIVES
    if name not in builders.CLOSED_FORM_RATES and "mc_samples" in OBJECTIVES.info(name).defaults
]
"""The objectives whose bound is the evidence if q(z|x) is p(z|x)."""

OF_CODES = ("disarm", "gumbel-softmax", "vimco")


@pytest.fixture(scope="module")
def exact() -> ConditionalLinearGaussian:
    return ConditionalLinearGaussian()


@pytest.mark.parametrize("name", EXACT)
def test_bound_with_the_exact_posterior_is_the_evidence_for_any_number_of_samples(
    name: str, exact: ConditionalLinearGaussian
) -> None:
    batch = exact.data(4)
    for samples in (2, 5):
        objective = OBJECTIVES.resolve(f"{name}:mc_samples={samples}")
        found = objective.bound(exact.vae(), batch, seed=(0, samples)).value
        np.testing.assert_allclose(found, exact.log_evidence(batch), rtol=1e-7)


def test_elbo_is_the_evidence_on_average(exact: ConditionalLinearGaussian) -> None:
    batch, samples = exact.data(4), 4_000
    found = tv.objectives.ELBO(mc_samples=samples).bound(exact.vae(), batch, seed=0).value
    np.testing.assert_allclose(found, exact.log_evidence(batch), atol=5 * 1.5 / np.sqrt(samples))


SLOW_REFINEMENTS = ("local:steps=5", "laplace", "mixture", "annealed:steps=3")


@pytest.mark.parametrize("refine", ["none", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_REFINEMENTS)])
def test_importance_sampling_estimates_the_evidence_of_x_given_y(refine: str, exact: ConditionalLinearGaussian) -> None:
    batch = exact.data(3)
    found = tv.evaluation.estimate(
        exact.vae(shift=0.3), batch, iw_samples=2_000, seed=(0, 1), refine=refine, execution="graph"
    )
    assert np.abs((found.log_likelihood - exact.log_evidence(batch)) / found.error).max() < 4


@pytest.mark.slow
def test_annealing_bounds_the_evidence_of_x_given_y(exact: ConditionalLinearGaussian) -> None:
    batch, vae = exact.data(3), exact.vae()
    settings: dict[str, Any] = {"steps": 100, "chains": 8, "seed": (0, 1), "execution": "graph"}
    found = tv.evaluation.annealed_log_likelihood(vae, batch, **settings)
    assert np.abs((found.log_likelihood - exact.log_evidence(batch)) / found.error).max() < 5
    both = tv.evaluation.sandwich(vae, examples=3, context=batch.context, **settings)
    evidence = exact.log_evidence(tv.Batch(both.x, context=batch.context))
    np.testing.assert_allclose(both.lower, evidence, atol=0.5)
    np.testing.assert_allclose(both.upper, evidence, atol=0.5)


def test_samples_have_the_mean_and_the_covariance_of_p_of_x_given_y(exact: ConditionalLinearGaussian) -> None:
    y, n = np.float32([1, -1, 0.5]), 20_000
    x = exact.vae().given(y).sample(n, seed=0).numpy()
    mean = (exact.weights @ exact.shift + exact.offset) @ y
    covariance = exact.weights @ exact.weights.T + exact.scale**2 * np.eye(exact.size)
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - mean), 4.5 * np.sqrt(np.diag(covariance) / n))
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.15)


@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_batch_of_contexts_is_the_model_of_each_context(network: str) -> None:
    vae, n = conditional_model(network_name=network), 6
    batch = tv.Batch(builders.data("bernoulli", n), context=classes(n))
    whole = tv.objectives.IWAE(mc_samples=4).bound(vae, batch, seed=(0, 1))
    z = vae.encoder(batch).mean()
    for i in range(CLASSES):
        rows = np.arange(i, n, CLASSES)
        model, x = vae.given(classes(CLASSES)[i]), batch.x[rows]
        np.testing.assert_allclose(model.encoder(x).mean(), z.numpy()[rows], rtol=1e-5, atol=1e-6)
        expected = vae.decoder(z.numpy()[rows], classes(CLASSES)[i]).log_prob(x)
        np.testing.assert_allclose(model.decoder(model.encoder(x).mean()).log_prob(x), expected, rtol=1e-5)
        np.testing.assert_allclose(model.reconstruct(x), vae.reconstruct(batch_rows(batch, rows)), rtol=1e-4, atol=1e-6)
    assert whole.value.shape == (n,)
    assert np.abs(np.diff(vae.decoder(tf.zeros([CLASSES, 2]), classes(CLASSES)).mean(), axis=0)).max() > 1e-4


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_every_likelihood_bounds_batches_with_context(name: str) -> None:
    if name == "columns":
        pytest.skip("columns need a table")
    vae = conditional_model(name, prior=LearnedNormal(2, CLASSES), shape=(4,))
    counts = "poisson" if name.startswith("size-factor") else name
    bound = tv.objectives.ELBO().bound(vae, tv.Batch(builders.data(counts, 3, (4,)), context=classes(3)), seed=0)
    assert bound.value.shape == (3,)
    assert np.isfinite(bound.value).all()


SLOW_EXECUTIONS = [pytest.param(name, marks=pytest.mark.slow) for name in ("xla", "eager")]


@pytest.mark.parametrize("name", OF_CODES)
def test_objectives_of_codes_bound_batches_with_context(name: str) -> None:
    vae = conditional_model(prior=tv.priors.Uniform(3), latent_dim=3, posterior_name="bernoulli")
    batch = tv.Batch(builders.data("bernoulli", 3), context=classes(3))
    bound = OBJECTIVES.resolve(name).bound(vae, batch, seed=0).value
    assert bound.shape == (3,)
    assert np.isfinite(bound).all()


@pytest.mark.parametrize("execution", ["graph", *SLOW_EXECUTIONS])
def test_training_learns_all_three_maps_from_the_context(execution: str) -> None:
    x = np.repeat(np.float32([0, 1, 1]), 20)[:, np.newaxis] * np.float32([1, -1])
    y = np.repeat(np.eye(CLASSES, dtype=np.float32), 20, axis=0)
    vae = conditional_model("normal", prior=LearnedNormal(2, CLASSES), shape=(2,))
    before = [variable.numpy() for variable in vae.trainable_variables]
    batch = tv.Batch(x, context=y)
    history = tv.fit(vae, batch, "elbo", validation=batch, epochs=8, execution=execution, learning_rate=0.02)
    assert history[-1].validation_elbo > history[0].validation_elbo + 1
    assert all((a != b.numpy()).any() for a, b in zip(before, vae.trainable_variables, strict=True))


class TwoInputs(tf.Module):
    """A network of your own with two inputs."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.zeros([CLASSES, size]))

    def __call__(self, x: Any, y: Any) -> Any:
        return tf.matmul(y, self.weight) + tf.reduce_mean(x)


def keras_model(keras: Any, inputs: tuple[int, ...], size: int) -> Any:
    x, y = keras.Input(inputs), keras.Input((CLASSES,))
    h = keras.layers.Concatenate()([keras.layers.Flatten()(x), y])
    return keras.Model([x, y], keras.layers.Dense(size)(h))


OWN = {
    "module": lambda inputs, size: TwoInputs(size),
    "keras 2": lambda inputs, size: keras_model(tf_keras, inputs, size),
    "keras 3": lambda inputs, size: tv.interop.Keras3(keras_model(keras3, inputs, size)),
}


@pytest.mark.parametrize("kind", OWN)
def test_your_own_networks_receive_the_context(kind: str) -> None:
    likelihood = builders.likelihood("bernoulli")
    vae = tv.VAE(
        tv.Encoder(OWN[kind](builders.SHAPE, 4), tv.posteriors.DiagonalNormal(2), context_size=CLASSES),
        tv.Decoder(OWN[kind]((2,), likelihood.params_size), likelihood, context_size=CLASSES),
        tv.priors.StandardNormal(2),
    )
    batch = tv.Batch(builders.data("bernoulli", 3), context=classes(3))
    before = vae.reconstruct(batch).numpy()
    tv.fit(vae, batch, "elbo", epochs=2, execution="graph")
    assert (vae.reconstruct(batch).numpy() != before).any()


def test_missing_and_wrong_contexts_are_refused() -> None:
    vae, x = conditional_model(), builders.data("bernoulli", 3)
    for call in (
        lambda: vae.encoder(x),
        lambda: vae.sample(2),
        lambda: vae.reconstruct(x),
        lambda: tv.objectives.ELBO().bound(vae, x, seed=0),
        lambda: tv.log_likelihood(vae, x),
        lambda: tv.fit(vae, x, epochs=1),
    ):
        with pytest.raises(UsageError, match=r"needs the context of a conditional model, 3 numbers.*`vae.given"):
            call()
    for batch in (x, tv.Batch(x, context=classes(3))):
        with pytest.raises(UsageError, match=r"Scoring takes no context.*`vae.given\(y\)`"):
            vae.examples(batch, "Scoring")
    for context, error in (
        (classes(2), r"shape \(3, 3\), found \(2, 3\)"),
        (np.zeros((3, 2)), r"shape \(3, 3\), found \(3, 2\)"),
        (np.full((3, 3), np.nan), "must be finite"),
        ([["a", "b", "c"]] * 3, "expected numbers"),
    ):
        with pytest.raises(DataError, match=error):
            tv.objectives.ELBO().bound(vae, tv.Batch(x, context=context), seed=0)
    with pytest.raises(DataError, match=r"shape \(B, 3\), found \(2,\)"):
        vae.given(np.zeros(2))
    with pytest.raises(UsageError, match="without a condition does not support `context`"):
        builders.model().given(np.zeros(2))


def test_parts_with_different_contexts_and_vamp_priors_are_refused() -> None:
    vae = conditional_model()
    with pytest.raises(UsageError, match="must take the same context, found sizes 2, 3"):
        tv.VAE(vae.encoder, vae.decoder, LearnedNormal(2, 2))
    with pytest.raises(UsageError, match="vamp prior does not support a condition"):
        tv.priors.Vamp(2, vae.encoder, data_mean=np.zeros(builders.SHAPE))


@pytest.mark.slow
def test_saved_model_takes_the_context_as_second_argument(tmp_path: Any) -> None:
    vae, batch = conditional_model(), tv.Batch(builders.data("bernoulli", 3), context=classes(3))
    tf.saved_model.save(vae, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    x, y = batch.x.astype(np.float32), batch.context
    np.testing.assert_allclose(loaded.reconstruct(x, y), vae.reconstruct(batch), rtol=1e-5)
    np.testing.assert_allclose(loaded.encode(x, y), vae.encoder.mean(batch), rtol=1e-5)


@pytest.mark.slow
def test_model_of_one_context_is_an_ordinary_one() -> None:
    vae, y, x = conditional_model(prior=LearnedNormal(2, CLASSES)), classes(5), builders.data("bernoulli", 5)
    given = vae.given(y[0])
    assert given.context_size == 0
    settings: dict[str, Any] = {"steps": 2, "chains": 2, "seed": (0, 1), "execution": "graph"}
    found = tv.evaluation.sandwich(given, examples=2, **settings)
    np.testing.assert_array_equal(found.lower, tv.evaluation.sandwich(vae, examples=2, context=y[0], **settings).lower)
    with pytest.raises(UsageError, match="does not support `context`"):
        tv.objectives.ELBO().bound(given, tv.Batch(x, context=y), seed=0)


def test_one_context_for_all_is_repeated_for_each() -> None:
    vae, y, x = conditional_model(), classes(1)[0], builders.data("bernoulli", 5)
    one, each = tv.Batch(x, context=y), tv.Batch(x, context=np.repeat(y[np.newaxis], 5, axis=0))
    bounds = [tv.objectives.ELBO().bound(vae, batch, seed=0).value for batch in (one, each)]
    np.testing.assert_array_equal(*bounds)
    settings: dict[str, Any] = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "execution": "eager"}
    histories = [tv.fit(conditional_model(), batch, validation=batch, **settings) for batch in (one, each)]
    np.testing.assert_array_equal(*(history[0].elbo for history in histories))
    z = np.zeros([5, 2], np.float32)
    decoded = [tv.evaluation.decode(vae, z, seed=(0, 0), context=batch.context) for batch in (one, each)]
    np.testing.assert_array_equal(*decoded)


def test_encoder_may_lack_the_context_of_the_other_parts() -> None:
    conditional, y, x = conditional_model(prior=LearnedNormal(2, CLASSES)), classes(1)[0], builders.data("bernoulli", 5)
    vae = tv.VAE(builders.model(latent_dim=2).encoder, conditional.decoder, conditional.prior)
    uses = [(vae, tv.Batch(x, context=y)), (vae.given(y), x)]
    found = [tv.evaluation.estimate(*use, iw_samples=2, seed=(0, 1), execution="graph") for use in uses]
    np.testing.assert_allclose(*(each.log_likelihood for each in found), rtol=1e-5)
    np.testing.assert_allclose(*(each.rate for each in found), rtol=1e-5)


@pytest.mark.parametrize("prior", [None, LearnedNormal(2, CLASSES)], ids=["standard", "learned"])
def test_contexts_of_other_examples_are_refused(prior: Any) -> None:
    vae, x = conditional_model(prior=prior).given(classes(3)), builders.data("bernoulli", 5)
    uses = {
        "sample": lambda: vae.sample(5),
        "reconstruct": lambda: vae.reconstruct(x),
        "estimate": lambda: tv.evaluation.estimate(vae, x, iw_samples=2, seed=(0, 1), execution="graph"),
    }
    for use in uses.values():
        with pytest.raises(UsageError, match="contexts of 3 examples, but is used for"):
            use()
