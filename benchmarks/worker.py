"""The process of one peer: it computes its check, warms up, and then times the work on request."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.problem import TILE, Problem, Workload, restore

DRAWS = 20
"""Draws of the loss. Their means are compared between peers."""

ESTIMATES = 5
"""Draws of the mean log p(x), compared in the same way."""


class Peer(Protocol):
    """A way to train and evaluate the model of a problem, see `benchmarks.peers`."""

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the negative ELBO of binary x [B, 784], averaged."""

    def train(self, steps: int) -> None:
        """Train for a number of steps."""

    def evaluate(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Return log p(x) of binary x [B, 784], [B] or its mean."""

    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return log p(x) from noise [S, B, D], [B] or its mean."""


def main(peer: str, workload: str, path: str) -> None:
    """Answer each line of stdin with the seconds that the work takes."""

    def answer(**content: object) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so output of a library is not mistaken for an answer
    problem = restore(json.loads(workload), Path(path))
    began = time.perf_counter()
    module = importlib.import_module(f"benchmarks.peers.{peer}")
    if not getattr(module, "takes", takes)(problem.workload):
        answer(takes=False)
        return
    made: Peer = module.Peer(problem)
    x = binary(problem)
    losses = [made.loss(x) for _ in range(DRAWS)]
    first = work(made, problem, x)
    warm_up = time.perf_counter() - began
    trained = [made.loss(x) for _ in range(DRAWS)] if problem.workload.steps else []
    estimates, given = [], []
    if first is not None:
        estimates = [first, *(work(made, problem, x) for _ in range(ESTIMATES - 1))]
        shape = min(TILE, problem.workload.samples), len(x), problem.workload.latent_dim
        noise = np.random.default_rng(2).standard_normal(shape, np.float32)  # the same for every peer
        given = [float(np.mean(made.evaluate_on(x, noise)))]
    answer(takes=True, losses=losses, trained=trained, estimates=estimates, given=given, warm_up=warm_up)
    for _ in sys.stdin:
        began = time.perf_counter()
        work(made, problem, x)
        answer(seconds=time.perf_counter() - began)


def takes(workload: Workload) -> bool:
    """Return whether a peer supports a workload by default. No peer has log p(x) under a flow."""
    return not workload.flow or workload.steps > 0


def binary(problem: Problem) -> np.ndarray:
    """Return a batch of binarized images, the same for every peer: [B, 784]."""
    grey = problem.x[: problem.workload.batch]
    return (np.random.default_rng(1).random(grey.shape) < grey).astype(np.float32)


def work(peer: Peer, problem: Problem, x: np.ndarray) -> float | None:
    """Train, or evaluate and return the mean log p(x)."""
    if problem.workload.steps:
        peer.train(problem.workload.steps)
        return None
    return float(np.mean(peer.evaluate(x, problem.workload.samples)))


if __name__ == "__main__":
    main(*sys.argv[1:])
