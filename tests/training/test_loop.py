"""The compiled loop: its examples, its numbers and its end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import final

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.models import SHAPE, make
from tests.helpers.runs import Interrupt, Observer, assert_same, start_run, without_seconds
from tfp_vae import VAE
from tfp_vae.core.errors import DataError, DivergenceError, UsageError
from tfp_vae.core.execution import choose, compile_function
from tfp_vae.core.registry import Table
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.data.transforms.binarization import Dynamic, Unchanged
from tfp_vae.model.distributions import normals
from tfp_vae.objectives import ELBO, TotalCorrelation
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training import fitting, loop
from tfp_vae.training.average import Average, copies
from tfp_vae.training.history import Totals
from tfp_vae.training.loop import Trainer, Validator, epoch_batches
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.state import State


def examples() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (50, *SHAPE)).astype(np.float32)


@pytest.fixture
def x() -> np.ndarray:
    return examples()


def trainer(vae: VAE, x: np.ndarray, execution: str = "graph", learning_rate: float = 1e-2, **more: object) -> Trainer:
    settings = {"transform": Dynamic().batch, "run_seed": 0, "execution": execution, **more}
    optimizer, schedule = OPTIMIZERS["adam"](learning_rate), SCHEDULES["constant"](learning_rate, 1)
    return Trainer(vae, ELBO(), optimizer, schedule, x, **settings)


@final
class Bench:
    """A trainer that is compiled once for many tests.

    Its learning rate is a variable, so that a test can change it without compiling again.
    """

    def __init__(self, execution: str) -> None:
        self.execution = execution
        self.vae, self.rate = make(), tf.Variable(1e-2)
        self.trainer = trainer(self.vae, examples(), execution)
        self.trainer.schedule = lambda step: self.rate.read_value()
        self.state = State(self.vae, self.trainer.optimizer)
        self._start = self.state.capture()

    def reset(self) -> None:
        """Restore the initial weights, the rate and the data."""
        self.state.restore(self._start)
        self.rate.assign(1e-2)
        self.trainer.load(examples())

    def run(self, end: int, first_step: int = 0, totals: Totals | None = None, batches: object = None) -> Totals:
        """Take steps. All batches have one shape, because another would compile again."""
        batches = epoch_batches(50, 10, 12, 0, 0) if batches is None else batches
        return self.trainer.run(tf.constant(batches), end, first_step, totals or Totals())


@pytest.fixture(scope="module", params=["eager", "graph", pytest.param("xla", marks=pytest.mark.slow)])
def shared_bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.reset()
    return shared_bench


class TestEpochBatches:
    """Batches walk through permutations."""

    def test_one_pass_sees_each_example_once(self) -> None:
        assert sorted(epoch_batches(60, 20, 3, 0, 0).ravel()) == list(range(60))

    def test_last_batch_is_filled_up(self) -> None:
        batches = epoch_batches(50, 20, 3, 0, 0)
        assert batches.shape == (3, 20)
        assert set(batches.ravel()[:50]) == set(range(50))
        assert len(set(batches.ravel()[50:])) == 10

    def test_batch_may_exceed_the_data(self) -> None:
        counts = np.bincount(epoch_batches(3, 10, 4, 0, 0).ravel())
        assert counts.min() >= 13

    def test_epochs_and_seeds_differ(self) -> None:
        first = epoch_batches(50, 10, 5, 0, 0)
        np.testing.assert_array_equal(first, epoch_batches(50, 10, 5, 0, 0))
        assert (first != epoch_batches(50, 10, 5, 0, 1)).any()
        assert (first != epoch_batches(50, 10, 5, 1, 0)).any()


@pytest.mark.slow
def test_every_execution_learns(bench: Bench) -> None:
    bench.rate.assign(5e-2)
    before = bench.run(2).mean().elbo
    assert bench.run(12, 2).mean().elbo > before + 0.2


@pytest.mark.slow
def test_weights_do_not_depend_on_the_steps_per_call(bench: Bench) -> None:
    outcomes = []
    for cuts in ([6], [1, 2, 6]):
        bench.reset()
        totals = Totals()
        for end in cuts:
            totals = bench.run(end, totals=totals)
        outcomes.append((bench.state.capture(), totals))
    assert outcomes[0][1] == outcomes[1][1]
    assert_same(outcomes[0][0], outcomes[1][0])


@pytest.mark.parametrize("execution", ["graph", pytest.param("xla", marks=pytest.mark.slow)])
def test_all_executions_take_the_same_steps(execution: str, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normals, "standard_normal", lambda shape, seed, dtype: tf.fill(shape, tf.constant(0.3, dtype)))
    batches, weights, totals = tf.constant(epoch_batches(50, 10, 5, 0, 0)), {}, {}
    for name in (execution, "eager"):
        vae = make()
        steps = trainer(vae, x, name, transform=lambda batch, seed: batch)
        totals[name] = steps.run(batches, 5, 0, steps.run(batches, 2, 0, Totals()))
        weights[name] = [variable.numpy() for variable in vae.trainable_variables]
    np.testing.assert_allclose(totals[execution], totals["eager"], rtol=1e-4)
    for mine, eager in zip(weights[execution], weights["eager"], strict=True):
        np.testing.assert_allclose(mine, eager, atol=1e-4)  # a step of Adam moves a weight by 1e-2


@pytest.mark.parametrize("execution", ["eager", pytest.param("xla", marks=pytest.mark.slow)])
def test_same_seed_same_bits(execution: str, x: np.ndarray) -> None:
    batches = tf.constant(epoch_batches(50, 10, 4, 0, 0))
    weights = []
    for _ in range(2):
        vae = make()
        trainer(vae, x, execution).run(batches, 4, 0, Totals())
        weights.append(State(vae).capture())
    assert_same(*weights)


@pytest.mark.slow
def test_each_step_draws_new_noise(bench: Bench) -> None:
    bench.rate.assign(1e-30)
    batches = np.zeros([12, 10], np.int32)
    values = [bench.run(1, first, batches=batches).distortion for first in range(4)]
    assert len(set(values)) == 4


@pytest.mark.parametrize("execution", ["eager", pytest.param("xla", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_follows_the_gradient_in_the_type_of_the_model(dtype: str, execution: str, x: np.ndarray) -> None:
    vae = builders.model(latent_dim=2, shape=SHAPE, dtype=dtype)
    assert vae.dtype == dtype
    before = [variable.numpy() for variable in vae.trainable_variables]
    steps = Trainer(
        vae,
        ELBO(),
        OPTIMIZERS["sgd"](0.5),
        lambda step: 0.5,
        x,
        transform=lambda batch, seed: batch,
        run_seed=0,
        clip_norm=1e6,
        average=Average(copies(vae.trainable_variables), 0.5),
        execution=execution,
    )

    def loss_and_gradients() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = ELBO().loss(vae, x[:8].astype(dtype), seed=seed_for(0, Purpose.LATENT, 0))
        return loss, tape.gradient(loss, vae.trainable_variables)

    loss, gradients = compile_function(loss_and_gradients, execution)()
    totals = steps.run(tf.constant(np.arange(8)[np.newaxis].astype(np.int32)), 1, 0, Totals())
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert totals.mean().elbo == pytest.approx(-float(loss), rel=tolerance)
    for variable, start, gradient in zip(vae.trainable_variables, before, gradients, strict=True):
        assert variable.dtype == dtype
        np.testing.assert_allclose(variable, start - 0.5 * gradient, rtol=tolerance, atol=tolerance)
    found = Validator(vae, ELBO(), x, run_seed=0, execution=execution)()
    assert found.elbo == pytest.approx(-found.distortion - found.rate)


def test_clip_norm_bounds_a_step_of_sgd(x: np.ndarray) -> None:
    vae = make()
    before = [v.numpy() for v in vae.trainable_variables]
    steps = Trainer(
        vae,
        ELBO(),
        OPTIMIZERS["sgd"](1.0),
        SCHEDULES["constant"](1.0, 1),
        (x > 0.5).astype(np.float32),
        transform=lambda batch, seed: batch,
        run_seed=0,
        clip_norm=0.01,
        execution="eager",
    )
    steps.run(tf.constant(epoch_batches(50, 10, 1, 0, 0)), 1, 0, Totals())
    moved = np.sqrt(sum(np.sum((v.numpy() - b) ** 2) for v, b in zip(vae.trainable_variables, before, strict=True)))
    assert moved == pytest.approx(0.01, rel=1e-3)


class TestDataOfATrainer:
    """A trainer refuses data that its model cannot have produced, in the words of `fit`."""

    @pytest.mark.parametrize("dynamic", [False, True])
    @pytest.mark.parametrize("change", [lambda x: 255 * x, lambda x: x - 0.5, lambda x: x[:, :1], lambda x: x * np.nan])
    def test_wrong_data_get_the_message_of_fit(
        self, change: Callable[[np.ndarray], np.ndarray], dynamic: bool, x: np.ndarray
    ) -> None:
        binarization = Dynamic() if dynamic else Unchanged()
        with pytest.raises(DataError) as expected:
            tv.fit(make(), change(x), epochs=1, binarization=binarization, execution="eager")
        with pytest.raises(DataError) as caught:
            trainer(make(), change(x), transform=binarization.batch)
        assert str(caught.value) == str(expected.value)

    def test_grey_data_pass_only_if_they_are_binarized(self, x: np.ndarray) -> None:
        for transform in (Dynamic().batch, lambda batch, seed: tf.round(batch)):
            trainer(make(), x / 4, transform=transform)
        for transform in (Unchanged().batch, lambda batch, seed: batch):
            with pytest.raises(DataError, match=r"^array, train split: expected values in .0, 1., found 0.25 in row 0"):
                trainer(make(), np.maximum(x / 4, 0.25), transform=transform)

    def test_data_are_checked_once(self, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
        """`fit` knows the facts about its data, so its trainer reads no value of them."""
        calls: list[np.ndarray] = []
        monkeypatch.setattr(loop, "check_training_data", lambda vae, x, *more: calls.append(x))
        tv.fit(make(), x, epochs=1, steps_per_epoch=1, batch_size=2, execution="eager")
        assert not calls
        trainer(make(), x)
        assert len(calls) == 1


class TestSchedules:
    """step -> learning rate."""

    def test_constant_stays(self) -> None:
        rate = SCHEDULES["constant"](0.1, 100)
        assert [float(rate(tf.constant(step))) for step in (0, 50, 100)] == pytest.approx([0.1] * 3)

    def test_cosine_falls_from_the_rate_to_its_floor(self) -> None:
        rate = SCHEDULES["cosine"](0.1, 100, floor=0.1)
        found = [float(rate(tf.constant(step))) for step in (0, 50, 100, 200)]
        assert found == pytest.approx([0.1, 0.055, 0.01, 0.01])

    def test_optimizer_follows_the_schedule(self, x: np.ndarray) -> None:
        vae = make()
        steps = trainer(vae, x, "eager")
        steps.schedule = SCHEDULES["cosine"](0.5, 10)
        steps.run(tf.constant(epoch_batches(50, 10, 6, 0, 0)), 6, 0, Totals())
        assert float(steps.optimizer.learning_rate) == pytest.approx(float(steps.schedule(tf.constant(5))))


def test_a_variable_outside_the_loss_does_not_change(x: np.ndarray) -> None:
    vae = make()
    vae.encoder.unused = tf.Variable([1.0, 2.0])
    steps = trainer(vae, x, "eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns about it too
        steps.run(tf.constant(epoch_batches(50, 25, 4, 0, 0)), 4, 0, Totals())
    np.testing.assert_array_equal(vae.encoder.unused, [1.0, 2.0])


class TestDivergence:
    """Training stops at the first step that is not finite."""

    def test_in_the_data(self, bench: Bench, x: np.ndarray) -> None:
        x[3, 0, 0, 0] = np.nan
        bench.trainer.load(x)
        with pytest.raises(DivergenceError, match="in the data at step 4"):
            bench.run(12, batches=np.arange(12, dtype=np.int32).repeat(10).reshape(12, 10))

    def test_in_a_weight(self, bench: Bench) -> None:
        bench.vae.trainable_variables[0].assign(np.full(bench.vae.trainable_variables[0].shape, np.inf))
        with pytest.raises(DivergenceError, match=r"not finite in the .* at step 6"):
            bench.run(5, 5)

    def test_in_the_update(self, bench: Bench) -> None:
        bench.rate.assign(1e38)
        with pytest.raises(DivergenceError, match=r"step [12]$"):
            bench.run(5)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_network_that_no_gradient_reaches_is_refused(part: str, x: np.ndarray) -> None:
    vae = make()
    network = getattr(vae, part).network

    class Rounded(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return tf.round(tf.stop_gradient(self.inner(x)))

    getattr(vae, part).network = Rounded()
    steps = trainer(vae, x, "eager")
    with pytest.raises(UsageError, match=rf"No gradient reaches the {part}'s network.*tv\.networks\.Fixed"):
        steps.run(tf.constant(epoch_batches(50, 10, 1, 0, 0)), 1, 0, Totals())


class TestValidator:
    """The mean over all held-out examples."""

    @pytest.mark.parametrize("batch_size", [50, 500])
    def test_is_the_mean_over_the_examples(self, batch_size: int, x: np.ndarray) -> None:
        vae, binary = make(), (x > 0.5).astype(np.float32)
        found = Validator(vae, ELBO(), binary, run_seed=0, batch_size=batch_size, execution="eager")()
        q = vae.encoder(binary)
        assert found.rate == pytest.approx(float(tf.reduce_mean(q.kl_divergence(vae.prior()))), rel=1e-5)
        assert found.elbo == pytest.approx(-found.distortion - found.rate)

    def test_a_smaller_last_batch_has_a_smaller_weight(self, x: np.ndarray) -> None:
        vae, binary = make(), (x > 0.5).astype(np.float32)
        rates = [
            Validator(vae, ELBO(), binary, run_seed=0, batch_size=size, execution="eager")().rate for size in (7, 50)
        ]
        assert rates[0] == pytest.approx(rates[1], rel=1e-5)

    @pytest.mark.parametrize("beta", [1.0, 6.0])
    def test_bound_of_total_correlation_is_the_elbo_only_with_weights_of_one(self, beta: float, x: np.ndarray) -> None:
        vae, binary = make(), (x > 0.5).astype(np.float32)
        objective = TotalCorrelation(50, beta=beta)
        found = Validator(vae, objective, binary, run_seed=0, batch_size=7, execution="eager")()
        assert (found.bound == found.elbo) == (beta == 1)

    def test_is_the_same_every_time(self, x: np.ndarray) -> None:
        validator = Validator(make(), ELBO(), x, run_seed=0, execution="eager")
        assert validator() == validator()


class TestChoice:
    """The model decides which execution is used."""

    def test_dense_models_use_xla(self) -> None:
        assert choose(make()) == "xla"

    def test_convolutions_on_a_cpu_run_as_a_graph(self) -> None:
        import tf_keras

        vae = make()
        vae.encoder.network = tf_keras.Sequential([tf_keras.Input(SHAPE), tf_keras.layers.Conv2D(2, 3)])
        expected = "xla" if tf.config.list_logical_devices("GPU") else "graph"
        assert choose(vae) == expected

    def test_explicit_execution_wins(self) -> None:
        assert choose(make(), "eager") == "eager"
        assert choose(make(), "xla", examples=4, steps=1) == "xla"

    @pytest.mark.parametrize(
        ("examples", "steps", "expected"),
        [(320, 300, "graph"), (1_000, 500, "graph"), (320, 501, "xla"), (1_149, 27, "xla"), (48_000, 37_500, "xla")],
    )
    def test_short_trainings_on_few_examples_run_as_a_graph(self, examples: int, steps: int, expected: str) -> None:
        assert choose(make(), examples=examples, steps=steps) == expected


class TestCourse:
    """Training a run: epochs, checkpoints and resuming."""

    @pytest.mark.slow  # tests of `fit` in memory resume too
    def test_an_interrupted_run_resumes_to_the_same_bits(self, tmp_path: object, trained: object) -> None:
        run, dataset = start_run(tmp_path / "run")
        asked = []

        def stopping() -> bool:
            asked.append(1)
            return len(asked) > 3

        assert not train(run, dataset, callbacks=[Interrupt(stopping)])
        assert not run.is_finished()
        assert 0 < run.checkpoint().step < 12
        assert train(run, dataset)
        whole = Run.open(trained)
        assert_same(run.checkpoint().variables, whole.checkpoint().variables)
        assert without_seconds(run.metrics()) == without_seconds(whole.metrics())

    @pytest.mark.slow  # tests of `fit` in memory check the calls of callbacks
    def test_progress_moves_within_an_epoch(self, tmp_path: object) -> None:
        reports: list[tuple[int, int]] = []
        follow = Observer(lambda training: reports.append((training.step, len(training.history))))
        train(*start_run(tmp_path / "run", epochs=1), callbacks=[follow])
        steps, epochs = zip(*reports, strict=True)
        assert list(steps) == sorted(set(steps))
        assert len(steps) > 1
        assert steps[-1] == 12
        assert epochs == (0,) * (len(reports) - 1) + (1,)

    def test_metrics_have_a_line_for_each_epoch(self, trained: object) -> None:
        lines = Run.open(trained).metrics()
        assert [line["epoch"] for line in lines] == [1, 2]
        assert [line["step"] for line in lines] == [12, 24]
        for line in lines:
            assert line["elbo"] == pytest.approx(-line["distortion"] - line["rate"])
            assert line["learning_rate"] == pytest.approx(1e-3)
        assert lines[1]["elbo"] > lines[0]["elbo"]

    @pytest.mark.slow
    def test_divergence_keeps_the_last_good_checkpoint(self, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
        def explosive(learning_rate: float, total_steps: int) -> object:
            return lambda step: tf.where(step < 15, learning_rate, 1e35)

        monkeypatch.setattr(fitting, "SCHEDULES", Table("schedule", {"constant": explosive}, base=object))
        run, dataset = start_run(tmp_path / "run")
        with pytest.raises(DivergenceError, match=r"step 1[67]\..* The checkpoint after step 12 is kept"):
            train(run, dataset)
        assert not run.is_finished()
        assert run.checkpoint().step == 12
        assert all(np.isfinite(value).all() for value in run.checkpoint().variables.values())

    @pytest.mark.slow
    def test_error_mentions_divergence_in_the_first_epoch(self, tmp_path: object) -> None:
        run, dataset = start_run(tmp_path / "run", learning_rate=1e30)
        with pytest.raises(DivergenceError, match=r"step \d+\..*`learning_rate`.* There is no checkpoint before it"):
            train(run, dataset)
        assert not run.is_finished()
