"""Every command on every kind of wrong input: the promised exit code, one sentence, and no traceback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli.main import COMMANDS, main
from tfp_vae.cli.options import MemberType

from tests.helpers.commands import SMALL
from tests.helpers.people import write_people
from tests.helpers.runs import small_model, small_training
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

USAGE, DATA, RUN, DIVERGED, DISK = 2, 3, 4, 5, 6

OF_A_RUN = ("sample", "evaluate", "reconstruct", "encode", "interpolate", "score", "plot", "report")
OF_EXAMPLES = ("reconstruct", "encode", "interpolate", "score")
OUTPUT = {"sample": "x.png", "evaluate": "x.npz", "reconstruct": "x.png", "encode": "x.csv", "interpolate": "x.png",
          "score": "x.csv", "report": "x.html"}  # fmt: skip

# The folder holds `run`, a finished run, `cut`, a run with a truncated checkpoint, `mute`, a run without config.json,
# `orphan`, a run without its data file, `blocked`, a run with a file in place of `plots`, and `file`, a file.
CASES: dict[str, list[tuple[str, int]]] = {
    "train": [
        ("--likelihood cauchy", USAGE),
        ("--dataset imagenet", USAGE),
        ("--missingness self-masking", USAGE),
        ("--condition colour", USAGE),
        ("--labelled 100", USAGE),
        ("--condition label --labelled 3", USAGE),
        ("--labelled-seed -1", USAGE),
        ("--condition label --labelled-seed 3", USAGE),
        ("--classifier conv", USAGE),
        ("--classifier-weight 2 --condition label", USAGE),
        ("--condition label --labelled 100 --free-bits 0.1", USAGE),
        ("--condition label --labelled 100 --objective total-correlation", USAGE),
        ("--resume", USAGE),
        ("--config none.toml", USAGE),
        ("--dataset none.npy", DATA),
        ("--dataset nan.npy", DATA),
        ("--dataset shape.npy", DATA),
        ("--dataset text.csv", DATA),
        ("--dataset empty", DATA),
        ("--run-dir run", RUN),
        ("--resume --run-dir cut", RUN),
        ("--resume --run-dir nowhere", RUN),
        ("--learning-rate 1e35", DIVERGED),
        ("--run-dir file/run", DISK),
        ("--dataset mnist --data-dir file", DISK),
    ],
    "data": [
        ("inspect", USAGE),
        ("inspect imagenet", USAGE),
        ("inspect digits --out x.jpg", USAGE),
        ("list digits", USAGE),
        ("inspect none.npy", DATA),
        ("inspect nan.npy", DATA),
        ("inspect shape.npy", DATA),
        ("inspect text.csv", DATA),
        ("inspect empty", DATA),
        ("inspect digits --out none/x.png", DISK),
    ],
    "runs": [("here", USAGE)],
    "info": [("colours", USAGE), ("--run nowhere", RUN), ("--run mute", RUN)],
    "impute": [
        ("--run run", USAGE),
        ("--run run --data text.csv extra-argument", USAGE),
        ("--run run --data text.csv --out x.png", USAGE),
        ("--run run --data text.csv", USAGE),
        ("--run table --data people.csv --given 3", USAGE),
        ("--run table --data none.csv", DATA),
        ("--run table --data empty", DATA),
        ("--run nowhere --data text.csv", RUN),
        ("--run mute --data text.csv", RUN),
        ("--run table --data people.csv --out none/x.csv", DISK),
    ],
    "open": [
        ("--run run extra-argument", USAGE),
        ("--run orphan", DATA),
        ("--run nowhere", RUN),
        ("--run mute", RUN),
        ("--run cut", RUN),
        ("--run blocked", DISK),
    ],
    **{name: [("--run run extra-argument", USAGE)] for name in OF_A_RUN},
}
for _name in ("sample", "reconstruct", "interpolate", "score"):
    CASES[_name] += [("--run run --given 3", USAGE)]
for _name in OF_A_RUN:
    CASES[_name] += [
        ("--run nowhere", RUN),
        ("--run .", RUN),
        ("--run mute", RUN),
        ("--run cut", RUN),
        ("--runs-dir file", RUN),
        ("--runs-dir empty", RUN),
    ]
for _name in OF_EXAMPLES:
    CASES[_name] += [(f"--run run --data {path}", DATA) for path in ("none.npy", "nan.npy", "shape.npy", "empty")]
    CASES[_name] += [("--run run --data x.npy --split test", USAGE)]
for _name, _file in OUTPUT.items():
    option = "--per-example" if _name == "evaluate" else "--out"
    CASES[_name] += [(f"--run run {option} none/{_file}", DISK), (f"--run run {option} x.jpg", USAGE)]
for _name in set(OF_A_RUN) - {"sample"}:
    CASES[_name] += [("--run orphan", DATA)]
CASES["evaluate"] += [
    ("--run run --data x.npy", USAGE),
    ("--run run --anomalies label=5 --max-examples 9", USAGE),
    ("--run run --anomalies label=5 --run run", USAGE),
    ("--run run --anomalies =", USAGE),
    ("--run run --anomalies label=5 --factors label", USAGE),
    ("--run run --factors nothing", USAGE),
    ("--run run --anomalies kind", USAGE),
    ("--run table --anomalies height", USAGE),
    ("--run run --anomalies label", DATA),
    ("--run run --anomalies label=12", DATA),
    ("--run table --anomalies none", DATA),
    ("--run run --anomalies label=5 --data none.npy", DATA),
]
CASES["score"] += [
    ("--run run --contamination 1", USAGE),
    ("--run run --contamination 0", USAGE),
    ("--run run --anomaly-score typical", USAGE),
    ("--run run --anomaly-score worst-cell", USAGE),
    ("--run run --anomaly-score likelihood-ratio:background=none", USAGE),
    ("--run orphan --data x.npy --contamination 0.1", DATA),
]
CASES["report"] += [
    ("--run run --run run", USAGE),
    ("--run run --run table --no-plots", USAGE),
    ("--run run --run nowhere", RUN),
    ("--run run --run table --out none/x.html", DISK),
]
CASES["plot"] += [
    ("--run blocked samples", DISK),
    ("--run run nothing", USAGE),
    ("--run run latent-animation", USAGE),
    ("--run run samples --projection tsne", USAGE),
]


FOUND = ("inspect nan.npy", "inspect text.csv", "inspect digits --out none/x.png")
"""Commands that print their findings before the error."""


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that is wrong. Do not write to it."""
    folder = tmp_path_factory.mktemp("wrong")
    for name in ("run", "cut", "mute", "blocked"):
        shutil.copytree(trained, folder / name)
    checkpoint = folder / "cut" / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:99])
    (folder / "mute" / "config.json").unlink()
    shutil.rmtree(folder / "blocked" / "plots")
    (folder / "blocked" / "plots").touch()
    (folder / "empty").mkdir()
    (folder / "file").touch()
    np.save(folder / "nan.npy", np.full((20, 8, 8), np.nan))
    np.save(folder / "shape.npy", np.zeros((4, 3, 2, 2, 2)))
    (folder / "text.csv").write_text("a,b\n1,2\nx,y\n")
    table = str(write_people(folder / "people.csv"))
    training = small_training(epochs=1)
    config, data = plan(table, None, None, small_model(), training, open_choices=("likelihood",))
    assert train(Run.create(folder / "table", config), data)
    np.save(folder / "mine.npy", np.random.default_rng(0).random((40, 3)))
    config, data = plan(str(folder / "mine.npy"), None, None, small_model(), small_training(epochs=1))
    assert train(Run.create(folder / "orphan", config), data)
    (folder / "mine.npy").unlink()
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TFP_VAE_RUN", "TFP_VAE_RUNS_DIR", "TFP_VAE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(place)
    return place


def refused(*arguments: str, code: int) -> str:
    """Return the message on stderr after checking the exit code and that nothing else is printed."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert 15 < len(last) < 700
    return result.stdout


def each() -> Iterator[tuple[str, str, int]]:
    """Yield each case, and the last one for each command and code with --json too."""
    for name, cases in CASES.items():
        yield from ((name, line, code) for line, code in cases)
        yield from ((name, f"{line} --json", code) for code, line in {code: line for line, code in cases}.items())


@pytest.mark.slow
@pytest.mark.parametrize(("command", "line", "code"), list(each()))
def test_wrong_input(command: str, line: str, code: int, here: Path) -> None:
    small = SMALL if command == "train" and "--resume" not in line else ()
    before = {path.name for path in here.iterdir()}
    shown = refused(command, *line.split(), *small, code=code)
    assert shown == "" or line.removesuffix(" --json") in FOUND
    made = {path.name for path in here.iterdir()} - before - {"runs"}
    assert made == set()


def test_every_command_has_a_case_for_each_kind_of_refusal() -> None:
    assert CASES.keys() == COMMANDS.keys()
    codes = {name: {code for _, code in cases} for name, cases in CASES.items()}
    assert codes["train"] == {USAGE, DATA, RUN, DIVERGED, DISK}
    assert codes["data"] == {USAGE, DATA, DISK}
    for name in OF_A_RUN:
        assert codes[name] == {USAGE, RUN, DISK} | ({DATA} if name != "sample" else set()), name


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command and sub-command with its command line."""
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        if isinstance(command, click.Group):
            yield from (((name, inner), found) for inner, found in command.commands.items())
        else:
            yield (name,), command


TYPED = (click.Choice, click.IntRange, click.FloatRange, click.types.IntParamType, click.types.FloatParamType)


def nonsense() -> Iterator[tuple[str, ...]]:
    """Yield a command line with a wrong value for each option that takes a number, a choice or a member."""
    for called, command in commands():
        yield (*called, "--no-such-option")
        for option in command.params:
            plain = isinstance(option, click.Option) and not option.is_flag and option.nargs == 1
            if plain and isinstance(option.type, (*TYPED, MemberType)):
                yield (*called, option.opts[0], "no-such-value")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", list(nonsense()), ids=" ".join)
def test_every_option_refuses_nonsense(arguments: tuple[str, ...], here: Path) -> None:
    assert refused(*arguments, code=USAGE) == ""
