"""How the cost of training and evaluation grows with the size of the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.document import OURS
from benchmarks.harness import start, turns
from benchmarks.workloads import Axis


def measure_growth(axis: Axis, repeats: int) -> dict[str, Any]:
    """Measure the median seconds of one step or evaluation for each workload of an axis, and fit a line."""
    processes = [start(OURS, workload) for workload in axis.workloads]
    medians = np.median(turns(processes, repeats), axis=1)
    for process in processes:
        process.close()
    seconds = list(medians / [max(1, workload.steps) for workload in axis.workloads])
    x = [axis.value(workload) for workload in axis.workloads]
    return {"name": axis.name, "x": x, "seconds": seconds, **line(x, seconds)}


def line(x: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """Return the line of least squares of relative deviations, and the largest deviation."""
    slope, intercept = np.polyfit(x, seconds, 1, w=1 / np.asarray(seconds))
    off = np.abs((slope * np.asarray(x) + intercept) / seconds - 1).max()
    return {"slope": float(slope), "intercept": float(intercept), "off": float(off)}
