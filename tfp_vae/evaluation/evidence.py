"""The log-likelihood log p(x) of examples, with its errors and diagnostics, as one record."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from typing import final

import numpy as np

from tfp_vae.core.batch import Batch, as_batch, batch_values
from tfp_vae.core.display import table
from tfp_vae.core.errors import DataError, UsageError, require
from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import Seed, seed_for_evaluation
from tfp_vae.core.supports import BINARY, first_violation
from tfp_vae.core.types import Array
from tfp_vae.data.dataset import Dataset, Split, check_split
from tfp_vae.data.transforms.binarization import (
    BINARIZATIONS,
    Binarization,
    Unchanged,
    choose_transform,
    transform_held_out,
)
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE, PARETO_K_LIMIT, mean_error, standard_error
from tfp_vae.evaluation.effort.settling import AS_NEEDED, Settled, check_accuracy, settle
from tfp_vae.evaluation.importance import Estimates, Progress, estimate
from tfp_vae.evaluation.metrics import Measure, samples_text
from tfp_vae.evaluation.proposals import Refinement, full_name
from tfp_vae.model.vae import VAE

__all__ = ["LogLikelihood", "log_likelihood"]

logger = logging.getLogger("tfp_vae")


@final
@check_keywords
@dataclass(frozen=True, eq=False, repr=False)
class LogLikelihood:
    """Estimates of log p(x) for N examples, in nats.

    If x is a split of a scaled data set, densities are in the units of the data. `scaled` holds those of scaled values.

    NumPy functions treat it as the array `values`. A notebook shows its averages and diagnostics as a table.

    ```python
    log_px = tv.log_likelihood(vae, x, iw_samples=100)
    log_px.values, log_px.errors, log_px.biases  # [16] each, nats
    log_px.intervals  # [16, 2]: 90% intervals for log p(x)
    log_px.mean(), log_px.standard_error  # over the examples
    np.sort(log_px)[:3]  # the three least likely examples
    ```

    estimates: the estimates of each example, among them distortion and rate.
    iw_samples: K, the number of importance samples per example.
    measure: the likelihood, the scaling, the binarization and the dequantization that the estimates refer to.
    refine: how the proposal was fitted to each example, `none` or a name with its settings.
    settled: the effort for each example if an accuracy was given. K is then the largest number of samples.
    """

    estimates: Estimates
    iw_samples: int
    measure: Measure
    refine: str = "none"
    settled: Settled | None = None

    @property
    def values(self) -> np.ndarray:
        """The estimate of log p(x), float64 [N]."""
        return self.estimates.log_likelihood

    @property
    def scaled(self) -> np.ndarray:
        """The estimate for the scaled values that the model sees, [N].

        Probabilities equal those in `values`. So do densities of `Columns`, which are in the units of the data.
        """
        return self.values + self.measure.log_scale

    @property
    def errors(self) -> np.ndarray:
        """The Monte Carlo standard error of each estimate, [N]. NaN if the effective sample size is below 10."""
        return self.estimates.error

    @property
    def biases(self) -> np.ndarray:
        """How far each estimate lies below log p(x) in expectation, [N]. NaN if the error is unknown."""
        return self.estimates.bias

    @property
    def intervals(self) -> np.ndarray:
        """A 90% interval for log p(x) of each example, low and high, [N, 2]. NaN if the error is unknown.

        It extends further upwards, because a sample usually misses the largest weights.
        """
        return np.stack([self.estimates.low, self.estimates.high], axis=1)

    @property
    def ess(self) -> np.ndarray:
        """The effective sample size of each example's weights, between 1 and K, [N]."""
        return self.estimates.ess

    @property
    def pareto_k(self) -> np.ndarray:
        """The shape of the upper tail of each example's weights, [N]. Do not trust an estimate with k̂ above 0.7."""
        return self.estimates.pareto_k

    @property
    def standard_error(self) -> float:
        """The standard error of the mean over examples. NaN for a single example."""
        return standard_error(self.values)

    @property
    def unknown(self) -> int:
        """The number of examples whose error is unknown, because their effective sample size is below 10."""
        return int(np.sum(~self.estimates.known))

    def mean(self) -> float:
        """Return the mean over the examples."""
        return float(self.values.mean())

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        error = f" ± {self.standard_error:.3g}" if len(self) > 1 else ""
        unknown = f", error unknown for {self.unknown:,}" if self.unknown else ""
        return f"LogLikelihood({self.mean():.5g}{error} nats, {len(self):,} examples, {self._samples}{unknown})"

    @property
    def _samples(self) -> str:
        """The number of samples in words."""
        accuracy = None if self.settled is None else self.settled.accuracy
        return samples_text({"iw_samples": self.iw_samples, "accuracy": accuracy})

    def _repr_html_(self) -> str:
        rows = [
            ("refinement of the proposal", self.refine),
            ("log p(x) is", self.measure.text),
            *self.measure.names.items(),
            ("mean log p(x), nats", self.mean()),
            *([("of the scaled values, nats", float(self.scaled.mean()))] if self.measure.log_scale else []),
            ("standard error over examples", self.standard_error),
            ("Monte Carlo error of the mean", mean_error(self.estimates.spread)),
            ("likely bias of the mean", float(self.estimates.shortfall.mean())),
            (f"examples with unknown error (sample size below {FEWEST_EFFECTIVE})", self.unknown),
            ("median effective sample size", float(np.median(self.ess))),
            ("median Pareto k̂", float(np.median(self.pareto_k))),
            (f"examples with k̂ above {PARETO_K_LIMIT}", int(np.sum(self.pareto_k > PARETO_K_LIMIT))),
        ]
        if self.settled is not None:
            rows.append((f"examples known to {self.settled.accuracy:g} nats", int(self.settled.settled.sum())))
        return table(f"log p(x) of {len(self):,} examples, {self._samples}", rows)


@check_keywords
def log_likelihood(
    vae: VAE,
    x: Array | Batch | Split,
    *,
    iw_samples: int = 100,
    seed: int | Seed = 0,
    refine: Refinement | Member | str = "none",
    accuracy: float | None = None,
    binarization: Binarization | Member | str | None = None,
    batch_size: int = 32,
    chunk_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> LogLikelihood:
    """Return the importance-weighted estimate of log p(x) for each example, in nats.

    log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q(z|x).

    Its expectation is a lower bound that rises to log p(x) with K. The result has the error, the bias and an interval
    of each example. They are unknown, NaN, if the effective sample size is below 10. The function
    `annealed_log_likelihood` gives a bound that does not use the encoder.

    Each example's draws depend only on the seed and on its position in x, so another `batch_size` or `chunk_size`
    changes nothing but rounding. The cost is one pass of the encoder and K of the decoder per example. Memory does not
    grow with K.

    A split of a data set and an integer seed give the numbers of `tfp-vae evaluate` for that split. Its densities are
    in the units of the data, even if the data set was scaled. Densities of an array are in the units of the array,
    except for `likelihoods.Columns`, whose `log_scale` sets the units. If the values of a split are grey and the
    likelihood is for binary data, they are binarized once, from the fixed seed of evaluations. The levels of a split
    with a dequantization get noise once, from that seed. The mean density, in units of levels, is then a lower bound of
    the log-probability of the levels.

    ```python
    log_px = tv.log_likelihood(vae, tv.data.load("digits").test, iw_samples=20, seed=0)
    log_px.mean(), log_px.standard_error, log_px.ess.min()
    ```

    Args:
      vae: the model.
      x: an array [N, *event_shape], a `Batch`, or a `Split` of a data set.
      iw_samples: K.
      seed: an integer, or a stateless seed of two integers.
      refine: how the proposal is fitted to each example before the samples are drawn: a name from
        `evaluation.REFINEMENTS` with settings, such as `local:steps=50`, or an object. `none` is the encoder's q(z|x).
      accuracy: the largest distance of an end of each 90% interval from the estimate, in nats. It chooses `iw_samples`
        and `refine` for each example, see `evaluation.settle`. The result lists the examples that could not be settled.
      binarization: how grey values become binary: a name from `BINARIZATIONS`, or an object. By default `dynamic` for a
        `Split` of grey data under a likelihood of binary data, else `none`, so arrays must be binary already.
      batch_size: examples evaluated at once.
      chunk_size: samples per example decoded at once, at most 100. By default all that fit into memory.
      execution: `auto`, `xla`, `graph` or `eager`. They draw different numbers from one seed.
      progress: called with the number of importance samples just taken.

    Raises:
      UsageError: no sample or no example, a context that the model lacks or does not take, missing cells that the
        likelihood does not allow, a whole data set, or an `accuracy` that is not positive or comes with `iw_samples` or
        `refine`.
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
      RunError: memory is too small even for one sample at a time.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """
    require(VAE, vae, "log_likelihood: vae")
    if accuracy is not None:
        check_accuracy(accuracy, alone=iw_samples == 100 and refine == "none")
    if isinstance(x, Dataset):
        raise UsageError("A data set has three splits. Pass one of them, such as `data.test`.")
    if not isinstance(x, Split | Batch) and np.ndim(x) == 0:  # None, for example
        require(Split, x, "log_likelihood: x")
    likelihood = vae.decoder.likelihood
    if isinstance(x, Split):
        split = x
    else:
        batch = as_batch(x)
        values = batch_values(batch._replace(context=None), "Importance sampling", missing=likelihood.allows_missing)
        split = Split(np.asarray(values), context=batch.context)
    expected, shape = tuple(map(int, likelihood.event_shape)), split.x.shape[1:]
    if shape != expected or not split.x.ndim:
        raise DataError(f"x: expected examples of shape {expected}, found {shape}.")
    support = likelihood.support
    grey = isinstance(x, Split) and support is BINARY and first_violation(split.x, BINARY) is not None
    grey = grey and split.noise is None
    if binarization is None and grey:
        binarization = "dynamic"
        logger.warning(
            "log p(x) describes binarized values: each grey value became 0 or 1 at random, from a fixed seed. "
            "Set `binarization` to choose another way."
        )
    if isinstance(binarization, Binarization):
        transform = binarization
        name = "none" if isinstance(transform, Unchanged) else type(transform).__name__.lower()
    else:
        member = BINARIZATIONS.member(binarization or "none")
        transform, name = BINARIZATIONS.build(member), member.name
    effective = choose_transform(split.noise, transform)
    check_split(
        f"{split.part} split" if split.part else "x",
        split,
        effective.takes(support),
        "Scale or binarize it as in training.",
    )
    examples = transform_held_out(split, effective).batch
    seed = seed_for_evaluation(seed)
    scaling = "none" if split.scaling is None else split.scaling.name
    measure = Measure.of(
        likelihood,
        scaling=scaling,
        binarization=name,
        dequantization="none" if split.dequantization is None else split.dequantization.name,
        masked=not vae.decoder.missingness.ignorable,
        log_scale=split.log_scale,
    )
    if accuracy is None:
        estimates = estimate(
            vae,
            examples,
            iw_samples=iw_samples,
            refine=refine,
            seed=seed,
            batch_size=batch_size,
            chunk_size=chunk_size,
            execution=execution,
            progress=progress,
        )
        return LogLikelihood(estimates.rescale(measure.log_scale), iw_samples, measure, full_name(refine))
    settled = settle(
        vae,
        examples,
        accuracy=accuracy,
        seed=seed,
        batch_size=batch_size,
        chunk_size=chunk_size,
        execution=execution,
        stages=lambda name, total: nullcontext(progress),
    ).rescale(measure.log_scale)
    return LogLikelihood(settled.estimates, int(settled.iw_samples.max()), measure, AS_NEEDED, settled)
