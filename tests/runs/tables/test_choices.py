"""Choices for mixed tables: a likelihood for each kind of column, and a scaling that its density accounts for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import Member
from tfp_vae.core.supports import BINARY, COUNTS, OPEN_UNIT, REAL
from tfp_vae.data.profile import ColumnFacts
from tfp_vae.data.schema.columns import MODELLED, Column
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.runs.tables.choices import (
    SUITABLE_MEMBERS,
    choose_columns,
    common_likelihood,
    latent_size,
    way_to_scale,
)

LEVELS = {"binary": 2, "category": 3, "ordinal": 4}

COLUMNS = [
    ColumnFacts(f"a {kind}", kind, LEVELS.get(kind, 0), mean=5.0, deviation=2.0, centre=4.0, missing=0.1)
    for kind in SUITABLE_MEMBERS
]


def names_of(likelihood: Member) -> dict[str, str]:
    """Return the name of each column's likelihood."""
    return {name: text.partition(":")[0] for name, text in likelihood.settings["columns"].items()}


def test_every_kind_that_a_model_learns_has_a_likelihood() -> None:
    assert SUITABLE_MEMBERS.keys() == set(MODELLED)


def test_each_kind_gets_its_likelihood_and_words_their_number_of_levels() -> None:
    chosen = choose_columns(COLUMNS)
    usual = {f"a {kind}": LIKELIHOODS.member(text).name for kind, text in SUITABLE_MEMBERS.items()}
    assert names_of(chosen.likelihood) == usual
    assert "levels=3" in chosen.likelihood.settings["columns"]["a category"]
    assert LIKELIHOODS.build(chosen.likelihood, (len(COLUMNS),)).names == list(usual)


def test_log_scale_is_that_of_the_scaling_for_densities_and_zero_for_probabilities() -> None:
    chosen = choose_columns(COLUMNS)
    scale = dict(zip(names_of(chosen.likelihood), chosen.scaling.settings["scale"], strict=True))
    log_scale = dict(zip(names_of(chosen.likelihood), chosen.likelihood.settings["log_scale"], strict=True))
    assert (scale["a real"], log_scale["a real"]) == (2.0, math.log(2.0))
    assert all(log_scale[name] == math.log(scale[name]) for name in log_scale)
    assert all(scale[f"a {kind}"] == 1 for kind in ("count", "binary", "category", "ordinal"))


def test_another_likelihood_replaces_that_of_the_numbers_it_fits() -> None:
    names = names_of(choose_columns(COLUMNS, LIKELIHOODS.member("laplace")).likelihood)
    assert {name for name, likelihood in names.items() if likelihood == "laplace"} == {
        "a real",
        "a positive",
        "a count",
        "a date",
    }
    counts = names_of(choose_columns(COLUMNS, LIKELIHOODS.member("poisson")).likelihood)
    assert [name for name, likelihood in counts.items() if likelihood == "poisson"] == ["a count"]


def test_counts_are_standardized_for_a_density() -> None:
    chosen = choose_columns(COLUMNS[:], LIKELIHOODS.member("laplace"))
    place = [column.kind for column in COLUMNS].index("count")
    assert (chosen.scaling.settings["loc"][place], chosen.scaling.settings["scale"][place]) == (5.0, 2.0)


def test_a_likelihood_of_words_fits_no_number() -> None:
    with pytest.raises(UsageError, match=r"`likelihood=bernoulli` is for values in \{0, 1\}, which no column"):
        choose_columns(COLUMNS, LIKELIHOODS.member("bernoulli"))


def test_likelihoods_by_column_are_kept_and_must_name_the_columns() -> None:
    given = LIKELIHOODS.member({"name": "columns", "columns": {column.name: "normal" for column in COLUMNS}})
    assert set(names_of(choose_columns(COLUMNS, given).likelihood).values()) == {"normal"}
    with pytest.raises(UsageError, match="expected the columns a real, found a real, a date"):
        choose_columns(COLUMNS[:1], given)


def test_the_encoder_sees_the_mask_only_if_cells_are_missing() -> None:
    whole = [column._replace(missing=0.0) for column in COLUMNS]
    assert choose_columns(COLUMNS).likelihood.settings["missing"]
    assert not choose_columns(whole).likelihood.settings["missing"]


def test_a_known_scaling_is_kept() -> None:
    known = choose_columns(COLUMNS).scaling
    assert choose_columns(COLUMNS, LIKELIHOODS.member("poisson"), known).scaling == known


def test_kinds_are_described_with_their_columns() -> None:
    texts = choose_columns([*COLUMNS[:1], COLUMNS[0]._replace(name="b")]).kinds
    assert texts == ("real columns (a real, b): normal",)


@pytest.mark.parametrize(
    ("support", "way"), [(REAL, "standard"), (COUNTS, "none"), (BINARY, "none"), (OPEN_UNIT, "none")]
)
def test_way_to_scale_follows_from_the_support(support: object, way: str) -> None:
    assert way_to_scale(support) == way  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "size"), [(1, 2), (7, 7), (500, 16)])
def test_tables_get_a_latent_dimension_for_each_column_within_limits(count: int, size: int) -> None:
    assert latent_size(COLUMNS[:1] * count) == size


SPIKED = COLUMNS[0]._replace(name="hours", kind="count", spikes=(0, 40))


def test_counts_with_spikes_get_a_likelihood_that_has_them() -> None:
    columns = choose_columns([*COLUMNS, SPIKED]).likelihood.settings["columns"]
    assert columns["hours"] == "inflated-negative-binomial:at=0,40"
    assert columns["a count"] == "negative-binomial"
    plain = choose_columns([SPIKED], LIKELIHOODS.member("negative-binomial"))
    assert plain.likelihood.settings["columns"] == {"hours": "negative-binomial"}
    assert plain.kinds == ("count column (hours): negative-binomial",)


def test_the_reason_for_a_likelihood_with_spikes_names_the_setting_that_ignores_them() -> None:
    assert choose_columns([SPIKED]).kinds == (
        "count column (hours): inflated-negative-binomial, because single values are frequent "
        "(`likelihood=negative-binomial` ignores that)",
    )


def as_columns(facts: Sequence[ColumnFacts]) -> list[Column]:
    """Return columns of a schema with the kinds, the numbers of words and the spikes of some facts."""
    return [
        Column(
            name=each.name,
            kind=each.kind,  # type: ignore[arg-type]
            levels=tuple(map(str, range(each.levels))),
            format="%Y" if each.kind == "date" else None,
            spikes=each.spikes,
        )
        for each in facts
    ]


@pytest.mark.parametrize("name", [None, "laplace", "poisson", "negative-binomial", "inflated-negative-binomial:at=7"])
def test_the_likelihood_that_was_chosen_is_found_again(name: str | None) -> None:
    chosen, columns = None if name is None else LIKELIHOODS.member(name), [*COLUMNS, SPIKED]
    assert common_likelihood(as_columns(columns), choose_columns(columns, chosen).likelihood) == chosen
