"""Variational autoencoders whose encoder, decoder and prior return TensorFlow Probability distributions.

    import tfp_vae as tv

Modules and the classes VAE, Encoder and Decoder are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing, without its import: a program may be interrupted from its first millisecond on

if TYPE_CHECKING:
    from typing import Any

    from tfp_vae import (
        adapters,
        assessment,
        binarization,
        config,
        datasets,
        errors,
        evaluation,
        events,
        experiments,
        film,
        gallery,
        inspection,
        kinds,
        latent,
        likelihoods,
        networks,
        objectives,
        optimizers,
        plots,
        posteriors,
        preparation,
        priors,
        progress,
        report,
        runs,
        scaling,
        scores,
        sources,
        training,
    )
    from tfp_vae.vae import VAE, Decoder, Encoder

__version__ = "0.1.0"

_CLASSES = ("VAE", "Decoder", "Encoder")

__all__ = [
    "VAE",
    "Decoder",
    "Encoder",
    "__version__",
    "adapters",
    "assessment",
    "binarization",
    "config",
    "datasets",
    "errors",
    "evaluation",
    "events",
    "experiments",
    "film",
    "gallery",
    "inspection",
    "kinds",
    "latent",
    "likelihoods",
    "networks",
    "objectives",
    "optimizers",
    "plots",
    "posteriors",
    "preparation",
    "priors",
    "progress",
    "report",
    "runs",
    "scaling",
    "scores",
    "sources",
    "training",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tfp_vae' has no attribute {name!r}")
    import importlib

    if name in _CLASSES:
        return getattr(importlib.import_module("tfp_vae.vae"), name)
    return importlib.import_module(f"tfp_vae.{name}")


def __dir__() -> list[str]:
    return list(__all__)
