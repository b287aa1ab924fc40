"""`tfp-vae runs`: one row per run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.helpers.commands import (
    call,
    one_sentence,
)
from tfp_vae.runs.run import Run


def test_row_holds_state_and_epochs(copied: Run) -> None:
    (row,) = json.loads(call("runs", "--runs-dir", copied.folder.parent, "--json").stdout)["runs"]
    assert (row["run"], row["state"], row["epochs"]) == (str(copied.folder), "finished", "2/2")


def test_run_without_a_checkpoint_has_the_state_damaged_in_the_table(copied: Run) -> None:
    for path in copied.folder.glob("checkpoint*.npz"):
        path.unlink()
    (row,) = json.loads(call("runs", "--runs-dir", copied.folder.parent, "--json").stdout)["runs"]
    assert row["state"] == "damaged"


def test_messages_point_to_runs_in_other_folders(here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "some where" / "r 1")
    assert "Make one with `tfp-vae train`, or name their folder with --runs-dir" in call("runs").stderr
    said = one_sentence(call("sample", code=4))
    assert "or name one with --run, the folder of a training" in said
    line = "`tfp-vae runs --runs-dir 'some where'` lists the runs that are there."
    assert line in one_sentence(call("sample", "--run", "some where", code=4))
    assert line.replace("some", f"{here}/some") in one_sentence(call("info", "--run", "some where/r 2", code=4))
    assert "`tfp-vae runs --runs-dir runs` lists the runs in a folder" in one_sentence(
        call("sample", "--run", "none/r", code=4)
    )
    (here / "some where" / "r 1").rename(here / "r 1")
    assert "`tfp-vae runs --runs-dir .` lists those in this folder" in call("runs").stderr
    assert "or name one with --run, such as 'r 1'" in one_sentence(call("sample", code=4))
    assert "r 1" in call("runs", "--runs-dir", ".").stdout


def test_wrong_value_in_an_evaluation_is_damage_and_not_a_crash(copied: Run) -> None:
    copied.write("evaluation.json", {"log_likelihood": {"a": 1}})
    (row,) = json.loads(call("runs", "--runs-dir", copied.folder.parent, "--json").stdout)["runs"]
    assert row["state"] == "damaged"
    assert "damaged" in call("runs", "--runs-dir", copied.folder.parent).stdout
