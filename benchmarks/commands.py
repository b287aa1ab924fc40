"""Time and memory of the commands."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from benchmarks.problem import SIDE, blobs

PROGRAM = (str(Path(sys.executable).with_name("tfp-vae")),)
EXAMPLES = 60_000
TRAIN = ("train", "--latent-dim", "50", "--hidden", "512,512", "--epochs", "1", "--no-plots")


@final
class Cost(NamedTuple):
    """The median time in seconds, and the peak resident memory in bytes."""

    what: str
    seconds: float
    bytes: int


@final
class Usage(NamedTuple):
    """The time of one run of a command, the CPU time of all its threads, and its peak memory."""

    seconds: float
    cpu_seconds: float
    bytes: int


FIRST = re.compile(rb"epoch 1/1")
"""Printed after the first step and its validation."""


def measure_commands(folder: Path, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure `--help`, a first step, 200 steps on as many images as MNIST has, and evaluations."""

    def cost(what: str, *arguments: str, times: int = 1, until: re.Pattern[bytes] | None = None) -> Cost:
        runs = []
        for i in range(times):
            into: tuple[str, ...] = ()
            if arguments[0] == "train":
                into = ("--run-dir", str(folder / (f"first-{i}" if until else "run")))
            runs.append(run_command((*PROGRAM, *arguments, *into), until))
        return Cost(what, statistics.median(run.seconds for run in runs), max(run.bytes for run in runs))

    help_ = cost("--help", "--help", times=repeats)  # first, because the memory of this process counts for its child
    data = folder / "images.npy"
    np.save(data, (blobs(np.random.default_rng(0), EXAMPLES) * 255).astype(np.uint8).reshape(-1, SIDE, SIDE, 1))
    evaluate = ("evaluate", "--run", str(folder / "run"), "--max-examples", "64", "--no-plots", "--iw-samples")
    costs = [
        help_,
        cost(
            "train to the end of the first step, digits", *TRAIN, "--steps-per-epoch", "1", times=repeats, until=FIRST
        ),
        cost("train 200 steps, 60,000 images", *TRAIN, "--steps-per-epoch", "200", "--dataset", str(data)),
        *(cost(f"evaluate 64 images, K = {k:,}", *evaluate, str(k)) for k in (100, 1_000, 10_000)),
    ]
    return [each._asdict() for each in costs]


def run_command(command: Sequence[str], until: re.Pattern[bytes] | None = None) -> Usage:
    """Run a command and return its time and memory. A pattern stops the clock at the first line of stderr that matches.

    The command runs without PYTHONPATH, so it uses the installed package and not this folder's.

    Raises:
      RuntimeError: the command failed, or no line matched.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    began, seen = time.perf_counter(), None
    process = subprocess.Popen(command, cwd="/", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if until is not None and until.search(line) and seen is None:
                seen = time.perf_counter() - began
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or (until is not None and seen is None):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    seconds = seen or time.perf_counter() - began
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
