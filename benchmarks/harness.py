"""Run each peer in a process of its own, check that all compute the same, and time them in turns."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import click
import numpy as np

from benchmarks.document import OURS, quartiles
from benchmarks.problem import Workload, as_dict, make, save
from tfp_vae.core.execution import XLA_FLAGS

PEERS = (
    OURS,
    "jax_scan",
    "torch_eager",
    "torch_compiled",
    "keras_tutorial",
    "keras3_fit",
    "keras3_jax",
    "numpyro_svi",
    "pythae_trainer",
)
STRONG = (OURS, "jax_scan", "torch_compiled", "numpyro_svi")
"""The fastest peer of each library, for `--quick`."""

OF_JAX = {"XLA_FLAGS": XLA_FLAGS}
ENVIRONMENTS = {
    "jax_scan": OF_JAX,
    "numpyro_svi": OF_JAX,
    "keras3_fit": {"KERAS_BACKEND": "tensorflow"},
    "keras3_jax": {"KERAS_BACKEND": "jax", **OF_JAX},
}
"""Extra environment variables of a peer's process. The XLA flags of this library help JAX too."""

ROOT = Path(__file__).parents[1]


@final
class Process:
    """The process of a peer."""

    def __init__(self, peer: str, workload: Workload, path: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", peer, json.dumps(as_dict(workload)), str(path)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | ENVIRONMENTS.get(peer, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.peer = peer
        self.check = self._answer()

    def time(self) -> float:
        """Return the seconds that the work takes once."""
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise click.ClickException(
                f"{self.peer} ended. Install its library with tfp_vae[benchmarks].\n{self._errors.read()[-2000:]}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


KINDS = {"losses": 0.0, "trained": 0.1, "estimates": 0.0}
"""Compared quantities, and the tolerated difference as a share of the progress of training.

Peers train on different batches, so their losses after training differ.
"""

ROUNDING = 1e-3
"""Tolerance in nats between two estimates of log p(x) from the same noise."""


def refuse_disagreement(processes: Sequence[Process]) -> None:
    """Raise an error if a peer's losses, before or after training, or its estimates of log p(x) differ from ours."""

    def require(holds: bool, peer: str, what: str, difference: float, allowed: float) -> None:
        if not holds:
            raise click.ClickException(
                f"{peer} computes other {what}: expected a difference of at most {allowed:.4f} nats, "
                f"found {difference:.4f}. Check its model and its weights."
            )

    ours = processes[0].check
    for process in processes[1:]:
        for kind, share in KINDS.items():
            difference, allowed = compare_means(ours[kind], process.check[kind])
            if share and ours[kind]:
                allowed += share * abs(float(np.mean(ours["losses"]) - np.mean(ours[kind])))
            require(difference <= allowed, process.peer, kind, difference, allowed)
        same = len(ours["given"]) == len(process.check["given"])
        difference = float(np.abs(np.subtract(ours["given"], process.check["given"])).sum()) if same else math.inf
        require(difference <= ROUNDING, process.peer, "estimates from given noise", difference, ROUNDING)


def compare_means(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the difference of two means, and the tolerance: 5 standard errors plus the rounding of float32."""
    if len(ours) != len(theirs):
        return math.inf, 0.0
    if not ours:
        return 0.0, 0.0
    error = np.hypot(*(np.std(draws, ddof=1) / np.sqrt(len(draws)) for draws in (ours, theirs)))
    return float(abs(np.mean(theirs) - np.mean(ours))), float(5 * error + 1e-4 * abs(np.mean(ours)))


def measure(workload: Workload, peers: Sequence[str], repeats: int) -> dict[str, Any]:
    """Return each peer's seconds and its ratio to ours, from interleaved repeats."""
    started = [start(peer, workload) for peer in peers]
    processes = [process for process in started if process.check["takes"]]
    refuse_disagreement(processes)
    seconds = dict(zip([process.peer for process in processes], turns(processes, repeats), strict=True))
    for process in started:
        process.close()
    return {
        "workload": as_dict(workload),
        "seconds": {peer: quartiles(values) for peer, values in seconds.items()},
        "ratios": {peer: quartiles(np.divide(values, seconds[OURS])) for peer, values in seconds.items()},
        "first": {process.peer: process.check.get("warm_up") for process in started},
    }


def start(peer: str, workload: Workload) -> Process:
    """Return a peer that has computed its check and is warm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        save(make(workload), path)
        return Process(peer, workload, path)


def turns(processes: Sequence[Process], repeats: int) -> list[list[float]]:
    """Return the seconds of each process's work in every turn. Each turn starts with the next process."""
    taken: list[list[float]] = [[] for _ in processes]
    for turn in range(repeats):
        for place in range(len(processes)):
            i = (turn + place) % len(processes)
            taken[i].append(processes[i].time())
    return taken
