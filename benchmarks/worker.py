"""The process of one peer: it computes its check, warms up, and then times the work on request."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problem import TILE, Problem, Workload, restore

DRAWS = 20
"""Draws of the loss. Their means are compared between peers."""

ESTIMATES = 5
"""Draws of the mean log p(x), compared in the same way."""


def main(peer: str, workload: str, path: str) -> None:
    """Answer each line of stdin with the seconds that the work takes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so output of a library is not mistaken for an answer
    problem = restore(json.loads(workload), Path(path))
    began = time.perf_counter()
    module = importlib.import_module(f"benchmarks.peers.{peer}")
    if not getattr(module, "takes", _takes)(problem.workload):
        _write(answers, {"takes": False})
        return
    made = module.Peer(problem)
    x = binary(problem)
    losses = [made.loss(x) for _ in range(DRAWS)]
    first = work(made, problem, x)
    warm_up = time.perf_counter() - began
    trained = [made.loss(x) for _ in range(DRAWS)] if problem.workload.steps else []
    estimates = [] if first is None else [first, *(work(made, problem, x) for _ in range(ESTIMATES - 1))]
    given = [] if first is None else [_estimate_on_given_noise(made, problem, x)]
    check = {"losses": losses, "trained": trained, "estimates": estimates, "given": given}
    _write(answers, {"takes": True, **check, "warm_up": warm_up})
    for _ in sys.stdin:
        began = time.perf_counter()
        work(made, problem, x)
        seconds = time.perf_counter() - began
        _write(answers, {"seconds": seconds})


def _takes(workload: Workload) -> bool:
    """Return whether a peer supports a workload by default. No peer has log p(x) under a flow."""
    return not workload.flow or workload.steps > 0


def binary(problem: Problem) -> np.ndarray:
    """Return a batch of binarized images, the same for every peer: [B, 784]."""
    grey = problem.x[: problem.workload.batch]
    return (np.random.default_rng(1).random(grey.shape) < grey).astype(np.float32)


def work(peer: Any, problem: Problem, x: np.ndarray) -> float | None:
    """Train, or evaluate and return the mean log p(x)."""
    if problem.workload.steps:
        peer.train(problem.workload.steps)
        return None
    return float(np.mean(peer.evaluate(x, problem.workload.samples)))


def _estimate_on_given_noise(peer: Any, problem: Problem, x: np.ndarray) -> float:
    """Return the mean log p(x) on noise that is the same for every peer, so peers differ only by rounding."""
    shape = min(TILE, problem.workload.samples), len(x), problem.workload.latent_dim
    noise = np.random.default_rng(2).standard_normal(shape, np.float32)
    return float(np.mean(peer.evaluate_on(x, noise)))


def _write(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
