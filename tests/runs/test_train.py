"""Training a run on disk: its checkpoints, its state and its result, and what resuming changes: nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.helpers.commands import call
from tests.helpers.runs import Interrupt, Observer, assert_same, small_model, small_training, start_run, without_seconds
from tfp_vae.core import execution
from tfp_vae.core.errors import DataError, DiskError, DivergenceError, RunError
from tfp_vae.data.dataset import Dataset
from tfp_vae.runs import run as runs
from tfp_vae.runs import train as session
from tfp_vae.runs.folder.checkpoint import Checkpoint
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import environment, train, trained_execution


@pytest.fixture
def frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after every chunk of steps."""
    monkeypatch.setattr(session, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(session, "SAVE_SHARE", 1e9)


def interrupt_once() -> Interrupt:
    """Return a callback that interrupts training after its first chunk of steps."""
    asked = []
    return Interrupt(lambda: asked.append(1) or len(asked) == 2)


class TestResume:
    """An interrupted and resumed training ends like an uninterrupted one."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options", [{}, {"ema": 0.9, "optimizer": "sgd", "kl_warmup_epochs": 1, "execution": "eager"}], ids=str
    )
    def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
        self, options: dict[str, object], tmp_path: Path
    ) -> None:
        whole, dataset = start_run(tmp_path / "whole", **options)
        assert train(whole, dataset)
        run, _ = start_run(tmp_path / "run", **options)
        assert not train(run, dataset, callbacks=[interrupt_once()])
        assert 0 < run.checkpoint().step < whole.checkpoint().step
        assert train(Run(run.folder), dataset)
        found, expected = run.checkpoint(), whole.checkpoint()
        assert found.step == expected.step
        assert_same(found.variables, expected.variables)
        assert found.best[:2] == expected.best[:2]
        assert_same(found.best.variables, expected.best.variables)
        assert without_seconds(run.metrics()) == without_seconds(whole.metrics())

    @pytest.mark.slow
    def test_resumed_run_gets_the_noise_of_an_uninterrupted_one(self, tmp_path: Path) -> None:
        found = []
        for name in ("whole", "run"):
            model, training = small_model(likelihood="normal"), small_training(execution="eager", batch_size=720)
            config, dataset = plan("digits", None, None, model, training, dequantization="uniform")
            run = Run.create(tmp_path / name, config)
            assert train(run, dataset, callbacks=[interrupt_once()] if name == "run" else []) == (name == "whole")
            assert train(run, reload(config))
            found.append(run.checkpoint().variables)
        assert_same(*found)

    def test_finished_run_is_left_as_it_is(self, copied: Run, digits: Dataset) -> None:
        before = copied.checkpoint()
        assert train(copied, digits)
        assert copied.checkpoint().step == before.step
        assert_same(copied.checkpoint().variables, before.variables)

    def test_other_data_than_those_of_the_run_raise_an_error(self, copied: Run, digits: Dataset) -> None:
        other = dataclasses.replace(digits, train=digits.train[::-1])
        with pytest.raises(DataError, match=r"digits: expected the data the run was trained on \(fingerprint \w{16}\)"):
            train(copied, other)
        assert copied.status().state == "finished"

    @pytest.mark.slow
    def test_crash_between_metrics_and_checkpoint_repeats_no_epoch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, dataset = start_run(tmp_path / "run")
        save = Run.save_checkpoint

        def crash(self: Run, checkpoint: Checkpoint) -> None:
            if checkpoint.history:
                raise DiskError("the disk is full")
            save(self, checkpoint)

        with monkeypatch.context() as patch, pytest.raises(DiskError):
            patch.setattr(Run, "save_checkpoint", crash)
            train(run, dataset)
        assert train(run, dataset)
        assert [line["epoch"] for line in run.metrics()] == [1, 2]

    def test_settings_that_were_python_objects_are_refused(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", objects=("optimizer",))
        with pytest.raises(RunError, match="`optimizer` was a Python object"):
            train(run, dataset)

    def test_run_that_is_trained_elsewhere_is_refused(self, copied: Run, digits: Dataset) -> None:
        with copied.claim(), pytest.raises(RunError, match="trained"):
            train(Run(copied.folder), digits)


class TestCheckpoints:
    """When checkpoints are written."""

    @pytest.mark.slow
    def test_checkpoints_are_written_within_an_epoch(self, tmp_path: Path, frequent: None) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=1)
        steps = []
        # Callbacks are called before the checkpoint of their chunk is written.
        look = Observer(lambda training: steps.append(run.checkpoint().step) if run.has_checkpoint() else None)
        train(run, dataset, callbacks=[look])
        steps.append(run.checkpoint().step)
        assert steps == sorted(set(steps))
        assert steps[0] < steps[-1] == 12

    def test_slow_checkpoints_are_further_apart(self, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        saves, now = session.Checkpoints(Run(trained), ""), [100.0]
        monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
        saves._ended, saves._took = 100.0, 2.0
        now[0] = 100 + 2.0 / session.SAVE_SHARE - 1
        assert not saves.are_due()
        now[0] += 2
        assert saves.are_due()


class TestStates:
    """The state of a run: running, finished, interrupted or failed."""

    @pytest.mark.slow
    def test_run_that_never_started_is_interrupted_and_can_be_resumed(self, tmp_path: Path) -> None:
        run, _ = start_run(tmp_path / "run")
        assert run.status().state == "interrupted"
        assert not run.has_checkpoint()
        call("train", "--resume", "--run-dir", run.folder, "--no-plots")
        assert run.status().state == "finished"

    @pytest.mark.slow
    def test_run_is_running_until_it_is_interrupted(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run")
        states = []
        assert not train(
            run, dataset, callbacks=[Interrupt(lambda: states.append(run.status().state) or len(states) > 2)]
        )
        assert set(states) == {"running"}
        assert run.status().state == "interrupted"
        assert run.status().step == run.checkpoint().step > 0

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("error", "state"), [(KeyboardInterrupt("stop"), "interrupted"), (ValueError("odd"), "failed")]
    )
    def test_error_is_recorded_in_state_and_log(self, error: BaseException, state: str, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run")

        def fail(report: object) -> None:
            raise error

        with pytest.raises(type(error)):
            train(run, dataset, callbacks=[Observer(fail)])
        assert (run.status().state, run.status().reason) == (state, str(error))
        log = (run.folder / runs.LOG).read_text()
        assert f"training ended by {type(error).__name__}: {error}" in log
        assert "Traceback" in log

    @pytest.mark.slow
    def test_diverged_run_has_failed_without_a_traceback(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", learning_rate=1e30)
        with pytest.raises(DivergenceError):
            train(run, dataset)
        assert run.status().state == "failed"
        assert "diverged" in run.status().reason
        assert "Traceback" not in (run.folder / runs.LOG).read_text()

    @pytest.mark.slow
    def test_log_records_start_checkpoints_and_end(self, tmp_path: Path, frequent: None) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=1)
        assert train(run, dataset)
        lines = (run.folder / runs.LOG).read_text().splitlines()
        assert "digits, graph, from step 0 of 12" in lines[0]
        assert sum("wrote a checkpoint of step" in line for line in lines) >= 2
        assert "training came to its end" in lines[-1]

    @pytest.mark.slow
    def test_a_log_on_a_full_disk_stops_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The kernel refuses each line when it is flushed, and the rest when the file is closed."""
        monkeypatch.setattr(runs.LogFile, "_open", lambda log: open("/dev/full", "a"))  # noqa: PTH123, SIM115
        run, dataset = start_run(tmp_path / "run", epochs=1)
        assert train(run, dataset)
        assert run.is_whole()
        assert "Logging error" not in capsys.readouterr().err

    @pytest.mark.slow
    def test_a_log_that_cannot_be_written_stops_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run, dataset = start_run(tmp_path / "run", epochs=1)
        (run.folder / runs.LOG).symlink_to("/dev/full")
        with pytest.raises(RunError, match="symbolic link"):
            train(run, dataset)
        (run.folder / runs.LOG).unlink()
        (run.folder / runs.LOG).mkdir()
        assert train(run, dataset)
        assert "Logging error" not in capsys.readouterr().err


class TestResult:
    """The files that training writes when it ends."""

    def test_result_has_the_promised_keys(self, trained: Path) -> None:
        result = Run.open(trained).read(runs.TRAINING)
        assert {"run", "dataset", "epochs", "steps", "parameters", "train", "validation", "seconds"} <= result.keys()
        for split in ("train", "validation"):
            assert result[split].keys() == {"elbo", "distortion", "rate"}
        assert result["parameters"] == 64 * 16 + 16 + 16 * 4 + 4 + 2 * 16 + 16 + 16 * 64 + 64
        assert result["steps"] == 24

    def test_result_is_that_of_the_metrics(self, trained: Path) -> None:
        run = Run.open(trained)
        result, lines = run.read(runs.TRAINING), run.metrics()
        assert result["epochs"] == len(lines)
        assert result["train"] == {name: lines[-1][name] for name in ("elbo", "distortion", "rate")}
        assert result["best"]["validation_elbo"] == max(line["validation_elbo"] for line in lines)
        assert result["stopped_early"] is None

    def test_interrupted_run_has_no_result(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run")
        assert not train(run, dataset, callbacks=[Interrupt(lambda: True)])
        assert not (run.folder / runs.TRAINING).exists()

    def test_environment_names_versions_and_devices(self, trained: Path) -> None:
        written = Run.open(trained).read(runs.ENVIRONMENT)
        assert written == {**environment(), "execution": "graph"}
        assert written["packages"]["tensorflow-probability"].startswith("0.25")
        assert written["devices"]


class TestExecution:
    """A run keeps the execution that it was first trained with."""

    @pytest.fixture
    def short(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Dataset]:
        """A run with `execution=auto` on data that count as few examples."""
        monkeypatch.setattr(execution, "FEW_EXAMPLES", 2_000)
        return start_run(tmp_path / "run", execution="auto")

    @pytest.mark.slow
    def test_a_longer_training_continues_with_the_execution_of_the_first(
        self, short: tuple[Run, Dataset], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, dataset = short
        assert train(run, dataset)
        assert run.read(runs.ENVIRONMENT)["execution"] == "graph"
        monkeypatch.setattr(execution, "FEW_STEPS", 0)  # as if the run had become long
        run.extend(epochs=3)
        assert train(run, dataset)
        assert run.read(runs.ENVIRONMENT)["execution"] == "graph"
        assert LoadedRun(run).choose_execution() == "graph"
        assert LoadedRun(run).choose_execution("eager") == "eager"

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [({"execution": "eager"}, "eager"), ({"execution": "odd"}, "auto"), ({"devices": ["another"]}, "auto")],
        ids=str,
    )
    def test_execution_of_the_training_counts_on_the_same_devices(
        self, short: tuple[Run, Dataset], changes: dict[str, object], expected: str
    ) -> None:
        run, _ = short
        assert trained_execution(run) == "auto"
        run.write(runs.ENVIRONMENT, {**environment(), "execution": "graph", **changes})
        assert trained_execution(run) == expected

    def test_execution_of_the_config_wins(self, copied: Run) -> None:
        copied.write(runs.ENVIRONMENT, {**environment(), "execution": "eager"})
        assert trained_execution(copied) == "graph"

    def test_a_damaged_environment_has_no_effect(self, short: tuple[Run, Dataset]) -> None:
        run, _ = short
        (run.folder / runs.ENVIRONMENT).write_text("{")
        assert trained_execution(run) == "auto"
