"""Averaged weights: they equal the closed form, cost nothing if off, and survive an interruption."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.commands import GRAPH, call
from tests.helpers.models import SHAPE, make
from tests.helpers.runs import CONFIGS, Interrupt, assert_same, start_run, without_seconds
from tfp_vae import reports
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import Table
from tfp_vae.objectives import ELBO
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.config import ModelConfig, RunConfig, TrainingConfig
from tfp_vae.runs.folder.checkpoint import shapes
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training import fitting
from tfp_vae.training.average import Average, copies
from tfp_vae.training.history import Totals
from tfp_vae.training.loop import Trainer, Validator, epoch_batches
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.state import AVERAGE, State, model_arrays, weights_in_use

STEPS = 5


def x() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (30, *SHAPE)).astype(np.float32)


def trainer(vae: object, average: Average | None, execution: str = "graph") -> Trainer:
    return Trainer(
        vae,
        ELBO(),
        OPTIMIZERS["sgd"](0.1, momentum=0.5),
        SCHEDULES["constant"](0.1, 1),
        x(),
        transform=lambda batch, seed: batch,
        run_seed=0,
        average=average,
        execution=execution,
    )


def values(variables: object) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def closed(history: list[list[np.ndarray]], decay: float) -> list[np.ndarray]:
    """The weighted mean of the weights after each step. Each earlier step counts `decay` times less."""
    counts = decay ** np.arange(len(history), dtype=np.float64)[::-1]
    return [np.tensordot(counts / counts.sum(), np.stack(each), axes=1) for each in zip(*history, strict=True)]


class TestAverage:
    """a_t = sum_s d^(t-s) w_s / sum_s d^(t-s)."""

    @pytest.mark.parametrize(
        ("execution", "decay"),
        [
            pytest.param("xla", 0.999, marks=pytest.mark.slow),
            pytest.param("graph", 0.3, marks=pytest.mark.slow),
            ("eager", 0.9),
        ],
    )
    def test_average_is_the_weighted_mean_over_all_steps(self, execution: str, decay: float) -> None:
        batches = tf.constant(epoch_batches(30, 10, STEPS, 0, 0))
        vae, averaged = make(), make()
        steps, totals, history = trainer(vae, None, execution), Totals(), []
        for end in range(1, STEPS + 1):
            totals = steps.run(batches, end, 0, totals)
            history.append(values(vae.trainable_variables))
        within = trainer(make(), Average(averaged.trainable_variables, decay), execution)
        within.run(batches, STEPS, 0, Totals())
        for found, expected in zip(values(averaged.trainable_variables), closed(history, decay), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("decay", [0.01, 0.5, 0.99, 0.9999, 0.999999])
    @pytest.mark.parametrize("steps", [1, 2, 30])
    def test_average_of_given_weights(self, decay: float, steps: int) -> None:
        weights = np.random.default_rng(1).normal(size=(steps, 5))
        kept, weight = tf.Variable(tf.fill([5], 1e3)), tf.Variable(tf.zeros([5]))
        average = Average([kept], decay)
        for step in range(steps):
            weight.assign(weights[step])
            average.update([weight], tf.constant(step))
        expected = closed([[row] for row in weights], decay)[0]
        np.testing.assert_allclose(kept.numpy(), expected, rtol=1e-4, atol=1e-3)  # started a thousand away

    def test_rate_agrees_with_float64_at_any_step(self) -> None:
        for decay in (0.1, 0.9, 0.999, 0.9999999):
            for step in (0, 1, 10, 10_000, 10_000_000):
                expected = (1 - decay) / -math.expm1((step + 1) * math.log(decay))
                assert float(Average([], decay)._rate(tf.constant(step))) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.slow
    def test_average_does_not_depend_on_the_steps_per_call(self) -> None:
        batches, found = tf.constant(epoch_batches(30, 10, STEPS, 0, 0)), []
        for cuts in ([STEPS], [1, 3, STEPS]):
            averaged, totals = make(), Totals()
            steps = trainer(make(), Average(averaged.trainable_variables, 0.9), "eager")
            for end in cuts:
                totals = steps.run(batches, end, 0, totals)
            found.append(State(averaged).capture())
        assert_same(*found)

    @pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, 2.0, math.nan])
    def test_decay_is_between_0_and_1(self, decay: float) -> None:
        with pytest.raises(UsageError, match="expected a decay above 0 and below 1"):
            Average([], decay)
        with pytest.raises(ValueError, match="ema"):
            TrainingConfig(ema=decay)


class TestCost:
    """Without averaging the loop stays the same. With averaging, training takes the same steps."""

    @staticmethod
    def traced(steps: Trainer) -> object:
        counts = (tf.constant(0), tf.constant(1), tf.constant(0))
        batches = tf.constant(epoch_batches(30, 10, STEPS, 0, 0))
        sums = (tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64))
        return steps._loop.get_concrete_function(steps._data, batches, counts, sums)

    @pytest.mark.slow
    def test_no_variable_and_no_operation_when_off(self) -> None:
        averaged = make()
        off, on = trainer(make(), None), trainer(make(), Average(averaged.trainable_variables, 0.9))
        traced_off, traced_on = self.traced(off), self.traced(on)
        assert len(traced_on.variables) - len(traced_off.variables) == len(averaged.trainable_variables)
        added = {id(v) for v in traced_on.variables} & {id(v) for v in averaged.variables}
        assert len(added) == len(averaged.trainable_variables)
        written = [_assignments(traced) for traced in (traced_off, traced_on)]
        assert written[1] - written[0] == len(averaged.trainable_variables)

    @pytest.mark.slow
    def test_the_weights_that_are_trained_stay_the_same(self) -> None:
        batches, found = tf.constant(epoch_batches(30, 10, STEPS, 0, 0)), []
        for average in (None, Average(make().trainable_variables, 0.9)):
            vae = make()
            trainer(vae, average, "eager").run(batches, STEPS, 0, Totals())
            found.append(State(vae).capture())
        assert_same(*found)


def _assignments(traced: object) -> int:
    """Return the number of operations that write a variable in a traced function and the functions it calls."""
    functions = traced.graph.as_graph_def().library.function
    return sum(node.op.startswith("Assign") for function in functions for node in function.node_def)


@pytest.fixture(scope="module")
def averaged_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with averaged weights. Do not write to it."""
    run, dataset = start_run(tmp_path_factory.mktemp("runs") / "averaged", ema=0.9)
    assert train(run, dataset)
    return run


class TestRun:
    """Validation, files and commands use the averaged weights."""

    @pytest.mark.slow
    def test_validation_uses_the_averaged_weights(self, averaged_run: Run, digits: object, trained: Path) -> None:
        def elbo(vae: object) -> float:
            x = digits.validation.x
            return Validator(vae, ELBO(), x, run_seed=0, execution="graph")().elbo

        told = averaged_run.metrics()[-1]["validation_elbo"]
        assert elbo(LoadedRun(averaged_run).vae) == pytest.approx(told, rel=1e-6)
        raw = build_from_config(averaged_run.config())
        State(raw).restore(model_arrays(averaged_run.checkpoint().variables))
        assert elbo(raw) == pytest.approx(Run(trained).metrics()[-1]["validation_elbo"], rel=1e-6)
        assert elbo(raw) != pytest.approx(told, rel=1e-4)

    @pytest.mark.slow
    def test_averaging_does_not_change_training(self, averaged_run: Run, trained: Path) -> None:
        with_it, without = averaged_run.checkpoint().variables, Run(trained).checkpoint().variables
        assert_same({name: array for name, array in with_it.items() if name in without}, without)
        assert {name for name in with_it if name not in without} == {
            f"average/{name}" for name in model_arrays(without)
        }

    @pytest.mark.slow
    def test_final_and_best_weights_are_averages(self, averaged_run: Run) -> None:
        saved = averaged_run.checkpoint().variables
        for weights in ("final", "best"):  # the last epoch is the best
            for name, value in State(LoadedRun(averaged_run, weights).vae).capture().items():
                np.testing.assert_array_equal(value, saved[f"average/{name}"])
        assert (saved["average/decoder/000/kernel"] != saved["decoder/000/kernel"]).any()

    @pytest.mark.slow  # the test before compares the best weights of a run with averages
    def test_best_weights_of_an_earlier_epoch_are_averages(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def uphill(learning_rate: float, total_steps: int) -> object:
            return lambda step: tf.where(step < 12, learning_rate, -10 * learning_rate)

        monkeypatch.setattr(fitting, "SCHEDULES", Table("schedule", {"constant": uphill}, base=fitting.SCHEDULES.base))
        first, dataset = start_run(tmp_path / "first", ema=0.9, epochs=1)
        assert train(first, dataset)
        longer, dataset = start_run(tmp_path / "longer", ema=0.9, epochs=3)
        assert train(longer, dataset)
        assert longer.read("training.json")["best"]["epoch"] == 1
        assert_same(State(LoadedRun(longer, "best").vae).capture(), State(LoadedRun(first).vae).capture())

    @pytest.mark.slow  # `fit` in memory resumes averages in the tests of `fit`
    def test_an_interrupted_run_resumes_to_the_same_bits(
        self, averaged_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fitting, "CHUNK_SECONDS", 1e-9)  # a step at a time
        run, dataset = start_run(tmp_path / "run", ema=0.9)
        asked = itertools.count()
        assert not train(run, dataset, callbacks=[Interrupt(lambda: next(asked) == 8)])
        assert run.checkpoint().step == 8
        assert train(run, dataset)
        assert_same(run.checkpoint().variables, averaged_run.checkpoint().variables)
        assert without_seconds(run.metrics()) == without_seconds(averaged_run.metrics())

    def test_a_stop_before_the_first_step_leaves_the_initial_weights(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", ema=0.999)
        assert not train(run, dataset, callbacks=[Interrupt(lambda: True)])
        restored = LoadedRun(run)
        assert restored.step == 0
        assert_same(
            State(restored.vae).capture(),
            State(build_from_config(run.config(), dataset.train.x.mean(axis=0))).capture(),
        )

    def test_averaging_changes_the_identity_of_a_run(self, averaged_run: Run, trained: Path) -> None:
        assert averaged_run.config().identity() != Run(trained).config().identity()
        content = averaged_run.config().model_dump(mode="json")
        content["training"]["ema"] = None
        assert RunConfig.model_validate(content).identity() == Run(trained).config().identity()


LARGE = {"inverse-autoregressive-flow", "real-nvp", "autoregressive-flow", "conv", "resnet"}
"""Members with many variables, which take long to build."""


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(members, marks=[pytest.mark.slow] if name.partition(":")[0] in LARGE else [], id=name)
        for members in CONFIGS
        for name in [next(iter(members.values()))]
    ],
)
def test_shapes_of_averages_agree_with_the_built_model(members: dict[str, str], trained: Path) -> None:
    data, small = Run(trained).config().data, {"encoder": "mlp:hidden=4", "decoder": "mlp:hidden=4", "latent_dim": 3}
    training = TrainingConfig(objective="rloo", ema=0.99)
    config = RunConfig(data=data, model=ModelConfig(**{**small, **members}), training=training)
    vae, optimizer = build_from_config(config), OPTIMIZERS["adam"](1e-3)
    optimizer.build(vae.trainable_variables)
    averages = copies(vae.trainable_variables)
    state = State(vae, optimizer, Average(averages, 0.99))
    built = state.capture()
    assert shapes(config) == {name: (value.shape, value.dtype.type) for name, value in built.items()}
    assert len(weights_in_use(built)) == len(model_arrays(built)) == len(vae.variables)
    assert sum(name.startswith(AVERAGE) for name in built) == len(vae.trainable_variables)
    state.restore({name: value + 1 for name, value in built.items()})
    of = {id(weight): average for weight, average in zip(vae.trainable_variables, averages, strict=True)}
    for name, weight in State(vae).variables.items():
        if id(weight) in of:
            np.testing.assert_array_equal(of[id(weight)], built[AVERAGE + name] + 1)


class TestCommand:
    """`tfp-vae train --ema`."""

    @pytest.mark.slow
    def test_commands_mention_averaged_weights(self, averaged_run: Run) -> None:
        result = call("sample", "--run", averaged_run.folder, "--n", "2", "--json")
        assert "weights: final, of step 24, averaged (EMA with decay 0.9)" in result.stderr
        which = ("--run", averaged_run.folder, "--weights", "best")
        result = call("evaluate", *which, "--iw-samples", "2", "--max-examples", "5", "--no-plots", *GRAPH, "--json")
        assert "weights: best, of step 24, averaged (EMA with decay 0.9)" in result.stderr
        assert json.loads(result.stdout)["ema"] == 0.9

    @pytest.mark.slow
    def test_training_mentions_averaged_weights(self, tmp_path: Path) -> None:
        told = ("--ema", "0.99", "--epochs", "1", "--hidden", "8", "--execution", "graph", "--run-dir", tmp_path / "r")
        assert "validation uses averaged weights (EMA with decay 0.99)" in call("train", "--no-plots", *told).stdout
        assert Run(tmp_path / "r").config().training.ema == 0.99

    def test_runs_and_report_show_averaging(self, averaged_run: Run) -> None:
        (row,) = json.loads(call("runs", "--runs-dir", averaged_run.folder.parent, "--json").stdout)["runs"]
        assert row["ema"] == 0.9
        assert "--ema 0.9 " in reports.training_command(averaged_run.config())
        assert "Averaged weights" in reports.html_page(averaged_run)
