"""The metrics of an evaluation, in one table: key, label, unit, number format, definition and meaning.

`METRICS` has one entry for each number that an evaluation reports. `tfp-vae evaluate`, the HTML report, notebooks and
`docs/evaluation.md` take their rows from it. To add a metric, compute it in `tfp_vae.evaluation` and add one entry.

```python
from tfp_vae.evaluation.metrics import METRICS

METRICS["rate"].label, METRICS["rate"].unit  # ("rate", "nats")
METRICS["rate"].text({"rate": 3.14159})  # "3.142"
```
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tfp_vae.core.supports import BINARY

if TYPE_CHECKING:
    from tfp_vae.model.likelihoods import Likelihood

__all__ = [
    "MEASURE_NAMES",
    "METRICS",
    "Measure",
    "Metric",
    "Place",
    "metrics_of",
    "rounded_pair",
    "samples_text",
    "significant",
]

Place = Literal["table", "report", "headline", "difference", "notebook"]
"""Where a metric appears: the table of `evaluate`, the HTML report, the top of the report, the differences between two
runs, and the summary in a notebook."""


MEASURE_NAMES = ("likelihood", "scaling", "binarization", "dequantization")
"""The settings that decide which quantity a log-likelihood is."""


class Measure(NamedTuple):
    """The kind of quantity that log p(x) and the ELBO are, which a number alone does not show.

    likelihood, scaling, binarization, dequantization: names of the family, and of the maps that made its values from
      those of the data.
    discrete: whether p(x) is a probability and not a density.
    binary: whether the values are 0 and 1.
    log_scale: the log-density of the data is that of the scaled values minus this, in nats.
    masked: whether x includes the mask of observed cells, see `Missingness.ignorable`.
    """

    likelihood: str
    scaling: str
    binarization: str
    discrete: bool
    binary: bool
    log_scale: float
    dequantization: str = "none"
    masked: bool = False

    @classmethod
    def of(
        cls,
        family: Likelihood,
        name: str = "",
        *,
        scaling: str = "none",
        binarization: str = "none",
        dequantization: str = "none",
        masked: bool = False,
        log_scale: float,
    ) -> Measure:
        """Return the measure of a family of likelihoods.

        Args:
          family: the likelihood.
          name: its name. By default the name of its class with its settings.
          scaling, binarization, dequantization: names from their tables.
          masked: whether x includes the mask of observed cells.
          log_scale: see `Split.log_scale`. Probabilities and binarized values ignore it.
        """
        binarized = binarization != "none"
        log_scale = family.change_of_units(log_scale, binarized=binarized)
        binary = binarized or family.support is BINARY
        return cls(
            name or str(family), scaling, binarization, family.discrete, binary, log_scale, dequantization, masked
        )

    @property
    def names(self) -> dict[str, str]:
        """The names of the likelihood and of the maps, by the names of their settings."""
        return {name: getattr(self, name) for name in MEASURE_NAMES}

    @property
    def has_bits(self) -> bool:
        """Whether bits per dimension are defined: for probabilities, and for densities of levels with noise."""
        return self.discrete or self.dequantization != "none"

    @property
    def text(self) -> str:
        """The quantity in words, such as `a density in the units of the data`."""
        kind = "a probability" if self.discrete else "a density"
        if self.binary:
            return f"{kind} of {self.values}"
        if self.discrete:
            return kind
        if self.dequantization != "none":
            return f"{kind} of {self.values}, a lower bound of their log-probability on average"
        if self.masked:
            return f"{kind} of the observed cells and of the mask, in the units of the data"
        is_intensity = self.scaling in ("pixels", "divided") and not self.log_scale
        return f"{kind} {'of intensities from 0 to 1' if is_intensity else 'in the units of the data'}"

    @property
    def values(self) -> str:
        """The name of values that are 0 or 1, or of levels with noise. Grey data that were made binary have a name."""
        if self.dequantization != "none":
            return "dequantized levels"
        return "binary values" if self.binarization == "none" else "binarized values"

    def describe(self) -> dict[str, object]:
        """Return the keys that name the quantity in a result. `log_scale` is there if the units of both differ."""
        scale = {"log_scale": self.log_scale} if self.log_scale else {}
        is_special = self.binary if self.discrete else self.has_bits
        bits = {"bits_per_dim_of": self.values} if is_special else {}
        return {**self.names, "measure": self.text, **scale, **bits}

    def of_scaled_values(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return log-densities and distortions of the scaled values by the names `<name>_scaled`.

        It is empty if the data and the scaled values have the same units.

        Args:
          figures: in the units of the data. Figures without scaled values are left out.
        """
        signs = {"log_likelihood": 1, "elbo": 1, "distortion": -1}
        known = {name: sign for name, sign in signs.items() if self.log_scale and name in figures}
        return {f"{name}_scaled": figures[name] + sign * self.log_scale for name, sign in known.items()}


class Metric(NamedTuple):
    """One number of an evaluation.

    key: its key in `evaluation.json`. A dot leads into an object, as in `ais.log_likelihood`.
    label: its name in tables and reports.
    unit: its unit. Metrics are means over examples, unless the definition says otherwise.
    format: the format of its value in the table of `evaluate`.
    definition: how it is computed, in Markdown.
    meaning: how to read it, in one clause.
    places: where it appears.
    error_key: the key of its standard error over examples; empty if it has none.
    refines: whether it refines the metric before it, so that tables indent it.
    """

    key: str
    label: str
    unit: str
    format: str
    definition: str
    meaning: str
    places: frozenset[Place]
    error_key: str = ""
    refines: bool = False

    def value(self, result: Mapping[str, object]) -> float | None:
        """Return the metric's value in an evaluation; None if it is undefined there or was not computed."""
        return _number_at(result, self.key)

    def error(self, result: Mapping[str, object]) -> float | None:
        """Return its standard error over examples; None if it has none, as with a single example."""
        return _number_at(result, self.error_key) if self.error_key else None

    def text(self, result: Mapping[str, object]) -> str:
        """Return the value in the metric's format, or `not defined`."""
        value = self.value(result)
        return "not defined" if value is None else f"{value:{self.format}}"

    def error_text(self, result: Mapping[str, object]) -> str:
        """Return the standard error with three decimals, or an empty string."""
        error = self.error(result)
        return "" if error is None else f"{error:.3f}"

    def unit_text(self, result: Mapping[str, object]) -> str:
        """Return the unit, with the kind of values if the result names it under `<key>_of`."""
        of = result.get(f"{self.key}_of")
        return f"{self.unit} of {of}" if of else self.unit

    @property
    def document_row(self) -> str:
        """The metric's row in `docs/evaluation.md`: key, definition, unit, meaning."""
        return f"| `{self.key}` | {self.definition} | {self.unit} | {self.meaning} |"

    @property
    def indented_label(self) -> str:
        """The label as tables print it."""
        return f"   {self.label}" if self.refines else self.label


def _number_at(result: Mapping[str, object], key: str) -> float | None:
    found: object = result
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, int | float) and math.isfinite(found) else None


def metrics_of(place: Place) -> tuple[Metric, ...]:
    """Return the metrics that appear in one place, in the order of the table."""
    return tuple(metric for metric in METRICS.values() if place in metric.places)


def samples_text(result: Mapping[str, Any]) -> str:
    """Return the number of importance samples of a result in words, such as `K = 1,000`.

    An evaluation to a given accuracy has a number of samples for each example, and annealing alone has none.
    """
    if "iw_samples" not in result:
        return "no importance samples"
    return f"K {'=' if result.get('accuracy') is None else 'up to'} {result['iw_samples']:,}"


def significant(value: float | None) -> str:
    """Return a number with four significant digits and at most six decimals; an empty string for None or NaN.

    ```python
    from tfp_vae.evaluation.metrics import significant

    significant(-23.6432), significant(12), significant(None)  # ("-23.64", "12", "")
    ```
    """
    if value is None or not math.isfinite(value):
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    decimals = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 2
    return f"{value:,.{min(decimals, 6)}f}"


def rounded_pair(value: float | None, error: float | None) -> tuple[str, str]:
    """Return a number and its standard error, both with the decimals of the error's two significant digits.

    Without an error, or with an error of 0, the number has the digits of `significant`.

    ```python
    from tfp_vae.evaluation.metrics import rounded_pair

    rounded_pair(0.62217, 0.03614), rounded_pair(0.62217, None)  # (("0.622", "0.036"), ("0.6222", ""))
    ```
    """
    if value is None or error is None or not 0 < error < math.inf:
        return significant(value), significant(error)
    decimals = min(max(0, 1 - math.floor(math.log10(error))), 6)
    return f"{value:,.{decimals}f}", f"{error:,.{decimals}f}"


_TABLE: frozenset[Place] = frozenset({"table"})
_REPORT: frozenset[Place] = frozenset({"report"})
_BOTH = _TABLE | _REPORT
_COMPARED: frozenset[Place] = _BOTH | {"difference", "notebook"}

METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(
            key="log_likelihood",
            label="log p(x), importance-weighted",
            unit="nats",
            format=".3f",
            definition="log 1/K Σ_k w_k with w_k = p(x\\|z_k) p(z_k) / q(z_k\\|x) and z_k from q(z\\|x)",
            meaning="the larger, the better the model explains the data (a density is in the units of the data)",
            places=_COMPARED | {"headline"},
            error_key="log_likelihood_se",
        ),
        Metric(
            key="log_likelihood_scaled",
            label="log p(x) of the scaled values",
            unit="nats",
            format=".3f",
            definition="`log_likelihood` + Σ_i log a_i, where a unit of scaled value i is a_i units of the data (only "
            "for densities of scaled data)",
            meaning="comparable between data sets of different units",
            places=_BOTH | {"notebook"},
            refines=True,
        ),
        Metric(
            key="log_likelihood_mc_error",
            label="Monte Carlo error of log p(x)",
            unit="nats",
            format=".3f",
            definition="√(Σ_n e_n²) / N, where e_n is the jackknife error of example n from 16 groups of its samples "
            "(Efron and Stein, 1981)",
            meaning="how far log p(x) of these examples moves with another seed",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="likely_bias",
            label="likely bias of log p(x)",
            unit="nats",
            format=".3f",
            definition="mean of r_n e_n², where the ratio r_n of bias to variance, at least 1/2, comes from the rise "
            "of the estimate from the groups to all samples",
            meaning="how far the mean lies below log p(x)",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="log_likelihood_low",
            label="log p(x), lower end of 90%",
            unit="nats",
            format=".3f",
            definition="`log_likelihood` - 1.64 `log_likelihood_mc_error`, undefined if the error is unknown for more "
            "than 10% of the examples",
            meaning="the mean of these examples is hardly lower",
            places=frozenset(),
            refines=True,
        ),
        Metric(
            key="log_likelihood_high",
            label="log p(x), upper end of 90%",
            unit="nats",
            format=".3f",
            definition="`log_likelihood` + 2 `likely_bias` + 1.64 `log_likelihood_mc_error`, undefined likewise (the "
            "bias of an example with an unknown error counts five times)",
            meaning="the mean of these examples is hardly higher",
            places=frozenset(),
            refines=True,
        ),
        Metric(
            key="error_unknown_share",
            label="error of log p(x) unknown",
            unit="of examples",
            format=".3f",
            definition="share of examples with an ESS below 10",
            meaning="examples whose largest weights decide the estimate",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="refined_share",
            label="proposals refined",
            unit="of examples",
            format=".3f",
            definition="share of examples whose proposal was refined (only with `refine=auto`)",
            meaning="the encoder's q(z\\|x) is not accurate enough for these",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="settled_share",
            label="log p(x) known to the accuracy",
            unit="of examples",
            format=".3f",
            definition="share of examples whose 90% interval ends within `accuracy` of the estimate (only with "
            "`accuracy`)",
            meaning="the rest is in `unsettled_rows`",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="elbo",
            label="ELBO",
            unit="nats",
            format=".3f",
            definition="-distortion - rate (Kingma and Welling, 2014)",
            meaning="a lower bound of log p(x)",
            places=_COMPARED | {"headline"},
            error_key="elbo_se",
        ),
        Metric(
            key="elbo_scaled",
            label="ELBO of the scaled values",
            unit="nats",
            format=".3f",
            definition="`elbo` + Σ_i log a_i, as for `log_likelihood_scaled`",
            meaning="the quantity that was trained",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="gaps.approximation",
            label="approximation gap",
            unit="nats",
            format=".3f",
            definition="log p(x) - ELBO*, where ELBO* is that of the best member of the posterior's family for each x "
            "(only with `refine=local`; Cremer et al., 2018)",
            meaning="the loss that only a richer posterior reduces",
            places=_BOTH,
            error_key="gaps.approximation_se",
            refines=True,
        ),
        Metric(
            key="gaps.amortization",
            label="amortization gap",
            unit="nats",
            format=".3f",
            definition="ELBO* - ELBO",
            meaning="the loss because one encoder serves all examples",
            places=_BOTH,
            error_key="gaps.amortization_se",
            refines=True,
        ),
        Metric(
            key="distortion",
            label="distortion",
            unit="nats",
            format=".3f",
            definition="-E_q[log p(x\\|z)], from the importance samples (Alemi et al., 2018)",
            meaning="the cost of reconstructing x from z",
            places=_COMPARED,
        ),
        Metric(
            key="rate",
            label="rate",
            unit="nats",
            format=".3f",
            definition="KL(q(z\\|x) ‖ p(z)), closed-form if there is one, else from the samples (Alemi et al., 2018)",
            meaning="how much z tells about x",
            places=_COMPARED,
        ),
        Metric(
            key="mutual_information",
            label="mutual information I(x; z)",
            unit="nats",
            format=".3f",
            definition="E_x KL(q(z\\|x) ‖ q(z)), with the aggregate posterior q(z) = 1/N Σ_n q(z\\|x_n) "
            "(Hoffman and Johnson, 2016)",
            meaning="the part of the rate that tells examples apart",
            places=_BOTH,
            error_key="mutual_information_se",
            refines=True,
        ),
        Metric(
            key="aggregate_kl",
            label="aggregate posterior to prior, KL",
            unit="nats",
            format=".3f",
            definition="KL(q(z) ‖ p(z)) (Hoffman and Johnson, 2016)",
            meaning="the rest of the rate: samples from the prior miss this much",
            places=_BOTH,
            error_key="aggregate_kl_se",
            refines=True,
        ),
        Metric(
            key="total_correlation",
            label="total correlation of the dimensions",
            unit="nats",
            format=".3f",
            definition="KL(q(z) ‖ Π_d q(z_d)) (Chen et al., 2018; only if q(z\\|x) has independent dimensions)",
            meaning="0 if the dimensions of z are independent over the data",
            places=_BOTH,
            error_key="total_correlation_se",
            refines=True,
        ),
        Metric(
            key="dimension_kl",
            label="dimensions to prior, KL",
            unit="nats",
            format=".3f",
            definition="E[Σ_d log q(z_d) - log p(z)], or Σ_d KL(q(z_d) ‖ p(z_d)) if p(z) has independent dimensions "
            "(Chen et al., 2018)",
            meaning="the rest of the KL from the aggregate posterior to the prior",
            places=_BOTH,
            error_key="dimension_kl_se",
            refines=True,
        ),
        Metric(
            key="bits_per_dim",
            label="-log p(x) per dimension",
            unit="bits",
            format=".4f",
            definition="-log p(x) / (dimensions of x · log 2)",
            meaning="comparable between image sizes, but not between binary and grey images (only for probabilities "
            "and dequantized levels)",
            places=_BOTH | {"notebook"},
        ),
        Metric(
            key="active_units",
            label="active units",
            unit="dimensions",
            format="d",
            definition="dimensions with Var_x(E_q[z\\|x]) > 0.01 (Burda et al., 2016; only for a continuous z)",
            meaning="latent dimensions that the encoder uses",
            places=_BOTH | {"notebook"},
        ),
        Metric(
            key="code_usage",
            label="codes in use",
            unit="of codes",
            format=".3f",
            definition="share of the codes of all dimensions that are the most probable one for an example (only for a "
            "discrete z)",
            meaning="codes that the encoder uses at all",
            places=_BOTH | {"notebook"},
            refines=True,
        ),
        Metric(
            key="code_perplexity",
            label="perplexity of the codes",
            unit="codes",
            format=".2f",
            definition="mean over the dimensions d of exp(the entropy of 1/N Σ_n q(z_d\\|x_n)) (only for a discrete z)",
            meaning="from 1, if a dimension always has the same code, to K, if it has each equally often",
            places=_BOTH | {"notebook"},
            refines=True,
        ),
        Metric(
            key="reconstruction_mse",
            label="reconstruction, mean squared error",
            unit="per element",
            format=".4f",
            definition="mean squared error of E[x'\\|z] at z = E_q[z\\|x], over elements, as they were scaled",
            meaning="the usual measure of reconstructions, which ignores the likelihood",
            places=_BOTH,
        ),
        Metric(
            key="linear_probe_accuracy",
            label="linear probe accuracy",
            unit="of labels",
            format=".4f",
            definition="logistic regression on standardized E_q[z\\|x], taught with up to 10,000 training examples "
            "(Alain and Bengio, 2017)",
            meaning="labels that a linear classifier reads from z",
            places=_BOTH,
            error_key="linear_probe_accuracy_se",
        ),
        Metric(
            key="knn_accuracy",
            label="5-nearest-neighbour accuracy",
            unit="of labels",
            format=".4f",
            definition="vote of the five nearest E_q[z\\|x] among the same examples",
            meaning="labels that the nearest z share",
            places=_BOTH,
            error_key="knn_accuracy_se",
        ),
        Metric(
            key="disentanglement.mig",
            label="mutual information gap (MIG)",
            unit="of the entropy",
            format=".4f",
            definition="mean over the factors of (I(z_a; v) - I(z_b; v)) / H(v), with z_a and z_b the two best "
            "dimensions of E_q[z\\|x], in 20 bins (only with `factors`; Chen et al., 2018)",
            meaning="near 1 if one dimension alone has all information about each factor",
            places=_BOTH,
        ),
        Metric(
            key="disentanglement.sap",
            label="separated predictability (SAP)",
            unit="of labels or R²",
            format=".4f",
            definition="mean over the factors of the gap between the two dimensions that predict v best alone, by "
            "balanced accuracy or R² (only with `factors`; Kumar et al., 2018)",
            meaning="how much better the best dimension predicts a factor",
            places=_BOTH,
        ),
        Metric(
            key="disentanglement.disentanglement",
            label="disentanglement (DCI)",
            unit="0 to 1",
            format=".4f",
            definition="1 - the entropy of the importance of a dimension over the factors / log K, in random forests "
            "(only with `factors`; Eastwood and Williams, 2018)",
            meaning="1 if each dimension matters for one factor only",
            places=_BOTH,
        ),
        Metric(
            key="disentanglement.completeness",
            label="completeness (DCI)",
            unit="0 to 1",
            format=".4f",
            definition="1 - the entropy of the importance of the dimensions for a factor / log D (only with `factors`; "
            "Eastwood and Williams, 2018)",
            meaning="1 if one dimension only matters for each factor",
            places=_BOTH,
        ),
        Metric(
            key="disentanglement.informativeness",
            label="informativeness (DCI)",
            unit="of labels or R²",
            format=".4f",
            definition="accuracy or R² of the forests on held-out examples (only with `factors`; Eastwood and "
            "Williams, 2018)",
            meaning="how well all dimensions together predict the factors",
            places=_BOTH,
        ),
        Metric(
            key="ess_median",
            label="effective sample size (ESS), median",
            unit="samples",
            format=".1f",
            definition="ESS = (Σ w)² / Σ w², between 1 and K; median over examples",
            meaning="how many of the K importance samples count",
            places=_BOTH | {"notebook"},
        ),
        Metric(
            key="ess_p5",
            label="ESS, 5th percentile",
            unit="samples",
            format=".1f",
            definition="5th percentile of the ESS over examples",
            meaning="how many samples count for the worst twentieth of the examples",
            places=_TABLE,
            refines=True,
        ),
        Metric(
            key="ess_min",
            label="ESS, minimum",
            unit="samples",
            format=".1f",
            definition="least ESS of an example",
            meaning="how many samples count for the worst example",
            places=_TABLE,
            refines=True,
        ),
        Metric(
            key="pareto_k_median",
            label="Pareto k of the weights, median",
            unit="",
            format=".2f",
            definition="shape k̂ of a generalized Pareto distribution fitted to the largest min(K/5, 3√K) weights",
            meaning="below 0.5 the weights have a variance; above 0.7 their mean is unreliable",
            places=_TABLE,
        ),
        Metric(
            key="pareto_k_share_above",
            label="Pareto k above 0.7",
            unit="of examples",
            format=".3f",
            definition="share of examples with k̂ > 0.7",
            meaning="examples whose estimate depends on its largest weights",
            places=_BOTH,
            refines=True,
        ),
        Metric(
            key="ais.log_likelihood",
            label="log p(x), annealed",
            unit="nats",
            format=".3f",
            definition="log of the mean weight of annealed importance sampling (Neal, 2001), on some of the examples",
            meaning="a lower bound that does not use the encoder",
            places=_REPORT,
            error_key="ais.log_likelihood_se",
        ),
        Metric(
            key="ais.above_importance_sampling",
            label="annealed minus importance-weighted",
            unit="nats",
            format="+.3f",
            definition="mean paired difference between both estimates of the same examples",
            meaning="if positive, importance sampling was biased low by at least as much",
            places=_REPORT,
            error_key="ais.above_importance_sampling_se",
            refines=True,
        ),
        Metric(
            key="sandwich.gap",
            label="gap between the annealed bounds",
            unit="nats",
            format=".3f",
            definition="upper minus lower bound of log p(x) of simulated examples (Grosse et al., 2015)",
            meaning="bounds the error of annealing on data that the model makes",
            places=_REPORT,
            error_key="sandwich.gap_se",
        ),
        Metric(
            key="classification.accuracy",
            label="accuracy of Bayes' rule",
            unit="of classes",
            format=".4f",
            definition="share of up to 1,000 examples whose class has the largest p(x\\|y) p(y), with at most 100 "
            "samples for each log p(x\\|y) and p(y) from training",
            meaning="classes that a conditional model tells apart",
            places=_REPORT,
            error_key="classification.accuracy_se",
        ),
        Metric(
            key="classification.classifier.accuracy",
            label="accuracy of the classifier",
            unit="of classes",
            format=".4f",
            definition="share of the examples whose class has the largest q(y\\|x), if the model has a classifier",
            meaning="classes that a semi-supervised model finds with one pass of a network",
            places=_REPORT,
            error_key="classification.classifier.accuracy_se",
        ),
        Metric(
            key="classification.negative_log_likelihood",
            label="-log p(y|x)",
            unit="nats",
            format=".3f",
            definition="mean of -log p(y\\|x) of the true classes, by Bayes' rule",
            meaning="punishes classes that were excluded with confidence",
            places=_REPORT,
            error_key="classification.negative_log_likelihood_se",
            refines=True,
        ),
        Metric(
            key="classification.calibration_error",
            label="calibration error",
            unit="",
            format=".4f",
            definition="mean distance of confidence and accuracy over 15 bins of confidence (Guo et al., 2017)",
            meaning="0 if a confidence of 90% is right nine times out of ten",
            places=_REPORT,
            refines=True,
        ),
    )
}
"""Every metric, in the order of tables and reports."""
