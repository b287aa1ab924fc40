"""Refinements: ways to fit the proposal of importance sampling to each example, after the encoder.

`base` defines the interface, and the other modules hold one kind each. To add a refinement, write a frozen dataclass
that subclasses `Refinement` and add it to `REFINEMENTS`. Its keyword-only fields are settings.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.evaluation.proposals.base import EncoderPosterior, Joint, Proposal, Refinement
from tfp_vae.evaluation.proposals.local import Local

__all__ = ["REFINEMENTS", "EncoderPosterior", "Joint", "Local", "Proposal", "Refinement"]

REFINEMENTS: Table[Refinement] = Table("refinement", {"none": EncoderPosterior, "local": Local}, base=Refinement)
