"""Results of a run on data: evaluations, comparisons, and the log p(x) of single examples.

`assess` estimates log p(x) once for the chosen examples. Its other parts add metrics to a JSON object, from those
estimates or from the model. `evaluation.json` and `tfp-vae evaluate` hold this object. An undefined metric is
None, and `<name>_reason` says why. `compare` takes two results and needs no model.

`score` returns the log p(x) of given examples, and `most_anomalous` the examples with the lowest. A low log p(x) is a
reason to look at an example, but no proof of an anomaly. Densities and probabilities of images also follow low-level
statistics, so plain images of another kind may score higher than the data themselves.

References:
  Nalisnick et al. (2019), Do deep generative models know what they don't know?
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae.core.batch import Batch, as_batch
from tfp_vae.core.display import plural, table, text_of
from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import FIXED_SEED, Purpose, Seed, generator, places_of, seed_for
from tfp_vae.data.condition import factors_of
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.evaluation import annealing, information, probes
from tfp_vae.evaluation.classification import classify, classify_directly, measure_classes
from tfp_vae.evaluation.codes import CodeUsage
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE, mean_error, standard_error
from tfp_vae.evaluation.disentanglement import disentangle
from tfp_vae.evaluation.effort.blocks import NO_BLOCKS, Blocks
from tfp_vae.evaluation.effort.settling import AS_NEEDED, Settled, Stages, check_accuracy, settle
from tfp_vae.evaluation.gaps import Gaps, gap_remark
from tfp_vae.evaluation.importance import (
    LARGE_SHARE,
    Estimates,
    Progress,
    Summary,
    estimate,
    is_active,
    rows_at_once,
    summarize,
)
from tfp_vae.evaluation.metrics import MEASURE_NAMES, metrics_of, samples_text
from tfp_vae.evaluation.proposals import REFINEMENTS, full_name
from tfp_vae.model.latent import Latent
from tfp_vae.model.vae import VAE
from tfp_vae.runs.config import DataConfig
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.folder.unfinished import Unfinished
from tfp_vae.runs.load import LoadedRun
from tfp_vae.training.remarks import idle_units

__all__ = ["AnnealingPlan", "Assessment", "Plan", "advice", "assess", "compare", "ladder", "most_anomalous", "score"]

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""The quantiles of log p(x) that `score` returns."""

CONDITIONAL = "log p(x) and the ELBO are those of p(x|y), because the model has a condition."
"""The remark on the metrics of a conditional model."""

SEMI_SUPERVISED = "log p(x) = log sum_y p(x|y) p(y) is an exact sum over the classes. Labels of examples are not used."
"""The remark on the metrics of a model with a classifier."""

ANNEALED_ONLY = (
    "The ELBO and importance-weighted metrics are not defined, because the posterior has samples but no density. "
    "Annealing estimates log p(x)."
)
"""The remark on the metrics of a model whose posterior has no density."""

UNITS_OF_CODES = "z is discrete, and codes whose probabilities vary little may together tell much about x"
"""The reason why evaluations of codes count no active units."""

MOST_CLASSIFIED, MOST_CLASS_SAMPLES = 1_000, 100
"""The most examples that Bayes' rule classifies, and the most importance samples for each of their classes."""

LARGE_BIAS = 0.05
"""Warn if the likely bias exceeds this many nats."""


@check_keywords
class AnnealingPlan(NamedTuple):
    """The settings of annealed importance sampling, for some of the examples and for as many simulated ones.

    steps, chains: see `annealing.annealed_log_likelihood`.
    examples: the number of examples.

    The time is proportional to steps * (3 chains + 8) * examples: lower bounds of given examples, and both bounds of
    simulated ones, with four pilot chains each.
    """

    steps: int
    chains: int = 16
    examples: int = 100


@final
@check_keywords
@dataclass(frozen=True)
class Plan:
    """The settings of an evaluation.

    iw_samples: numbers of importance samples. The largest is K, and the same pass estimates the bound for the others.
    split: `train`, `validation` or `test`.
    max_examples: the size of a random sample, which is the same for every run. None takes all examples.
    seed: the evaluation seed.
    execution: `auto` for that of the training, or `xla`, `graph` or `eager`. They draw different random numbers.
    refine: how the proposal is fitted to each example: a name from `REFINEMENTS` with settings.
    annealing: the settings of annealed importance sampling, or None to leave it out.
    factors: names of known factors, see `data.condition.factors_of`, for measures of disentanglement.
    accuracy: the largest distance of an end of each 90% interval from the estimate, in nats. It replaces `iw_samples`
      and `refine`, see `evaluation.settle`.

    Raises:
      UsageError: there is no number of importance samples, or one below 1, the refinement is unknown, or an accuracy is
        not positive or comes with other effort.
    """

    iw_samples: tuple[int, ...] = (100,)
    split: str = "test"
    max_examples: int | None = None
    seed: int = 0
    execution: str = AUTO
    annealing: AnnealingPlan | None = None
    refine: Member | str = "none"
    accuracy: float | None = None
    factors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.accuracy is not None:
            check_accuracy(self.accuracy, alone=self.iw_samples == (100,) and self.refine == "none")
        if not self.iw_samples or min(self.iw_samples) < 1:
            raise UsageError(f"`iw_samples`: expected numbers from 1 on, found {self.iw_samples}.")
        REFINEMENTS.member(self.refine)

    @property
    def most_samples(self) -> int:
        """K."""
        return max(self.iw_samples)


@final
@check_keywords
@dataclass(frozen=True)
class Assessment:
    """The outcome of an evaluation.

    result: the metrics by name, as `evaluation.json` holds them.
    estimates: the estimates of each example.
    examples: the examples as the model saw them. Their `rows` are indices in the split.
    ladder: the numbers of samples of `estimates.sweep`.
    data: the data of the run.
    source_rows: the row of each example in its source, [N].
    settled: the effort for each example if the plan has an accuracy.
    unfinished: the finished examples that were kept in the run for the case of an interrupt.
    """

    result: dict[str, Any]
    estimates: Estimates
    examples: Split
    ladder: tuple[int, ...]
    data: DataConfig | None = None
    source_rows: np.ndarray | None = None
    settled: Settled | None = None
    unfinished: Unfinished | None = None

    def __repr__(self) -> str:
        return f"Assessment({self._caption()}: log p(x) {self._with_error('log_likelihood')} nats)"

    def _repr_html_(self) -> str:
        kind = ("measure", *MEASURE_NAMES)
        names = [*kind, *(metric.key for metric in metrics_of("notebook")), "advice"]
        return table(self._caption(), [(name, self._with_error(name)) for name in names if name in self.result])

    def _caption(self) -> str:
        caption = "{dataset}, {split} split, {num_examples:,} examples, ".format(**self.result)
        return caption + samples_text(self.result)

    def _with_error(self, name: str) -> str:
        """Return a metric as text, with its standard error if it has one."""
        value, error = (text_of(self.result.get(key)) for key in (name, f"{name}_se"))
        return f"{value} ± {error}" if error else value

    def source_name(self, row: int) -> str:
        """Return the name of an example in its source, or its row there."""
        return dataclasses.replace(self.examples, rows=self.source_rows).source_name(row)

    def per_example(self) -> dict[str, np.ndarray]:
        """Return arrays with a value or vector for each example, for a file.

        `row` [N] is the index in the split, `label` [N] the label if there is one, and `id_<column>` [N] an id of the
        row of a table. The fields of `Estimates` follow, `elbo`, `error` and `bias` [N], and `sweep_samples` [J], the
        numbers of samples of `sweep` [N, J]. `likelihood`, `scaling`, `binarization`,
        `dequantization` and `refine` are names. With an accuracy, `settled`, `iw_samples` and `refine` have a value for
        each example.
        """
        labels = {} if self.examples.y is None else {"label": self.examples.y}
        labels |= {f"id_{name}": column for name, column in self.examples.ids.items()}
        named = {"row": np.asarray(self.examples.rows), "sweep_samples": np.array(self.ladder)}
        named |= {name: np.array(self.result[name]) for name in (*MEASURE_NAMES, "refine")}
        derived = {name: getattr(self.estimates, name) for name in ("elbo", "error", "bias")}
        derived |= Gaps.of(self.estimates).arrays()
        if self.settled is not None:
            names = ("settled", "iw_samples")
            derived |= {name: getattr(self.settled, name) for name in names}
            named["refine"] = self.settled.refinements
        return {**named, **labels, **self.estimates._asdict(), **derived}


@check_keywords
def ladder(most: int) -> tuple[int, ...]:
    """Return 1, 2, 5, 10, 20, 50, ... below `most`, and `most`: the numbers of samples in the picture of the bound.

    ```python
    tv.runs.ladder(30)  # (1, 2, 5, 10, 20, 30)
    ```
    """
    rungs = (step * 10**power for power in range(len(str(most))) for step in (1, 2, 5))
    return (*(rung for rung in rungs if rung < most), most)


@final
@dataclass(frozen=True)
class _Evaluation:
    """The estimates of an evaluation, and methods that add metrics to its JSON object.

    The indices of seeds belong to methods, so annealing more examples does not change the decomposition.
    """

    restored: LoadedRun
    dataset: Dataset
    plan: Plan
    execution: str
    stages: Stages
    examples: Split
    ladder: tuple[int, ...]
    estimates: Estimates
    settled: Settled | None = None
    blocks: Blocks = NO_BLOCKS

    @property
    def vae(self) -> VAE:
        """The model."""
        return self.restored.vae

    def seed(self, *indices: int) -> Seed:
        """Return a seed for random draws."""
        return seed_for(self.plan.seed, Purpose.EVALUATION, *indices)

    def description(self) -> dict[str, Any]:
        plan, restored = self.plan, self.restored
        decay = restored.config.training.ema
        averaging = _undefined("the run does not average its weights", "ema") if decay is None else {"ema": decay}
        return {
            "run": str(restored.run.folder),
            "dataset": restored.config.data.dataset,
            "split": plan.split,
            "num_examples": len(self.examples),
            **self.effort(),
            "seed": plan.seed,
            "execution": self.execution,
            "weights": restored.weights,
            **averaging,
            "step": restored.step,
            **self.restored.measure.describe(),
        }

    def effort(self) -> dict[str, Any]:
        """Return K and the refinement. With an accuracy, also what each effort settled and which examples are left.

        Annealing alone has neither.
        """
        settled = self.settled
        if not self.has_density:
            return {"refine": "none"}
        if settled is None:
            return {"iw_samples": self.plan.most_samples, **refinement_keys(self.plan.refine, self.estimates)}
        counts = ((effort, *count) for effort, count in settled.counts.items() if count[0])
        return {
            "iw_samples": int(settled.iw_samples.max()),
            "refine": AS_NEEDED,
            "accuracy": settled.accuracy,
            "settled_share": float(settled.settled.mean()),
            "efforts": [{**effort._asdict(), "examples": all_, "settled": done} for effort, all_, done in counts],
            "unsettled_rows": np.asarray(self.examples.rows)[settled.unsettled].tolist(),
        }

    def summary(self, annealed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the estimate with its errors, and advice if they are large and the results of annealing agree."""
        has_bits = self.restored.measure.has_bits
        size, latent = math.prod(self.examples.x.shape[1:]), self.vae.prior.latent
        if not self.has_density:
            undefined = _undefined("the posterior has samples but no density", *Summary._fields, "gaps")
            return {**undefined, "advice": None, "remarks": [*self.remarks(math.nan), ANNEALED_ONLY]}
        summary = summarize(self.estimates, size, discrete=has_bits, latent=latent)
        figures = summary._asdict()
        above = [annealed["ais"][f"above_importance_sampling{end}"] for end in ("", "_se")] if annealed else []
        return {
            **figures,
            **self.code_usage(),
            **unknown_errors(summary, self.plan.most_samples),
            **self.restored.measure.of_scaled_values(figures),
            **undefined_metrics(has_bits=has_bits, latent=latent),
            "advice": self.advice(summary, sign_of_difference(*above) if above else None),
            **self.gaps(),
            "remarks": self.remarks(summary.active_units),
            **({"layers": self.layers} if self.layers else {}),
        }

    def code_usage(self) -> dict[str, float]:
        """Return the use of the codes of a discrete z. It is empty for a continuous one."""
        latent = self.vae.prior.latent
        if not latent.discrete:
            return {}
        usage = CodeUsage.of(self.estimates.posterior_mean, latent)
        return {"code_usage": usage.share, "code_perplexity": usage.perplexity}

    def advice(self, summary: Summary, annealed: int | None) -> str | None:
        """Return a warning about the estimate with remedies, or None."""
        discrete = self.vae.prior.latent.discrete
        if self.settled is not None and len(self.settled.unsettled) and annealed != 1:
            return unsettled_advice(self.settled, annealed=discrete or annealed is not None)
        refined = self.settled is not None or full_name(self.plan.refine) != "none"
        return advice(summary, self.plan.most_samples, annealed=annealed, refined=refined, discrete=discrete)

    def gaps(self) -> dict[str, Any]:
        """Return the parts of log p(x) - ELBO, which need the ELBO of a refined posterior."""
        if not self.splits_gap:
            return _undefined("the gaps need a refined member of the posterior's family, use `refine=local`", "gaps")
        return {"gaps": Gaps.of(self.estimates).summary()}

    @property
    def has_density(self) -> bool:
        """Whether q(z|x) has a density. Otherwise annealing alone estimates log p(x)."""
        return not self.vae.encoder.posterior.capabilities.implicit

    @property
    def splits_gap(self) -> bool:
        """Whether the refined ELBO is that of a member of the posterior's family."""
        return REFINEMENTS.resolve(self.plan.refine).within_family

    def remarks(self, active: float) -> list[str]:
        """Return sentences about the model, given the number of active units, which may be unknown."""
        layered = len(self.vae.prior.latent.blocks) > 1
        unknown = math.isnan(active) or (active and layered)  # because layers have a remark of their own
        idle = "" if unknown else idle_units(int(active), self.vae.encoder.posterior.latent_dim)
        gap = gap_remark(Gaps.of(self.estimates).summary()) if self.splits_gap else ""
        given = "" if not self.vae.context_size else CONDITIONAL if self.vae.classifier is None else SEMI_SUPERVISED
        return [*filter(None, [given, idle, *layer_remarks(self.layers), gap])]

    @functools.cached_property
    def layers(self) -> list[dict[str, Any]]:
        """The size, the rate and the number of active units of each layer of z. Empty if z has one layer."""
        rates = information.rate_per_layer(self.vae, self.examples.batch, seed=self.seed(9))
        if rates is None:
            return []
        blocks = self.vae.prior.latent.blocks
        parts = np.split(is_active(self.estimates), np.cumsum(blocks)[:-1])
        active = [int(part.sum()) if len(self.examples) > 1 else None for part in parts]
        return [
            {"layer": i + 1, "size": size, "rate": float(rate), "active_units": units}
            for i, (size, rate, units) in enumerate(zip(blocks, rates, active, strict=True))
        ]

    def sweep(self) -> dict[str, Any]:
        """Return the mean estimate for each number of samples in the plan."""
        if self.settled is not None or not self.has_density:
            return {"sweep": []}
        columns = {k: self.estimates.sweep[:, self.ladder.index(k)] for k in sorted(set(self.plan.iw_samples))}
        return {"sweep": [{"iw_samples": k, **_mean("log_likelihood", column)} for k, column in columns.items()]}

    def rates(self) -> dict[str, Any]:
        """Return the rate of each latent dimension."""
        rates = information.rate_per_dimension(self.vae, self.examples.batch)
        if rates is None:
            return _undefined("the rate of each dimension needs a Normal posterior and prior, or codes", "rate_per_dim")
        return {"rate_per_dim": rates.tolist()}

    def decomposition(self) -> dict[str, Any]:
        """Return the two parts of the rate.

        The examples are shuffled, because `information.decomposition` takes the first ones and files may be sorted.
        """
        if self.vae.encoder.posterior.capabilities.approximate:
            names = [name for name in information.Decomposition._fields if name != "examples"]
            reason = "the density of q(z|x) is known for its own samples only"
            return _undefined(reason, *names, "mutual_information_examples", "mutual_information_ceiling")
        shuffled = self.examples[generator(FIXED_SEED, Purpose.SUBSET, 1).permutation(len(self.examples))]
        parts = information.decomposition(self.vae, shuffled.batch, seed=self.seed(1), execution=self.execution)
        figures = parts._asdict()
        common = {
            "mutual_information_examples": figures.pop("examples"),
            "mutual_information_ceiling": parts.ceiling,
        }
        if parts.total_correlation is None:
            names = [name for name, value in figures.items() if value is None]
            return common | figures | _undefined("q(z|x) does not have independent dimensions", *names)
        return common | figures

    def reconstruction(self) -> dict[str, Any]:
        """Return the mean squared error of reconstructions."""
        if self.restored.config.data.reading.table is not None:
            return _undefined("the columns of a mixed table have different units", "reconstruction_mse")
        return {
            "reconstruction_mse": information.reconstruction_error(self.vae, self.examples.batch, seed=self.seed(2))
        }

    def probes(self) -> dict[str, Any]:
        """Return how well two classifiers predict labels from posterior means.

        They learn from up to 10,000 examples of the training split, or of validation if training data are evaluated.
        """
        asked = self.examples.y
        if asked is None or asked.ndim != 1 or len(np.unique(asked)) < 2:  # too few to tell classes and measurements
            return _undefined(_NO_CLASSES.format("examples evaluated"), *_PROBED)
        teaching = "validation" if self.plan.split == "train" else "train"
        taught = _choose_examples(held_out_view(self.restored.config, self.dataset, teaching), probes.MOST_EXAMPLES)
        if taught.y is None or not probes.has_classes(taught.y):
            return _undefined(_NO_CLASSES.format(f"examples of the {teaching} split"), *_PROBED)
        means = information.posterior_means(self.vae, taught.batch, seed=self.seed(3))
        return probes.probe(means, taught.y, self.estimates.posterior_mean, asked)

    def disentanglement(self, factors: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return how far each dimension of z follows one of the known factors, or nothing if there are none."""
        if not factors:
            return {}
        means, latent = self.estimates.posterior_mean, self.vae.prior.latent
        found = disentangle(latent.as_codes(means) if latent.discrete else means, factors, seed=self.plan.seed)
        return {"disentanglement": {"factors": list(factors), **found._asdict()}}

    def classes(self) -> dict[str, Any]:
        """Return log p(x|y) of each class, and how well Bayes' rule finds the classes, if the condition is a class.

        The frequencies of the classes in training are p(y). At most 1,000 examples are classified, because each takes
        an estimate for every class. A classifier q(y|x) takes all of them. With one, the log-likelihood of each class
        is log p(x). Examples whose class is unknown do not count.
        """
        condition, context = self.restored.config.data.condition, self.examples.context
        if condition is None or not condition.classes or context is None or not context.any():
            return {}
        known = np.asarray(context.any(axis=1))
        names, truth = condition.classes, np.where(known, context.argmax(axis=1), -1)
        found = {name: self.estimates.log_likelihood[truth == i] for i, name in enumerate(names)}
        per_class = [
            {"class": name, "examples": len(values), **_mean("log_likelihood", values)}
            for name, values in found.items()
            if len(values)
        ]
        order = generator(FIXED_SEED, Purpose.SUBSET, 6).permutation(len(self.examples))
        rows = np.sort(order[known[order]][:MOST_CLASSIFIED])
        samples = min(self.plan.most_samples, MOST_CLASS_SAMPLES)
        training = self.dataset.train.context
        frequencies = np.ones(len(names)) if training is None else training.sum(axis=0)
        with self.stages("classification", len(rows) * samples * len(names)) as progress:
            classified = classify(
                self.vae,
                self.examples.x[rows],
                np.eye(len(names), dtype=np.float32),
                prior=frequencies,
                iw_samples=samples,
                seed=self.seed(6),
                places=np.asarray(self.examples.source_rows())[rows],
                execution=self.execution,
                progress=progress,
            )
        figures = classified.measure(truth[rows])
        chance = float((frequencies / frequencies.sum()).max())
        counts = {"examples": len(rows), "iw_samples": samples, "chance": chance}
        log_px = classified.log_marginal - self.restored.measure.log_scale
        counts |= _mean("log_likelihood", log_px)
        figures |= self.classifier(np.flatnonzero(known), truth)
        return {"per_class": per_class, "classification": {**counts, **figures}}

    def classifier(self, rows: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
        """Return how well the classifier q(y|x) finds the classes of some examples, if the model has one.

        Args:
          rows: the examples whose class is known.
          truth: the classes of all examples, integers [N].
        """
        if self.vae.classifier is None:
            return {}
        log_q = classify_directly(self.vae, self.examples.x[rows])
        return {"classifier": {"examples": len(rows), **measure_classes(log_q, truth[rows])}}

    def annealing(self) -> dict[str, Any]:
        """Return the results of annealing, or nothing if the plan has none."""
        asked = self.plan.annealing
        return {} if asked is None else {"ais": self.lower_bounds(asked), "sandwich": self.both_bounds(asked)}

    def lower_bounds(self, asked: AnnealingPlan) -> dict[str, Any]:
        """Return lower bounds from annealing for some of the examples.

        The examples do not depend on the seed. The importance-weighted estimates of the same examples are subtracted.

        Returns:
          The plan, the bound with its errors, the share of accepted moves, and the paired difference from importance
          sampling with a verdict, if there are such estimates.
        """
        count = min(asked.examples, len(self.examples))
        rows = np.sort(generator(FIXED_SEED, Purpose.SUBSET, 2).permutation(len(self.examples))[:count])
        with self.stages("annealing", annealing.transitions(count, asked.steps, asked.chains)) as progress:
            found = annealing.annealed_log_likelihood(
                self.vae,
                self.examples[rows].batch,
                steps=asked.steps,
                chains=asked.chains,
                seed=self.seed(4),
                execution=self.execution,
                progress=progress,
                blocks=self.blocks,
            )
        log_px = found.log_likelihood - self.restored.measure.log_scale
        own = {
            **asked._asdict(),
            "examples": count,
            **_mean("log_likelihood", log_px),
            "log_likelihood_mc_error": mean_error(found.error),
            "accepted": float(found.accepted.mean()),
        }
        if not self.has_density:
            return own
        difference = log_px - self.estimates.log_likelihood[rows]
        return {**own, **_mean("above_importance_sampling", difference), "verdict": verdict(difference)}

    def both_bounds(self, asked: AnnealingPlan) -> dict[str, Any]:
        """Return lower and upper bounds for simulated examples.

        Log p(x) cancels in their gap, so its standard error over examples is that of the Monte Carlo noise.
        """
        context = self.examples.context
        total = annealing.transitions(asked.examples, asked.steps, asked.chains, both_ways=True)
        with self.stages("annealing both ways", total) as progress:
            found = annealing.sandwich(
                self.vae,
                examples=asked.examples,
                steps=asked.steps,
                chains=asked.chains,
                seed=self.seed(5),
                context=None if context is None else np.resize(context, (asked.examples, context.shape[1])),
                execution=self.execution,
                progress=progress,
                blocks=self.blocks,
            )
        return {
            "examples": asked.examples,
            "lower": float(found.lower.mean()) - self.restored.measure.log_scale,
            "upper": float(found.upper.mean()) - self.restored.measure.log_scale,
            **_mean("gap", found.gap),
        }


@check_keywords
def assess(
    restored: LoadedRun,
    dataset: Dataset,
    plan: Plan,
    *,
    stages: Stages = lambda name, total: nullcontext(lambda done: None),
    resume: bool = False,
) -> Assessment:
    """Evaluate a run on one split of its data.

    Importance sampling takes most of the time: K passes of the decoder for each example. The other metrics take a pass
    or two each, except annealing. The same plan, run and execution give the same metrics.

    A posterior without a density has no importance-weighted estimates. They are NaN, their metrics are None with a
    reason, and annealing estimates log p(x).

    ```python
    run = tv.runs.find(None, "runs")  # the newest finished run
    restored, dataset = tv.runs.LoadedRun(run), tv.runs.reload(run.config())
    found = tv.runs.assess(restored, dataset, tv.runs.Plan(iw_samples=(10, 50), max_examples=16))
    found.result["log_likelihood"], found.result["log_likelihood_se"]  # nats per example
    found.estimates.ess  # [16]
    ```

    Args:
      restored: the run.
      dataset: its data, from `reload`.
      plan: the settings.
      stages: called at the start of each stage, to report progress.
      resume: whether to keep finished examples in the run's folder, and to go on from those that an interrupted
        evaluation with the same plan left there. After you have saved the result, remove its `unfinished` examples.

    Returns:
      The metrics, the estimates of each example, and the examples.

    Raises:
      UsageError: annealing has no step, or fewer than two chains. Or the posterior has no density, and the plan has no
        annealing.
      RunError: there is too little memory even for one sample at a time.
    """
    began = time.monotonic()
    split = held_out_view(restored.config, dataset, plan.split)
    examples = _choose_examples(split, plan.max_examples)
    data = restored.config.data
    factors = factors_of(examples, plan.factors, data.reading.label_column, f"{data.dataset}, {plan.split} split")
    execution = restored.choose_execution(plan.execution)
    kept = restored.run.unfinished(evaluation_identity(restored, plan, examples, execution)) if resume else None
    continued = ", continued" if kept is not None and kept.continued else ""

    def start(name: str, total: int) -> AbstractContextManager[Progress]:
        return stages(f"{name}{continued}", total)

    blocks = NO_BLOCKS if kept is None else kept
    if restored.vae.classifier is not None and plan.annealing is not None:
        raise UsageError("Annealing does not support a condition that some training rows lack. Leave it out.")
    asked = restored.as_unlabelled(examples)
    estimates, rungs, settled = _estimate(restored, plan, asked, execution, start, blocks)
    found = _Evaluation(restored, dataset, plan, execution, start, examples, rungs, estimates, settled, blocks)
    annealed = found.annealing()
    result = {
        **found.description(),
        **found.summary(annealed),
        **found.sweep(),
        **found.rates(),
        **found.decomposition(),
        **found.reconstruction(),
        **found.probes(),
        **found.disentanglement(factors),
        **found.classes(),
        **annealed,
        "seconds": time.monotonic() - began,
    }
    source_rows = split.source_rows()[examples.rows]
    return Assessment(result, estimates, examples, rungs, restored.config.data, source_rows, settled, kept)


def _estimate(
    restored: LoadedRun, plan: Plan, examples: Split, execution: str, stages: Stages, blocks: Blocks
) -> tuple[Estimates, tuple[int, ...], Settled | None]:
    """Return the estimates of the examples, the numbers of samples of their sweep, and the effort if it was chosen."""
    seed, log_scale = seed_for(plan.seed, Purpose.EVALUATION), restored.measure.log_scale
    if restored.vae.encoder.posterior.capabilities.implicit and plan.annealing is not None:
        return unknown_estimates(restored.vae, examples.batch, seed), (), None
    if plan.accuracy is not None:
        settled = settle(
            restored.vae,
            examples.batch,
            accuracy=plan.accuracy,
            seed=seed,
            places=examples.rows,
            execution=execution,
            stages=stages,
            blocks=blocks,
        ).rescale(log_scale)
        return settled.estimates, (), settled
    rungs = tuple(sorted({*ladder(plan.most_samples), *plan.iw_samples}))
    with stages("importance sampling", number_of_samples(len(examples), plan.most_samples, plan.refine)) as progress:
        estimates = estimate(
            restored.vae,
            examples.batch,
            iw_samples=plan.most_samples,
            refine=plan.refine,
            seed=seed,
            sweep=rungs,
            places=examples.rows,
            execution=execution,
            progress=progress,
            blocks=blocks,
        )
    return estimates.rescale(log_scale), rungs, None


def unknown_estimates(vae: VAE, batch: Batch, seed: Seed) -> Estimates:
    """Return estimates of examples for a posterior without a density: its means, and NaN for everything else."""
    columns = Estimates(*np.full([len(Estimates._fields), len(batch.x)], math.nan))
    return columns._replace(posterior_mean=information.posterior_means(vae, batch, seed=seed))


def evaluation_identity(restored: LoadedRun, plan: Plan, examples: Split, execution: str) -> dict[str, object]:
    """Return everything that decides the numbers of an evaluation, so that finished parts of another are not used."""
    return {
        **_estimates_identity(restored, examples.batch, examples.source_rows()),
        **{each.name: getattr(plan, each.name) for each in dataclasses.fields(plan)},
        "refine": full_name(plan.refine),
        "annealing": None if plan.annealing is None else plan.annealing._asdict(),
        "execution": execution,
    }


def _estimates_identity(restored: LoadedRun, x: np.ndarray | Batch, places: np.ndarray) -> dict[str, object]:
    """Return everything that decides estimates of log p(x), except for their settings."""
    batch = as_batch(x)
    digest = hashlib.sha256(np.ascontiguousarray(batch.x).data)
    if batch.context is not None:
        digest.update(np.ascontiguousarray(batch.context).data)
    digest.update(np.ascontiguousarray(places).data)
    return {
        "run": restored.config.identity(),
        "weights": restored.weights,
        "step": restored.step,
        "examples": digest.hexdigest(),
        "packages": {name: metadata.version(name) for name in ("tfp-vae", "tensorflow", "tensorflow-probability")},
    }


def _choose_examples(split: Split, most: int | None) -> Split:
    """Return all examples of a split, or a random sample, with their rows in the split.

    The sample is the same for every run and seed, so runs can be compared. A larger sample contains a smaller one.
    """
    rows = np.arange(len(split))
    if most is not None and most < len(rows):
        rows = np.sort(generator(FIXED_SEED, Purpose.SUBSET).permutation(rows)[:most])
    return dataclasses.replace(split[rows], rows=rows)


def advice(
    summary: Summary,
    iw_samples: int,
    *,
    annealed: int | None = None,
    refined: bool = False,
    discrete: bool = False,
) -> str | None:
    """Return a warning with remedies if log p(x) is likely biased low or its error is unknown, else None.

    It needs evidence: the likely bias exceeds 0.05 nats, the error is unknown for more than 10% of the examples, or
    annealing is higher. If annealing agrees, there is no advice.

    Args:
      summary: the estimate's averages.
      iw_samples: K.
      annealed: the sign of the difference between annealing and importance sampling, see `sign_of_difference`. None if
        it is unknown.
      refined: whether the proposal was fitted to each example already, so that the advice leaves it out.
      discrete: whether z is discrete, which neither a refined proposal nor annealing supports.
    """
    if annealed == 0:
        return None
    if iw_samples < FEWEST_EFFECTIVE:
        return f"The error of log p(x) is unknown, because K = {iw_samples} is too small. Use `iw_samples=100` or more."
    bias, unknown = summary.likely_bias, summary.error_unknown_share
    if annealed == 1:
        found = "log p(x) is biased low, because annealing is higher."
    elif unknown > LARGE_SHARE:
        found = (
            f"The error of log p(x) is unknown for {unknown:.0%} of the examples, because fewer than "
            f"{FEWEST_EFFECTIVE} of their {iw_samples:,} samples count. The mean is likely too low by {bias:.2f} nats "
            "or more."
        )
    elif bias > LARGE_BIAS:
        found = f"log p(x) is likely biased low, by about {bias:.2f} nats."
    else:
        return None
    if discrete:
        return f"{found} Use more `iw_samples`. A wider encoder makes the weights more even."
    refine = "" if refined else "`refine=local` fits the proposal to each example, more effective than more samples. "
    check = ", and `ais_steps=1000` gives a bound without the encoder" if annealed is None else ""
    return f"{found} {refine}A richer posterior or a wider encoder makes the weights more even{check}."


@check_keywords
def number_of_samples(examples: int, iw_samples: int, refine: Member | str) -> int:
    """Return the number of importance samples that an estimate takes, including those of a pilot.

    ```python
    from tfp_vae.runs.results import number_of_samples

    number_of_samples(10, 200, "auto")  # 3000, because 100 pilot samples of each example decide on the refinement
    ```
    """
    return examples * (iw_samples + REFINEMENTS.resolve(refine).pilot_samples)


def refinement_keys(refine: Member | str, estimates: Estimates) -> dict[str, Any]:
    """Return the full name of a refinement, and the share of examples that it was used for if a pilot decides."""
    share = {"refined_share": float(estimates.refined.mean())} if REFINEMENTS.resolve(refine).pilot_samples else {}
    return {"refine": full_name(refine), **share}


IDLE_RATE = 0.1
"""A layer of z with a smaller rate, in nats, tells the decoder nothing about x."""


def layer_remarks(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence about the layers of z, with a remedy if an upper one is idle. Empty if z has one layer."""
    if not layers:
        return []
    counted = all(layer["active_units"] is not None for layer in layers)
    described = [
        f"z_{layer['layer']} {layer['rate']:.2f} nats"
        + (f" and {layer['active_units']} of {layer['size']} units" if counted else "")
        for layer in layers
    ]
    idle = [f"z_{layer['layer']}" for layer in layers if layer["active_units"] == 0 and layer["rate"] < IDLE_RATE]
    found = [f"{'Rate and active units' if counted else 'Rate'} of the layers: {', '.join(described)}."]
    if idle and len(idle) < len(layers):
        found.append(
            f"The model ignores {' and '.join(idle)}. A warm-up, free bits or the posterior top-down may change that: "
            "`kl_warmup_epochs=20`, `free_bits=0.1`, `posterior=top-down`."
        )
    return found


def unsettled_advice(settled: Settled, *, annealed: bool) -> str:
    """Return a warning about the examples whose log p(x) is not known to the accuracy, with remedies.

    Args:
      settled: the effort for each example. Some are not settled.
      annealed: whether examples were annealed or cannot be, so that the advice leaves it out.
    """
    check = "" if annealed else ", and `ais_steps=1000` gives a bound without the encoder"
    return (
        f"log p(x) of {len(settled.unsettled):,} of {plural(len(settled), 'example')} is not known to "
        f"{settled.accuracy:g} nats, even with {settled.efforts[-1]}. A richer posterior or "
        f"a wider encoder makes the weights more even{check}."
    )


def undefined_metrics(*, has_bits: bool, latent: Latent) -> dict[str, str | None]:
    """Return the metrics that a model does not have as None, each with a reason by the name `<name>_reason`."""
    density = {} if has_bits else _undefined("the likelihood is a density, which has no bits", "bits_per_dim")
    return density | (_undefined(UNITS_OF_CODES, "active_units") if latent.discrete else {})


def unknown_errors(summary: Summary, iw_samples: int) -> dict[str, Any]:
    """Return the errors of the mean that are unknown as None, each with a reason by the name `<name>_reason`."""
    if iw_samples == 1:
        names = ("log_likelihood_mc_error", "likely_bias", "log_likelihood_low", "log_likelihood_high")
        return _undefined("a single sample has no error", *names)
    share = summary.error_unknown_share
    reason = f"the effective sample size is below {FEWEST_EFFECTIVE} for {share:.0%} of the examples"
    return _undefined(reason, "log_likelihood_low", "log_likelihood_high") if share > LARGE_SHARE else {}


def _mean(name: str, values: np.ndarray) -> dict[str, float]:
    return {name: float(values.mean()), f"{name}_se": standard_error(values)}


def _undefined(reason: str, *names: str) -> dict[str, str | None]:
    return {key: value for name in names for key, value in ((name, None), (f"{name}_reason", reason))}


_ERRORS = (
    "log_likelihood_mc_error",
    "likely_bias",
    "log_likelihood_low",
    "log_likelihood_high",
    "error_unknown_share",
)
_PROBED = ("linear_probe_accuracy", "knn_accuracy")
_NO_CLASSES = f"the {{}} have no labels of 2 to {probes.MOST_CLASSES:,} classes"


def sign_of_difference(mean: float, error: float) -> int | None:
    """Return 1 or -1, the sign of a mean difference beyond two standard errors, and 0 within. None if it has no error.

    ```python
    from tfp_vae.runs.results import sign_of_difference

    sign_of_difference(0.3, 0.1), sign_of_difference(0.1, 0.1), sign_of_difference(0.1, float("nan"))  # (1, 0, None)
    ```
    """
    if math.isnan(error):
        return None
    return int(np.sign(mean)) if abs(mean) > 2 * error else 0


def verdict(above: np.ndarray) -> str:
    """Return a sentence on the difference between annealing and importance sampling, `above` [N] in nats."""
    error = standard_error(above)
    return {
        None: "one example is too few to compare them",
        0: f"both agree within two standard errors of their difference, {2 * error:.3f} nats",
        1: "annealing is higher: importance sampling was biased low by at least as much",
        -1: "annealing is lower: it needs more steps, and adds nothing to importance sampling here",
    }[sign_of_difference(float(above.mean()), error)]


@check_keywords
def compare(baseline: Assessment, other: Assessment) -> dict[str, Any]:
    """Return the paired differences of two runs on the same examples, other - baseline, in nats.

    Standard errors of paired differences are far smaller than those of the metrics themselves. If the importance
    weights of one run are more even, part of the difference is bias. Use the same K and seed for both, because that is
    not checked.

    Returns:
      The two runs' names, and each of log_likelihood, elbo, distortion and rate with its `_se`.

    Raises:
      UsageError: the runs saw different examples, only one has a discrete likelihood, or one has a posterior without a
        density.
    """
    runs = baseline.result["run"], other.result["run"]
    for each in (baseline, other):
        if np.isnan(each.estimates.log_likelihood).any():
            raise UsageError(
                f"{each.result['run']} has no importance-weighted estimates to compare. Evaluate it alone, and compare "
                "the log p(x) of annealing."
            )
    if not np.array_equal(baseline.examples.x, other.examples.x, equal_nan=True):
        raise UsageError(
            f"Runs can be compared only on the same examples, but those of {runs[0]} and {runs[1]} differ. Use runs "
            "with the same data set, split and binarization."
        )
    if (baseline.result["bits_per_dim"] is None) != (other.result["bits_per_dim"] is None):
        raise UsageError(
            f"A probability cannot be compared with a density, but {runs[0]} and {runs[1]} have one of each."
        )
    names = [metric.key for metric in metrics_of("difference")]
    pairs = ((name, getattr(other.estimates, name) - getattr(baseline.estimates, name)) for name in names)
    differences = {key: value for name, values in pairs for key, value in _mean(name, values).items()}
    return {"run": runs[1], "baseline": runs[0], **differences}


@check_keywords
def score(
    restored: LoadedRun,
    x: np.ndarray | Batch,
    *,
    iw_samples: int = 100,
    refine: Member | str = "none",
    seed: int = 0,
    places: np.ndarray | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
    blocks: Blocks = NO_BLOCKS,
) -> tuple[dict[str, Any], Estimates]:
    """Return a summary of the log p(x) of examples x [N, *event_shape], and the estimates of each, in nats.

    Densities are in the units of the run's data. The estimate of an example depends on its values alone, not on its
    index, the other examples or their number. An evaluation with the same seed gives the same estimates if `places` are
    the indices in the split. With K samples the estimate is biased low, and more so for examples that the encoder does
    not know well. So the gap between the two kinds looks wider than it is. The cost is one pass of the encoder and K of
    the decoder for each example.

    ```python
    restored = tv.runs.LoadedRun(tv.runs.find(None, "runs"))
    dataset = tv.runs.reload(restored.config)
    test = tv.runs.held_out_view(restored.config, dataset, "test")
    result, estimates = tv.runs.score(restored, test.x[:16], iw_samples=10)
    tv.runs.most_anomalous(estimates.log_likelihood, 3)  # [3], indices in the test split
    ```

    Args:
      restored: the run.
      x: as `examples.held_out_view` or `examples.new_examples` returns them. Those of a conditional model are a batch.
      iw_samples: K, the importance samples for each example.
      refine: how the proposal is fitted to each example: a name from `REFINEMENTS` with settings.
      seed: the evaluation seed.
      places: numbers [N] that select the draws of each example, by default from its values.
      execution: `auto` for that of the training, or `xla`, `graph` or `eager`.
      progress: called with the number of importance samples just taken.
      blocks: keeps finished batches, so that the same call continues after an interrupt, see `unfinished_scores`.

    Returns:
      A JSON object (the mean, its errors, quantiles from 0 to 1), and `Estimates` [N].

    Raises:
      UsageError: no sample or no example.
    """
    began = time.monotonic()
    execution, values = restored.choose_execution(execution), np.asarray(as_batch(x).x)
    estimates = estimate(
        restored.vae,
        x,
        iw_samples=iw_samples,
        refine=refine,
        seed=seed_for(seed, Purpose.EVALUATION),
        places=places_of(values) if places is None else places,
        batch_size=rows_at_once(restored.vae, len(values), refine),
        execution=execution,
        pad=True,
        progress=progress,
        blocks=blocks,
    ).rescale(restored.measure.log_scale)
    log_px = estimates.log_likelihood
    summary = summarize(estimates, math.prod(values.shape[1:]), discrete=restored.measure.has_bits)
    quantiles = zip(QUANTILES, np.quantile(log_px, QUANTILES), strict=True)
    result = {
        "num_examples": len(values),
        "iw_samples": iw_samples,
        **refinement_keys(refine, estimates),
        "seed": seed,
        "execution": execution,
        **restored.measure.describe(),
        "log_likelihood": float(log_px.mean()),
        "log_likelihood_se": standard_error(log_px),
        **{name: getattr(summary, name) for name in _ERRORS},
        **unknown_errors(summary, iw_samples),
        **restored.measure.of_scaled_values({"log_likelihood": float(log_px.mean())}),
        "quantiles": {f"{q:g}": float(value) for q, value in quantiles},
        "seconds": time.monotonic() - began,
    }
    return result, estimates


@check_keywords
def unfinished_scores(
    restored: LoadedRun,
    x: np.ndarray | Batch,
    *,
    iw_samples: int,
    refine: Member | str,
    seed: int,
    execution: str,
    places: np.ndarray | None = None,
) -> Unfinished:
    """Return the finished examples that `score` left in the run when it was interrupted, or a new place for them.

    The arguments are those of `score`, and others have another place. Remove it when the scores are saved.
    """
    settings = {"command": "score", "iw_samples": iw_samples, "refine": full_name(refine), "seed": seed}
    settings["execution"] = restored.choose_execution(execution)
    places = places_of(np.asarray(as_batch(x).x)) if places is None else places
    return restored.run.unfinished({**_estimates_identity(restored, x, places), **settings})


@check_keywords
def most_anomalous(log_likelihood: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` examples with the lowest log p(x), the lowest first.

    Args:
      log_likelihood: [N], nats.
      count: number of indices. With fewer examples, all are returned.

    Returns:
      int64 [min(count, N)]. Of equal values the earlier index comes first.
    """
    return np.argsort(log_likelihood, kind="stable")[:count]
