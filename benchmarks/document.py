"""Write the measurements to `docs/performance.md`, as tables and pictures."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problem import Workload, from_dict

OURS = "ours"
BEGIN, END = "<!-- measurements -->\n", "<!-- end of measurements -->\n"
COLOUR = "#0072b2"


def write(results: Mapping[str, Any], page: Path, pictures: Path) -> None:
    """Replace the text between the marks of a Markdown page, and draw its pictures."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    page.write_text(before + BEGIN + markdown(results) + END + rest.split(END)[1], encoding="utf-8")
    draw(results["found"], pictures / "performance.png")
    draw_growth(results["growth"], pictures / "growth.png")


def markdown(results: Mapping[str, Any]) -> str:
    """Return the tables: peers by workload, shares of the machine's rate, profiles, growth, commands, machine."""
    found = results["found"]
    parts = [
        _ratios(found),
        _shares(found),
        _profiles(results["profiles"]),
        _growth(results["growth"]),
        _commands(results["commands"]),
        _machine(results),
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def _ratios(found: Sequence[Mapping[str, Any]]) -> str:
    peers = [peer for peer in dict.fromkeys(p for f in found for p in f["seconds"]) if peer != OURS]
    rows = [[f["workload"]["name"], _time(f), *(_ratio(f, peer) for peer in peers)] for f in found]
    return _table(["workload", "tfp_vae, ms", *(peer.replace("_", " ") for peer in peers)], rows)


def _time(found: Mapping[str, Any]) -> str:
    return f"{1e3 * found['seconds'][OURS][1] / (found['workload']['steps'] or 1):.2f}"


def quartiles(values: Sequence[float] | np.ndarray) -> list[float]:
    """Return the quartiles of values [R]: lower, median, upper."""
    return [float(value) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def _ratio(found: Mapping[str, Any], peer: str) -> str:
    if peer not in found["ratios"]:
        return "-"
    low, middle, high = found["ratios"][peer]
    return f"**{middle:.2f}** ({low:.2f} to {high:.2f})"


def _shares(found: Sequence[Mapping[str, Any]]) -> str:
    head = ["workload", "10^9 operations", "10^6 bytes*", "10^9 operations per second", "share of the rate"]
    low, rate, high = quartiles([one["rate"] for one in found])
    rows = [_share(from_dict(one["workload"]), one, rate) for one in found if one["workload"]["hidden"]]
    return (
        "The last column compares with the rate of a product of 2048x2048 matrices, timed after each workload: "
        f"{rate / 1e9:.0f} x 10^9 operations per second (median, quartiles {low / 1e9:.0f} to {high / 1e9:.0f}).\n\n"
        f"{_table(head, rows)}\n\n*: counts only weights, moments, gradients and logits."
    )


def _share(workload: Workload, found: Mapping[str, Any], rate: float) -> list[str]:
    operations, moved = workload.flops(), _bytes(workload)
    reached = operations * (workload.steps or 1) / found["seconds"][OURS][1]
    counted = f"{operations / 1e9:.2f}", f"{moved / 1e6:.0f}"
    return [workload.name, *counted, f"{reached / 1e9:.0f}", f"{100 * reached / rate:.0f}%"]


def _bytes(workload: Workload) -> int:
    """Return the bytes of weights, moments and gradients that a step reads and writes, and of the logits."""
    encoder, decoder = workload.products()
    decoded = 2 * 4 * workload.batch * workload.samples * 784  # the logits, written and read
    return decoded + (4 * 8 * (encoder + decoder) if workload.steps else 4 * (encoder + decoder))


def _profiles(profiles: Iterable[Mapping[str, Any]]) -> str:
    head = ["workload", "total, ms", "products and convolutions, ms*", "other kernels, ms*", "slowest others, ms"]
    rows = []
    for one in profiles:
        products, others = split(one["kernels"])
        slowest = [kernel for kernel in one["kernels"] if not is_product(kernel)][:SLOWEST]
        named = ", ".join(f"{_kernel(kernel['name'])} {1e3 * kernel['seconds']:.2f}" for kernel in slowest)
        rows.append(
            [one["workload"], *(f"{1e3 * seconds:.2f}" for seconds in (one["seconds"], products, others)), named]
        )
    return f"{_table(head, rows)}\n\n*: summed over kernels, although some run at the same time."


SLOWEST = 3
"""Number of kernels to list, in addition to products."""


def _kernel(name: str) -> str:
    """Return the operation of a kernel, without the long path that it has in a graph."""
    return f"`{name.rpartition(':')[2]}`"


PRODUCT = re.compile(r"_?(Mkl|Native|Fused)*(BatchMatMul|MatMul|Conv2D|convolution|dot)\w*(\.\d+)*")
"""Matrix products and convolutions among the operations of a graph and the kernels of XLA."""


def is_product(kernel: Mapping[str, Any]) -> bool:
    """Return whether a kernel of a profile is a product of matrices or a convolution.

    In a graph, only the operation of `path:operation` counts, because activations have the path of their layer too.
    """
    return PRODUCT.fullmatch(kernel["name"].rpartition(":")[2]) is not None


def split(kernels: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the seconds in products of matrices and convolutions, and in all other kernels."""
    seconds = [0.0, 0.0]
    for kernel in kernels:
        seconds[not is_product(kernel)] += kernel["seconds"]
    return seconds[0], seconds[1]


def _growth(growth: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        [
            axis["name"],
            f"{axis['x'][0]:.3g} to {axis['x'][-1]:,.5g}",
            f"{1e3 * axis['intercept']:.2f}",
            f"{1e3 * axis['slope']:.3g}",
            f"{100 * axis['off']:.0f}%",
        ]
        for axis in growth
    ]
    return _table(["cost as a function of", "range", "intercept, ms", "slope, ms per unit", "largest deviation"], rows)


def _commands(costs: Iterable[Mapping[str, Any]]) -> str:
    rows = [[cost["what"], f"{cost['seconds']:.2f}", f"{cost['bytes'] / 1e9:.2f}"] for cost in costs]
    return _table(["command", "seconds", "peak resident memory, 10^9 bytes"], rows)


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; {versions}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot each peer's time over ours, medians with quartiles, one row per workload."""
    peers = [peer for peer in dict.fromkeys(p for f in found for p in f["seconds"]) if peer != OURS]
    with _figure(path, figsize=(8, 0.42 * len(found) + 1.2)) as figure:
        axes = figure.subplots()
        for peer, marker in zip(peers, "osD^vP*X", strict=False):
            rows = [(row, one["ratios"][peer]) for row, one in enumerate(found) if peer in one["ratios"]]
            low, middle, high = np.array([three for _, three in rows]).T
            axes.errorbar(
                middle,
                [row for row, _ in rows],
                xerr=[middle - low, high - middle],
                fmt=marker,
                ms=6,
                capsize=2,
                label=peer.replace("_", " "),
            )
        axes.axvline(1, color=COLOUR)
        axes.set(xscale="log", xlabel="time over that of tfp_vae: right of the line, slower")
        axes.set_yticks(range(len(found)), [one["workload"]["name"] for one in found])
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


TICKS = (0.5, 1, 2, 4, 8, 16, 64, 256)


def draw_growth(growth: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot the time along each axis, and its line."""
    with _figure(path, figsize=(8, 5)) as figure:
        for axes, axis in zip(figure.subplots(2, 2).flat, growth, strict=True):
            x = np.array([0, *axis["x"]])
            axes.plot(x, 1e3 * (axis["slope"] * x + axis["intercept"]), color=COLOUR, lw=1)
            axes.plot(axis["x"], 1e3 * np.array(axis["seconds"]), "o", color=COLOUR)
            axes.set(ylabel="ms", xlim=(0, None), ylim=(0, None))
            axes.set_xlabel(axis["name"], fontsize="small")


@contextlib.contextmanager
def _figure(path: Path, figsize: tuple[float, float]) -> Iterator[Any]:
    """Yield a figure, and save it afterwards."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=figsize, layout="constrained")
    yield figure
    figure.savefig(path, dpi=100)
