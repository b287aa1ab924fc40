"""The likelihood and the scaling of each column of a mixed table, chosen from facts about the columns."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import Member
from tfp_vae.core.supports import COUNTS, REAL, Support
from tfp_vae.data.profile import ColumnFacts
from tfp_vae.data.schema.columns import LEVEL_KINDS, MODELLED, Column
from tfp_vae.data.transforms.scaling import SCALINGS, Standard, scale_columns
from tfp_vae.model.likelihoods import LIKELIHOODS

__all__ = [
    "NUMBER_KINDS",
    "SUITABLE_MEMBERS",
    "ColumnChoices",
    "choose_columns",
    "common_likelihood",
    "describe_kinds",
    "latent_size",
    "standard_of_features",
]

SUITABLE_MEMBERS = {
    "real": "normal:scale=per-element",
    "date": "normal:scale=per-element",
    "positive": "log-normal",
    "count": "negative-binomial",
    "binary": "bernoulli",
    "category": "categorical",
    "ordinal": "ordinal",
}
"""The likelihood of each kind of column, as a start."""

SPIKED_MEMBER = "inflated-negative-binomial"
"""The likelihood of columns of counts in which some values are far more frequent than their neighbours."""

SPIKES = ", because single values are frequent (`likelihood=negative-binomial` ignores that)"
"""The reason for `SPIKED_MEMBER`, with the setting that chooses another likelihood."""

NUMBER_KINDS = MODELLED - LEVEL_KINDS
"""The kinds of columns that take another likelihood of numbers."""

LEAST_LATENTS, MOST_LATENTS = 2, 16
"""A table gets one latent dimension for each column, within these limits."""


class ColumnChoices(NamedTuple):
    """The settings of a mixed table.

    likelihood: a member `columns` of `LIKELIHOODS`.
    scaling: a member of `SCALINGS`.
    kinds: for each kind of column its likelihood and the names of the columns, in words.
    """

    likelihood: Member
    scaling: Member
    kinds: tuple[str, ...]


def latent_size(columns: Sequence[ColumnFacts]) -> int:
    """Return the latent dimension for a table, as a start."""
    return max(LEAST_LATENTS, min(MOST_LATENTS, len(columns)))


def choose_columns(
    columns: Sequence[ColumnFacts], likelihood: Member | None = None, scaling: Member | None = None
) -> ColumnChoices:
    """Return a likelihood and a scaling for each column of a mixed table.

    ```python
    from tfp_vae.data.profile import ColumnFacts
    from tfp_vae.runs.tables.choices import choose_columns

    age = ColumnFacts("age", "count", levels=0, mean=40.0, deviation=15.0, centre=37.0, missing=0.1)
    city = ColumnFacts("city", "category", levels=3, mean=0.5, deviation=0.4, centre=1.0, missing=0.0)
    choose_columns([age, city]).kinds  # "count columns (age): negative-binomial", and the categorical of city
    ```

    Args:
      columns: facts about the columns.
      likelihood: the likelihood of all columns, or one for each column of numbers whose values it takes. Other columns
        keep the member of `SUITABLE_MEMBERS`. If it is `columns`, only its share of hidden cells is used.
      scaling: the scaling that the values have already, or None to choose one that suits the likelihoods.

    Raises:
      UsageError: no column takes the likelihood, or it names other columns.
    """
    members = members_of(columns, likelihood)
    supports = [LIKELIHOODS.build(member, (1,)).support for member in members]
    scaling = scaling or scale_columns(columns, [way_to_scale(support) for support in supports])
    factors = Standard(**scaling.settings).scale if scaling.name == "standard" else (1.0,) * len(columns)
    log_scale = [
        0.0 if LIKELIHOODS[member.name].discrete else math.log(factor)
        for member, factor in zip(members, factors, strict=True)
    ]
    settings = {
        "columns": {column.name: str(member) for column, member in zip(columns, members, strict=True)},
        "log_scale": log_scale,
        "missing": any(column.missing > 0 for column in columns),
        "hide": likelihood.settings["hide"] if likelihood is not None and likelihood.name == "columns" else 0.0,
    }
    kinds = describe_kinds({column.name: column.kind for column in columns}, members)
    if likelihood is None or likelihood.name == "columns":
        kinds = tuple(f"{text}{SPIKES}" if text.endswith(f": {SPIKED_MEMBER}") else text for text in kinds)
    return ColumnChoices(LIKELIHOODS.member(Member("columns", settings)), SCALINGS.member(scaling), kinds)


def common_likelihood(columns: Sequence[Column], likelihood: Member) -> Member | None:
    """Return the likelihood that was chosen for all columns of numbers of a table, or None for the usual ones.

    Args:
      columns: the modelled columns of the table.
      likelihood: from `choose_columns`.
    """
    if likelihood.settings["hide"]:
        return Member("columns", {"hide": likelihood.settings["hide"]})
    given = likelihood.settings["columns"] or {}
    numbers = [column for column in columns if column.kind in NUMBER_KINDS and column.name in given]
    usual = {each.name: str(usual_member(each.kind, 0, each.spikes)) for each in numbers}
    texts = {given[name] for name in usual if given[name] != usual[name]}
    return LIKELIHOODS.member(texts.pop()) if len(texts) == 1 else None


def members_of(columns: Sequence[ColumnFacts], likelihood: Member | None) -> list[Member]:
    """Return the likelihood of each column, see `choose_columns`."""
    usual = [usual_member(column.kind, column.levels, column.spikes) for column in columns]
    if likelihood is None:
        return usual
    if likelihood.name == "columns":
        given = likelihood.settings["columns"] or {}
        names = [column.name for column in columns]
        if given and list(given) != names:
            raise UsageError(
                f"`likelihood`: expected the columns {list_names(names)}, found {list_names(list(given))}."
            )
        return [LIKELIHOODS.member(given[name]) for name in names] if given else usual
    support = LIKELIHOODS.build(likelihood, (1,)).support
    takes = [column.kind in kinds_within(support) for column in columns]
    if not any(takes):
        raise UsageError(
            f"`likelihood={likelihood.name}` is for values in {support.text}, which no column of numbers in the table "
            "holds. Leave it out, or set `column`."
        )
    return [likelihood if taken else own for own, taken in zip(usual, takes, strict=True)]


def kinds_within(support: Support) -> Collection[str]:
    """Return the kinds of columns of numbers whose values all lie in a support."""
    if support is REAL:
        return NUMBER_KINDS
    return ("count",) if support is COUNTS else ("positive",) if way_to_scale(support) == "ratio" else ()


def usual_member(kind: str, levels: int, spikes: tuple[int, ...] = ()) -> Member:
    """Return the usual likelihood of a column.

    Args:
      kind: its kind.
      levels: the number of its words.
      spikes: counts that are far more frequent than their neighbours.
    """
    if spikes:
        return LIKELIHOODS.member(Member(SPIKED_MEMBER, {"at": spikes}))
    member = LIKELIHOODS.member(SUITABLE_MEMBERS[kind])
    takes_levels = "levels" in member.settings
    return LIKELIHOODS.member(Member(member.name, {**member.settings, **({"levels": levels} if takes_levels else {})}))


def standard_of_features(column: ColumnFacts, likelihood: Member) -> tuple[float, float]:
    """Return about the mean and the standard deviation of what an encoder sees of the cells of a column.

    Args:
      column: facts about the column.
      likelihood: its likelihood.
    """
    support = LIKELIHOODS.build(likelihood, (1,)).support
    if support is COUNTS:
        return math.log1p(column.mean), min(max(column.deviation / (1 + column.mean), 0.05), 2.0)
    if way_to_scale(support) == "ratio":
        return 0.0, min(max(column.deviation / column.mean, 0.05), 2.0)
    return (0.0, 1.0) if support is REAL else (0.5, 0.5)


def way_to_scale(support: Support) -> str:
    """Return how to scale a column for a likelihood of some support, see `scale_columns`."""
    if support is REAL:
        return "standard"
    inside = support.contains(np.array([-1.0, 1e-3, 1e3])).tolist()
    takes_all_positive = not support.discrete and inside == [False, True, True]
    return "ratio" if takes_all_positive else "none"


def describe_kinds(kinds: Mapping[str, str], members: Sequence[Member]) -> tuple[str, ...]:
    """Return a sentence without a full stop for each kind of column and likelihood.

    Args:
      kinds: the kind of each column by name.
      members: the likelihood of each.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (name, kind), member in zip(kinds.items(), members, strict=True):
        groups[kind, member.name].append(name)
    return tuple(
        f"{kind} {'column' if len(names) == 1 else 'columns'} ({list_names(names)}): {likelihood}"
        for (kind, likelihood), names in groups.items()
    )
