"""The public log-likelihood: the numbers of an evaluation in one record, for data that the likelihood supports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, final

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.models import SHAPE, make
from tests.helpers.oracles import LinearGaussian
from tfp_vae import VAE, Batch
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.registry import record
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator, seed_for
from tfp_vae.core.supports import Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.transforms.binarization import Threshold, Unchanged
from tfp_vae.evaluation.evidence import LogLikelihood, log_likelihood
from tfp_vae.evaluation.importance import Estimator, estimate
from tfp_vae.evaluation.proposals import Local
from tfp_vae.model.likelihoods import ElementwiseLikelihood
from tfp_vae.objectives import OBJECTIVES
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.results import Plan, assess


@pytest.fixture(scope="module")
def vae() -> VAE:
    return builders.model()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return builders.data("bernoulli", 7)


@pytest.fixture(scope="module")
def found(vae: VAE, x: np.ndarray) -> LogLikelihood:
    return log_likelihood(vae, x, iw_samples=40, seed=3, execution="graph")


@pytest.mark.slow
def test_accuracy_chooses_the_effort(vae: VAE, x: np.ndarray) -> None:
    found = log_likelihood(vae, x, accuracy=5.0, seed=3, execution="graph")
    assert found.settled is not None
    assert found.settled.settled.all()
    assert (found.intervals[:, 1] - found.values <= 5).all()
    assert found.refine == "as-needed"
    assert repr(found).endswith("7 examples, K up to 200)")
    assert "examples known to 5 nats" in found._repr_html_()


def test_accuracy_comes_without_other_effort(vae: VAE, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match="`accuracy` chooses `iw_samples` and `refine`"):
        log_likelihood(vae, x, accuracy=5.0, iw_samples=20)
    with pytest.raises(UsageError, match="`accuracy` must be a positive number of nats, found -1"):
        log_likelihood(vae, x, accuracy=-1.0)


@pytest.mark.slow
def test_integer_seed_gives_the_numbers_of_an_evaluation(restored: LoadedRun, digits: Dataset) -> None:
    expected = assess(restored, digits, Plan(iw_samples=(7,), seed=3, execution="graph")).estimates
    split = tv.runs.examples.held_out_view(restored.config, digits, "test")
    found = tv.log_likelihood(restored.vae, split, iw_samples=7, seed=3, execution="graph")
    for name in ("log_likelihood", "ess", "pareto_k"):  # an evaluation sums in another order, for its sweep
        np.testing.assert_allclose(getattr(found.estimates, name), getattr(expected, name), rtol=1e-12)


def test_record_holds_the_estimates_and_their_errors(vae: VAE, x: np.ndarray, found: LogLikelihood) -> None:
    expected = estimate(vae, x, iw_samples=40, seed=seed_for(3, Purpose.EVALUATION), execution="graph")
    np.testing.assert_array_equal(found.values, expected.log_likelihood)
    np.testing.assert_array_equal(found.errors, expected.error)
    np.testing.assert_array_equal(found.biases, expected.bias)
    np.testing.assert_array_equal(found.intervals, np.stack([expected.low, expected.high], axis=1))
    assert found.mean() == expected.log_likelihood.mean()
    assert found.standard_error == pytest.approx(expected.log_likelihood.std(ddof=1) / np.sqrt(7))
    assert np.isnan(found.errors).sum() == found.unknown == np.sum(found.ess < 10) > 0
    assert (found.errors[found.ess >= 10] > 0).all()


def test_exact_posterior_has_no_error(linear: LinearGaussian) -> None:
    x = linear.data(5)
    found = log_likelihood(linear.vae(), x, iw_samples=20, execution="eager")
    np.testing.assert_allclose(found, linear.log_evidence(x), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.errors, 0, atol=1e-6)


def test_numpy_treats_the_record_as_an_array(found: LogLikelihood) -> None:
    assert len(found) == 7
    assert np.asarray(found).dtype == np.float64
    assert np.asarray(found, np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.sort(found), np.sort(found.values))
    copied = np.array(found)
    copied[:] = 0
    assert (found.values != 0).all()


def test_seed_may_be_a_pair(vae: VAE, x: np.ndarray, found: LogLikelihood) -> None:
    pair = seed_for(3, Purpose.EVALUATION)
    np.testing.assert_array_equal(log_likelihood(vae, x, iw_samples=40, seed=pair, execution="graph"), found)
    other = log_likelihood(vae, x, iw_samples=40, seed=4, execution="graph")
    assert (np.asarray(other) != found.values).all()


@pytest.mark.parametrize("wrap", [tf.constant, Batch, Split], ids=["tensor", "batch", "split"])
def test_tensors_batches_and_splits_equal_arrays(wrap: type, vae: VAE, x: np.ndarray, found: LogLikelihood) -> None:
    np.testing.assert_array_equal(log_likelihood(vae, wrap(x), iw_samples=40, seed=3, execution="graph"), found)


def test_refuses_missing_cells(vae: VAE, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match="Importance sampling does not support `observed`"):
        log_likelihood(vae, Batch(x, observed=np.ones(x.shape, bool)))


@pytest.mark.parametrize("seed", ["a", 1.5, None, (1, 2, 3)])
def test_refuses_a_seed_that_is_neither_an_integer_nor_two(seed: object, vae: VAE, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"^`seed`: expected an integer or two integers, such as \(0, 1\), found "):
        log_likelihood(vae, x, seed=seed)


def test_refuses_zero_examples(vae: VAE, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match="at least one example, found none"):
        log_likelihood(vae, x[:0])


def test_notebook_shows_averages_and_diagnostics(found: LogLikelihood) -> None:
    html = found._repr_html_()
    assert "log p(x) of 7 examples, K = 40" in html
    for label in (
        "standard error over examples",
        "median effective sample size",
        "k̂ above 0.7",
        "likely bias",
        "unknown error",
    ):
        assert label in html
    assert f"{found.mean():.5g}" in html
    assert repr(found).startswith(f"LogLikelihood({found.mean():.5g} ± ")
    assert repr(found).endswith(f"nats, 7 examples, K = 40, error unknown for {found.unknown})")


def test_one_example_has_no_standard_error(vae: VAE, x: np.ndarray) -> None:
    found = log_likelihood(vae, x[:1], iw_samples=2, execution="eager")
    assert np.isnan(found.standard_error)
    assert "±" not in repr(found)


class TestGreyData:
    """A split of grey data is binarized under a likelihood of binary data, as an evaluation binarizes it."""

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_split_gives_the_numbers_of_an_evaluation(
        self, split: str, restored: LoadedRun, digits: Dataset, caplog: pytest.LogCaptureFixture
    ) -> None:
        plan = Plan(iw_samples=(7,), split=split, execution="graph")
        expected = assess(restored, digits, plan).estimates.log_likelihood
        grey = getattr(tv.data.load("digits"), split)
        caplog.clear()
        found = tv.log_likelihood(restored.vae, grey, iw_samples=7, seed=0, execution="graph")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
        (record,) = caplog.records
        assert "from a fixed seed. Set `binarization` to choose another way." in record.message

    def test_named_binarization_needs_no_warning(self, vae: VAE, caplog: pytest.LogCaptureFixture) -> None:
        grey = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
        settings = {"iw_samples": 3, "execution": "graph"}
        found = log_likelihood(vae, Split(grey), binarization="threshold", **settings)
        np.testing.assert_array_equal(found, log_likelihood(vae, grey, binarization=Threshold(), **settings))
        np.testing.assert_array_equal(found, log_likelihood(vae, (grey >= 0.5).astype(np.float32), **settings))
        assert caplog.records == []

    def test_binarization_none_refuses_grey_values(self, vae: VAE) -> None:
        data = tv.data.load("digits")
        with pytest.raises(DataError, match=r"^test split: expected values in \{0, 1\}, found 0\.\d+ in row"):
            log_likelihood(vae, data.test, binarization="none")

    def test_refuses_values_outside_the_unit_interval(self, vae: VAE, x: np.ndarray) -> None:
        with pytest.raises(DataError, match=r"^x: expected values in \[0, 1\], found 255 in row"):
            log_likelihood(vae, Split(255 * x))

    def test_refuses_a_whole_data_set(self, vae: VAE, x: np.ndarray) -> None:
        with pytest.raises(UsageError, match=r"Pass one of them, such as `data\.test`"):
            log_likelihood(vae, Dataset("some", "", Split(x), Split(x), Split(x)))


@pytest.mark.parametrize(
    ("binarization", "text", "has_units"),
    [
        ("threshold", "a density of binarized values", False),
        (Threshold(), "a density of binarized values", False),
        (Unchanged(), "a density in the units of the data", True),
        (None, "a density in the units of the data", True),
    ],
)
def test_densities_have_units_unless_values_are_binarized(
    binarization: object, text: str, has_units: bool, rng: np.random.Generator
) -> None:
    data = tv.data.load(rng.integers(0, 5, (40, 3)).astype(float), scaling="divided:by=4")
    vae = tv.build(data, latent_dim=1, likelihood="continuous-bernoulli", hidden=(4,))
    found = log_likelihood(vae, data.test, iw_samples=2, binarization=binarization, execution="eager")
    np.testing.assert_allclose(found.scaled - found.values, data.test.log_scale if has_units else 0)
    assert found.measure.text == text


@pytest.mark.parametrize("scaling", ["divided:by=256", "standard"])
def test_levels_with_noise_have_a_density_per_level(scaling: str, rng: np.random.Generator) -> None:
    levels = rng.integers(0, 256, (60, 3))
    data = tv.data.load(levels, scaling=scaling, dequantization="uniform")
    vae = tv.build(data, latent_dim=1, likelihood="normal", hidden=(4,))
    found = log_likelihood(vae, data.test, iw_samples=2, execution="eager")
    np.testing.assert_allclose(found.scaled - found.values, data.test.log_scale)
    noisy = data.noise.held_out(data.test.x, generator(FIXED_SEED, Purpose.HELD_OUT, 2))
    plain = log_likelihood(vae, noisy, iw_samples=2, execution="eager")
    np.testing.assert_allclose(found.scaled, plain.values, rtol=1e-12)
    assert found.measure.text.startswith("a density of dequantized levels")
    assert "uniform" in found._repr_html_()
    again = log_likelihood(vae, data.test[:4], iw_samples=2, execution="eager")
    assert again.measure == found.measure


class TestSupport:
    """Values outside the likelihood's support are an error and never get a number."""

    def test_bernoulli_refuses_pixels_up_to_255(self, vae: VAE, x: np.ndarray) -> None:
        row = int(np.flatnonzero(x.reshape(len(x), -1).any(axis=1))[0])
        message = rf"^x: expected values in \{{0, 1\}}, found 255 in row {row} \(counted from 0\)[.] Scale or binariz"
        with pytest.raises(DataError, match=message):
            tv.log_likelihood(vae, 255 * x)

    @pytest.mark.parametrize("value", [0.3, -1.0, np.nan, np.inf])
    def test_one_value_outside_raises_an_error(self, value: float, vae: VAE, x: np.ndarray) -> None:
        wrong = x.copy()
        wrong[5, 2, 3] = value
        with pytest.raises(DataError, match=rf"found {value:g} in row 5"):
            estimate(vae, wrong, iw_samples=2, seed=(0, 0))

    def test_an_estimator_checks_every_call(self, vae: VAE, x: np.ndarray) -> None:
        estimator = Estimator(vae, iw_samples=2, execution="eager")
        assert np.isfinite(estimator(x, seed=(0, 0)).log_likelihood).all()
        with pytest.raises(DataError, match="expected values in"):
            estimator(x / 2, seed=(0, 0))

    def test_refuses_examples_of_another_shape(self, vae: VAE, x: np.ndarray) -> None:
        with pytest.raises(DataError, match=r"expected examples of shape \(8, 8, 1\), found \(64,\)"):
            log_likelihood(vae, x.reshape(7, 64))


ENTRIES: dict[str, Callable[[VAE, Any], object]] = {
    "log_likelihood": lambda vae, x: tv.log_likelihood(vae, x, iw_samples=1),
    "estimate": lambda vae, x: tv.evaluation.estimate(vae, x, iw_samples=1, seed=(0, 0)),
    "Estimator": lambda vae, x: tv.evaluation.Estimator(vae, iw_samples=1)(x, seed=(0, 0)),
    "annealing": lambda vae, x: tv.evaluation.annealed_log_likelihood(vae, x, steps=1, chains=2, seed=(0, 0)),
    "decomposition": lambda vae, x: tv.evaluation.decomposition(vae, x, seed=(0, 0)),
    "rate_per_dimension": tv.evaluation.rate_per_dimension,
    "reconstruction_error": lambda vae, x: tv.evaluation.reconstruction_error(vae, x, seed=(0, 0)),
    "posterior_means": lambda vae, x: tv.evaluation.posterior_means(vae, x, seed=(0, 0)),
    "encode": lambda vae, x: tv.evaluation.encode(vae, x, samples=0, seed=(0, 0)),
    "reconstruct": lambda vae, x: vae.reconstruct(x),
    "fit": tv.fit,
    "validation": lambda vae, x: tv.fit(vae, np.zeros((4, *SHAPE), np.float32), validation=x),
    "Validator": lambda vae, x: tv.training.loop.Validator(vae, tv.objectives.ELBO(), x, run_seed=0),
    **{
        f"{part} of {name}": lambda vae, x, name=name, part=part: getattr(
            OBJECTIVES.build(OBJECTIVES.member(name)), part
        )(vae, x, seed=(0, 0))
        for name in builders.REAL_OBJECTIVES
        for part in ("bound", "loss")
    },
    "weighted loss": lambda vae, x: tv.objectives.Weighted(tv.objectives.ELBO(), beta=2.0).loss(vae, x, seed=(0, 0)),
}
"""Every function of the library that takes a model and examples."""


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_refuses_values_without_a_likelihood(name: str) -> None:
    vae, x = make(), np.ones((3, *SHAPE), np.float32)
    x[1, 0, 0, 0] = 255
    with pytest.raises(DataError, match=r"expected values in (\{0, 1\}|\[0, 1\]), found 255 in row 1"):
        ENTRIES[name](vae, x)
    with pytest.raises(DataError, match="expected examples of shape"):
        ENTRIES[name](vae, np.ones((3, 2, 3, 1), np.float32))


@final
@record
class Angle(ElementwiseLikelihood):
    """The likelihood of a hand-built model, for angles from 0 to 6.25."""

    event_shape: tuple[int, ...]
    discrete: ClassVar[bool] = False
    support: ClassVar[Support] = Support("[0, 6.25]", lambda x: (x >= 0) & (x <= 6.25))
    per_element: ClassVar[int] = 1

    def elementwise(self, params: Tensor) -> Distribution:
        return tfp.distributions.VonMises(params[..., 0], 1.0)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        return mean[:, np.newaxis]


@pytest.mark.parametrize("wrap", [np.asarray, tf.constant, tf.Variable, Batch], ids=lambda wrap: wrap.__name__)
def test_hand_built_models_check_their_own_support(wrap: Callable[[np.ndarray], Any]) -> None:
    likelihood, posterior = Angle(SHAPE), tv.posteriors.DiagonalNormal(2)
    vae = tv.VAE(
        tv.Encoder(tv.networks.mlp(SHAPE, posterior.params_size, hidden=()), posterior),
        tv.Decoder(tv.networks.mlp((2,), likelihood.params_size, hidden=()), likelihood),
        tv.priors.StandardNormal(2),
    )
    assert np.isfinite(tv.objectives.ELBO().loss(vae, wrap(np.ones((2, *SHAPE), np.float32)), seed=(0, 0)))
    with pytest.raises(DataError, match=r"expected values in \[0, 6.25\], found 360 in row 0. Scale"):
        tv.objectives.ELBO().loss(vae, wrap(np.full((2, *SHAPE), 360.0, np.float32)), seed=(0, 0))


def test_compiled_losses_take_symbolic_tensors() -> None:
    vae, x = make(), np.ones((3, *SHAPE), np.float32)
    loss = tf.function(lambda x: tv.objectives.ELBO().loss(vae, x, seed=(0, 0)), autograph=False)
    np.testing.assert_allclose(loss(tf.constant(x)), tv.objectives.ELBO().loss(vae, x, seed=(0, 0)), rtol=1e-5)


def test_log_likelihood_names_an_argument_of_the_wrong_kind(vae: VAE, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"^log_likelihood: vae: expected a VAE, found an ndarray\.$"):
        log_likelihood(x, vae)
    with pytest.raises(UsageError, match=r"^log_likelihood: x: expected a Split, found None\.$"):
        log_likelihood(vae, None)


@pytest.mark.slow
def test_refined_estimate_has_the_name_of_its_refinement(vae: VAE, x: np.ndarray) -> None:
    found = log_likelihood(vae, x, iw_samples=20, seed=3, refine="local:steps=2", execution="graph")
    assert found.refine == "local:steps=2,samples=8,learning_rate=0.1"
    assert found.refine in found._repr_html_()
    seed = seed_for(3, Purpose.EVALUATION)
    expected = estimate(vae, x, iw_samples=20, seed=seed, refine=Local(steps=2), execution="graph")
    np.testing.assert_array_equal(found, expected.log_likelihood)
    assert np.isfinite(found.estimates.refined_elbo).all()
