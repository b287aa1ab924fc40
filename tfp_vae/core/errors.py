"""The errors that tfp_vae raises on purpose, each with the exit code of the command line.

The command line prints the message and exits with the code. In Python they are ordinary exceptions. Any other exception
is a bug.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar, final

if TYPE_CHECKING:
    import pydantic
    from pydantic_core import ErrorDetails

__all__ = [
    "DataError",
    "DiskError",
    "DivergenceError",
    "Interrupted",
    "RunError",
    "TfpVaeError",
    "UsageError",
    "check_counts",
    "cut",
    "first_problem",
    "no_setting",
    "one_line",
    "pick",
    "record_error",
    "require",
    "settings_error",
    "suggest",
]


V = TypeVar("V")

LONGEST = 200
"""The largest number of characters in the message of another library's error."""


class TfpVaeError(Exception):
    """Base class of the errors that this package raises on purpose.

    An error is either one finished message or fields, from which the message is composed:
    `subject: expected <expected>, found <found>. <remedy>`. Settings are in backticks, and the command line
    shows them as options.

    Args:
      message: the problem, at most two short sentences. Leave it out to compose it from the fields.
      subject: the file with its line, the setting or the value that is wrong.
      expected: a description of valid values.
      found: the invalid value.
      remedy: the action to take, as a sentence that follows the message.

    Attributes:
      problem: the message without the remedy.
    """

    exit_code: ClassVar[int]

    def __init__(
        self, message: str = "", *, subject: str = "", expected: str = "", found: str = "", remedy: str = ""
    ) -> None:
        self.subject, self.expected, self.found, self.remedy = subject, expected, found, remedy
        problem = f"expected {expected}, found {found}" if found else f"expected {expected}"
        self.problem = message or (f"{subject}: {problem}." if subject else f"{problem}.")
        gap = "\n" if "\n" in self.problem else " "  # a list of problems is one on a line
        super().__init__(f"{self.problem}{gap}{remedy}".rstrip())


@final
class UsageError(TfpVaeError, ValueError):
    """An option, name or setting that does not exist or does not fit."""

    exit_code = 2


@final
class DataError(TfpVaeError):
    """Data that is missing, malformed or of the wrong kind."""

    exit_code = 3


@final
class RunError(TfpVaeError):
    """A run or checkpoint that is missing, damaged or incompatible."""

    exit_code = 4


@final
class DivergenceError(TfpVaeError):
    """Data, a loss, a gradient, weights or an optimizer's state that are no longer finite."""

    exit_code = 5


@final
class DiskError(TfpVaeError):
    """A write that the file system refused."""

    exit_code = 6


@final
class Interrupted(TfpVaeError):
    """Training stopped by a signal, after a checkpoint."""

    exit_code = 130

    def __init__(self, message: str, *, signal_number: int = 2) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def one_line(error: BaseException) -> str:
    r"""Return the message of another library's error on one line, or the error's name if it has no message.

    Messages over 200 characters are cut and end with an ellipsis.

    ```python
    tv.core.errors.one_line(ValueError("two\nlines"))  # "two lines"
    ```
    """
    return cut(" ".join(str(error).split()) or type(error).__name__)


def cut(text: str, most: int = LONGEST) -> str:
    """Return a text for a message. Texts over `most` characters are cut and end with an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def suggest(name: str, choices: Iterable[str], quote: str = "'") -> str:
    """Return `` Did you mean 'x'?``, after a space, for the choice nearest to `name`, or nothing if none is near.

    ```python
    tv.core.errors.suggest("sclae", ["scale", "loc"])  # " Did you mean 'scale'?"
    ```

    Args:
      name: the unknown name.
      choices: the valid names.
      quote: written on both sides of the suggestion. Messages put Python settings in backticks.
    """
    return "".join(f" Did you mean {quote}{near}{quote}?" for near in difflib.get_close_matches(name, choices, n=1))


def pick(table: Mapping[str, V], name: str, setting: str) -> V:
    """Return the value of a name in a table.

    ```python
    tv.core.errors.pick({"mean": 1, "draw": 2}, "draw", "show")  # 2
    ```

    Args:
      table: the values by name.
      name: the name.
      setting: the argument that has the name, for the error.

    Raises:
      UsageError: the table does not have the name. The error suggests the nearest one.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    raise UsageError(
        subject=f"`{setting}`",
        expected=" or ".join(repr(each) for each in table),
        found=repr(name),
        remedy=suggest(str(name), table).strip(),
    )


def require(kind: type, value: object, subject: str) -> None:
    """Raise UsageError if a value is not of a class.

    ```python
    tv.core.errors.require(int, 3, "fit: epochs")  # a text instead of 3 raises UsageError
    ```

    Args:
      kind: the class.
      value: the value.
      subject: the function and its argument, for the error.
    """
    if isinstance(value, kind):
        return

    def article(name: str) -> str:
        return f"{'an' if name.lower().startswith(('a', 'e', 'i', 'o', 'nd')) else 'a'} {name}"

    found = "None" if value is None else article(type(value).__name__)
    raise UsageError(subject=subject, expected=article(kind.__name__), found=found)


def check_counts(**counts: int | None) -> None:
    """Raise UsageError if a count, by the name of its setting, is below 1. None passes.

    ```python
    tv.core.errors.check_counts(epochs=3, chunk_size=None)  # `epochs=0` raises UsageError
    ```
    """
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UsageError(f"`{name}` must be at least 1, found {value}.")


def place(problem: ErrorDetails) -> list[str | int]:
    """Return the fields and indices of a problem, without pydantic's names of union members, such as `literal[1]`."""
    return [part for part in problem["loc"] if isinstance(part, int) or part.isidentifier()]


def first_problem(error: pydantic.ValidationError) -> str:
    """Return one sentence for the first problem that pydantic found: the field, the expected and the actual value.

    Pydantic's own messages name types and URLs, and list all problems at once.
    """

    def expectation(problem: ErrorDetails) -> str:
        if problem["type"] in EXPECTATIONS:
            limits = {
                key: f"{v:,}" if isinstance(v, int) else f"{v:g}" if isinstance(v, float) else str(v)
                for key, v in problem.get("ctx", {}).items()
            }
            return EXPECTATIONS[problem["type"]].format(**limits)
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        return f"{message[0].lower()}{message[1:]}".removeprefix("expected ")

    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(part for part in place(first) if isinstance(part, str))
    if first["type"] in PRESENCE:
        return f"{where}: {PRESENCE[first['type']]}"
    if not first["loc"]:  # the message describes the whole record, which is too long to print
        return first["msg"].removeprefix("Value error, ")
    own = first.get("ctx", {}).get("error")
    if isinstance(own, UsageError):  # its message is complete
        return f"{where}: {str(own).removeprefix(f'{where}: ')}".removesuffix(".")
    same = [problem for problem in problems if place(problem) == place(first)]  # one for each member of a union
    expected = " or ".join(dict.fromkeys(map(expectation, same)))
    found = cut(repr(first["input"])) if first["input"] != () else "none"
    return f"{where}{': ' * bool(where)}expected {expected}, found {found}"


def settings_error(subject: str, error: pydantic.ValidationError) -> UsageError:
    """Return the error for settings that pydantic refused, with its first problem as a finished sentence.

    Args:
      subject: the class that has the settings.
      error: pydantic's error.
    """
    problem = first_problem(error)
    return UsageError(f"{subject}: {problem}{'' if problem.endswith('?') else '.'}")  # it may end with a suggestion


def record_error(record: type[pydantic.BaseModel], error: pydantic.ValidationError) -> UsageError:
    """Return the error for a record that pydantic refused: its first problem, with the setting in backticks.

    An unknown setting comes first, because a missing one may be the same one under its right name.

    Args:
      record: the class of the record.
      error: pydantic's error.
    """
    problems = error.errors(include_url=False)
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    where = [part for part in place(first) if isinstance(part, str)]
    above = f"`{'.'.join(where[:-1])}`" if where[1:] else record.__name__
    if first["type"] == "extra_forbidden":
        return UsageError(no_setting(above, where[-1], names_at(record, where)))
    if first["type"] == "missing":
        return UsageError(f"{above} needs the setting `{where[-1]}`.")
    problem = first_problem(error)
    if where:
        own = problem.removeprefix(f"{'.'.join(where)}: ")
        problem = own if own.startswith("`") else f"`{'.'.join(where)}`: {own}"
    elif first["type"] in EXPECTATIONS:
        expected = EXPECTATIONS[first["type"]]
        problem = f"{record.__name__}: expected {expected}, found {cut(repr(first['input']))}"
    return UsageError(problem if problem.endswith((".", "?")) else f"{problem}.")


def no_setting(owner: str, name: str, settings: Iterable[str]) -> str:
    """Return the message for a setting that a record does not have, with the nearest of its settings.

    ```python
    tv.core.errors.no_setting("fit", "epohcs", ["epochs", "seed"])  # "fit has no setting `epohcs`. Did you mean ..."
    ```
    """
    return f"{owner} has no setting `{name}`.{suggest(name, settings, '`')}"


def names_at(record: type[pydantic.BaseModel], where: Sequence[str]) -> list[str]:
    """Return the names of the settings next to the one at `where`, which may be in a record within a record."""
    records = [record]
    for part in where[:-1]:
        hints = [each.model_fields[part].annotation for each in records if part in each.model_fields]
        records = [each for hint in hints for each in records_in(hint)]
    return [name for each in records for name in each.model_fields]


def records_in(hint: object) -> list[type[pydantic.BaseModel]]:
    """Return the records in a type hint, such as the members of a union."""
    inner = [each for part in typing.get_args(hint) for each in records_in(part)]
    return [typing.cast("type[pydantic.BaseModel]", hint)] if hasattr(hint, "model_fields") else inner


EXPECTATIONS = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
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
    "model_type": "a mapping of settings",
    "string_type": "text",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
    "tuple_type": "values divided by commas",
}
"""The expected value for each type of pydantic's errors, in plain words."""

PRESENCE = {
    "missing": "this key is missing",
    "extra_forbidden": "this key is unknown",
    "unexpected_keyword_argument": "this key is unknown",
}
"""The message for each type of pydantic's errors about a key."""
