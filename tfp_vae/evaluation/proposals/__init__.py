"""Refinements: ways to fit the proposal of importance sampling to each example, after the encoder.

`base` defines the interface, and the other modules hold one kind each. To add a refinement, write a frozen dataclass
that subclasses `Refinement` and add it to `REFINEMENTS`. Its keyword-only fields are settings.
"""

from __future__ import annotations

import dataclasses

from tfp_vae.core.registry import Member, Table, check_keywords
from tfp_vae.evaluation.proposals.annealed import AnnealedLaplace
from tfp_vae.evaluation.proposals.auto import Auto
from tfp_vae.evaluation.proposals.base import EncoderPosterior, Joint, Proposal, Refinement
from tfp_vae.evaluation.proposals.laplace import Laplace
from tfp_vae.evaluation.proposals.local import Local
from tfp_vae.evaluation.proposals.mixture import Mixture

__all__ = [
    "REFINEMENTS",
    "AnnealedLaplace",
    "Auto",
    "EncoderPosterior",
    "Joint",
    "Laplace",
    "Local",
    "Mixture",
    "Proposal",
    "Refinement",
    "full_name",
]

REFINEMENTS: Table[Refinement] = Table(
    "refinement",
    {
        "none": EncoderPosterior,
        "local": Local,
        "laplace": Laplace,
        "mixture": Mixture,
        "annealed": AnnealedLaplace,
        "auto": Auto,
    },
    base=Refinement,
)


@check_keywords
def full_name(refine: Refinement | Member | str) -> str:
    """Return the name of a refinement with all its settings, as results record it.

    ```python
    tv.evaluation.proposals.full_name("local:steps=5")  # 'local:steps=5,samples=8,learning_rate=0.1'
    ```

    Raises:
      UsageError: an unknown name, an unknown key, or a value that does not fit.
    """
    if not isinstance(refine, Refinement):
        return str(REFINEMENTS.member(refine))
    known = (name for name, each in REFINEMENTS.items() if type(refine) is each)
    fields = dataclasses.fields(refine)  # type: ignore[arg-type]  # every refinement is a dataclass
    settings = {each.name: getattr(refine, each.name) for each in fields}
    return str(Member(next(known, type(refine).__name__), settings))
