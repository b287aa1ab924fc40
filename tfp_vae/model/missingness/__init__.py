"""Assumptions about why cells of a table are missing: each turns p(x|z) into p(x_observed, mask|z).

`base` defines the interface, `random` ignores the mask, and `self_masking` lets a cell be missing because of its value.
To add an assumption, write a class that subclasses `Missingness` and add it to `MISSINGNESS`.
"""

from __future__ import annotations

from tfp_vae.core.display import list_names
from tfp_vae.core.registry import Member, Table, check_keywords
from tfp_vae.model.missingness.base import Missingness
from tfp_vae.model.missingness.random import Random
from tfp_vae.model.missingness.self_masking import SelfMasking

__all__ = ["MISSINGNESS", "Missingness", "Random", "SelfMasking", "describe_missingness"]

MISSINGNESS: Table[Missingness] = Table(
    "missingness",
    {"random": Random, "self-masking": SelfMasking},
    base=Missingness,
    group="missingness",
    takes=("likelihood",),
)


@check_keywords
def describe_missingness(member: Member) -> str:
    """Return an assumption about missing cells as a sentence.

    ```python
    tv.missingness.describe_missingness(tv.missingness.MISSINGNESS.member("self-masking:columns=income"))
    ```

    Args:
      member: a member of `MISSINGNESS`.
    """
    names = member.settings.get("columns") or ()
    which = f" of {list_names(list(names))}" if names else ""
    known = MISSINGNESS.can_resolve(member.name)
    assumption = MISSINGNESS[member.name].assumption if known else f"as {member.name} says"
    return f"Cells{which} are assumed to be missing {assumption}."
