"""How the cost of training and evaluation grows with what there is of the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.document import OURS
from benchmarks.harness import start, turns
from benchmarks.workloads import Axis


def measured(axis: Axis, repeats: int) -> dict[str, Any]:
    """Return the median seconds of one step, or one evaluation, of each of an axis's workloads, and their line."""
    processes = [start(OURS, workload) for workload in axis.workloads]
    medians = np.median(turns(processes, repeats), axis=1)
    for process in processes:
        process.close()
    seconds = list(medians / [max(1, workload.steps) for workload in axis.workloads])
    x = [axis.value(workload) for workload in axis.workloads]
    return {"name": axis.name, "x": x, "seconds": seconds, **line(x, seconds)}


def line(x: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """Return the line with the least squares of relative deviations, and the largest of them."""
    slope, intercept = np.polyfit(x, seconds, 1, w=1 / np.asarray(seconds))
    off = np.abs((slope * np.asarray(x) + intercept) / seconds - 1).max()
    return {"slope": float(slope), "intercept": float(intercept), "off": float(off)}
