"""Remarks on a trained model, in words: it overfits, or it has too many or too few latent units."""

from __future__ import annotations

import math

import numpy as np

from tfp_vae.core.seeds import seed_for_evaluation
from tfp_vae.data.dataset import Dataset
from tfp_vae.model.latent import active_dimensions
from tfp_vae.model.priors import StandardNormal
from tfp_vae.model.vae import VAE
from tfp_vae.training.history import Epoch, History

__all__ = ["few_units", "idle_units", "overfitting", "remarks"]

MOST_EXAMPLES, MOST_VALUES = 1_000, 1 << 22
"""Limits on the examples that are encoded to find idle units."""

LARGE_GAP, LARGE_SHARE = 1.0, 0.15
"""A model overfits if its ELBO is this many nats lower on validation data, and the gap is this share of all that
training has gained."""

FEWEST_EPOCHS = 5
"""Fewer epochs do not show whether a model overfits."""

PRIOR_SAMPLES = 1_000
"""Samples that estimate the variance of a prior."""

FULL_VARIANCE = 0.5
"""A unit whose E_q[z|x] varies this much over examples says more about x than its noise hides."""

MOST_WIDTH, LEAST_WIDTH = 64, 8
"""The largest and the smallest `hidden` that the remedy against overfitting suggests."""


def remarks(vae: VAE, data: Dataset, history: History, *, best: bool) -> tuple[str, ...]:
    """Return sentences about a trained model. There is none if all seems well.

    Args:
      vae: the model with the weights in use.
      data: the data set.
      history: the history of the training.
      best: whether the model has the weights of the best epoch.
    """
    found = []
    if len(history) >= FEWEST_EPOCHS and history.best_epoch < len(history):  # else validation still improves
        epoch = history[history.best_epoch - 1] if best and history.best_epoch else history[-1]
        found.append(overfitting(vae, len(data.train), history[0], epoch))
    held_out = data.validation if len(data.validation) > 1 else data.train
    if vae.encoder.posterior.capabilities.normal and len(held_out) > 1:
        most = max(2, min(MOST_EXAMPLES, MOST_VALUES // max(1, held_out.x[:1].size)))
        shown = held_out[np.linspace(0, len(held_out) - 1, min(most, len(held_out))).astype(int)]
        model, x = vae.condition(shown.batch)
        means = np.asarray(model.encoder.mean(x))
        active = active_dimensions(means)
        found.append(idle_units(int(active.sum()), active.size))
        if x.ndim == 2:
            found.append(few_units(means / np.sqrt(prior_variance(model)), x.shape[1]))
    return tuple(remark for remark in found if remark)


def overfitting(vae: VAE, examples: int, first: Epoch, last: Epoch) -> str:
    """Return that a model overfits, with remedies, or an empty text.

    A difference of ELBOs does not depend on the units of the data. So a gap counts if it is a large part of the rise of
    the training ELBO since the first epoch.

    Args:
      vae: the model.
      examples: the number of training examples.
      first, last: the records of the first epoch and of the epoch whose weights are in use.
    """
    gap, gain = last.elbo - last.validation_elbo, last.elbo - first.elbo
    if not (math.isfinite(gap) and gap > LARGE_GAP and gap > LARGE_SHARE * gain > 0):
        return ""
    weights = sum(math.prod(variable.shape) for variable in vae.trainable_variables)
    variables = getattr(vae.encoder.network, "trainable_variables", ())
    *widths, _ = [0, *(v.shape[-1] for v in variables if len(v.shape) > 1)]  # the last is the output's
    hidden = min(MOST_WIDTH, max(widths, default=0) // 2)
    smaller = f"a smaller network, such as `hidden={hidden}`, " if hidden >= LEAST_WIDTH else ""
    return (
        f"The model overfits: its ELBO is {gap:.1f} nats lower on validation data than on training data, with "
        f"{weights:,} weights for {examples:,} examples. Use {smaller}more data, or `early_stopping=10`."
    )


def idle_units(active: int, total: int) -> str:
    """Return that most latent units are idle, with remedies, or an empty text.

    Args:
      active: the number of latent units that the encoder uses, see `evaluation.active_units`.
      total: the number of all.
    """
    if not active:
        return (
            f"The model ignores z: all {total} latent units are idle, so reconstructions hardly depend on x. Train "
            "longer, or use `kl_warmup_epochs=20` or `free_bits=0.1`."
        )
    if 2 * active < total:
        return (
            f"Most latent units are idle: {active} of {total} are in use. `kl_warmup_epochs=20` may use more of them. "
            f"A `latent_dim` of {active} would give about the same model."
        )
    return ""


def prior_variance(vae: VAE) -> np.ndarray:
    """Return the variance of each latent unit under the prior, [D] or a scalar. Samples estimate it for learned priors.

    Args:
      vae: the model, with a context if it is conditional.
    """
    if isinstance(vae.prior, StandardNormal):
        return np.ones([])
    z = np.asarray(vae.prior().sample(PRIOR_SAMPLES, seed=seed_for_evaluation(0)))
    return np.asarray(z.reshape(-1, z.shape[-1]).var(axis=0))


def few_units(means: np.ndarray, columns: int) -> str:
    """Return that vectors may need more latent units, or an empty text.

    Under a prior of variance 1, the variance of E_q[z|x] over examples is the share of a unit that x explains. If this
    is most of each unit, more units may find more to explain.

    Args:
      means: E_q[z|x] of N examples, [N, D], over the deviations of the prior.
      columns: the number of values of an example.
    """
    units = means.shape[1]
    if units >= columns or means.var(axis=0).min() < FULL_VARIANCE:
        return ""
    return (
        f"The latent dimension may be too small: all {units} units are in full use. Compare the validation ELBO with "
        f"`latent_dim={min(columns, 2 * units)}`."
    )
