"""Numbers of a training or an evaluation: learning curves, the bound by sample count, and the rate by dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import PALETTE, Figure, style

__all__ = ["bound_curve", "learning_curves", "rate_bars"]

TRAIN, VALIDATION = PALETTE[0], PALETTE[5]

MOST_TICKS = 24
"""Largest number of named latent dimensions."""

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
def rate_bars(rates: np.ndarray, active: np.ndarray) -> Figure:
    """Return a figure with the rate of each latent dimension [D], largest first, in two colours.

    Args:
      rates: nats per example, such as `information.rate_per_dimension` returns.
      active: whether the posterior means of each dimension vary, see `evaluation.is_active`.
    """
    order = np.argsort(-rates, kind="stable")
    width = 0.8 * min(1.0, len(rates) / LEAST_BARS)
    with style():
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        groups = (active, PALETTE[0], "active: its posterior means vary"), (~active, PALETTE[9], "not active")
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
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure
