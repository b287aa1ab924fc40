"""The command line, as users and scripts rely on it."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli import options
from tfp_vae.cli.commands import data, evaluate
from tfp_vae.cli.main import COMMANDS, main

import tfp_vae
from tests.helpers.commands import GRAPH, RUN_COMMANDS, SMALL, call, one_sentence
from tests.helpers.files import idx
from tests.helpers.runs import small_model, small_training
from tests.helpers.worker import Worker
from tfp_vae.data.readers.arrays import read_npy, read_npz
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run

TFP_VAE = (sys.executable, "-c", "from tfp_vae.cli.main import main; main(prog_name='tfp-vae')")


NUMBERS = ["word", "nan", "inf", "", "-3x4"]
WRONG: dict[type, list[str]] = {
    options.Whole: ["-1", "2.5", *NUMBERS],
    options.Several: ["-1", "2.5", *NUMBERS],
    options.Number: NUMBERS,
    type(options.PLACE): ["", " "],
}
"""What a type of option refuses, one of each in every command."""

SUBCOMMANDS = {
    **{name: command for name in COMMANDS if (command := main.get_command(click.Context(main), name)) != data.command},
    **{f"data {name}": command for name, command in data.command.commands.items()},
}
OPTIONS = [
    (name, option) for name, command in SUBCOMMANDS.items() for option in command.params if type(option.type) in WRONG
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and an environment without our variables."""
    for name in ("TFP_VAE_RUN", "TFP_VAE_RUNS_DIR", "TFP_VAE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestThreeLines:
    """Train, sample, evaluate, in an empty folder."""

    def test_as_they_stand(self, here: Path) -> None:
        call("train", "--mc-samples", "5", *SMALL)
        (run,) = (here / "runs").iterdir()
        assert run.name.startswith("digits-")
        assert len(list((run / "plots").iterdir())) == 13
        for drawn in (run / "plots").glob("*.png"):
            assert matplotlib.image.imread(drawn).std() > 0.01, drawn

        path = call("sample", "--n", "64").stdout.strip()
        assert matplotlib.image.imread(path).std() > 0.01

        evaluated = call("evaluate", "--iw-samples", "10")
        assert "log p(x)" in evaluated.stdout
        kept = json.loads((run / "evaluation.json").read_text())
        assert kept["log_likelihood"] > kept["elbo"]
        assert str(run.relative_to(here)) in evaluated.stderr

    @pytest.mark.slow
    def test_nobody_listening_on_stderr_stops_nothing(self, here: Path) -> None:
        command = " ".join(
            [*map(shlex.quote, TFP_VAE), "train", "--epochs 2 --hidden 8 --run-dir r --no-plots", "2>&-"]
        )
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0
        assert Run(Path("r")).is_finished()

    @pytest.mark.slow
    def test_from_the_outside(self, here: Path) -> None:
        for line in ("train --epochs 2", "sample --n 4", "evaluate --iw-samples 5 --json"):
            done = self.from_the_outside(*line.split())
        assert json.loads(done.stdout)["num_examples"] == 180

    @pytest.mark.slow
    def test_one_from_the_outside(self, copied: Run) -> None:
        options = ("--iw-samples", "5", "--max-examples", "7", "--no-plots", "--json")
        done = self.from_the_outside("evaluate", "--run", str(copied.folder), *options)
        assert json.loads(done.stdout)["num_examples"] == 7

    @staticmethod
    def from_the_outside(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own: nothing that TensorFlow says comes through."""
        done = subprocess.run([*TFP_VAE, *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "oneDNN" not in done.stderr
        assert "WARNING" not in done.stderr
        return done


class TestForScripts:
    """`--json`: one object on stdout, nothing else."""

    def test_train(self, here: Path) -> None:
        result = json.loads(call("train", *SMALL, "--no-plots", "--json").stdout)
        assert {"run", "dataset", "epochs", "steps", "parameters", "train", "validation", "seconds"} <= result.keys()
        assert not (Path(result["run"]) / "plots" / "samples.png").exists()

    def test_evaluate(self, copied: Run) -> None:
        result = json.loads(
            call(
                "evaluate", "--run", copied.folder, "--iw-samples", "4", "--max-examples", "9", *GRAPH, "--json"
            ).stdout
        )
        assert {
            "run", "dataset", "split", "num_examples", "iw_samples", "log_likelihood", "log_likelihood_se", "elbo",
            "elbo_se",
            "distortion", "rate", "bits_per_dim", "active_units", "ess_median", "seconds",
        } <= result.keys()  # fmt: skip
        assert result["num_examples"] == 9
        assert "ais" not in result
        assert result == json.loads((copied.folder / "evaluation.json").read_text())

    def test_a_lesser_evaluation_leaves_the_fuller_one_and_its_pictures(self, copied: Run) -> None:
        evaluate = ("evaluate", "--run", copied.folder, "--iw-samples", "4", *GRAPH, "--json", "--max-examples")
        full = json.loads(call(*evaluate, "20").stdout)
        pictures = {path.name: path.read_bytes() for path in (copied.folder / "plots").iterdir()}
        lesser = call(*evaluate, "9")
        assert json.loads((copied.folder / "evaluation.json").read_text()) == full
        assert json.loads((copied.folder / "evaluation-partial.json").read_text()) == json.loads(lesser.stdout)
        assert {path.name: path.read_bytes() for path in (copied.folder / "plots").iterdir()} == pictures
        assert (
            "evaluation.json and its pictures stay, as that evaluation is fuller (20 examples, K = 4)" in lesser.stderr
        )
        assert "delete evaluation.json first" in lesser.stderr
        (copied.folder / "evaluation.json").unlink()
        assert "picture" in call(*evaluate, "9").stderr
        assert json.loads((copied.folder / "evaluation.json").read_text())["num_examples"] == 9

    def test_a_number_that_does_not_exist_is_null(self, copied: Run) -> None:
        evaluate = ("evaluate", "--run", copied.folder, "--max-examples", "1", *GRAPH)
        result = json.loads(call(*evaluate, "--json").stdout)
        assert result["log_likelihood_se"] is None
        assert result["active_units"] is None
        assert "not a finite number" in result["log_likelihood_se_reason"]
        assert "nan" not in call(*evaluate).stdout
        assert result["pareto_k_median"] is not None

    def test_evaluate_several_runs(self, copied: Run) -> None:
        trained = copied.folder.parent / "first"
        shutil.copytree(copied.folder, trained)
        both = (
            "--run",
            trained,
            "--run",
            copied.folder,
            "--iw-samples",
            "4",
            "--max-examples",
            "9",
            "--no-plots",
            *GRAPH,
        )
        result = json.loads(call("evaluate", *both, "--json").stdout)
        assert [each["run"] for each in result["runs"]] == [str(trained), str(copied.folder)]
        (difference,) = result["differences"]
        assert (difference["baseline"], difference["log_likelihood"]) == (str(trained), 0)
        shown = call("evaluate", *both).stdout
        assert "paired difference" in shown
        assert shown.count("Use --iw-samples 100 or more") == 2
        assert "+0.000" in shown

    def test_evaluate_with_a_sweep_and_annealing(self, copied: Run) -> None:
        options = ("--iw-samples", "10,1", "--max-examples", "5", "--no-plots", *GRAPH)
        annealing = ("--ais-steps", "3", "--ais-chains", "2", "--ais-examples", "4")
        command = ("evaluate", "--run", copied.folder, *options, *annealing)
        shown = call(*command).stdout
        result = json.loads((copied.folder / "evaluation.json").read_text())
        assert [line["iw_samples"] for line in result["sweep"]] == [1, 10]
        assert result["ais"]["steps"] == 3
        assert result["ais"]["examples"] == result["sandwich"]["examples"] == 4
        assert result["sandwich"]["upper"] - result["sandwich"]["lower"] == pytest.approx(result["sandwich"]["gap"])
        assert "annealing both ways" in shown

    def test_sample(self, copied: Run) -> None:
        result = json.loads(call("sample", "--run", copied.folder, "--n", "3", "--json").stdout)
        assert result["shape"] == [3, 8, 8, 1]
        picture = matplotlib.image.imread(result["out"])
        assert picture.ndim == 3
        assert picture.std() > 0.01

    def test_runs(self, copied: Run) -> None:
        (row,) = json.loads(call("runs", "--runs-dir", copied.folder.parent, "--json").stdout)["runs"]
        assert (row["run"], row["state"], row["epochs"]) == (str(copied.folder), "finished", "2/2")

    def test_a_run_whose_checkpoint_is_gone_is_called_damaged(self, copied: Run) -> None:
        for path in copied.folder.glob("checkpoint*.npz"):
            path.unlink()
        (row,) = json.loads(call("runs", "--runs-dir", copied.folder.parent, "--json").stdout)["runs"]
        assert row["state"] == "damaged"

    def test_runs_elsewhere_are_pointed_to(self, here: Path, trained: Path) -> None:
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

    @pytest.mark.parametrize("topic", ["posteriors", "priors", "likelihoods", "objectives", "networks", "datasets"])
    def test_info(self, topic: str) -> None:
        members = json.loads(call("info", topic, "--json").stdout)["members"]
        assert all(member["summary"] for member in members)
        shown = call("info", topic).stdout
        assert all(member["name"] in shown for member in members)

    @pytest.mark.parametrize("arguments", [["info", "posteriors"], ["info"], ["data", "list"], ["runs"]], ids=" ".join)
    def test_no_line_ends_in_blanks(self, arguments: list[str], copied: Run) -> None:
        more = ["--runs-dir", copied.folder.parent] if arguments == ["runs"] else []
        lines = call(*arguments, *more).stdout.splitlines()
        assert len(lines) > 1
        assert [line for line in lines if line != line.rstrip()] == []

    def test_info_of_the_machine_and_of_a_run(self, copied: Run) -> None:
        assert json.loads(call("info", "--json").stdout)["packages"]["tfp_vae"] == tfp_vae.__version__
        assert "tensorflow" in call("info").stdout
        assert json.loads(call("info", "--run", copied.folder).stdout)["model"]["latent_dim"] == 2


class TestSample:
    """Where samples go, and what they are."""

    @pytest.mark.parametrize("name", ["x.npy", "x.npz"])
    def test_arrays(self, name: str, here: Path, trained: Path) -> None:
        call("sample", "--run", trained, "--n", "1001", "--out", name)
        x = read_npy(Path(name)) if name.endswith("npy") else read_npz(Path(name))["x"]
        assert x.shape == (1001, 8, 8, 1)
        assert ((x > 0) & (x < 1)).all()

    def test_draws_are_binary_and_seeded(self, here: Path, trained: Path) -> None:
        for name, seed in (("a.npy", 1), ("b.npy", 1), ("c.npy", 2)):
            call("sample", "--run", trained, "--draw", "--n", "20", "--seed", seed, "--out", name)
        a, b, c = (np.load(name) for name in ("a.npy", "b.npy", "c.npy"))
        assert set(np.unique(a)) == {0, 1}
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()

    def test_temperature_narrows(self, here: Path, trained: Path) -> None:
        for name, temperature in (("cold.npy", 0.01), ("warm.npy", 1)):
            call("sample", "--run", trained, "--n", "200", "--temperature", temperature, "--out", name)
        assert np.load("cold.npy").std(axis=0).mean() < 0.1 * np.load("warm.npy").std(axis=0).mean()


def test_per_example_values_have_the_reported_mean(here: Path, copied: Run) -> None:
    options = ("--iw-samples", "3", "--max-examples", "25", "--per-example", "each.npz", *GRAPH)
    result = json.loads(call("evaluate", "--run", copied.folder, *options, "--json").stdout)
    each = read_npz(Path("each.npz"))
    for key in ("log_likelihood", "elbo", "distortion", "rate"):
        assert each[key].shape == (25,)
        assert each[key].mean() == pytest.approx(result[key])
    assert each["label"].shape == (25,)
    assert np.median(each["ess"]) == pytest.approx(result["ess_median"])


def test_an_evaluation_is_kept_where_nobody_listens(here: Path, copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "closed")

    monkeypatch.setattr(evaluate, "_tell", closed)
    asked = ("--iw-samples", "2", "--max-examples", "6", "--no-plots", "--per-example", "each.npz")
    call("evaluate", "--run", copied.folder, *asked, code=1)
    assert copied.read("evaluation.json")["num_examples"] == 6
    assert read_npz(Path("each.npz"))["elbo"].shape == (6,)


class TestTrain:
    """Options of training."""

    def test_no_compile(self, here: Path) -> None:
        call(
            "train",
            "--no-compile",
            "--epochs",
            "1",
            "--hidden",
            "8",
            "--steps-per-epoch",
            "2",
            "--run-dir",
            "r",
            "--no-plots",
        )
        config = json.loads(Path("r/config.json").read_text())
        assert config["training"]["execution"] == "eager"
        assert json.loads(Path("r/training.json").read_text())["steps"] == 2

    def test_shortcuts_reach_their_members(self, here: Path) -> None:
        call(
            "train",
            *SMALL,
            "--decoder",
            "mlp:hidden=9,activation=tanh",
            "--mc-samples",
            "3",
            "--run-dir",
            "r",
            "--no-plots",
        )
        config = json.loads(Path("r/config.json").read_text())
        assert config["model"]["encoder"]["hidden"] == [16]
        assert config["model"]["decoder"] == {
            "name": "mlp",
            "hidden": [9],
            "activation": "tanh",
            "normalization": "none",
            "dropout": 0.0,
        }
        assert config["training"]["objective"] == {"name": "elbo", "mc_samples": 3}

    def test_config_file_stands_in_and_the_command_line_wins(self, here: Path) -> None:
        Path("c.toml").write_text(
            'latent-dim = 3\nhidden = [8, 8]\nplots = false\nlr_schedule = "cosine"\nepochs = 7\n'
        )
        call("train", "--config", "c.toml", "--epochs", "1", "--execution", "graph", "--run-dir", "r")
        config = json.loads(Path("r/config.json").read_text())
        assert config["model"]["latent_dim"] == 3
        assert config["model"]["encoder"]["hidden"] == [8, 8]
        assert config["training"]["lr_schedule"]["name"] == "cosine"
        assert config["training"]["epochs"] == 1
        assert not list(Path("r/plots").iterdir())

    def test_own_vectors_train_and_are_drawn(self, here: Path, rng: np.random.Generator) -> None:
        np.savez("mine.npz", x=rng.random((60, 5)), y=np.arange(60) % 2)
        call("train", *SMALL, "--dataset", "mine.npz", "--run-dir", "r")
        drawn = {p.stem for p in Path("r/plots").iterdir()}
        assert {"samples", "reconstructions", "learning-curves", "latent-scatter"} <= drawn
        assert not {"manifold", "decoder-animation"} & drawn  # vectors are no images
        for path in Path("r/plots").glob("*.png"):
            assert matplotlib.image.imread(path).std() > 0.01, path
        call("evaluate", "--run", "r", "--iw-samples", "3", *GRAPH)
        call("sample", "--run", "r", "--n", "3")

    def test_same_seed_same_weights(self, here: Path) -> None:
        for name in "ab":
            call("train", *SMALL, "--no-plots", "--run-dir", name, "--seed", "5")
        first, second = (Run(Path(name)).checkpoint().variables for name in "ab")
        assert first.keys() == second.keys()
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])

    def test_resume_goes_on_to_the_total(self, here: Path, copied: Run) -> None:
        told = call("train", "--resume", "--run-dir", copied.folder, "--epochs", "3", "--no-plots").stderr.splitlines()
        assert told[:2] == [f"run: {copied.folder}", "continuing after 2 of 3 epochs, from step 24"]
        assert len(copied.metrics()) == 3
        assert "all 3 epochs are done" in one_sentence(call("train", "--resume", "--run-dir", copied.folder, code=2))

    def test_divergence(self, here: Path) -> None:
        result = call("train", *SMALL, "--learning-rate", "1e35", code=5)
        assert "step" in one_sentence(result)
        assert "--learning-rate" in one_sentence(result)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_writes_a_checkpoint_and_says_how_to_go_on(
        self, number: int, code: int, worker: Worker, tmp_path: Path
    ) -> None:
        run, said = tmp_path / "r", tmp_path / "said.txt"
        said.touch()
        process = worker.start("train", "--epochs", "100000", "--hidden", "8", *GRAPH, "--run-dir", run, said=said)
        began = time.monotonic()
        while "\nepoch 1/" not in said.read_text():
            assert time.monotonic() - began < 60, said.read_text()
            time.sleep(0.05)
        os.kill(process, number)
        assert worker.ended() == code
        assert f"tfp-vae train --resume --run-dir {run}" in said.read_text()
        assert "Traceback" not in said.read_text()
        assert Run(run).checkpoint().step > 0
        assert not Run(run).is_finished()


class TestWrongInput:
    """Each kind: the contract's exit code, and one sentence."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["train", "--no-such-option"], "No such option"),
            (["fly"], "No such command"),
            (["train", "--epochs", "0"], "expected a whole number of at least 1, found '0'"),
            (["train", "--epochs", "many"], "expected a whole number of at least 1, found 'many'"),
            (["train", "--epochs", "1.5"], "expected a whole number of at least 1, found '1.5'"),
            (["train", "--early-stopping", "0"], "expected a whole number of at least 1, found '0'"),
            (["train", "--ema", "1"], "expected a finite number above 0 and below 1, found '1'"),
            (["train", "--ema", "0"], "expected a finite number above 0 and below 1, found '0'"),
            (["train", "--ema", "nan"], "expected a finite number above 0 and below 1, found 'nan'"),
            (["train", "--beta", "-1"], "expected a finite number of at least 0, found '-1'"),
            (["train", "--posterior", "cauchy"], "unknown posterior 'cauchy'; choose from diagonal-normal"),
            (["train", "--posterior", "diagonal-normal:floor=1"], "this key is unknown; its keys: scale_floor"),
            (["train", "--encoder", "lstm"], "unknown network 'lstm'; choose from mlp"),
            (["train", "--prior", "vamp"], "Choose --objective monte-carlo-elbo"),
            (
                ["train", "--objective", "iwae", "--beta", "2"],
                "Leave it out, or choose --objective elbo, monte-carlo-elbo, sticking-the-landing",
            ),
            (["train", "--encoder", "conv", "--decoder", "conv", "--hidden", "9"], "--hidden has no meaning"),
            (["train", "--hidden", "a,b"], "'--hidden': expected a whole number, found 'a'"),
            (["train", "--hidden", "8,0"], "'--hidden': expected a number above 0, found '0'"),
            (["train", "--hidden", ""], "'--hidden': expected at least 1 of them, found ''"),
            (["train", "--resize", "-3x4"], "'--resize': expected a height and a width, such as 28x32, or one number"),
            (["train", "--resize", "0"], "'--resize': expected a number above 0, found '0'"),
            (["train", "--columns", ""], "'--columns': expected at least 1 of them, found none"),
            (["train", "--posterior", "foo:bar"], "unknown posterior 'foo'; choose from diagonal-normal, "),
            (["train", "--posterior", "diagonal-normal:bar"], "expected key=value, found 'bar'"),
            (["train", "--objective", "elbo:mc_samples=2", "--mc-samples", "3"], "keep one"),
            (["train", "--dataset", "imagenet"], "unknown dataset 'imagenet'"),
            (["train", "--learning-rate", "nan"], "finite"),
            (["train", "--no-such", "2"], "No such option"),
            (["sample", "--temperature", "nan"], "expected a finite number"),
            (["train", "--config", "none.toml"], "could not be read"),
            (["train", "--resume"], "--run-dir"),
            (["train", "--optimizer", "adam:beta_1=2"], "beta_1: expected a number below 1, found '2'"),
            (["train", "--batch-size", "100000000000"], "of at most 65,536"),
            (["train", "--mc-samples", "1000000000"], "of at most 100,000"),
            (["evaluate", "--iw-samples", "9" * 23], "of at most 1,000,000,000"),
            (["sample", "--n", "0"], "of at least 1, found '0'"),
            (["sample", "--out", "x.jpg"], "expected a file ending in .png, .npy, .npz"),
            (["sample", "--n", "10001"], "a picture holds at most 10,000"),
            (["evaluate", "--iw-samples", "0"], "of at least 1, found '0'"),
            (
                ["train", "--posterior", "real-nvp", "--latent-dim", "1", "--objective", "iwae"],
                "real-nvp expected a number of at least 2, found 1",
            ),
            (
                ["train", "--prior", "real-nvp", "--latent-dim", "1", "--objective", "iwae"],
                "real-nvp expected a number of at least 2, found 1",
            ),
            (["evaluate", "--iw-samples", "1,,5"], "of at least 1, found ''"),
            (["evaluate", "--iw-samples", "1,ten"], "expected a whole number of at least 1, found 'ten'"),
            (["evaluate", "--ais-steps", "0"], "of at least 1, found '0'"),
            (["evaluate", "--ais-steps", "5", "--ais-chains", "1"], "of at least 2, found '1'"),
            (["evaluate", "--run", "a", "--run", "b", "--per-example", "x.npz"], "expected one --run"),
            (["evaluate", "--split", "all"], "is not one of"),
            (["evaluate", "--per-example", "x.csv"], "ending in .npz"),
            (["info", "colours"], "is not one of"),
            (["info", "priors", "--run", "none"], "priors and --run were both given; keep one"),
            (["evaluate", "--ais-chains", "4"], "--ais-chains has no meaning without --ais-steps"),
            (["evaluate", "--ais-examples", "4"], "--ais-examples has no meaning without --ais-steps"),
            (["report", "--no-plots", "--data-dir", "d"], "--data-dir has no meaning with --no-plots"),
            (["train", "--run-dir", "a", "--runs-dir", "b"], "--runs-dir has no meaning with --run-dir"),
        ],
    )
    def test_usage(self, arguments: list[str], expected: str, here: Path) -> None:
        assert expected in one_sentence(call(*arguments, code=2))
        assert list(here.iterdir()) == []

    @pytest.mark.parametrize(("path", "option"), OPTIONS, ids=lambda given: str(getattr(given, "name", given)))
    def test_every_number_and_every_path_is_asked_for_in_words(self, path: str, option: click.Parameter) -> None:
        for value in WRONG[type(option.type)]:
            flag = [option.opts[0]] if isinstance(option, click.Option) else []
            said = one_sentence(call(*path.split(), *flag, *[value] * option.nargs, code=2))
            assert "expected a" in said
            assert f"found {value!r}" in said
            assert option.opts[0].upper() in said.upper()

    def test_options_of_several_numbers_are_asked_for_so_too(self) -> None:
        several = [option for command in SUBCOMMANDS.values() for option in command.params if option.nargs > 1]
        assert {option.name for option in several} == {"pairs", "region"}
        for option in several:
            assert all(type(each) in WRONG for each in option.type.types)

    @pytest.mark.parametrize(
        ("toml", "expected"),
        [
            ("colour = 1", "unknown key 'colour'"),
            ("epochs = 1.5", "c.toml: epochs: expected a whole number, found 1.5"),
            ("epochs = ", "not a TOML file"),
            ("config = 'x'", "unknown key"),
        ],
    )
    def test_config_file(self, toml: str, expected: str, here: Path) -> None:
        Path("c.toml").write_text(toml)
        assert expected in one_sentence(call("train", "--config", "c.toml", code=2))

    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("none.npy", None, "expected a file, found none"),
            ("objects.npy", np.array([{}, []], dtype=object), "found an object array"),
            ("nan.npy", np.where(np.arange(60).reshape(20, 3) == 31, np.nan, 0), "found nan in row"),
            ("grey.npy", np.arange(60.0).reshape(20, 3) * 255 / 59, "choose --scaling divided:by=255"),
            ("table.xlsx", np.zeros((20, 3)), "expected an .npy file, an .npz file, a .csv file"),
            ("table.csv", np.zeros((20, 3)), "not a readable CSV file"),
            ("strings.npy", np.array([["a", "b"]] * 20), "expected an array of numbers"),
        ],
    )
    def test_arrays(self, name: str, content: np.ndarray | None, expected: str, here: Path) -> None:
        if content is not None:
            with Path(name).open("wb") as file:
                np.save(file, content, allow_pickle=True)
        assert expected in one_sentence(call("train", "--dataset", name, "--likelihood", "bernoulli", *SMALL, code=3))
        assert not (here / "runs").exists()

    def test_grey_values_without_binarization(self, here: Path, rng: np.random.Generator) -> None:
        np.save("grey.npy", rng.random((20, 3)))
        told = ("--likelihood", "bernoulli", "--binarization", "none")
        result = call("train", "--dataset", "grey.npy", *told, *SMALL, code=3)
        assert "expected values in {0, 1}" in one_sentence(result)
        assert "continuous-bernoulli" in one_sentence(result)

    def test_pixels_that_are_not_to_be_scaled(self, here: Path) -> None:
        np.save("bytes.npy", np.full((20, 4, 4), 255, np.uint8))
        told = ("--likelihood", "bernoulli", "--scaling", "none")
        train = ("train", "--dataset", "bytes.npy", *SMALL, "--no-plots", *told)
        assert "choose --scaling divided:by=255" in one_sentence(call(*train, code=3))
        call(*train, "--scaling", "divided:by=255")

    @pytest.mark.parametrize("likelihood", ["beta", "poisson"])
    def test_what_is_advised_works(self, likelihood: str, here: Path) -> None:
        said = one_sentence(call("train", "--likelihood", likelihood, *SMALL, code=3))
        assert "--binarization" not in said
        advised = said.partition("a --likelihood that fits: ")[2].rstrip(".").split(", ")
        assert {"bernoulli", "continuous-bernoulli"} <= set(advised)
        assert likelihood not in advised
        for name in advised:
            plan("digits", None, None, small_model(likelihood=name), small_training())

    @pytest.mark.parametrize("likelihood", ["discretized-logistic", "categorical", "poisson", "beta"])
    @pytest.mark.parametrize("binarization", ["dynamic", "static", "threshold"])
    def test_binarized_data_for_another_likelihood(self, likelihood: str, binarization: str, here: Path) -> None:
        told = ("--likelihood", likelihood, "--binarization", binarization)
        said = one_sentence(call("train", *told, *SMALL, code=2))
        assert "cannot use binarized data. Choose --binarization none" in said
        assert "Choose --binarization none" in said

    def test_two_levels_are_binary_data(self) -> None:
        config, dataset = plan("digits", None, None, small_model(likelihood="categorical:levels=2"), small_training())
        assert config.data.binarization.name == "dynamic"
        assert set(np.unique(dataset.test.x)) == {0, 1}

    @pytest.mark.parametrize("damage", ["cut", "lie", "flip"])
    def test_idx_files(self, damage: str, here: Path) -> None:
        images = idx(np.zeros((9, 4, 4), np.uint8), shape=(10**6, 10**5, 10) if damage == "lie" else None)
        zipped = gzip.compress(images)
        content = {"cut": zipped[:-15], "lie": zipped, "flip": zipped[:30] + b"\xaa\x55" + zipped[32:]}[damage]
        Path("train-images-idx3-ubyte.gz").write_bytes(content)
        for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
            Path(name).write_bytes(idx(np.zeros(9, np.uint8)))
        result = call("train", "--dataset", "mnist", "--data-dir", ".", *SMALL, code=3)
        assert "train-images-idx3-ubyte.gz" in one_sentence(result)

    @pytest.mark.parametrize("command", RUN_COMMANDS)
    def test_no_run(self, command: str, here: Path) -> None:
        assert "found none. Make one with `tfp-vae train`" in one_sentence(call(command, code=4))
        assert "found no config.json" in one_sentence(call(command, "--run", ".", code=4))
        assert "expected a run's folder, found none" in one_sentence(call(command, "--run", "nowhere", code=4))

    @pytest.mark.parametrize("command", RUN_COMMANDS)
    @pytest.mark.parametrize("name", ["config.json", "checkpoint.npz"])
    def test_damaged_run(self, command: str, name: str, copied: Run) -> None:
        (copied.folder / name).write_bytes((copied.folder / name).read_bytes()[:99])
        assert name in one_sentence(call(command, "--run", copied.folder, code=4))
        assert "damaged" in call("runs", "--runs-dir", copied.folder.parent).stdout or name != "config.json"

    def test_a_folder_that_holds_a_run(self, copied: Run) -> None:
        assert "holds a run already" in one_sentence(call("train", "--run-dir", copied.folder, *SMALL, code=4))

    def test_resume_changes_nothing_but_the_total(self, copied: Run) -> None:
        result = call("train", "--resume", "--run-dir", copied.folder, "--latent-dim", "5", code=2)
        assert "--latent-dim cannot be changed" in one_sentence(result)

    def test_a_place_that_cannot_be_written(self, here: Path, trained: Path) -> None:
        Path("file").touch()
        assert "could not write" in one_sentence(call("train", *SMALL, "--run-dir", "file/run", code=6))
        assert "could not write" in one_sentence(call("sample", "--run", trained, "--out", "none/x.png", code=6))

    def test_too_little_memory(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def greedy(*arguments: object, **more: object) -> None:
            raise MemoryError

        monkeypatch.setattr("tfp_vae.runs.run.find", greedy)
        assert "not enough memory" in one_sentence(call("sample", code=2))

    @pytest.mark.parametrize(("length", "told"), [(200, "x" * 200), (201, "x" * 199 + "…")])
    def test_an_unexpected_error_that_is_long_is_seen_to_be_cut(
        self, length: int, told: str, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*arguments: object, **more: object) -> None:
            raise RuntimeError("x" * length)

        monkeypatch.setattr("tfp_vae.runs.run.find", broken)
        assert f"unexpected RuntimeError: {told}. Run it again with --debug" in one_sentence(call("sample", code=1))

    def test_debug_shows_the_traceback(self, here: Path) -> None:
        result = CliRunner().invoke(main, ["sample", "--debug"])
        assert type(result.exception).__name__ == "RunError"


BEFORE_TENSORFLOW = [
    ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS),
    ["train", "--posterior", "x"], ["info", "priors"], ["sample"], ["train", "--dataset", "none.npy"],
]  # fmt: skip
"""Command lines that end before TensorFlow is needed."""

IMPORTED = """
import json, os, sys
from tfp_vae.cli.main import main

for line in json.loads(sys.argv[1]):
    if os.fork() == 0:
        try:
            main(line)
        except SystemExit:
            with open(sys.argv[2], "a") as file:
                file.write(json.dumps([line, sorted(sys.modules)]) + "\\n")
            os._exit(0)
    assert os.wait()[1] == 0, line
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each of the command lines had imported when it ended, each in a process forked from one."""
    here, lines = tmp_path_factory.mktemp("start"), json.dumps(BEFORE_TENSORFLOW)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TFP_VAE")}
    command = [sys.executable, "-c", IMPORTED, lines, "found.jsonl"]
    subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True, timeout=60)
    found = map(json.loads, (here / "found.jsonl").read_text().splitlines())
    return {" ".join(line): modules for line, modules in found}


class TestStart:
    """Help and usage errors come before TensorFlow."""

    @pytest.mark.parametrize("arguments", BEFORE_TENSORFLOW, ids=" ".join)
    def test_without_tensorflow(self, arguments: list[str], imported: dict[str, list[str]]) -> None:
        found = imported[" ".join(arguments)]
        assert "tfp_vae.cli.main" in found
        assert "tensorflow" not in found
        assert "matplotlib" not in found

    def test_version(self) -> None:
        assert call("--version").stdout.strip() == f"tfp-vae, version {tfp_vae.__version__}"

    @pytest.mark.parametrize("command", list(COMMANDS))
    def test_every_option_has_help(self, command: str) -> None:
        for parameter in main.get_command(None, command).params:
            assert isinstance(parameter, click.Argument) or parameter.help, parameter.name

    def test_the_entry_point_is_installed(self) -> None:
        program = shutil.which("tfp-vae", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        assert program is not None
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60)
        assert tfp_vae.__version__ in done.stdout


@pytest.mark.parametrize(("found", "said"), [(None, False), (2.0, False), (4.26, True)])
def test_a_mutual_information_at_its_ceiling_is_said_to_be(found: float | None, said: bool) -> None:
    from tfp_vae.cli.commands.evaluate import _saturation

    note = _saturation({"num_examples": 71, "mutual_information": found, "mutual_information_ceiling": 4.263})
    assert (note is not None) == said
    assert note is None or "log 71 = 4.263 nats" in note
