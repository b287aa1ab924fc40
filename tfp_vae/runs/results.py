"""Results of a run on data: evaluations, comparisons, and the log p(x) of single examples.

`assess` estimates log p(x) once for the chosen examples. Each part of `_PARTS` then adds metrics to a JSON object, from
those estimates or from the model. `evaluation.json` and `tfp-vae evaluate` hold this object. An undefined metric is
None, and `<name>_reason` says why. `compare` takes two results and needs no model.

`score` returns the log p(x) of given examples, and `most_anomalous` the examples with the lowest. A low log p(x) is a
reason to look at an example, but no proof of an anomaly. Densities and probabilities of images also follow low-level
statistics, so plain images of another kind may score higher than the data themselves.

References:
  Nalisnick et al. (2019), Do deep generative models know what they don't know?
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, final

import numpy as np

from tfp_vae.core.display import table, text_of
from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.seeds import FIXED_SEED, Purpose, Seed, generator, seed_for
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.evaluation import annealing, information, probes
from tfp_vae.evaluation.diagnostics import PARETO_K_LIMIT, mean_error, standard_error
from tfp_vae.evaluation.importance import Estimates, Progress, Summary, estimate, summarize
from tfp_vae.evaluation.metrics import metrics_of
from tfp_vae.model.vae import VAE
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import held_out_view

__all__ = ["AnnealingPlan", "Assessment", "Plan", "advice", "assess", "compare", "ladder", "most_anomalous", "score"]

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""The quantiles of log p(x) that `score` returns."""

BIAS_WORTH_SAYING = 0.05
"""Warn if the likely bias exceeds this many nats."""

FEWEST_EFFECTIVE = 10
"""Warn if the median effective sample size is lower."""

SHARE_WORTH_SAYING = 0.05
"""Warn if k̂ is too high for a larger share of the examples."""

Stages: TypeAlias = Callable[[str, int], AbstractContextManager[Progress]]
"""Begins a stage of a given name and amount of work, and gives a function to call with the amount just done."""


class AnnealingPlan(NamedTuple):
    """How annealed importance sampling is done: on some of the examples, and on as many simulated ones.

    steps, chains: see `annealing.annealed_log_likelihood`.
    examples: how many.

    Its time is in proportion to steps * (3 chains + 8) * examples: lower bounds of given examples, and both bounds of
    simulated ones, with four pilot chains each.
    """

    steps: int
    chains: int = 16
    examples: int = 100


@final
@dataclass(frozen=True)
class Plan:
    """What is assessed, and how.

    iw_samples: numbers of importance samples; the largest is K, the others are noted on the way.
    split: `train`, `validation` or `test`.
    max_examples: a random sample of them, the same for every run; all, if not given.
    seed: the evaluation seed.
    execution: `auto`, `xla`, `graph` or `eager`; they do not draw the same numbers.
    annealing: whether, and how, log p(x) is estimated by annealing too.

    Raises:
      UsageError: no number of importance samples, or one under 1.
    """

    iw_samples: tuple[int, ...] = (100,)
    split: str = "test"
    max_examples: int | None = None
    seed: int = 0
    execution: str = AUTO
    annealing: AnnealingPlan | None = None

    def __post_init__(self) -> None:
        if not self.iw_samples or min(self.iw_samples) < 1:
            raise UsageError(f"expected numbers of importance samples from 1 on, found {self.iw_samples}.")

    @property
    def most_samples(self) -> int:
        """K."""
        return max(self.iw_samples)


@final
@dataclass(frozen=True)
class Assessment:
    """What was found.

    result: figures with names, as `evaluation.json` holds them.
    estimates: of each example.
    examples: which they are, as the model saw them; `rows` are their places in the split.
    ladder: the numbers of samples of `estimates.sweep`.
    features: what a table calls the features of its vectors.
    """

    result: dict[str, Any]
    estimates: Estimates
    examples: Split
    ladder: tuple[int, ...]
    features: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Assessment({self._caption()}: log p(x) {self._with_error('log_likelihood')} nats)"

    def _repr_html_(self) -> str:
        names = [*(metric.key for metric in metrics_of("notebook")), "advice"]
        return table(self._caption(), [(name, self._with_error(name)) for name in names])

    def _caption(self) -> str:
        caption = "{dataset}, {split} split, {num_examples:,} examples, K = {iw_samples:,}"
        return caption.format(**self.result)

    def _with_error(self, name: str) -> str:
        """Return a figure as text, with its standard error if it has one."""
        value, error = (text_of(self.result.get(key)) for key in (name, f"{name}_se"))
        return f"{value} ± {error}" if error else value

    def per_example(self) -> dict[str, np.ndarray]:
        """Return arrays with a value or vector for each example, to be written to a file.

        `row` [N] the place in the split, `label` [N] where there is one, the fields of `evaluation.Estimates`, `elbo`
        [N], and `sweep_samples` [J], the numbers of samples of `sweep` [N, J].
        """
        labels = {} if self.examples.y is None else {"label": self.examples.y}
        named = {"row": np.asarray(self.examples.rows), "sweep_samples": np.array(self.ladder)}
        return {**named, **labels, **self.estimates._asdict(), "elbo": self.estimates.elbo}


def ladder(most: int) -> tuple[int, ...]:
    """Return 1, 2, 5, 10, 20, 50, ... up to `most`, and that itself: where the bound is noted for its picture.

    ```python
    tv.runs.results.ladder(30)  # (1, 2, 5, 10, 20, 30)
    ```
    """
    rungs = (step * 10**power for power in range(len(str(most))) for step in (1, 2, 5))
    return (*(rung for rung in rungs if rung < most), most)


@final
@dataclass(frozen=True)
class _Subject:
    """What the parts of an assessment are told.

    Indices of seeds belong to parts: annealing another number of examples does not change what the decomposition draws.
    """

    restored: LoadedRun
    dataset: Dataset
    plan: Plan
    execution: str
    stages: Stages
    examples: Split
    ladder: tuple[int, ...]
    estimates: Estimates

    @property
    def vae(self) -> VAE:
        """The model."""
        return self.restored.vae

    def seed(self, *indices: int) -> Seed:
        """Return the seed of a part's draws."""
        return seed_for(self.plan.seed, Purpose.EVALUATION, *indices)


def assess(
    restored: LoadedRun, dataset: Dataset, plan: Plan, *, stages: Stages = lambda name, total: nullcontext(_unheard)
) -> Assessment:
    """Return what held-out data say of a run.

    Importance sampling costs K passes of the decoder for each example and most of the time; the parts that follow take
    a pass or two each, but annealing where it is asked for. The same plan, run and execution give the same figures.

    ```python
    run = tv.runs.run.find(None, "runs")  # the newest finished run
    restored, dataset = tv.runs.load.LoadedRun(run), tv.runs.recipe.reload(run.config())
    found = tv.runs.results.assess(restored, dataset, tv.runs.results.Plan(iw_samples=(10, 50), max_examples=16))
    found.result["log_likelihood"], found.result["log_likelihood_se"]  # nats per example
    found.estimates.ess  # [16]
    ```

    Args:
      restored: the run.
      dataset: its data, from `reload`.
      plan: what is done.
      stages: told of progress.

    Returns:
      The figures, the estimates of each example, and which examples they are.

    Raises:
      UsageError: annealing of no step, or with fewer than two chains.
      RunError: one sample at a time takes more memory than there is.
    """
    began = time.monotonic()
    subject = _estimated(restored, dataset, plan, stages)
    figures = {name: value for part in _PARTS for name, value in part(subject).items()}
    result = figures | {"seconds": time.monotonic() - began}
    return Assessment(result, subject.estimates, subject.examples, subject.ladder, restored.config.data.features)


def _unheard(done: int) -> None:
    del done


def _estimated(restored: LoadedRun, dataset: Dataset, plan: Plan, stages: Stages) -> _Subject:
    examples = _chosen(held_out_view(restored.config, dataset, plan.split), plan.max_examples)
    execution = choose(restored.vae, plan.execution)
    noted = tuple(sorted({*ladder(plan.most_samples), *plan.iw_samples}))
    with stages("importance sampling", len(examples) * plan.most_samples) as progress:
        estimates = estimate(
            restored.vae,
            examples.x,
            iw_samples=plan.most_samples,
            seed=seed_for(plan.seed, Purpose.EVALUATION),
            sweep=noted,
            places=examples.rows,
            execution=execution,
            progress=progress,
        )
    return _Subject(restored, dataset, plan, execution, stages, examples, noted, estimates)


def _chosen(split: Split, most: int | None) -> Split:
    """Return a split's examples with their rows there: all, or a random sample, the same for every run and seed.

    The same sample for every run and seed lets runs be compared on it, and a larger one holds a smaller one.
    """
    rows = np.arange(len(split))
    if most is not None and most < len(rows):
        rows = np.sort(generator(FIXED_SEED, Purpose.SUBSET).permutation(rows)[:most])
    return dataclasses.replace(split[rows], rows=rows)


def _described(subject: _Subject) -> dict[str, Any]:
    plan, restored = subject.plan, subject.restored
    decay = restored.config.training.ema
    averaging = _undefined("the run does not average its weights", "ema") if decay is None else {"ema": decay}
    return {
        "run": str(restored.run.folder),
        "dataset": restored.config.data.dataset,
        "split": plan.split,
        "num_examples": len(subject.examples),
        "iw_samples": plan.most_samples,
        "seed": plan.seed,
        "execution": subject.execution,
        "weights": restored.weights,
        **averaging,
        "step": restored.step,
    }


def _summarized(subject: _Subject) -> dict[str, Any]:
    """Return the estimate with its errors, and a sentence where they are large."""
    discrete, samples = subject.vae.decoder.likelihood.discrete, subject.plan.most_samples
    summary = summarize(subject.estimates, math.prod(subject.examples.x.shape[1:]), samples, discrete=discrete)
    density = {} if discrete else _undefined("the likelihood is a density, which has no bits", "bits_per_dim")
    annealed = subject.plan.annealing is not None
    return {**summary._asdict(), **density, "advice": advice(summary, samples, annealed=annealed)}


def advice(summary: Summary, iw_samples: int, *, annealed: bool = False) -> str | None:
    """Return a sentence that says that the estimate is likely biased low, and what would help; None if it is not.

    Said where the likely bias exceeds 0.05 nats, more than 5% of the examples have k̂ above 0.7, the median effective
    sample size is under 10, or K is too small for a k̂.

    Args:
      summary: the estimate's averages.
      iw_samples: K.
      annealed: whether annealing is done already, which then is no advice.
    """
    if math.isnan(summary.pareto_k_share_above):
        few = f"{iw_samples:,} samples are too few to tell by how much"
        return f"log p(x) is biased low, but {few}. Use `iw_samples=100` or more."
    heavy = summary.pareto_k_share_above > SHARE_WORTH_SAYING
    if not heavy and summary.likely_bias <= BIAS_WORTH_SAYING and summary.ess_median >= FEWEST_EFFECTIVE:
        return None
    tail = f"k̂ exceeds {PARETO_K_LIMIT} for {summary.pareto_k_share_above:.0%} of the examples and " if heavy else ""
    anneal = "" if annealed else ", and `ais_steps=1000` gives a bound that does not need the encoder"
    return (
        f"log p(x) is likely biased low, by more than the {summary.likely_bias:.2f} nats that its weights show: {tail}"
        f"the median effective sample size is {summary.ess_median:.1f} of {iw_samples:,}. A richer posterior or a "
        f"wider encoder makes the weights more even{anneal}. A larger `iw_samples` helps slowly."
    )


def _swept(subject: _Subject) -> dict[str, Any]:
    """Return the mean estimate at each number of samples that was asked for."""
    columns = {k: subject.estimates.sweep[:, subject.ladder.index(k)] for k in sorted(set(subject.plan.iw_samples))}
    return {"sweep": [{"iw_samples": k, **_mean("log_likelihood", column)} for k, column in columns.items()]}


def _mean(name: str, values: np.ndarray) -> dict[str, float]:
    return {name: float(values.mean()), f"{name}_se": standard_error(values)}


def _undefined(reason: str, *names: str) -> dict[str, str | None]:
    return {key: value for name in names for key, value in ((name, None), (f"{name}_reason", reason))}


def _rated(subject: _Subject) -> dict[str, Any]:
    """Return the rate of each latent dimension."""
    rates = information.rate_per_dimension(subject.vae, subject.examples.x)
    if rates is None:
        return _undefined("only between Normals have the marginals a closed-form rate", "rate_per_dim")
    return {"rate_per_dim": rates.tolist()}


def _decomposed(subject: _Subject) -> dict[str, Any]:
    """Return the rate's two parts.

    In a random order, as `information.decomposition` takes the first of its examples and files may be sorted.
    """
    x = subject.examples.x[generator(FIXED_SEED, Purpose.SUBSET, 1).permutation(len(subject.examples))]
    parts = information.decomposition(subject.vae, x, seed=subject.seed(1), execution=subject.execution)
    figures = parts._asdict()
    return {
        "mutual_information_examples": figures.pop("examples"),
        "mutual_information_ceiling": parts.ceiling,
        **figures,
    }


def _reconstructed(subject: _Subject) -> dict[str, Any]:
    """Return the error of reconstructions."""
    x = subject.examples.x
    return {"reconstruction_mse": information.reconstruction_error(subject.vae, x, seed=subject.seed(2))}


_PROBED = ("linear_probe_accuracy", "knn_accuracy")
_NO_CLASSES = f"the {{}} have no labels of 2 to {probes.MOST_CLASSES:,} classes"


def _probed(subject: _Subject) -> dict[str, Any]:
    """Return how well labels can be read from the posterior means, learned from another split.

    Taught with up to 10,000 examples of the training split (of validation, where training data are assessed).
    """
    asked = subject.examples.y
    if asked is None or not probes.has_classes(asked):
        return _undefined(_NO_CLASSES.format("examples evaluated"), *_PROBED)
    teaching = "validation" if subject.plan.split == "train" else "train"
    taught = _chosen(held_out_view(subject.restored.config, subject.dataset, teaching), probes.MOST_EXAMPLES)
    if taught.y is None or not probes.has_classes(taught.y):
        return _undefined(_NO_CLASSES.format(f"examples of the {teaching} split"), *_PROBED)
    means = information.posterior_means(subject.vae, taught.x, seed=subject.seed(3))
    return probes.probe(means, taught.y, subject.estimates.posterior_mean, asked)


def _annealed(subject: _Subject) -> dict[str, Any]:
    """Return what annealing says of some of the examples, and of simulated ones; nothing, if it was not asked for."""
    asked = subject.plan.annealing
    return {} if asked is None else {"ais": _below(subject, asked), "sandwich": _sandwiched(subject, asked)}


def _below(subject: _Subject, asked: AnnealingPlan) -> dict[str, Any]:
    """Return the bound from annealing, of some of the examples.

    They are the same whatever the seed, and stand beside the importance-weighted estimates of just these.

    Returns:
      The plan, the bound with its errors, the paired difference from importance sampling, the share of moves accepted,
      and a verdict.
    """
    count = min(asked.examples, len(subject.examples))
    rows = np.sort(generator(FIXED_SEED, Purpose.SUBSET, 2).permutation(len(subject.examples))[:count])
    with subject.stages("annealing", annealing.transitions(count, asked.steps, asked.chains)) as progress:
        found = annealing.annealed_log_likelihood(
            subject.vae,
            subject.examples.x[rows],
            steps=asked.steps,
            chains=asked.chains,
            seed=subject.seed(4),
            execution=subject.execution,
            progress=progress,
        )
    return {
        **asked._asdict(),
        "examples": count,
        **_mean("log_likelihood", found.log_likelihood),
        "log_likelihood_mc_error": mean_error(found.error),
        **_mean("above_importance_sampling", found.log_likelihood - subject.estimates.log_likelihood[rows]),
        "accepted": float(found.accepted.mean()),
        "verdict": verdict(found.log_likelihood - subject.estimates.log_likelihood[rows]),
    }


def verdict(above: np.ndarray) -> str:
    """Return what it means that annealing exceeds importance sampling by `above`, nats of each example [N].

    Two standard errors of the mean paired difference decide; of a single example, whose error is not known, both agree.
    """
    mean, error = float(above.mean()), standard_error(above)
    if not abs(mean) > 2 * error:
        return "both agree within two standard errors of their difference"
    if mean > 0:
        return "annealing is higher: importance sampling was biased low by at least as much"
    return "annealing is lower: it needs more steps, and adds nothing to importance sampling here"


def _sandwiched(subject: _Subject, asked: AnnealingPlan) -> dict[str, Any]:
    """Return the bounds from both sides, of simulated examples.

    In their gap log p(x) cancels: its standard error over examples is that of both bounds' Monte Carlo noise.
    """
    total = annealing.transitions(asked.examples, asked.steps, asked.chains, both_ways=True)
    with subject.stages("annealing both ways", total) as progress:
        found = annealing.sandwich(
            subject.vae,
            examples=asked.examples,
            steps=asked.steps,
            chains=asked.chains,
            seed=subject.seed(5),
            execution=subject.execution,
            progress=progress,
        )
    return {
        "examples": asked.examples,
        "lower": float(found.lower.mean()),
        "upper": float(found.upper.mean()),
        **_mean("gap", found.gap),
    }


_PARTS: tuple[Callable[[_Subject], dict[str, Any]], ...] = (
    _described,
    _summarized,
    _swept,
    _rated,
    _decomposed,
    _reconstructed,
    _probed,
    _annealed,
)


def compare(baseline: Assessment, other: Assessment) -> dict[str, Any]:
    """Return how another run differs from a baseline on the same examples: other - baseline, in nats.

    The standard errors are those of paired differences, far smaller than those of the figures themselves.

    The difference of two biased estimates: where one run's weights are more even than the other's, part of it is bias.
    Make both with one K and one seed; that is not checked.

    Returns:
      The two runs' names, and each of log_likelihood, elbo, distortion and rate with its `_se`.

    Raises:
      UsageError: the two saw other examples, or one gives probabilities and the other densities.
    """
    runs = baseline.result["run"], other.result["run"]
    if not np.array_equal(baseline.examples.x, other.examples.x):
        raise UsageError(
            f"expected runs that see the same examples, found other ones in {runs[0]} and {runs[1]}: compare runs of "
            "one data set, split and binarization."
        )
    if (baseline.result["bits_per_dim"] is None) != (other.result["bits_per_dim"] is None):
        raise UsageError(f"expected two probabilities or two densities, found one of each: {runs[0]} and {runs[1]}.")
    names = [metric.key for metric in metrics_of("difference")]
    pairs = ((name, getattr(other.estimates, name) - getattr(baseline.estimates, name)) for name in names)
    differences = {key: value for name, values in pairs for key, value in _mean(name, values).items()}
    return {"run": runs[1], "baseline": runs[0], **differences}


def score(
    restored: LoadedRun,
    x: np.ndarray,
    *,
    iw_samples: int = 100,
    seed: int = 0,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> tuple[dict[str, Any], Estimates]:
    """Return a summary of the log p(x) of examples x [N, *event_shape], and the estimates of each, in nats.

    An evaluation of the same x with the same seed gives the same estimates. With K samples the estimate is biased low,
    and more so for examples that the encoder does not know well, so the gap between the two kinds looks wider than it
    is. The cost is one pass of the encoder and K of the decoder for each example.

    ```python
    restored = tv.runs.load.LoadedRun(tv.runs.run.find(None, "runs"))
    dataset = tv.runs.recipe.reload(restored.config)
    test = tv.runs.recipe.held_out_view(restored.config, dataset, "test")
    result, estimates = tv.runs.results.score(restored, test.x[:16], iw_samples=10)
    tv.runs.results.most_anomalous(estimates.log_likelihood, 3)  # [3], indices in the test split
    ```

    Args:
      restored: the run.
      x: as `recipe.held_out_view` or `recipe.new_examples` returns them.
      iw_samples: K, the importance samples for each example.
      seed: the evaluation seed.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: called with the number of importance samples just taken.

    Returns:
      A JSON object (the mean, its standard error over examples, quantiles from 0 to 1), and `Estimates` [N].

    Raises:
      UsageError: no sample or no example.
    """
    began = time.monotonic()
    execution = choose(restored.vae, execution)
    estimates = estimate(
        restored.vae,
        x,
        iw_samples=iw_samples,
        seed=seed_for(seed, Purpose.EVALUATION),
        execution=execution,
        progress=progress,
    )
    log_px = estimates.log_likelihood
    quantiles = zip(QUANTILES, np.quantile(log_px, QUANTILES), strict=True)
    result = {
        "num_examples": len(x),
        "iw_samples": iw_samples,
        "seed": seed,
        "execution": execution,
        "scaling": restored.config.data.scaling.name,
        "log_likelihood": float(log_px.mean()),
        "log_likelihood_se": standard_error(log_px),
        "quantiles": {f"{q:g}": float(value) for q, value in quantiles},
        "seconds": time.monotonic() - began,
    }
    return result, estimates


def most_anomalous(log_likelihood: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` examples with the lowest log p(x), the lowest first.

    Args:
      log_likelihood: [N], nats.
      count: number of indices. With fewer examples, all are returned.

    Returns:
      int64 [min(count, N)]. Of equal values the earlier index comes first.
    """
    return np.argsort(log_likelihood, kind="stable")[:count]
