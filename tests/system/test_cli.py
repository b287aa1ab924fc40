"""The command line, as users and scripts use it."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import matplotlib.image
import numpy as np
import pytest
from tfp_vae.cli import options
from tfp_vae.cli.commands import data
from tfp_vae.cli.main import COMMANDS, main

from tests.helpers.commands import GRAPH, RUN_COMMANDS, SMALL, call, one_sentence
from tests.helpers.files import idx
from tests.helpers.runs import assert_same, small_model, small_training
from tests.helpers.worker import Worker
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
"""Wrong values for each type of option."""

SUBCOMMANDS = {
    **{name: command for name in COMMANDS if (command := main.get_command(click.Context(main), name)) != data.command},
    **{f"data {name}": command for name, command in data.command.commands.items()},
}
OPTIONS = [
    (name, option) for name, command in SUBCOMMANDS.items() for option in command.params if type(option.type) in WRONG
]


@pytest.mark.slow
class TestThreeLines:
    """Train, sample, evaluate, in an empty folder."""

    def test_three_lines_run_in_order(self, here: Path) -> None:
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
    def test_closed_stderr_stops_nothing(self, here: Path) -> None:
        command = " ".join(
            [*map(shlex.quote, TFP_VAE), "train", *GRAPH, "--epochs 2 --hidden 8 --run-dir r --no-plots", "2>&-"]
        )
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0
        assert Run(Path("r")).is_finished()

    @pytest.mark.slow
    def test_three_lines_in_processes_of_their_own_raise_no_alarm(self, here: Path) -> None:
        """They are the demonstration of the README, with its own settings."""
        for line in ("train --mc-samples 5 --no-plots", "sample --n 64", "evaluate --iw-samples 100 --json"):
            done = self.from_the_outside(*line.split())
        result = json.loads(done.stdout)
        assert result["num_examples"] == 180
        assert result["advice"] is None
        assert "advice_reason" not in result
        assert result["likely_bias"] < 0.02
        assert result["log_likelihood_low"] < result["log_likelihood"] < result["log_likelihood_high"]

    @staticmethod
    def from_the_outside(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, without any output of TensorFlow."""
        done = subprocess.run([*TFP_VAE, *arguments], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        assert "oneDNN" not in done.stderr
        assert "WARNING" not in done.stderr
        return done


class TestForScripts:
    """`--json`: one object on stdout, nothing else."""

    @pytest.mark.slow
    def test_train(self, here: Path) -> None:
        result = json.loads(call("train", *SMALL, "--no-plots", "--json").stdout)
        assert {"run", "dataset", "epochs", "steps", "parameters", "train", "validation", "seconds"} <= result.keys()
        assert not (Path(result["run"]) / "plots" / "samples.png").exists()

    @pytest.mark.parametrize("arguments", [["info", "posteriors"], ["info"], ["data", "list"], ["runs"]], ids=" ".join)
    def test_no_line_ends_in_blanks(self, arguments: list[str], copied: Run) -> None:
        more = ["--runs-dir", copied.folder.parent] if arguments == ["runs"] else []
        lines = call(*arguments, *more).stdout.splitlines()
        assert len(lines) > 1
        assert [line for line in lines if line != line.rstrip()] == []


class TestTrain:
    """Options of `train`."""

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

    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_config_file_sets_defaults_and_the_command_line_wins(self, here: Path) -> None:
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

    @pytest.mark.slow
    def test_trains_on_own_vectors_and_draws_pictures(self, here: Path, rng: np.random.Generator) -> None:
        np.savez("mine.npz", x=rng.random((60, 5)), y=np.arange(60) % 2)
        call("train", *SMALL, "--dataset", "mine.npz", "--run-dir", "r")
        drawn = {p.stem for p in Path("r/plots").iterdir()}
        assert {"samples", "reconstructions", "learning-curves", "latent-scatter"} <= drawn
        assert not {"manifold", "decoder-animation"} & drawn  # vectors are no images
        for path in Path("r/plots").glob("*.png"):
            assert matplotlib.image.imread(path).std() > 0.01, path
        call("evaluate", "--run", "r", "--iw-samples", "3", *GRAPH)
        call("sample", "--run", "r", "--n", "3")

    @pytest.mark.slow
    def test_weights_equal_those_of_the_library(self, here: Path, trained: Path) -> None:
        call("train", *SMALL, "--no-plots", "--run-dir", "r")
        assert_same(Run(Path("r")).checkpoint().variables, Run(trained).checkpoint().variables)

    @pytest.mark.slow
    def test_resume_continues_to_the_total(self, here: Path, copied: Run) -> None:
        told = call("train", "--resume", "--run-dir", copied.folder, "--epochs", "3", "--no-plots").stderr.splitlines()
        assert told[:2] == ["epochs: 2 before epoch 3, then 3", f"run: {copied.folder}"]
        assert told[2] == "continuing after 2 of 3 epochs, from step 24"
        assert len(copied.metrics()) == 3
        assert "all 3 epochs are done" in one_sentence(call("train", "--resume", "--run-dir", copied.folder, code=2))

    @pytest.mark.slow
    def test_divergence(self, here: Path) -> None:
        result = call("train", *SMALL, "--learning-rate", "1e35", code=5)
        assert "step" in one_sentence(result)
        assert "--learning-rate" in one_sentence(result)

    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
    )
    def test_a_signal_writes_a_checkpoint_and_explains_how_to_resume(
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
    """Each kind of wrong input: the promised exit code and one sentence."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["train", "--no-such-option"], "No such option"),
            (["fly"], "No such command"),
            (["train", "--epochs", "0"], "expected a whole number of at least 1, found '0'"),
            (["train", "--epochs", "many"], "expected a whole number of at least 1, found 'many'"),
            (["train", "--epochs", "1.5"], "expected a whole number of at least 1, found '1.5'"),
            (["train", "--early-stopping", "-1"], "expected a whole number of at least 0, found '-1'"),
            (["train", "--ema", "1"], "expected a finite number above 0 and below 1, found '1'"),
            (["train", "--ema", "0"], "expected a finite number above 0 and below 1, found '0'"),
            (["train", "--ema", "nan"], "expected a finite number above 0 and below 1, found 'nan'"),
            (["train", "--beta", "-1"], "expected a finite number of at least 0, found '-1'"),
            (["train", "--posterior", "cauchy"], "unknown posterior 'cauchy'. Choose from diagonal-normal"),
            (["train", "--posterior", "diagonal-normal:floor=1"], "this key is unknown. Its keys: scale_floor"),
            (["train", "--encoder", "lstm"], "unknown network 'lstm'. Choose from mlp"),
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
            (["train", "--posterior", "foo:bar"], "posterior 'foo:bar': there is no module foo"),
            (["train", "--posterior", "diagonal-normal:bar"], "expected key=value, found 'bar'"),
            (["train", "--objective", "elbo:mc_samples=2", "--mc-samples", "3"], "Keep one"),
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
            (["evaluate", "--run", "a", "--run", "b", "--per-example", "x.npz"], "works with one --run only"),
            (["evaluate", "--split", "all"], "is not one of"),
            (["evaluate", "--per-example", "x.csv"], "ending in .npz"),
            (["info", "colours"], "is not one of"),
            (["info", "priors", "--run", "none"], "priors and --run were both given. Keep one"),
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
    def test_errors_describe_the_expected_number_or_path(self, path: str, option: click.Parameter) -> None:
        for value in WRONG[type(option.type)]:
            flag = [option.opts[0]] if isinstance(option, click.Option) else []
            said = one_sentence(call(*path.split(), *flag, *[value] * option.nargs, code=2))
            assert "expected a" in said
            assert f"found {value!r}" in said
            assert option.opts[0].upper() in said.upper()

    def test_errors_describe_the_expected_list_of_numbers(self) -> None:
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
            ("grey.npy", np.arange(60.0).reshape(20, 3) * 255 / 59, "Choose --scaling divided:by=255"),
            ("table.xlsx", np.zeros((20, 3)), "expected an .npy file, an .npz file, a .csv, .tsv or .txt file"),
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

    @pytest.mark.slow
    def test_unscaled_pixels_need_another_scaling(self, here: Path) -> None:
        np.save("bytes.npy", np.full((20, 4, 4), 255, np.uint8))
        told = ("--likelihood", "bernoulli", "--scaling", "none")
        train = ("train", "--dataset", "bytes.npy", *SMALL, "--no-plots", *told)
        assert "Choose --scaling divided:by=255" in one_sentence(call(*train, code=3))
        call(*train, "--scaling", "divided:by=255")

    @pytest.mark.parametrize("likelihood", ["beta", "poisson"])
    def test_the_suggested_remedy_works(self, likelihood: str, here: Path) -> None:
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
        assert "already holds a run" in one_sentence(call("train", "--run-dir", copied.folder, *SMALL, code=4))

    def test_resume_changes_nothing_but_the_total(self, copied: Run) -> None:
        result = call("train", "--resume", "--run-dir", copied.folder, "--latent-dim", "5", code=2)
        assert "--latent-dim cannot be changed" in one_sentence(result)

    def test_unwritable_paths_raise_an_error(self, here: Path, trained: Path) -> None:
        Path("file").touch()
        assert "could not write" in one_sentence(call("train", *SMALL, "--run-dir", "file/run", code=6))
        assert "could not write" in one_sentence(call("sample", "--run", trained, "--out", "none/x.png", code=6))
