"""`fit` in memory: order of callbacks, ends, snapshots and averaged weights."""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tf_keras

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.models import SHAPE, make
from tests.helpers.runs import assert_same
from tfp_vae.core.errors import DataError, DivergenceError, UsageError
from tfp_vae.core.seeds import Purpose, fold
from tfp_vae.data.transforms.binarization import Threshold
from tfp_vae.objectives import ELBO, IWAE, Weighted
from tfp_vae.training import (
    BestWeights,
    Callback,
    EarlyStopping,
    History,
    Snapshot,
    State,
    Trainer,
    Training,
    fit,
    fitting,
)
from tfp_vae.training.fitting import last_fit
from tfp_vae.training.state import weights_in_use


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (30, *SHAPE)).astype(np.float32)


class Recorder(Callback):
    """Record each call, and keep a snapshot at a step."""

    def __init__(self, interrupt_at: int = -1) -> None:
        self.calls: list[str] = []
        self.interrupt_at = interrupt_at
        self.kept: Snapshot | None = None
        self.error: BaseException | None = None

    def begin(self, training: Training) -> None:
        self.calls.append("begin")

    def progress(self, training: Training) -> None:
        self.calls.append("progress")
        if training.step == self.interrupt_at:
            self.kept = training.snapshot()
            training.interrupt("asked to")

    def epoch(self, training: Training) -> None:
        self.calls.append("epoch")

    def end(self, training: Training) -> None:
        self.calls.append("end")
        self.error = training.error


def short(x: np.ndarray, **more: object) -> tuple[object, History]:
    vae = make()
    return vae, fit(vae, x, **{"epochs": 3, "batch_size": 10, "execution": "eager", **more})


def test_callbacks_run_in_order(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "CHUNK_SECONDS", 1e-9)
    recorder = Recorder()
    _, history = short(x, epochs=2, callbacks=[recorder])
    assert recorder.calls == ["begin", *["progress", "progress", "epoch"] * 2, "end"]
    assert (history.finished, history.ended, len(history)) == (True, "all 2 epochs", 2)
    assert np.isnan(history[-1].validation_elbo)


@pytest.mark.slow
@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_resumed_training_reaches_the_same_bits(
    ema: float | None, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected = short(x, ema=ema, validation=x)
    monkeypatch.setattr(fitting, "CHUNK_SECONDS", 1e-9)
    recorder = Recorder(interrupt_at=5)
    _, first = short(x, ema=ema, validation=x, callbacks=[recorder])
    assert (first.finished, first.ended, len(first)) == (False, "asked to", 1)
    resumed, history = short(x, ema=ema, validation=x, resume=recorder.kept)
    assert_same(State(resumed).capture(), State(whole).capture())
    assert [each[:9] for each in history] == [each[:9] for each in expected]


class Raise(Callback):
    """Raise an error once a step is reached."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.at, self.error = at, error

    def progress(self, training: Training) -> None:
        if training.step >= self.at:
            raise self.error


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, as in a terminal. A process in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("way", "step"),
    [
        ("signal", 3),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("signal", 5), ("callback", 2), ("callback", 3))),
    ],
)
def test_a_training_that_an_error_ends_can_continue_to_the_same_bits(
    way: str, step: int, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C may arrive within a compiled call. It is raised once the call's steps are recorded."""
    whole, expected = short(x, ema=0.9, validation=x, epochs=2)
    monkeypatch.setattr(fitting, "CHUNK_SECONDS", 1e-9)
    vae, calls, take = make(), [], Trainer.run

    def interrupt(trainer: Trainer, *arguments: object) -> object:
        calls.append(take(trainer, *arguments))
        if len(calls) == step and way == "signal":
            signal.raise_signal(signal.SIGINT)
        return calls[-1]

    monkeypatch.setattr(Trainer, "run", interrupt)
    callbacks = [Raise(step, KeyboardInterrupt())] if way == "callback" else []
    settings = {"ema": 0.9, "validation": x, "epochs": 2, "batch_size": 10, "execution": "eager"}
    with pytest.raises(KeyboardInterrupt):
        fit(vae, x, callbacks=callbacks, **settings)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ended = last_fit(vae).history
    assert (ended.ended, ended.finished) == ("ended by KeyboardInterrupt", False)
    assert step <= ended.snapshot.step <= step + (way == "callback" and step == 3)
    resumed, history = short(x, resume=ended.snapshot, **settings)
    assert_same(State(resumed).capture(), State(whole).capture())
    assert [each[:9] for each in history] == [each[:9] for each in expected]


@pytest.mark.parametrize("keep", [BestWeights(restore=False), EarlyStopping(5, restore=False)])
def test_best_epoch_whose_callbacks_were_not_called_is_kept_by_the_resumed_training(
    keep: Callback, x: np.ndarray
) -> None:
    class Last(Callback):
        def epoch(self, training: Training) -> None:
            raise RuntimeError

    jump = lambda step: tf.where(step < 3, 1e-3, 20.0)  # noqa: E731
    settings = {"epochs": 2, "batch_size": 10, "execution": "eager", "lr_schedule": jump, "validation": x}
    vae = make()
    with pytest.raises(RuntimeError):
        fit(vae, x, callbacks=[Last(), keep], **settings)
    first = last_fit(vae).history.snapshot
    assert (first.best, first.step) == (None, 3)
    _, history = short(x, resume=first, callbacks=[keep], **settings)
    assert history.best_epoch == 1
    assert history.snapshot.best.step == 3
    assert_same(history.snapshot.best.variables, weights_in_use(first.variables))


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_interrupt_is_not_held() -> None:
    with pytest.raises(KeyboardInterrupt), fitting.hold_interrupts():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_interrupts_are_left_to_another_handler() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        with fitting.hold_interrupts():
            signal.raise_signal(signal.SIGINT)
            assert received == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["training", "validation"])
def test_resuming_with_other_data_raises_an_error(other: str, x: np.ndarray) -> None:
    _, first = short(x, epochs=1, validation=x)
    data = {"training": (1 - x, x), "validation": (x, 1 - x)}[other]
    with pytest.raises(DataError, match=r"`resume` belongs to a training on other data.*leave out `resume`"):
        short(data[0], epochs=2, validation=data[1], resume=first.snapshot)
    _, history = short(x.copy(), epochs=2, validation=x.copy(), resume=first.snapshot)
    assert len(history) == 2


def test_resuming_with_other_noise_raises_an_error() -> None:
    levels = np.random.default_rng(0).integers(0, 4, (40, 4))
    plain, noisy = (tv.data.load(levels, scaling="standard", dequantization=name) for name in ("none", "uniform"))
    vae = tv.build(plain, latent_dim=2, likelihood="normal", hidden=(4,))
    history = fit(vae, plain, epochs=1, batch_size=40, execution="eager")
    with pytest.raises(DataError, match="with the same `dequantization`"):
        fit(vae, noisy, epochs=2, batch_size=40, execution="eager", resume=history.snapshot)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("callbacks", [BestWeights], r"found the class BestWeights\. Call it if .*: `BestWeights\(\.\.\.\)`"),
        ("callbacks", [BestWeights(), 3], "callback: expected a name .*, found an object int"),
        ("objective", tv.objectives.IWAE, r"found the class IWAE\. Call it .*Or write 'iwae'"),
        ("optimizer", tf_keras.optimizers.Adam, r"optimizer: .*found the class Adam\. Call it"),
        ("optimizer", 0.1, "optimizer: expected a name with settings, such as 'adam', found an object float"),
        ("lr_schedule", 0.1, "schedule: expected a name with settings, such as 'constant', found an object float"),
        ("binarization", Threshold, r"found the class Threshold\. Call it"),
    ],
)
def test_parts_of_a_training_are_objects_or_names(argument: str, value: object, message: str, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match=message):
        short(x, **{argument: value})


@pytest.mark.slow
def test_early_stopping_ends_between_epochs(x: np.ndarray) -> None:
    _, history = short(x, epochs=9, learning_rate=1e-30, validation=x, callbacks=[EarlyStopping(2)])
    assert (history.ended, len(history)) == ("stopped early at epoch 3, best at epoch 1", 3)
    assert history.finished
    with pytest.raises(UsageError, match="needs validation data"):
        short(x, callbacks=[EarlyStopping(2)])


@pytest.mark.slow
def test_restores_best_weights(x: np.ndarray) -> None:
    jump = lambda step: tf.where(step < 3, 1e-3, 20.0)  # noqa: E731
    vae, history = short(x, lr_schedule=jump, validation=x, callbacks=[BestWeights()])
    assert history.best_epoch == 1
    first, _ = short(x, epochs=1, validation=x)
    assert_same(State(vae).capture(), State(first).capture())


@pytest.mark.slow
def test_early_stopping_restores_the_best_weights_and_can_continue(x: np.ndarray) -> None:
    jump = lambda step: tf.where(step < 3, 1e-3, 20.0)  # noqa: E731
    settings = {"lr_schedule": jump, "validation": x, "epochs": 9}
    vae, history = short(x, callbacks=[EarlyStopping(2)], **settings)
    assert (len(history), history.best_epoch) == (3, 1)
    first, _ = short(x, validation=x, epochs=1)
    assert_same(State(vae).capture(), State(first).capture())
    kept, _ = short(x, callbacks=[EarlyStopping(2, restore=False)], **settings)
    assert history.snapshot is not None
    assert_same(weights_in_use(history.snapshot.variables), State(kept).capture())


@pytest.mark.slow
def test_best_epoch_follows_the_bound_of_iwae(x: np.ndarray) -> None:
    vae, history = short(x, objective="iwae:mc_samples=5", validation=x, epochs=2)
    assert all(each.validation_bound > each.validation_elbo for each in history)  # because K = 5 is tighter than K = 1
    bounds = [each.validation_bound for each in history]
    assert history.best_epoch == 1 + int(np.argmax(bounds))
    expected = IWAE(mc_samples=5).bound(vae, x, seed=fold((0, int(Purpose.VALIDATION)), 0)).value
    assert bounds[-1] == pytest.approx(np.mean(expected), rel=1e-5)


def test_validation_bound_is_the_elbo_of_its_estimators(x: np.ndarray) -> None:
    _, history = short(x, objective="elbo:mc_samples=3", validation=x, epochs=1)
    assert history[0].validation_bound == history[0].validation_elbo


def test_warm_up_counts_as_over_in_validation(x: np.ndarray) -> None:
    warm = Weighted(ELBO(), beta=4.0, warmup_steps=10**6)
    _, history = short(x, objective=warm, validation=x, epochs=1)
    (epoch,) = history
    expected = -epoch.validation_distortion - 4 * epoch.validation_rate
    assert epoch.validation_bound == pytest.approx(expected, rel=1e-5)


def test_divergence_names_settings_and_reaches_callbacks(x: np.ndarray) -> None:
    recorder = Recorder()
    with pytest.raises(DivergenceError, match=r"`learning_rate`.*`clip_norm=10`"):
        short(x, learning_rate=1e30, callbacks=[recorder])
    assert isinstance(recorder.error, DivergenceError)


def test_refuses_data_outside_the_support_once(x: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected values in"):
        short(7 * x)
    with pytest.raises(DataError, match="expected examples of shape"):
        short(x[:, :2])


def test_grey_data_are_binarized_with_a_notice(x: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    short(x / 2, epochs=1)
    assert "Set `binarization`" in caplog.text


def test_models_in_float64_train_on_data_of_any_type(x: np.ndarray) -> None:
    vae = builders.model(prior_name="normal-mixture", shape=SHAPE, dtype="float64")
    before = vae.trainable_variables[0].numpy()
    settings = {"epochs": 1, "batch_size": 10, "execution": "eager", "ema": 0.9, "clip_norm": 1.0}
    history = fit(vae, x, "monte-carlo-elbo", validation=x, callbacks=[BestWeights()], **settings)
    assert np.isfinite(history[-1].validation_elbo)
    assert {variable.dtype for variable in vae.variables} == {tf.float64}
    assert (vae.trainable_variables[0].numpy() != before).any()


def test_densities_of_binarized_values_have_no_units(rng: np.random.Generator) -> None:
    data = tv.data.load(rng.integers(0, 5, (40, 3)).astype(float), scaling="divided:by=4")
    first, second = (tv.build(data, latent_dim=1, likelihood="continuous-bernoulli", hidden=(4,)) for _ in range(2))
    settings = {"epochs": 1, "batch_size": 10, "execution": "eager"}
    found = fit(first, data, binarization="threshold", **settings)
    expected = fit(second, np.round(data.train.x + 0.01), **settings)
    assert data.train.log_scale != 0
    assert found[0].train == expected[0].train


def test_levels_with_noise_have_densities_per_level(rng: np.random.Generator) -> None:
    data = tv.data.load(rng.integers(0, 256, (60, 3)), scaling="divided:by=256", dequantization="uniform")
    vae = tv.build(data, latent_dim=1, likelihood="normal", hidden=(4,))
    seen: list[np.ndarray] = []
    batch = type(data.noise).batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(data.noise), "batch", lambda self, x, seed: seen.append(batch(self, x, seed)) or seen[-1])
        history = fit(vae, data, epochs=2, batch_size=48, execution="eager")
    assert (seen[0] != seen[1]).numpy().all()
    levels = np.sort(np.floor(256 * seen[1].numpy()), axis=0)
    np.testing.assert_array_equal(levels, np.sort(256 * data.train.x, axis=0))
    found = tv.log_likelihood(vae, data.validation, iw_samples=100, execution="eager")
    assert found.measure.log_scale == pytest.approx(3 * np.log(256))
    assert abs(history[-1].validation_elbo - found.estimates.elbo.mean()) < 0.5
    with pytest.raises(UsageError, match="cannot be combined"):
        fit(vae, data, epochs=1, binarization="threshold")


@pytest.mark.parametrize(("spread", "warns"), [(1.0, False), (255.0, True)])
def test_values_in_unsuitable_units_get_one_warning(
    spread: float, warns: bool, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    data = tv.data.load(spread * rng.random((40, *SHAPE)) - 0.5, scaling="none")
    vae = tv.build(data, latent_dim=1, likelihood="normal:scale=1", hidden=(4,))
    with caplog.at_level("WARNING", "tfp_vae"):
        fit(vae, data, epochs=2, batch_size=10, execution="eager")
    found = [text for text in caplog.messages if "the first ELBO is -" in text]
    assert len(found) == warns
    assert all("Set `scaling=standard`, or `scaling=divided:by=255` for pixels." in text for text in found)


def test_values_that_do_not_fit_a_column_get_a_warning_without_scaling(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    data = tv.data.load(pd.DataFrame({"a": rng.normal(size=40), "city": ["Bern", "Zug"] * 20}))
    vae = tv.build(data, latent_dim=1, likelihood="normal:scale=0.001", hidden=(4,))
    with caplog.at_level("WARNING", "tfp_vae"):
        fit(vae, data, epochs=1, batch_size=10, execution="eager")
    (found,) = (text for text in caplog.messages if "the first ELBO is -" in text)
    assert "Look for wrong values in the table, or set `column` or `likelihood`" in found
    assert "scaling" not in found


@pytest.mark.slow
def test_history_shows_and_converts(x: np.ndarray) -> None:
    _, history = short(x, validation=x)
    assert "best epoch" in history._repr_html_()
    assert [each.epoch for each in history] == [1, 2, 3]
    frame = history.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame["elbo"].tolist() == [each.elbo for each in history]


@pytest.mark.slow
def test_last_fit_lives_as_long_as_its_vae(x: np.ndarray) -> None:
    vae, history = short(x, epochs=1)
    first = fitting.last_fit(vae)
    assert first is not None
    assert first.history is history
    assert (first.settings["epochs"], first.settings["batch_size"], len(first.data.train)) == (1, 10, len(x))
    second = fit(vae, x[:20], epochs=2, batch_size=10, execution="eager")
    assert fitting.last_fit(vae).history is second
    assert fitting.last_fit(make()) is None
    alive = weakref.ref(vae)
    del vae
    gc.collect()
    assert alive() is None


@pytest.mark.slow
def test_last_fit_does_not_keep_callbacks_that_hold_the_vae(x: np.ndarray) -> None:
    recorder = Recorder()
    vae, _ = short(x, epochs=1, callbacks=[recorder, EarlyStopping(5)], validation=x)
    recorder.holder = vae
    assert fitting.last_fit(vae).patience == 5
    alive = weakref.ref(vae)
    del vae, recorder
    gc.collect()
    assert alive() is None


def test_fit_names_an_argument_of_the_wrong_kind(x: np.ndarray) -> None:
    vae = make()
    with pytest.raises(UsageError, match=r"^fit: vae: expected a VAE, found an ndarray\.$"):
        fit(x, vae, epochs=1)
    with pytest.raises(UsageError, match=r"^fit: data: expected a Dataset, found None\.$"):
        fit(vae, None, epochs=1)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("seed", "a", r"^`seed`: expected a whole number, found .a.\.$"),
        ("seed", (0, 1), r"^`seed`: expected a whole number, found \(0, 1\)\.$"),
        ("seed", -1, r"^`seed` must be at least 0, found -1\.$"),
        ("epochs", 1.5, r"^`epochs`: expected a whole number, found 1\.5\.$"),
        ("steps_per_epoch", 0, r"^`steps_per_epoch` must be at least 1, found 0\.$"),
        ("learning_rate", -0.1, r"^`learning_rate` must be above 0, found -0\.1\.$"),
        ("learning_rate", float("nan"), r"^`learning_rate` must be above 0, found nan\.$"),
        ("clip_norm", 0.0, r"^`clip_norm` must be above 0, found 0\.$"),
        ("epochs", np.int64(0), r"^`epochs` must be at least 1, found 0\.$"),
    ],
)
def test_fit_refuses_numbers_outside_their_limits(argument: str, value: object, message: str, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match=message):
        short(x, **{argument: value})
