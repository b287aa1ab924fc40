"""Write the measurements to `docs/performance.md`, as tables and pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from benchmarks.problem import from_dict
from tfp_vae.core.files import write_bytes

OURS = "ours"
BEGIN, END = "<!-- measurements -->\n", "<!-- end of measurements -->\n"
COLOUR = "#0072b2"


def write(results: Mapping[str, Any], page: Path, pictures: Path) -> None:
    """Replace the text between the marks of a Markdown page, and draw its pictures."""
    write_between(page, BEGIN, END, markdown(results))
    draw(results["found"], pictures / "performance.png")
    draw_growth(results["growth"], pictures / "growth.png")


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replace the text between two marks of a Markdown page.

    Args:
      page: the page.
      begin, end: the marks, which stay. Each occurs once, the first before the second.
      text: the new text.

    Raises:
      ValueError: the page lacks a mark, or has it more than once.
    """
    old = page.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.partition(begin)[2].count(end) != 1:
        raise ValueError(f"{page}: expected the marks {begin.strip()!r} and {end.strip()!r} once, in this order.")
    before, rest = old.split(begin)
    write_bytes(page, (before + begin + text + end + rest.split(end)[1]).encode())


def markdown(results: Mapping[str, Any]) -> str:
    """Return the tables: peers by workload, shares of the machine's rate, profiles, growth, commands, machine."""
    costs = [[cost["what"], f"{cost['seconds']:.2f}", f"{cost['bytes'] / 1e9:.2f}"] for cost in results["commands"]]
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    parts = [
        ratio_table(results["found"]),
        share_table(results["found"]),
        profile_table(results["profiles"]),
        growth_table(results["growth"]),
        markdown_table(["command", "seconds", "peak resident memory, 10^9 bytes"], costs),
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; {versions}.",
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@final
class Estimate(NamedTuple):
    """A mean over repetitions and its standard error, NaN for a single one."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Collection[float]) -> Estimate:
        """Return the mean and its standard error, NaN without values."""
        count = len(values)
        if not count:
            return cls(math.nan, math.nan)
        spread = np.std(list(values), ddof=1) if count > 1 else math.nan
        return cls(float(np.mean(list(values))), float(spread / math.sqrt(count)))

    def text(self, digits: int = 3) -> str:
        """Return the estimate as text, without an unknown error and empty if it is itself unknown."""
        if math.isnan(self.mean):
            return ""
        text = f"{self.mean:.{digits}f}" + ("" if math.isnan(self.error) else f" ± {self.error:.{digits}f}")
        return text.replace("-", "\u2212")


def quartiles(values: Sequence[float] | np.ndarray) -> list[float]:
    """Return the quartiles of values [R]: lower, median, upper."""
    return [float(value) for value in np.quantile(values, [0.25, 0.5, 0.75])]


def ratio_table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the time of each peer over ours, with quartiles, one row per workload."""
    peers = [peer for peer in dict.fromkeys(p for one in found for p in one["seconds"]) if peer != OURS]
    rows = []
    for one in found:
        row = [one["workload"]["name"], f"{1e3 * one['seconds'][OURS][1] / (one['workload']['steps'] or 1):.2f}"]
        for peer in peers:
            low, middle, high = one["ratios"].get(peer, (0.0, 0.0, 0.0))
            row.append(f"**{middle:.2f}** ({low:.2f} to {high:.2f})" if peer in one["ratios"] else "-")
        rows.append(row)
    return markdown_table(["workload", "tfp_vae, ms", *(peer.replace("_", " ") for peer in peers)], rows)


def share_table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the operations of each workload, and the share of the machine's rate that we reach."""
    head = ["workload", "10^9 operations", "10^6 bytes*", "10^9 operations per second", "share of the rate"]
    low, rate, high = quartiles([one["rate"] for one in found])
    rows = []
    for one in found:
        workload = from_dict(one["workload"])
        if workload.hidden:
            operations = workload.flops()
            reached = operations * (workload.steps or 1) / one["seconds"][OURS][1]
            size = f"{operations / 1e9:.2f}", f"{workload.traffic() / 1e6:.0f}"
            rows.append([workload.name, *size, f"{reached / 1e9:.0f}", f"{100 * reached / rate:.0f}%"])
    return (
        "The last column compares with the rate of a product of 2048x2048 matrices, timed after each workload: "
        f"{rate / 1e9:.0f} x 10^9 operations per second (median, quartiles {low / 1e9:.0f} to {high / 1e9:.0f}).\n\n"
        f"{markdown_table(head, rows)}\n\n*: counts only weights, moments, gradients and logits."
    )


SLOWEST = 3
"""Number of kernels to list, in addition to products."""

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


def profile_table(profiles: Iterable[Mapping[str, Any]]) -> str:
    """Return the time in products and in other kernels, and the slowest others.

    In a graph, kernels have long paths, so only the operation at the end of each is shown.
    """
    head = ["workload", "total, ms", "products and convolutions, ms*", "other kernels, ms*", "slowest others, ms"]
    rows = []
    for one in profiles:
        times = (one["seconds"], *split(one["kernels"]))
        slowest = [kernel for kernel in one["kernels"] if not is_product(kernel)][:SLOWEST]
        named = ", ".join(f"`{kernel['name'].rpartition(':')[2]}` {1e3 * kernel['seconds']:.2f}" for kernel in slowest)
        rows.append([one["workload"], *(f"{1e3 * seconds:.2f}" for seconds in times), named])
    return f"{markdown_table(head, rows)}\n\n*: summed over kernels, although some run at the same time."


def growth_table(growth: Iterable[Mapping[str, Any]]) -> str:
    """Return the line along each axis, and the largest deviation from it."""
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
    head = ["cost as a function of", "range", "intercept, ms", "slope, ms per unit", "largest deviation"]
    return markdown_table(head, rows)


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot each peer's time over ours, medians with quartiles, one row per workload."""
    from matplotlib.figure import Figure

    peers = [peer for peer in dict.fromkeys(p for f in found for p in f["seconds"]) if peer != OURS]
    figure = Figure(figsize=(8, 0.42 * len(found) + 1.2), layout="constrained")
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
    figure.savefig(path, dpi=100)


TICKS = (0.5, 1, 2, 4, 8, 16, 64, 256)


def draw_growth(growth: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot the time along each axis, and its line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    for axes, axis in zip(figure.subplots(2, 2).flat, growth, strict=True):
        x = np.array([0, *axis["x"]])
        axes.plot(x, 1e3 * (axis["slope"] * x + axis["intercept"]), color=COLOUR, lw=1)
        axes.plot(axis["x"], 1e3 * np.array(axis["seconds"]), "o", color=COLOUR)
        axes.set(ylabel="ms", xlim=(0, None), ylim=(0, None))
        axes.set_xlabel(axis["name"], fontsize="small")
    figure.savefig(path, dpi=100)
