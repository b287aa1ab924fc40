"""`python -m benchmarks.profile "train 512-512, S 1"`: show which kernels take the time of a workload."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, final

import click
from rich.console import Console
from rich.table import Table

from benchmarks.document import split
from benchmarks.harness import ROOT
from benchmarks.problem import Workload, make
from benchmarks.worker import binary, work
from benchmarks.workloads import WORKLOADS

PROFILED = (
    "train 200-200, S 1",
    "train 512-512, S 1",
    "train conv, S 1",
    "evaluate 200-200, K 100",
    "evaluate 200-200, K 1000",
)
"""Workloads whose profile is in docs/performance.md."""

REPEATS = 5
WIDEST = 60

KERNEL = re.compile(
    r"(?!while\.|call\.)[\w-]+\.\d+|(wrapped_)?[\w-]+_fusion|wrapped_[\w-]+|(?!__inference)[\w/.-]+:\w+"
)
"""A kernel of XLA, `MatMul.90`, or of a graph, `while/body/up_0/conv2d_transpose:_MklNativeConv2DBackpropInput`.

It does not match operations that contain kernels, such as `while.7`, because their time includes the kernels'.
"""


@final
class Kernel(NamedTuple):
    """The cost of one kernel in a step or an evaluation.

    name: the compiler's name.
    calls: number of calls.
    seconds: the sum over all threads.
    """

    name: str
    calls: float
    seconds: float


def profile_workload(workload: Workload) -> dict[str, Any]:
    """Return the seconds of one step or evaluation, and its kernels, the slowest first."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from benchmarks.peers import ours

    problem = make(workload)
    peer, x = ours.Peer(problem), binary(problem)
    once = workload.steps or 1
    work(peer, problem, x)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work(peer, problem, x)
        seconds.append(time.perf_counter() - began)
    space = xplane_pb2.XSpace()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)):
            work(peer, problem, x)
        (path,) = Path(folder).rglob("*.xplane.pb")
        space.ParseFromString(path.read_bytes())
    costs = [kernel._asdict() for kernel in kernels(space, once)]
    return {"workload": workload.name, "seconds": statistics.median(seconds) / once, "kernels": costs}


class Event(Protocol):
    """One call of a kernel in a trace."""

    metadata_id: int
    duration_ps: int


class Line(Protocol):
    """The events of a thread."""

    events: Sequence[Event]


class EventName(Protocol):
    """The metadata of an event."""

    name: str


class Plane(Protocol):
    """A device or the host, with its threads and the names of events."""

    lines: Sequence[Line]
    event_metadata: Mapping[int, EventName]


class Trace(Protocol):
    """A trace by TensorFlow's profiler, `XSpace`."""

    planes: Sequence[Plane]


def kernels(space: Trace, once: int) -> list[Kernel]:
    """Return the kernels of a trace, the slowest first, with calls and seconds divided by the `once` steps."""
    spent: dict[str, list[int]] = {}
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            if KERNEL.fullmatch(name):
                spent.setdefault(name, []).append(event.duration_ps)
    found = [Kernel(name, len(each) / once, sum(each) / 1e12 / once) for name, each in spent.items()]
    return sorted(found, key=lambda kernel: -kernel.seconds)


def measure_profile(name: str) -> dict[str, Any]:
    """Return the profile of a workload, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.profile", name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@click.command()
@click.argument("name", type=click.Choice([workload.name for workload in WORKLOADS]), metavar="WORKLOAD")
@click.option("--most", type=click.IntRange(1), default=30, show_default=True, help="Number of kernels to show.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole profile as JSON.")
def main(name: str, most: int, as_json: bool) -> None:
    """Show which kernels take the time of one step or evaluation, with TensorFlow's profiler."""
    (workload,) = (workload for workload in WORKLOADS if workload.name == name)
    profile = profile_workload(workload)
    if as_json:
        click.echo(json.dumps(profile))
    else:
        Console().print(kernel_table(profile, most))


def kernel_table(profile: dict[str, Any], most: int) -> Table:
    """Return a table of the slowest kernels, after the sums over products and over all others.

    A long name keeps its end, because in a graph the end names the layer and the operation.
    """
    products, others = split(profile["kernels"])
    table = Table(title=f"{profile['workload']}: {1e3 * profile['seconds']:.2f} ms", box=None, title_justify="left")
    for column, justify in (("ms", "right"), ("calls", "right"), ("kernel", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_row(f"{1e3 * products:.3f}", "", "products of matrices and convolutions", style="bold")
    table.add_row(f"{1e3 * others:.3f}", "", "all others", style="bold")
    for kernel in profile["kernels"][:most]:
        name = kernel["name"] if len(kernel["name"]) <= WIDEST else f"…{kernel['name'][1 - WIDEST :]}"
        table.add_row(f"{1e3 * kernel['seconds']:.3f}", f"{kernel['calls']:.1f}", name)
    return table


if __name__ == "__main__":
    main()
