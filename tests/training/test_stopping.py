"""Early stopping: the epoch at which training ends, which does not depend on interruptions."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest

from tests.helpers.commands import call, one_sentence
from tests.helpers.runs import Interrupt, assert_same, small_model, small_training, start_run, without_seconds
from tfp_vae import reports
from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.runs import run as runs
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training import fitting
from tfp_vae.training.history import Epoch
from tfp_vae.training.stopping import Stop, early_stop

STILL = {"learning_rate": 1e-30, "epochs": 9, "execution": "eager"}
"""Settings of a training that changes no weight, so the first epoch stays the best."""


def history(*elbos: float) -> list[Epoch]:
    return [Epoch(i + 1, i + 1, 0.0, 0.0, 0.0, elbo, 0.0, 0.0, elbo, 0.0, 0.0) for i, elbo in enumerate(elbos)]


class TestRule:
    """history -> an early end, or None."""

    @pytest.mark.parametrize(
        ("elbos", "patience", "expected"),
        [
            ((), 1, None),
            ((-3.0,), 1, None),
            ((-3.0, -2.0, -1.0), 1, None),
            ((-3.0, -4.0), 1, Stop(2, 1, 1)),
            ((-3.0, -4.0), 2, None),
            ((-3.0, -4.0, -3.0), 2, Stop(3, 1, 2)),  # an equal value is not better
            ((-3.0, -4.0, -2.5, -9.0), 2, None),
            ((-3.0, math.nan, math.nan), 2, Stop(3, 1, 2)),
            ((math.nan, math.nan), 2, Stop(2, 0, 2)),
            ((math.nan, -5.0), 2, None),
            ((math.inf, -5.0, -6.0), 2, None),
            ((-3.0,) * 50, None, None),
        ],
    )
    def test_cases(self, elbos: tuple[float, ...], patience: int | None, expected: Stop | None) -> None:
        assert early_stop(history(*elbos), patience) == expected

    @pytest.mark.parametrize("patience", [1, 2, 3])
    def test_every_history_of_five_epochs_ends_at_the_epoch_of_a_counter(self, patience: int) -> None:
        for elbos in itertools.product((-2.0, -1.0, math.nan), repeat=5):
            best, waited = -math.inf, 0
            for epoch in range(1, 6):
                better = elbos[epoch - 1] > best  # NaN is never better
                best, waited = (elbos[epoch - 1], 0) if better else (best, waited + 1)
                assert (early_stop(history(*elbos[:epoch]), patience) is not None) == (waited >= patience)

    def test_best_epoch_is_the_first_with_the_greatest_elbo(self) -> None:
        assert early_stop(history(-3.0, -1.0, -1.0, math.nan), 1) == Stop(4, 2, 1)
        assert early_stop([], 1) is None

    def test_early_stop_has_a_text_and_a_remedy(self) -> None:
        assert str(Stop(7, 4, 3)) == "stopped early at epoch 7, best at epoch 4"
        assert Stop(7, 4, 3).remedy() == "Raise `early_stopping` (it is 3) to continue"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that ended at epoch 3 of 9. Do not write to it."""
    run, dataset = start_run(tmp_path_factory.mktemp("runs") / "stopped", early_stopping=2, **STILL)
    assert train(run, dataset)
    return run


def again(folder: Path, patience: int = 2) -> tuple[Run, Dataset]:
    return start_run(folder, early_stopping=patience, **STILL)


class TestRun:
    """A run that stops early is a finished run."""

    @pytest.mark.slow
    def test_run_is_finished_and_records_its_last_epoch(self, stopped: Run) -> None:
        result = stopped.read(runs.TRAINING)
        assert result["stopped_early"] == {"epoch": 3, "best_epoch": 1, "patience": 2}
        assert (result["epochs"], result["steps"], result["best"]["epoch"]) == (3, 36, 1)
        assert stopped.status().state == "finished"
        assert stopped.is_whole()
        assert stopped.early_end() == Stop(3, 1, 2)
        assert (LoadedRun(stopped, "final").step, LoadedRun(stopped, "best").step) == (36, 12)
        assert (LoadedRun(stopped).step, LoadedRun(stopped).weights, result["weights"]) == (12, "best", "best")

    @pytest.mark.slow
    def test_a_run_that_reaches_its_last_epoch_did_not_stop_early(self, trained: Path, tmp_path: Path) -> None:
        assert Run(trained).read(runs.TRAINING)["stopped_early"] is None
        assert Run(trained).early_end() is None
        run, dataset = start_run(tmp_path / "run", early_stopping=2, **{**STILL, "epochs": 3})
        assert train(run, dataset)
        assert run.read(runs.TRAINING)["stopped_early"] is None
        assert run.early_end() is None

    @pytest.mark.slow
    def test_a_schedule_keeps_its_total(self, tmp_path: Path) -> None:
        rates = []
        for name, patience in (("stopped", 1), ("whole", None)):
            run, dataset = start_run(
                tmp_path / name, early_stopping=patience, lr_schedule="cosine", **{**STILL, "epochs": 4}
            )
            assert train(run, dataset)
            rates.append([line["learning_rate"] for line in run.metrics()])
        assert len(rates[0]) == 2
        assert rates[0] == rates[1][:2]

    @pytest.mark.slow
    def test_an_interrupted_run_stops_at_the_same_epoch(
        self, stopped: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fitting, "CHUNK_SECONDS", 1e-9)  # a step at a time
        run, dataset = again(tmp_path / "run")
        count = itertools.count()
        assert not train(run, dataset, callbacks=[Interrupt(lambda: next(count) == 29)])  # within the third epoch
        assert (len(run.metrics()), run.checkpoint().step) == (2, 29)
        assert not run.is_finished()
        assert run.early_end() is None
        assert train(run, dataset)
        assert_same(run.checkpoint().variables, stopped.checkpoint().variables)
        assert without_seconds(run.metrics()) == without_seconds(stopped.metrics())
        assert run.read(runs.TRAINING)["stopped_early"] == stopped.read(runs.TRAINING)["stopped_early"]

    @pytest.mark.slow
    def test_more_patience_later_equals_more_patience_from_the_start(self, tmp_path: Path) -> None:
        run, dataset = again(tmp_path / "run", patience=1)
        assert train(run, dataset)
        run.extend(early_stopping=3)
        assert not run.is_finished()
        assert train(run, dataset)
        other, dataset = again(tmp_path / "other", patience=3)
        assert train(other, dataset)
        assert run.early_end() == other.early_end() == Stop(4, 1, 3)
        assert_same(run.checkpoint().variables, other.checkpoint().variables)
        assert [change.setting for change in run.config().changes] == ["early_stopping"]
        assert run.config().model_copy(update={"changes": ()}) == other.config()

    @pytest.mark.slow
    def test_refuses_more_epochs_without_more_patience(self, stopped: Run) -> None:
        before = stopped.read(runs.CONFIG)
        with pytest.raises(UsageError, match=r"stopped early at epoch 3, best at epoch 1. Raise `early_stopping`"):
            stopped.extend(20)
        assert stopped.read(runs.CONFIG) == before
        assert stopped.is_whole()


class TestConfig:
    """The settings of early stopping."""

    def test_patience_counts_epochs(self) -> None:
        for wrong in (-1, 1.5, "x"):
            with pytest.raises(ValueError, match="early_stopping"):
                small_training(early_stopping=wrong)

    def test_a_patience_of_0_never_stops(self) -> None:
        assert small_training(early_stopping=0) == small_training(early_stopping=None)

    def test_early_stopping_needs_a_validation_split(self) -> None:
        config, _ = plan("digits", None, None, small_model(), small_training(early_stopping=3))
        content = config.model_dump(mode="json")
        del content["data"]["splits"]["validation"]
        with pytest.raises(ValueError, match="`early_stopping` needs a validation split, but the data have none"):
            RunConfig.model_validate(content)

    def test_the_end_of_training_does_not_change_the_identity(self) -> None:
        digests = set()
        for patience, epochs in ((None, 2), (1, 2), (5, 90)):
            training = small_training(early_stopping=patience, epochs=epochs)
            digests.add(plan("digits", None, None, small_model(), training)[0].identity())
        assert len(digests) == 1

    @pytest.mark.slow
    def test_the_training_command_includes_early_stopping(self, stopped: Run) -> None:
        assert "--early-stopping 2 " in reports.training_command(stopped.config())
        assert "Early stopping" in reports.html_page(stopped)


class TestCommand:
    """`tfp-vae train --early-stopping`."""

    @pytest.mark.slow
    def test_commands_mention_early_stopping(self, tmp_path: Path) -> None:
        told = ("--early-stopping", "1", "--learning-rate", "1e-30", "--epochs", "5", "--run-dir", tmp_path / "r")
        train_it = ("train", "--hidden", "8", "--execution", "eager", "--no-plots", *told)
        shown = call(*train_it).stdout
        assert "2 epochs, 24 steps" in shown
        assert "stopped early at epoch 2, best at epoch 1" in shown
        assert "commands use the best weights, those of epoch 1. Use --weights final for the last ones." in shown
        resume = ("train", "--resume", "--no-plots", "--run-dir", tmp_path / "r")
        said = one_sentence(call(*resume, code=2))
        assert "stopped early at epoch 2, best at epoch 1. Raise --early-stopping (it is 1) to continue" in said
        assert "Raise --early-stopping" in one_sentence(call(*resume, "--epochs", "9", code=2))
        more = json.loads(call(*resume, "--early-stopping", "2", "--json").stdout)
        assert more["stopped_early"] == {"epoch": 3, "best_epoch": 1, "patience": 2}
        assert "early stopping: 2 before epoch 4, then never" in call(*resume, "--early-stopping", "0").stderr
        assert len(Run(tmp_path / "r").metrics()) == 5

    @pytest.mark.slow
    def test_runs_shows_early_stopping(self, stopped: Run) -> None:
        (row,) = json.loads(call("runs", "--runs-dir", stopped.folder.parent, "--json").stdout)["runs"]
        assert (row["state"], row["epochs"], row["early_stopping"], row["ema"]) == ("finished", "3/9", 2, None)
        shown = call("runs", "--runs-dir", stopped.folder.parent).stdout
        assert "early_stopping" in shown
        assert "ema" not in shown  # no run here has it

    @pytest.mark.slow
    def test_a_lost_result_is_written_again(self, stopped: Run, tmp_path: Path) -> None:
        import shutil

        shutil.copytree(stopped.folder, tmp_path / "copy")
        run = Run(tmp_path / "copy")
        (run.folder / runs.TRAINING).unlink()
        assert train(run, reload(run.config()))
        assert run.read(runs.TRAINING)["stopped_early"] == stopped.read(runs.TRAINING)["stopped_early"]
