"""Tables of interchangeable parts, each a name and its settings, written `name:key=value,key=value`.

A table maps names to constructors. The keyword-only parameters of a constructor are its settings, which a user may
write; the positional ones are its context (a latent dimension, an event shape), which the program supplies.

`Table.member` reads what a person wrote, checks it and fills in defaults, giving a `Member` that a config keeps;
`Table.build` calls the constructor with it. The check is a pydantic model made of the constructor's keyword-only
parameters and their annotated limits, so that Python, the command line and a config file refuse the same values in the
same words.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar, final

import pydantic
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

from tfp_vae.core.errors import UsageError, suggest

__all__ = [
    "AS_MAPPING",
    "WIDEST",
    "Depth",
    "Member",
    "MemberInfo",
    "NonNegative",
    "Positive",
    "Table",
    "Width",
    "Widths",
    "check_keywords",
    "first_problem",
    "parse",
    "record",
    "settings_text",
    "split_numbers",
]

T = TypeVar("T")


def check_keywords(cls: type[T]) -> type[T]:
    """Make the constructor of a dataclass refuse an unknown keyword with the list of its settings.

    Raises:
      UsageError: when the class is called with a keyword that is not one of its fields.
    """
    initialize = cls.__init__

    @functools.wraps(initialize)
    def checked(self: Any, /, *args: Any, **keywords: Any) -> None:
        fields = [field.name for field in dataclasses.fields(self) if field.init]
        for name in keywords:
            if name not in fields:
                listed, hint = ", ".join(f"`{field}`" for field in fields) or "none", suggest(name, fields, "`")
                raise UsageError(f"{type(self).__name__} has no setting `{name}`.{hint} Its settings: {listed}.")
        initialize(self, *args, **keywords)

    setattr(cls, "__init__", checked)  # noqa: B010  # a type checker refuses the plain assignment
    return cls


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass that checks its values and its keywords.

    Use it for every class that a table holds. Pydantic checks the values against the annotated types and limits.

    ```python
    tv.objectives.IWAE(mc_samples=50)  # `mc_samples=0` raises pydantic.ValidationError, and `k=50` raises UsageError
    ```
    """
    made = dataclass(cls, frozen=True, config=pydantic.ConfigDict(extra="forbid"))
    return check_keywords(typing.cast("type[T]", made))


def split_numbers(value: Any) -> Any:
    """Return text such as `512,512` as a tuple of its pieces, and anything else as it is."""
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


WIDEST = 65_536
"""The most units that a layer may have."""

Width = Annotated[int, pydantic.Field(gt=0, le=WIDEST)]
Widths = Annotated[tuple[Width, ...], pydantic.Field(max_length=100), pydantic.BeforeValidator(split_numbers)]
"""Layer widths: a tuple of positive integers, or text such as `512,512`; none at all is a linear map."""

Positive = Annotated[float, pydantic.Field(ge=1e-12, le=1e12, allow_inf_nan=False)]
"""A number above 0 that float32 can hold, with its square and its inverse."""

NonNegative = Annotated[float, pydantic.Field(ge=0, le=1e12, allow_inf_nan=False)]
"""A number of at least 0 that float32 can hold."""

Depth = Annotated[int, pydantic.Field(ge=1, le=100)]
"""How many layers of one kind."""


class Member(NamedTuple):
    """A name from a table, with all its settings.

    Settings are complete, defaults too, so that a run's config does not change its meaning when a default does.
    """

    name: str
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}:{settings_text(self.settings)}".rstrip(":")


class MemberInfo(NamedTuple):
    """What there is to say of one entry of a table."""

    name: str
    summary: str
    defaults: Mapping[str, Any]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as a user writes them, `key=value,key=value`; those that are not set are left out."""
    texts = {k: ",".join(map(str, v)) if isinstance(v, tuple | list) else v for k, v in settings.items()}
    return ",".join(f"{key}={text}" for key, text in texts.items() if text is not None)


def first_problem(error: pydantic.ValidationError) -> str:
    """Return one sentence for the first problem that pydantic found: where, what was expected, what was found.

    Pydantic's own messages name types and URLs, and show all problems at once.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(part for part in _place(first) if isinstance(part, str))  # no places in a tuple
    if first["type"] in _PRESENCE:
        return f"{where}: {_PRESENCE[first['type']]}"
    if not first["loc"]:  # of the whole, which is too much to show: the message says what was found
        return _said(first)
    same = [problem for problem in problems if _place(problem) == _place(first)]  # one for each type it may be of
    expected = " or ".join(dict.fromkeys(map(_expected, same)))
    return f"{where}{': ' * bool(where)}expected {expected}, found {_found(first['input'])}"


def _place(problem: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return where a problem is, without what pydantic calls the types that a value may be of, such as `literal[1]`."""
    return tuple(part for part in problem["loc"] if isinstance(part, int) or part.isidentifier())


def _said(problem: Mapping[str, Any]) -> str:
    return str(problem["msg"]).removeprefix("Value error, ")


def _expected(problem: Mapping[str, Any]) -> str:
    if problem["type"] in _EXPECTED:
        return _EXPECTED[problem["type"]].format(**{key: _limit(v) for key, v in problem.get("ctx", {}).items()})
    said = _said(problem)
    return f"{said[0].lower()}{said[1:]}".removeprefix("expected ")


def _limit(value: Any) -> str:
    """Return a limit as people write it: 1,000,000 of whole numbers, 1e-12 of others; what is no number, as it is."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _found(value: Any) -> str:
    return repr(value) if value != () else "none"


_EXPECTED = {
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "{expected}",
    "string_type": "text",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
    "tuple_type": "values divided by commas",
}
"""What is expected, by the types of pydantic's problems; its own words for them are those of a library."""


_PRESENCE = {
    "missing": "this key is missing",
    "extra_forbidden": "this key is unknown",
    "unexpected_keyword_argument": "this key is unknown",
}


@final
class Table(Mapping[str, Any]):
    """Names and the constructors they stand for; the one place where a new member is entered.

    ```python
    table = tv.posteriors.POSTERIORS
    member = table.member("householder-flow:reflections=2")  # checked, all settings filled in
    posterior = table.build(member, 8, seed=0)  # HouseholderFlow(latent_dim=8, reflections=2); it takes no seed
    str(member)  # "householder-flow:reflections=2"
    ```

    Args:
      kind: what a member is called in messages.
      entries: names and constructors, classes or functions.
    """

    def __init__(self, kind: str, entries: Mapping[str, Callable[..., Any]]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<table of {len(self)} {self.kind} members: {', '.join(self)}>"

    def member(self, value: str | Mapping[str, Any] | Member) -> Member:
        """Return the checked member that `value` names, every setting filled in.

        Args:
          value: text `name:key=value,...`, a mapping with `name` and settings, or a member.

        Raises:
          UsageError: an unknown name, an unknown key, or a value that does not fit.
        """
        name = _name(value)
        if name not in self._entries:  # before the settings are looked at, which are of no use then
            hint = suggest(name, self)
            raise UsageError(f"unknown {self.kind} {name!r}; choose from {', '.join(self)}{'.' * bool(hint)}{hint}")
        _, settings = parse(value)
        try:
            return Member(name, self._settings_model(name).model_validate(settings).model_dump())
        except pydantic.ValidationError as error:
            keys, first = list(self.info(name).defaults), error.errors(include_url=False)[0]
            hint = suggest(str(first["loc"][0]), keys) if first["type"] == "extra_forbidden" else ""
            listed = f"its keys: {', '.join(keys) or 'none'}{'.' * bool(hint)}{hint}"
            raise UsageError(f"{self.kind} {name}: {first_problem(error)}; {listed}") from error

    def build(self, member: Member, *context: Any, **more_context: Any) -> Any:
        """Return what the member's constructor makes of the context and the member's settings.

        What is given of `more_context` beyond the constructor's parameters is left out: not every member needs it.

        Args:
          member: from `member`.
          context: positional arguments of the constructor.
          more_context: further arguments, by name, of those members that have them.
        """
        constructor = self[member.name]
        wanted = inspect.signature(constructor).parameters.keys() & more_context.keys()
        return constructor(*context, **{name: more_context[name] for name in wanted}, **member.settings)

    def info(self, name: str) -> MemberInfo:
        """Return the entry's name, the first line of its docstring, and its settings with their defaults.

        ```python
        tv.likelihoods.LIKELIHOODS.info("laplace").summary
        ```
        """
        summary = (inspect.getdoc(self[name]) or "").partition("\n")[0]
        return MemberInfo(name, summary, self._settings_model(name)().model_dump())

    @functools.cached_property
    def validator(self) -> pydantic.PlainValidator:
        """Reads a field of a pydantic model as a member of this table, from text or a mapping."""
        return pydantic.PlainValidator(self.member)

    def _settings_model(self, name: str) -> type[pydantic.BaseModel]:
        return _settings_model(self[name])


def _as_mapping(member: Member) -> dict[str, Any]:
    return {"name": member.name, **member.settings}


AS_MAPPING = pydantic.PlainSerializer(_as_mapping)
"""Writes a field of a pydantic model that holds a member."""


def parse(value: str | Mapping[str, Any] | Member) -> tuple[str, dict[str, Any]]:
    """Return the name and the settings that are written out in `value`, unchecked.

    ```python
    from tfp_vae.core.registry import parse

    parse("mlp:hidden=512,512,dropout=0.1")  # ("mlp", {"hidden": "512,512", "dropout": "0.1"})
    ```

    Raises:
      UsageError: a piece that is no key=value, or a key given twice.
    """
    if isinstance(value, Member):
        return value.name, dict(value.settings)
    if isinstance(value, Mapping):
        return _name(value), {key: item for key, item in value.items() if key != "name"}
    return _name(value), _parse_settings(str(value).partition(":")[2])


def _name(value: str | Mapping[str, Any] | Member) -> str:
    """Return the name that is written in `value`."""
    if isinstance(value, Member):
        return value.name
    if isinstance(value, Mapping):
        return str(value.get("name", ""))
    return str(value).partition(":")[0].strip()


def _parse_settings(text: str) -> dict[str, str]:
    """Read `a=1,b=2,3` as `{a: '1', b: '2,3'}`: a piece without `=` continues the value before it."""
    settings: dict[str, str] = {}
    key = ""
    for piece in filter(None, text.split(",")):
        if "=" in piece:
            key, _, value = (part.strip() for part in piece.partition("="))
            if key in settings:
                raise UsageError(f"{key} is given twice in {text!r}; keep one")
            settings[key] = value
        elif key:
            settings[key] += f",{piece.strip()}"
        else:
            raise UsageError(f"expected key=value, found {piece!r} in {text!r}")
    return settings


@functools.cache
def _settings_model(constructor: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """Return the pydantic model of a constructor's settings: a field for each keyword-only parameter, and no others."""
    hints = typing.get_type_hints(constructor, include_extras=True)
    parameters = inspect.signature(constructor).parameters.values()
    fields: dict[str, Any] = {
        p.name: (hints[p.name], p.default) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return pydantic.create_model(constructor.__name__, __config__=pydantic.ConfigDict(extra="forbid"), **fields)
