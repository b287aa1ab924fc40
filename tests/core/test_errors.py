"""Errors: messages from fields, exit codes, suggestions, and other libraries' errors in plain words."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
import pytest

from tfp_vae.core import errors
from tfp_vae.core.errors import (
    LONGEST,
    DataError,
    RunError,
    UsageError,
    check_counts,
    first_problem,
    one_line,
    pick,
    require,
    settings_error,
    suggest,
)

CODES = {"UsageError": 2, "DataError": 3, "RunError": 4, "DivergenceError": 5, "DiskError": 6, "Interrupted": 130}


@pytest.mark.parametrize("name", CODES)
def test_each_error_has_the_promised_exit_code(name: str) -> None:
    assert getattr(errors, name).exit_code == CODES[name]
    assert issubclass(getattr(errors, name), errors.TfpVaeError)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expected": "a number", "found": "'x'"}, "expected a number, found 'x'."),
        ({"subject": "a.csv", "expected": "a number", "found": "'x'"}, "a.csv: expected a number, found 'x'."),
        ({"subject": "a.csv", "expected": "a header"}, "a.csv: expected a header."),
        ({"subject": "a.csv", "expected": "a header", "remedy": "Add one."}, "a.csv: expected a header. Add one."),
    ],
)
def test_message_is_composed_from_fields(fields: dict[str, str], message: str) -> None:
    error = DataError(**fields)
    assert str(error) == message
    assert all(getattr(error, name) == value for name, value in fields.items())


def test_finished_message_takes_precedence_and_keeps_the_fields() -> None:
    error = RunError("No run.", subject="runs/a")
    assert str(error) == "No run."
    assert (error.subject, error.remedy) == ("runs/a", "")


@pytest.mark.parametrize("value", [0, -3])
def test_counts_below_1_are_refused_by_name(value: int) -> None:
    check_counts(epochs=1, chunk_size=None)
    with pytest.raises(UsageError, match=rf"^`chunk_size` must be at least 1, found {value}\.$"):
        check_counts(epochs=1, chunk_size=value)


def test_usage_error_is_a_value_error_for_pydantic() -> None:
    assert issubclass(UsageError, ValueError)
    assert not issubclass(RunError, ValueError)


def test_interruption_keeps_the_number_of_the_signal() -> None:
    assert errors.Interrupted("stopped", signal_number=15).signal_number == 15
    assert errors.Interrupted("stopped").signal_number == 2


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (KeyError(), "KeyError"),
        (ValueError("x" * 300), "x" * (LONGEST - 1) + "…"),
        (ValueError("x" * LONGEST), "x" * LONGEST),
    ],
)
def test_error_of_another_library_becomes_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_suggestion_is_the_nearest_name_or_nothing() -> None:
    assert suggest("sclae", ["scale", "loc"]) == " Did you mean 'scale'?"
    assert suggest("sclae", ["scale"], "`") == " Did you mean `scale`?"
    assert suggest("xyz", ["scale", "loc"]) == ""
    assert suggest("scale", []) == ""


class Settings(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    size: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1
    rate: Annotated[float, pydantic.Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    kind: Literal["a", "b"] = "a"
    either: Annotated[float, pydantic.Field(gt=0)] | Literal["shared"] = 1.0
    widths: Annotated[tuple[int, ...], pydantic.Field(min_length=1, max_length=3)] = (1,)
    flag: bool = False
    text: str = ""
    special: int = 0

    @pydantic.field_validator("special")
    @classmethod
    def refuse_seven(cls, value: int) -> int:
        if value == 7:
            raise ValueError("Expected another number than 7")
        return value


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"size": 0}, "size: expected a number of at least 1, found 0"),
        ({"size": 2_000_000}, "size: expected a number of at most 1,000,000, found 2000000"),
        ({"size": 1.5}, "size: expected a whole number, found 1.5"),
        ({"rate": 0}, "rate: expected a number above 0, found 0"),
        ({"rate": 1}, "rate: expected a number below 1, found 1"),
        ({"rate": float("nan")}, "rate: expected a finite number, found nan"),
        ({"rate": "fast"}, "rate: expected a number, found 'fast'"),
        ({"kind": "c"}, "kind: expected 'a' or 'b', found 'c'"),
        ({"either": "x"}, "either: expected a number or 'shared', found 'x'"),
        ({"widths": ()}, "widths: expected at least 1 of them, found none"),
        ({"widths": (1, "x", "y")}, "widths: expected a whole number, found 'x'"),
        ({"flag": "maybe"}, "flag: expected true or false, found 'maybe'"),
        ({"text": 3}, "text: expected text, found 3"),
        ({"special": 7}, "special: expected another number than 7, found 7"),
        ({"sise": 1}, "sise: this key is unknown"),
    ],
)
def test_problems_of_pydantic_are_worded_plainly(values: dict[str, object], problem: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Settings(**values)
    assert first_problem(caught.value) == problem


def test_names_missing_key() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.create_model("Needed", size=(int, ...))()
    assert first_problem(caught.value) == "size: this key is missing"


def test_problem_of_a_whole_record_is_its_message_alone() -> None:
    class Pair(pydantic.BaseModel):
        low: int
        high: int

        @pydantic.model_validator(mode="after")
        def ordered(self) -> Pair:
            raise ValueError("low must be below high")

    with pytest.raises(pydantic.ValidationError) as caught:
        Pair(low=2, high=1)
    assert first_problem(caught.value) == "low must be below high"


def test_an_error_with_fields_within_a_pydantic_model_is_told_once() -> None:
    def refuse(value: object) -> object:
        raise UsageError(subject="prior", expected="a name", found=repr(value), remedy="Write one.")

    adapter = pydantic.create_model("M", prior=(Annotated[object, pydantic.PlainValidator(refuse)], ...))
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter(prior=3)
    assert first_problem(caught.value) == "prior: expected a name, found 3. Write one"


def test_pick_returns_a_value_or_suggests_the_nearest_name() -> None:
    assert pick({"mean": 1, "draw": 2}, "draw", "show") == 2
    with pytest.raises(UsageError) as caught:
        pick({"mean": 1, "draw": 2}, "meen", "show")
    assert str(caught.value) == "`show`: expected 'mean' or 'draw', found 'meen'. Did you mean 'mean'?"
    with pytest.raises(UsageError, match=r"found None.$"):
        pick({"mean": 1}, None, "show")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "text"), [("unknown prior.", "unknown prior."), ("Did you mean 'vamp'?", "Did you mean 'vamp'?")]
)
def test_settings_error_ends_with_one_mark(message: str, text: str) -> None:
    def refuse(value: object) -> object:
        raise UsageError(message)

    adapter = pydantic.create_model("M", prior=(Annotated[object, pydantic.PlainValidator(refuse)], ...))
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter(prior=3)
    assert str(settings_error("`build`", caught.value)) == f"`build`: prior: {text}"


@pytest.mark.parametrize(("value", "found"), [(None, "None"), (3, "an int"), ({}, "a dict")])
def test_require_names_both_classes(value: object, found: str) -> None:
    require(str, "text", "fit: name")
    with pytest.raises(UsageError, match=f"^fit: name: expected a str, found {found}[.]$"):
        require(str, value, "fit: name")
