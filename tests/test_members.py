"""Tables of members: the syntax, and what is refused."""

from __future__ import annotations

from typing import Literal

import pydantic
import pytest

from tfp_vae.config import TABLES
from tfp_vae.datasets import DATASETS
from tfp_vae.errors import UsageError
from tfp_vae.members import Member, Table, Widths


def wide(
    size: int, *, hidden: Widths = (3, 4), rate: pydantic.PositiveFloat = 0.5, kind: Literal["a", "b"] = "a"
) -> str:
    """Show what it was given."""
    return f"{size} {hidden} {rate} {kind}"


TABLE = Table("thing", {"wide": wide})
EVERY = [(table, name) for table in (*TABLES.values(), DATASETS) for name in table]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("wide", {}),
        ("wide:rate=2", {"rate": 2.0}),
        ("wide:hidden=5,6,7,rate=2", {"hidden": (5, 6, 7), "rate": 2.0}),
        ("wide:kind=b,hidden=9", {"kind": "b", "hidden": (9,)}),
        ("wide:hidden=", {"hidden": ()}),
        (" wide : rate = 2 ", {"rate": 2.0}),
    ],
)
def test_syntax(text: str, settings: dict[str, object]) -> None:
    assert TABLE.member(text) == Member("wide", {"hidden": (3, 4), "rate": 0.5, "kind": "a", **settings})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("narrow", "unknown thing 'narrow'; choose from wide"),
        ("", "unknown thing ''"),
        ("wide:depth=2", "depth: this key is unknown; its keys: hidden, rate, kind"),
        ("wide:rate=-1", "rate: input should be greater than 0"),
        ("wide:rate=fast", "rate: input should be a valid number"),
        ("wide:kind=c", "kind: input should be 'a' or 'b'"),
        ("wide:hidden=3,x", "hidden.1: input should be a valid integer"),
        ("wide:hidden=3,-2", "hidden.1: input should be greater than 0"),
        ("wide:2", "expected key=value, found '2'"),
        ("wide:rate=1,rate=2", "rate is given twice"),
        ("wide:hidden=99999999999", "hidden.0: input should be less than or equal to 65536"),
    ],
)
def test_refusals_say_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        TABLE.member(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("table", "name"), EVERY, ids=[f"{table.kind}-{name}" for table, name in EVERY])
def test_every_member_survives_being_written(table: Table, name: str) -> None:
    member = table.member(name)
    assert table.member(str(member)) == member
    assert table.member({"name": member.name, **member.settings}) == member
    assert table.member(member) == member


@pytest.mark.parametrize(("table", "name"), EVERY, ids=[f"{table.kind}-{name}" for table, name in EVERY])
def test_every_member_says_what_it_is(table: Table, name: str) -> None:
    info = table.info(name)
    assert info.name == name
    assert info.summary.endswith(".")
    assert info.defaults == table.member(name).settings


def test_build_passes_context_and_settings() -> None:
    assert TABLE.build(TABLE.member("wide:rate=1"), 7) == "7 (3, 4) 1.0 a"
