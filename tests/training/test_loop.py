"""The compiled loop: its examples, its numbers and its end."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.models import SHAPE, make
from tests.helpers.runs import Interrupt, Observer, assert_same, start_run, without_seconds
from tfp_vae import VAE
from tfp_vae.core.errors import DivergenceError
from tfp_vae.core.execution import EXECUTIONS, choose
from tfp_vae.core.registry import Table
from tfp_vae.data.transforms.binarization import Dynamic
from tfp_vae.model.distributions import normals
from tfp_vae.objectives import ELBO
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training import fitting
from tfp_vae.training.history import Totals
from tfp_vae.training.loop import Trainer, Validator, epoch_batches
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.state import State


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.random((50, *SHAPE)).astype(np.float32)


def trainer(vae: VAE, x: np.ndarray, execution: str = "graph", learning_rate: float = 1e-2, **more: object) -> Trainer:
    return Trainer(
        vae,
        ELBO(),
        OPTIMIZERS["adam"](learning_rate),
        SCHEDULES["constant"](learning_rate, 1),
        x,
        transform=Dynamic().batch,
        run_seed=0,
        execution=execution,
        **more,
    )


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


@pytest.mark.parametrize("execution", list(EXECUTIONS))
def test_every_execution_learns(execution: str, x: np.ndarray) -> None:
    vae = make()
    steps = trainer(vae, (x > 0.5).astype(np.float32), execution)
    batches = tf.constant(epoch_batches(50, 25, 20, 0, 0))
    before = steps.run(batches, 5, 0, Totals()).mean().elbo
    after = steps.run(batches, 20, 20, Totals()).mean().elbo
    assert after > before + 0.2


@pytest.mark.parametrize("execution", ["graph", pytest.param("xla", marks=pytest.mark.slow)])
def test_weights_do_not_depend_on_the_steps_per_call(execution: str, x: np.ndarray) -> None:
    batches = tf.constant(epoch_batches(50, 10, 12, 0, 0))
    outcomes = []
    for cuts in ([12], [1, 2, 7, 12]):
        vae, totals = make(), Totals()
        steps = trainer(vae, x, execution)
        for end in cuts:
            totals = steps.run(batches, end, 0, totals)
        outcomes.append((State(vae, steps.optimizer).capture(), totals))
    assert outcomes[0][1] == outcomes[1][1]
    assert_same(outcomes[0][0], outcomes[1][0])


def test_all_executions_take_the_same_steps(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normals, "standard_normal", lambda shape, seed, dtype: tf.fill(shape, tf.constant(0.3, dtype)))
    monkeypatch.setattr(Dynamic, "batch", lambda self, batch, seed: batch)
    batches, weights, totals = tf.constant(epoch_batches(50, 10, 12, 0, 0)), {}, {}
    for execution in EXECUTIONS:
        vae = make()
        steps = trainer(vae, (x > 0.5).astype(np.float32), execution)
        totals[execution] = steps.run(batches, 12, 0, steps.run(batches, 5, 0, Totals()))
        weights[execution] = [variable.numpy() for variable in vae.trainable_variables]
    for execution in ("graph", "xla"):
        np.testing.assert_allclose(totals[execution], totals["eager"], rtol=1e-4)
        for mine, eager in zip(weights[execution], weights["eager"], strict=True):
            np.testing.assert_allclose(mine, eager, atol=1e-4)  # a step of Adam moves a weight by 1e-2


@pytest.mark.parametrize("execution", ["graph", "xla"])
def test_same_seed_same_bits(execution: str, x: np.ndarray) -> None:
    batches = tf.constant(epoch_batches(50, 10, 20, 0, 0))
    weights = []
    for _ in range(2):
        vae = make()
        trainer(vae, x, execution).run(batches, 20, 0, Totals())
        weights.append(State(vae).capture())
    assert_same(*weights)


@pytest.mark.parametrize("execution", ["graph", "xla"])
def test_each_step_draws_new_noise(execution: str, x: np.ndarray) -> None:
    vae = make()
    steps = trainer(vae, x, execution, learning_rate=1e-30)
    batches = tf.constant(np.zeros([4, 10], np.int32))
    values = [steps.run(batches, 1, first, Totals()).distortion for first in range(4)]
    assert len(set(values)) == 4


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
        steps = trainer(vae, x)
        steps.schedule = SCHEDULES["cosine"](0.5, 10)
        steps.run(tf.constant(epoch_batches(50, 10, 6, 0, 0)), 6, 0, Totals())
        assert float(steps.optimizer.learning_rate) == pytest.approx(float(steps.schedule(tf.constant(5))))


def test_a_variable_outside_the_loss_does_not_change(x: np.ndarray) -> None:
    vae = make()
    vae.encoder.unused = tf.Variable([1.0, 2.0])
    steps = trainer(vae, x, "graph")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns about it too
        steps.run(tf.constant(epoch_batches(50, 25, 4, 0, 0)), 4, 0, Totals())
    np.testing.assert_array_equal(vae.encoder.unused, [1.0, 2.0])


@pytest.mark.parametrize("execution", list(EXECUTIONS))
class TestDivergence:
    """Training stops at the first step that is not finite."""

    def test_in_the_data(self, execution: str, x: np.ndarray) -> None:
        spoiled = (x > 0.5).astype(np.float32)
        spoiled[3, 0, 0, 0] = np.nan
        batches = np.arange(10, dtype=np.int32).repeat(10).reshape(10, 10)
        with pytest.raises(DivergenceError, match="at step 4"):
            plain(make(), spoiled, execution).run(tf.constant(batches), 10, 0, Totals())

    def test_in_a_weight(self, execution: str, x: np.ndarray) -> None:
        vae = make()
        vae.trainable_variables[0].assign(np.full(vae.trainable_variables[0].shape, np.inf))
        with pytest.raises(DivergenceError, match=r"not finite in the .* at step 6"):
            batches = tf.constant(epoch_batches(50, 10, 5, 0, 0))
            plain(vae, (x > 0.5).astype(np.float32), execution).run(batches, 5, 5, Totals())

    def test_in_the_update(self, execution: str, x: np.ndarray) -> None:
        with pytest.raises(DivergenceError, match=r"step [12]$"):
            plain(make(), (x > 0.5).astype(np.float32), execution, learning_rate=1e38).run(
                tf.constant(epoch_batches(50, 10, 5, 0, 0)), 5, 0, Totals()
            )


def plain(vae: VAE, x: np.ndarray, execution: str, learning_rate: float = 1e-3) -> Trainer:
    return Trainer(
        vae,
        ELBO(),
        OPTIMIZERS["sgd"](learning_rate),
        SCHEDULES["constant"](learning_rate, 1),
        x,
        transform=lambda batch, seed: batch,
        run_seed=0,
        execution=execution,
    )


class TestValidator:
    """The mean over all held-out examples."""

    @pytest.mark.parametrize("batch_size", [50, 500])
    def test_is_the_mean_over_the_examples(self, batch_size: int, x: np.ndarray) -> None:
        vae, binary = make(), (x > 0.5).astype(np.float32)
        found = Validator(vae, ELBO(), binary, run_seed=0, batch_size=batch_size, execution="graph")()
        q = vae.encoder(binary)
        assert found.rate == pytest.approx(float(tf.reduce_mean(q.kl_divergence(vae.prior()))), rel=1e-5)
        assert found.elbo == pytest.approx(-found.distortion - found.rate)

    def test_a_smaller_last_batch_has_a_smaller_weight(self, x: np.ndarray) -> None:
        vae, binary = make(), (x > 0.5).astype(np.float32)
        rates = [
            Validator(vae, ELBO(), binary, run_seed=0, batch_size=size, execution="graph")().rate for size in (7, 50)
        ]
        assert rates[0] == pytest.approx(rates[1], rel=1e-5)

    def test_is_the_same_every_time(self, x: np.ndarray) -> None:
        binary = (x > 0.5).astype(np.float32)
        validator = Validator(make(), ELBO(), binary, run_seed=0, execution="graph")
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


class TestCourse:
    """Training a run: epochs, checkpoints and resuming."""

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

    def test_error_mentions_divergence_in_the_first_epoch(self, tmp_path: object) -> None:
        run, dataset = start_run(tmp_path / "run", learning_rate=1e30)
        with pytest.raises(DivergenceError, match=r"step \d+\..*`learning_rate`.* There is no checkpoint before it"):
            train(run, dataset)
        assert not run.is_finished()
