"""Verdicts in words on a run: its learning curve, its latent units and the estimate of log p(x), each with advice.

`VERDICTS` holds the rules. Each reads the records of a run and returns a verdict, or None if it does not apply. To add
one, write a function and enter it there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.diagnostics import PARETO_K_LIMIT
from tfp_vae.runs.folder.records import Evaluation, TrainingResult
from tfp_vae.runs.run import Run
from tfp_vae.training.remarks import idle_units

__all__ = ["VERDICTS", "Facts", "Verdict", "curve_verdict", "estimate_verdict", "judge", "units_verdict"]

CURVE = "Learning curve"

FEWEST_EPOCHS = 5
"""Fewer epochs do not show how a curve continues."""

RECENT = 0.2
"""The share of the epochs at the end whose trend counts."""

STILL_RISING = 0.01
"""A curve still improves if its rise over the last epochs exceeds this share of its whole rise."""

LARGE_FALL, LARGE_JUMP = 0.05, 0.25
"""The falls that are overfitting and instability: of the validation and the training ELBO, as shares of their rise."""

LARGE_SHARE = 0.1
"""The largest share of examples with a Pareto k̂ above its limit."""


@check_keywords
class Verdict(NamedTuple):
    """A judgement.

    subject: what it judges.
    state: `good`, `check` if something deserves a look, or `unknown`.
    text: the judgement in a sentence.
    advice: what to do, or empty.
    """

    subject: str
    state: Literal["good", "check", "unknown"]
    text: str
    advice: str = ""


class Facts(NamedTuple):
    """The records of a run that verdicts read.

    latent_dim: D.
    epochs: one record for each epoch.
    training: the result of the training, or None.
    evaluation: the evaluation, or None.
    """

    latent_dim: int
    epochs: Sequence[dict[str, Any]]
    training: TrainingResult | None
    evaluation: Evaluation | None


@check_keywords
def judge(run: Run) -> list[Verdict]:
    """Return the verdicts on a run.

    ```python
    for verdict in tv.reports.judge(tv.runs.find(None, "runs")):
        print(verdict.subject, verdict.text, verdict.advice)
    ```

    Raises:
      RunError: a file of the run is damaged.
    """
    facts = Facts(run.config().model.latent_dim, run.metrics(), run.training_result(), run.evaluation())
    return [verdict for rule in VERDICTS for verdict in [rule(facts)] if verdict is not None]


def curve_verdict(facts: Facts) -> Verdict | None:
    """Return a verdict on the learning curve: unstable, overfitting, still improving or settled."""
    done = len(facts.epochs)
    train, validation = (np.array([line[key] for line in facts.epochs]) for key in ("elbo", "validation_elbo"))
    if not np.isfinite(train).all():
        return Verdict(CURVE, "check", "The ELBO was not finite in some epochs.", "Use a smaller `learning_rate`.")
    if done < FEWEST_EPOCHS:
        few = f"{done} epochs are too few to judge the curve." if done else "No epoch is finished."
        return Verdict(CURVE, "unknown", few, f"Train longer, for example `epochs={max(20, 2 * done)}`.")
    has_validation = bool(np.isfinite(validation).all())
    curve, which = (validation, "validation") if has_validation else (train, "training")
    found = unstable(train) or (overfitting(train, validation, facts.training) if has_validation else None)
    settled = f"The {which} ELBO has settled. Its best epoch is {int(curve.argmax()) + 1} of {done}."
    return found or still_improving(curve) or Verdict(CURVE, "good", settled)


def unstable(train: np.ndarray) -> Verdict | None:
    """Return a verdict on a training ELBO that falls far in its second half, or None."""
    jump = largest_jump(train)
    if jump <= LARGE_JUMP:
        return None
    remedy = "Use a smaller `learning_rate`, `clip_norm=1`, or `lr_schedule=cosine`."
    return Verdict(CURVE, "check", f"Training is unstable: the ELBO fell by {jump:.0%} of its whole rise.", remedy)


def overfitting(train: np.ndarray, validation: np.ndarray, training: TrainingResult | None) -> Verdict | None:
    """Return a verdict on a validation ELBO that falls while the training ELBO rises, or None."""
    best = int(validation.argmax())
    rise, fall = validation[best] - validation[0], validation[best] - validation[-1]
    if not (rise > 0 and fall > LARGE_FALL * rise and train[-1] > train[best]):
        return None
    found = f"The validation ELBO has fallen by {fall:.2f} nats since epoch {best + 1}, while the training ELBO rises."
    if training is not None and training.weights == "best":
        return Verdict(CURVE, "good", f"{found} The weights of that epoch are in use.")
    remedy = "Use `early_stopping=10`, a smaller network or more data."
    return Verdict(CURVE, "check", f"The model overfits. {found}", remedy)


def still_improving(curve: np.ndarray) -> Verdict | None:
    """Return a verdict on an ELBO that still rises at the end, or None."""
    recent = recent_rise(curve)
    if not recent > STILL_RISING * (curve.max() - curve[0]):
        return None
    last = recent_epochs(len(curve))
    found = f"The ELBO still improves: it rose by {recent:.2f} nats over the last {last} epochs."
    return Verdict(CURVE, "check", found, f"Resume with `epochs={2 * len(curve)}`.")


def largest_jump(curve: np.ndarray) -> float:
    """Return the largest fall of a curve in its second half from its height before, as a share of its whole rise."""
    rise = curve.max() - curve[0]
    falls = np.maximum.accumulate(curve) - curve
    return float(falls[len(curve) // 2 :].max() / rise) if rise > 0 else 0.0


def recent_epochs(count: int) -> int:
    """Return the number of epochs whose trend counts."""
    return max(3, round(RECENT * count))


def recent_rise(curve: np.ndarray) -> float:
    """Return the rise of a curve over its last epochs, by a line fitted to them, or 0 if it may be noise."""
    last = curve[-recent_epochs(len(curve)) :]
    epochs = np.arange(len(last)) - (len(last) - 1) / 2
    slope = float(epochs @ last / (epochs @ epochs))
    noise = last - last.mean() - slope * epochs
    error = math.sqrt(float(noise @ noise) / max(1, len(last) - 2) / float(epochs @ epochs))
    return slope * (len(last) - 1) if slope > 2 * error else 0.0


def units_verdict(facts: Facts) -> Verdict | None:
    """Return a verdict on the latent units: how many are active. None for a discrete z."""
    subject, evaluation = "Latent units", facts.evaluation
    if evaluation is None:
        return Verdict(subject, "unknown", "Not counted yet.", "Evaluate the run.")
    active = evaluation.content().get("active_units")
    if active is None:
        return None
    idle = idle_units(round(active), facts.latent_dim)
    found, _, remedy = idle.partition(". ")
    if idle:
        return Verdict(subject, "check", f"{found}.", remedy)
    return Verdict(subject, "good", f"{round(active)} of {facts.latent_dim} latent units are active.")


def estimate_verdict(facts: Facts) -> Verdict | None:
    """Return a verdict on the estimate of log p(x): whether its importance weights can be trusted."""
    subject, evaluation = "Estimate of log p(x)", facts.evaluation
    if evaluation is None:
        return Verdict(subject, "unknown", "Not evaluated yet.", "Evaluate the run.")
    share = evaluation.content().get("pareto_k_share_above")
    if share is not None and share > LARGE_SHARE:
        found = f"k̂ is above {PARETO_K_LIMIT} for {share:.0%} of the examples, so their log p(x) may be too low."
        advice = "Use `accuracy=0.1` or `refine=local`. A richer posterior makes the weights more even."
        return Verdict(subject, "check", found, advice)
    if evaluation.advice:
        found, _, remedy = evaluation.advice.partition(". ")
        return Verdict(subject, "check", f"{found.removesuffix('.')}.", remedy)
    described = "" if share is None else f" k̂ is above {PARETO_K_LIMIT} for {share:.0%} of the examples."
    return Verdict(subject, "good", f"The importance weights are even enough.{described}")


VERDICTS: tuple[Callable[[Facts], Verdict | None], ...] = (curve_verdict, units_verdict, estimate_verdict)
"""The rules, in the order of the report."""
