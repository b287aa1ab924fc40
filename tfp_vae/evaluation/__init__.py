"""Evaluation: estimates of log p(x), diagnostics of them, and tools to explore the latent space.

All functions take a `VAE` and arrays, and none reads or writes a folder. `log_likelihood` is the main one. To add a
number to `tfp-vae evaluate`, compute it in `runs.results` and describe it with one entry in `metrics.METRICS`.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.evaluation import (
        annealing,
        anomalies,
        classification,
        diagnostics,
        effort,
        evidence,
        gaps,
        importance,
        imputation,
        information,
        latent_space,
        metrics,
        outputs,
        paths,
        probes,
        projections,
        proposals,
    )
    from tfp_vae.evaluation.annealing import Annealed, Sandwich, annealed_log_likelihood, sandwich
    from tfp_vae.evaluation.classification import Classification, classify, classify_directly, measure_classes
    from tfp_vae.evaluation.codes import CodeUsage
    from tfp_vae.evaluation.diagnostics import pareto_k
    from tfp_vae.evaluation.disentanglement import Disentanglement, disentangle
    from tfp_vae.evaluation.effort.settling import Settled, settle
    from tfp_vae.evaluation.evidence import LogLikelihood, log_likelihood
    from tfp_vae.evaluation.gaps import Gaps
    from tfp_vae.evaluation.importance import (
        Estimates,
        Estimator,
        Summary,
        active_units,
        estimate,
        is_active,
        summarize,
    )
    from tfp_vae.evaluation.imputation import ColumnScores, Imputed, impute, score_columns, typical_scores
    from tfp_vae.evaluation.information import (
        Decomposition,
        decomposition,
        posterior_means,
        rate_per_dimension,
        rate_per_layer,
        reconstruction_error,
    )
    from tfp_vae.evaluation.latent_space import Embeddings, Grid, decode, encode, generate_within, grid
    from tfp_vae.evaluation.metrics import METRICS
    from tfp_vae.evaluation.outputs import OUTPUTS
    from tfp_vae.evaluation.paths import PATHS, path
    from tfp_vae.evaluation.probes import probe
    from tfp_vae.evaluation.projections import PROJECTIONS, Projection, projection
    from tfp_vae.evaluation.proposals import REFINEMENTS, Refinement

_PLACES = {
    "METRICS": "metrics",
    "OUTPUTS": "outputs",
    "PATHS": "paths",
    "PROJECTIONS": "projections",
    "REFINEMENTS": "proposals",
    "Annealed": "annealing",
    "Classification": "classification",
    "ColumnScores": "imputation",
    "Decomposition": "information",
    "Disentanglement": "disentanglement",
    "Embeddings": "latent_space",
    "Estimates": "importance",
    "Estimator": "importance",
    "Gaps": "gaps",
    "CodeUsage": "codes",
    "Grid": "latent_space",
    "Imputed": "imputation",
    "LogLikelihood": "evidence",
    "Projection": "projections",
    "Refinement": "proposals",
    "Sandwich": "annealing",
    "Settled": "effort.settling",
    "Summary": "importance",
    "active_units": "importance",
    "annealed_log_likelihood": "annealing",
    "classify": "classification",
    "classify_directly": "classification",
    "decode": "latent_space",
    "decomposition": "information",
    "disentangle": "disentanglement",
    "encode": "latent_space",
    "estimate": "importance",
    "generate_within": "latent_space",
    "grid": "latent_space",
    "impute": "imputation",
    "is_active": "importance",
    "log_likelihood": "evidence",
    "measure_classes": "classification",
    "pareto_k": "diagnostics",
    "path": "paths",
    "posterior_means": "information",
    "probe": "probes",
    "projection": "projections",
    "rate_per_dimension": "information",
    "rate_per_layer": "information",
    "reconstruction_error": "information",
    "sandwich": "annealing",
    "score_columns": "imputation",
    "settle": "effort.settling",
    "summarize": "importance",
    "typical_scores": "imputation",
}

__all__ = [
    "METRICS",
    "OUTPUTS",
    "PATHS",
    "PROJECTIONS",
    "REFINEMENTS",
    "Annealed",
    "Classification",
    "CodeUsage",
    "ColumnScores",
    "Decomposition",
    "Disentanglement",
    "Embeddings",
    "Estimates",
    "Estimator",
    "Gaps",
    "Grid",
    "Imputed",
    "LogLikelihood",
    "Projection",
    "Refinement",
    "Sandwich",
    "Settled",
    "Summary",
    "active_units",
    "annealed_log_likelihood",
    "annealing",
    "anomalies",
    "classification",
    "classify",
    "classify_directly",
    "decode",
    "decomposition",
    "diagnostics",
    "disentangle",
    "effort",
    "encode",
    "estimate",
    "evidence",
    "gaps",
    "generate_within",
    "grid",
    "importance",
    "imputation",
    "impute",
    "information",
    "is_active",
    "latent_space",
    "log_likelihood",
    "measure_classes",
    "metrics",
    "outputs",
    "pareto_k",
    "path",
    "paths",
    "posterior_means",
    "probe",
    "probes",
    "projection",
    "projections",
    "proposals",
    "rate_per_dimension",
    "rate_per_layer",
    "reconstruction_error",
    "sandwich",
    "score_columns",
    "settle",
    "summarize",
    "typical_scores",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
