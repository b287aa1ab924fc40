"""Numbers of a training or an evaluation: learning curves, the bound by sample count, rates, and parts of the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import PALETTE, TITLE_SIZE, Figure, escape_math, number_text, style
from tfp_vae.plots.distributions import histogram_range

__all__ = ["bound_curve", "gap_parts", "learning_curves", "rate_bars"]

TRAIN, VALIDATION = PALETTE[0], PALETTE[5]

MOST_TICKS = 24
"""Largest number of named latent dimensions."""

GAPS = {"approximation": PALETTE[5], "amortization": PALETTE[0]}
"""The two parts of log p(x) - ELBO, and their colours."""

EQUAL_GAPS = "equal gaps: above it the encoder loses more, below it the posterior's family"

MOST_WITH_ERRORS = 100
"""Largest number of points with error bars. More bars would hide the points."""

SMALL_ERROR = 0.01
"""Errors below this one are written with three decimals."""

LEAST_BARS = 6
"""Number of bars that fill the width of a figure. With fewer bars, the bars keep this width."""


@check_keywords
def learning_curves(metrics: Sequence[Mapping[str, float]]) -> Figure:
    """Return a figure with the ELBO, distortion and rate of each epoch, on training and validation data.

    Training values are averages over an epoch while the weights change, but validation values use the weights at its
    end. Early in training the validation ELBO is therefore often higher. A validation ELBO that falls while the
    training ELBO rises is a sign of overfitting.

    Args:
      metrics: one record for each epoch, as `Run.metrics` returns them, in nats per example.
    """
    epochs = [line["epoch"] for line in metrics]
    dot = "o" if len(epochs) == 1 else None
    with style():
        figure = Figure(figsize=(10.5, 3.2), layout="constrained")
        for axes, name in zip(figure.subplots(1, 3), ("elbo", "distortion", "rate"), strict=True):
            axes.plot(epochs, [line[name] for line in metrics], color=TRAIN, label="train", marker=dot)
            validation = [line[f"validation_{name}"] for line in metrics]
            axes.plot(epochs, validation, color=VALIDATION, label="validation", linestyle="--", marker=dot)
            axes.set(title="ELBO" if name == "elbo" else name, xlabel="epoch", ylabel="nats per example")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.axes[0].legend(loc="lower right")
    return figure


@check_keywords
def bound_curve(samples: Sequence[int], means: np.ndarray, errors: np.ndarray, elbo: float) -> Figure:
    """Return a figure with the importance-weighted bound [J] by number of samples, with its standard errors.

    The title says how much the bound changes over the last step. If it still rises, the estimate is too low.

    Args:
      samples: K at each of the J points.
      means: the bound at each point, in nats per example.
      errors: standard errors over examples. The examples are the same for every K, so the shape of the curve is more
        certain than these errors suggest. NaN, as for a single example, is not plotted.
      elbo: shown as a line.
    """
    with style():
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(samples, means, color=PALETTE[0], marker="o", markersize=4, label="bound from K samples")
        if np.isfinite(errors).all():
            low, high = means - errors, means + errors
            label = "± its standard error over examples"
            axes.fill_between(samples, low, high, color=PALETTE[0], alpha=0.2, linewidth=0, label=label)
        axes.axhline(elbo, color=PALETTE[5], linestyle="--", label="ELBO")
        title = "Bound on log p(x)"
        if len(samples) > 1:
            change = round(means[-1] - means[-2], 2) + 0.0  # not -0.00
            title += f", {change:+.2f} nats from K = {samples[-2]:,} to {samples[-1]:,}"
        axes.set(title=title, ylabel="nats per example")
        axes.set_xscale("log")
        axes.set_xlabel("importance samples K for each example")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


@check_keywords
def rate_bars(rates: np.ndarray, active: np.ndarray | None = None) -> Figure:
    """Return a figure with the rate of each latent dimension [D], largest first, and active ones in their own colour.

    Args:
      rates: nats per example, such as `information.rate_per_dimension` returns.
      active: whether the posterior means of each dimension vary, see `evaluation.is_active`. None for a discrete z.
    """
    order = np.argsort(-rates, kind="stable")
    width = 0.8 * min(1.0, len(rates) / LEAST_BARS)
    with style():
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        first = np.ones(len(rates), bool) if active is None else active
        groups = (first, PALETTE[0], "active: its posterior means vary"), (~first, PALETTE[9], "not active")
        for members, fill, label in groups:
            places = np.flatnonzero(members[order])
            if len(places):
                axes.bar(places, rates[order][places], width, color=fill, label=f"{label} ({len(places)})")
        axes.set(title="Rate, KL(q(z|x) ‖ p(z)), by latent dimension", ylabel="nats per example")
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("latent dimension, largest rate first")
        places = np.arange(0, len(order), math.ceil(len(order) / MOST_TICKS))
        axes.set_xticks(places, [f"$z_{{{d + 1}}}$" for d in order[places]], fontsize="small")
        middle, reach = (len(order) - 1) / 2, max(len(order), LEAST_BARS / 2) / 2 + 0.1
        axes.set_xlim(middle - reach, middle + reach)
        if active is not None:
            figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure


@check_keywords
def gap_parts(gaps: np.ndarray, errors: np.ndarray, title: str) -> Figure:
    """Return a figure with the two parts of log p(x) - ELBO: their means, and one point for each example.

    Means have their standard errors over examples, and up to a hundred points their Monte Carlo errors. Outliers are
    left out of the view and counted. Noise can make a gap negative.

    Args:
      gaps: the approximation gap and the amortization gap of each example, [2, N], in nats.
      errors: their Monte Carlo standard errors, [2, N]. NaN is not plotted.
      title: text above the figure.
    """
    count = gaps.shape[1]
    spread = gaps.std(axis=1, ddof=1) / math.sqrt(count) if count > 1 else errors[:, 0]
    with style():
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 2])
        left.bar(list(GAPS), gaps.mean(axis=1), 0.6, yerr=np.nan_to_num(spread), capsize=4, color=list(GAPS.values()))
        left.axhline(0, color="black", linewidth=0.8)
        labels = [f"{name}\n{mean_text(*pair)}" for name, *pair in zip(GAPS, gaps.mean(axis=1), spread, strict=True)]
        left.set_xticks(range(2), labels)
        left.set(title="mean over examples", ylabel="nats per example")
        left.grid(visible=False, axis="x")
        if count <= MOST_WITH_ERRORS:
            bars = np.nan_to_num(errors)
            right.errorbar(*gaps, bars[1], bars[0], fmt="none", ecolor=PALETTE[9], elinewidth=0.7, alpha=0.6, zorder=1)
        right.scatter(*gaps, s=14 if count <= MOST_WITH_ERRORS else 7, color=PALETTE[0], alpha=0.8, linewidths=0)
        right.axline((0, 0), slope=1, color="black", linestyle="--", linewidth=0.9, label=EQUAL_GAPS)
        ends = [histogram_range(part) for part in gaps]
        right.set_xlim(*limits_with_zero(*ends[0]))
        right.set_ylim(*limits_with_zero(*ends[1]))
        low, high = np.array(ends).T[:, :, np.newaxis]
        beyond = int(((gaps < low) | (gaps > high)).any(axis=0).sum())
        hidden = f", {beyond:,} beyond the axes" if beyond else ""
        right.set(title=f"each example{hidden}", xlabel="approximation gap, nats", ylabel="amortization gap, nats")
        figure.suptitle(escape_math(title), fontsize=TITLE_SIZE)
        figure.legend(loc="outside lower center", fontsize="small")
    return figure


def mean_text(mean: float, error: float) -> str:
    """Return a mean with its error as text, with three decimals if the error is small, or alone if it is unknown."""
    digits = 3 if error < SMALL_ERROR else 2
    text = number_text(mean, f",.{digits}f")
    return f"{text} ± {error:.{digits}f}" if math.isfinite(error) else text


def limits_with_zero(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis that shows values from `low` to `high` and zero, with a margin."""
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin
