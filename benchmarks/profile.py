"""`python -m benchmarks.profile "train 512-512, S 1"`: the kernels that the time of a workload of ours goes into."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

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

Not what runs kernels, such as `while.7`, whose time has theirs in it.
"""


@final
class Kernel(NamedTuple):
    """What one kernel takes of a step or an evaluation.

    name: as the compiler has it.
    calls: how often it runs.
    seconds: on all threads together.
    """

    name: str
    calls: float
    seconds: float


def profiled(workload: Workload) -> dict[str, Any]:
    """Return the seconds of one step or evaluation, and its kernels, the dearest first."""
    from benchmarks.peers import ours

    problem = make(workload)
    peer, x = ours.Peer(problem), binary(problem)
    once = workload.steps or 1
    again: Callable[[], Any] = lambda: work(peer, problem, x)  # noqa: E731 - of two lines, timed and traced alike
    again()
    seconds = statistics.median(_timed(again) for _ in range(REPEATS)) / once
    found = [kernel._asdict() for kernel in kernels(_traced(again), once)]
    return {"workload": workload.name, "seconds": seconds, "kernels": found}


def _timed(again: Callable[[], Any]) -> float:
    began = time.perf_counter()
    again()
    return time.perf_counter() - began


def _traced(again: Callable[[], Any]) -> Any:
    """Return what TensorFlow's profiler saw."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)):
            again()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace()
        space.ParseFromString(path.read_bytes())
    return space


def kernels(space: Any, once: int) -> list[Kernel]:
    """Return the kernels of a trace, each the sum of its calls, divided by so many steps."""
    spent: dict[str, list[int]] = {}
    for name, picoseconds in _events(space):
        if KERNEL.fullmatch(name):
            spent.setdefault(name, []).append(picoseconds)
    found = [Kernel(name, len(each) / once, sum(each) / 1e12 / once) for name, each in spent.items()]
    return sorted(found, key=lambda kernel: -kernel.seconds)


def _events(space: Any) -> Iterator[tuple[str, int]]:
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                yield plane.event_metadata[event.metadata_id].name, event.duration_ps


def measured(name: str) -> dict[str, Any]:
    """Return a workload's profile, taken in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.profile", name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@click.command()
@click.argument("name", type=click.Choice([workload.name for workload in WORKLOADS]), metavar="WORKLOAD")
@click.option("--most", type=click.IntRange(1), default=30, show_default=True, help="Show so many kernels.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it, as JSON.")
def main(name: str, most: int, as_json: bool) -> None:
    """Show what the time of one step or one evaluation goes into, by TensorFlow's profiler."""
    (workload,) = (workload for workload in WORKLOADS if workload.name == name)
    profile = profiled(workload)
    if as_json:
        click.echo(json.dumps(profile))
    else:
        Console().print(shown(profile, most))


def shown(profile: dict[str, Any], most: int) -> Table:
    """Return a table of the dearest kernels, and of what the others take."""
    products, others = split(profile["kernels"])
    table = Table(title=f"{profile['workload']}: {1e3 * profile['seconds']:.2f} ms", box=None, title_justify="left")
    for column, justify in (("ms", "right"), ("calls", "right"), ("kernel", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_row(f"{1e3 * products:.3f}", "", "products of matrices and convolutions", style="bold")
    table.add_row(f"{1e3 * others:.3f}", "", "all others", style="bold")
    for kernel in profile["kernels"][:most]:
        table.add_row(f"{1e3 * kernel['seconds']:.3f}", f"{kernel['calls']:.1f}", _end(kernel["name"]))
    return table


def _end(name: str) -> str:
    """Return the last characters of a name, which in a graph say the layer and the operation."""
    return name if len(name) <= WIDEST else f"…{name[1 - WIDEST :]}"


if __name__ == "__main__":
    main()
