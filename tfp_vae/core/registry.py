"""Tables of members, written `name:key=value,key=value`, and the import of members from your own modules.

A table maps names to constructors: classes, or functions that return the member. The keyword-only parameters of a
constructor are its settings, which you write after the name. The positional ones are its context, such as the latent
dimension, and come from the program.

`Table.member` reads a name with settings, checks it and fills in defaults. `Table.build` calls the constructor. Python,
the command line and config files share this check, so they refuse the same values with the same message.

A name is one of three: an entry of the table, a name that an installed package offers as an entry point of the group
`tfp_vae.<group>`, or an import path `package.module:Name`. Because a module runs code when it is imported, import paths
in a run's config need permission, see `allow_code`.

Wrong arguments raise errors that name the setting and suggest the nearest one: `record` is for the classes in tables,
`BaseRecord` for nested records such as a run's config, and `check_keywords` for all other functions and classes.
"""

from __future__ import annotations

import abc
import contextlib
import contextvars
import dataclasses
import functools
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, final

import pydantic
from pydantic.dataclasses import dataclass
from typing_extensions import Self, TypeVar, dataclass_transform, get_protocol_members

from tfp_vae.core.errors import (
    RunError,
    UsageError,
    cut,
    first_problem,
    no_setting,
    one_line,
    record_error,
    settings_error,
    suggest,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "AS_MAPPING",
    "RECORDED",
    "WIDEST",
    "BaseRecord",
    "Depth",
    "Member",
    "MemberInfo",
    "NonNegative",
    "Positive",
    "Table",
    "Width",
    "Widths",
    "allow_code",
    "check_keywords",
    "import_object",
    "parse",
    "record",
    "settings_text",
    "split_numbers",
]

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])
T_co = TypeVar("T_co", covariant=True, default=object)

IMPORT_PATH = re.compile(r"\s*([^\W\d][\w.]*:[^\W\d]\w*)\s*(?::(.*))?", re.DOTALL)
"""`package.module:Name`, with settings after another colon."""

RECORDED: Mapping[str, bool] = {"recorded": True}
"""The pydantic context for values that a run recorded. Code that they name is imported only with permission."""

_FOLDERS: contextvars.ContextVar[tuple[Path, ...] | None] = contextvars.ContextVar("folders", default=None)
"""More folders to import code from, or None if importing code is not allowed."""

_ALLOWED: set[tuple[str, type[object]]] = set()
"""Import paths that this process imported with permission, and their bases."""


def check_keywords(checked: C) -> C:
    """Make a function, or a class with its public methods, explain wrong arguments.

    An unknown keyword is refused with the nearest name. So is text in place of a number, if the annotation of a
    parameter has only types of `KINDS`.

    ```python
    tv.networks.mlp((8, 8, 1), 4, hidden=(32,))  # `hiden=(32,)` raises UsageError, which suggests `hidden`
    ```

    Raises:
      UsageError: a keyword is not the name of a parameter, or a number has another type.
    """
    if not isinstance(checked, type):
        return typing.cast("C", explain_arguments(checked, checked))
    explain_methods(checked)
    for name in {"__init__", "__new__"} & vars(checked).keys():
        maker = getattr(vars(checked)[name], "__func__", vars(checked)[name])
        source = checked if hasattr(checked, "__signature__") else maker
        made = explain_arguments(maker, source, checked.__name__, is_method=True)
        setattr(checked, name, made if name == "__init__" else staticmethod(made))
    return checked


def explain_methods(checked: type[object]) -> None:
    """Make the public methods that a class defines explain wrong arguments, as `check_keywords` does."""
    for name, held in list(vars(checked).items()):
        method = held.__func__ if isinstance(held, classmethod | staticmethod) else held
        if (name.startswith("_") and name != "__call__") or getattr(method, "__name__", "") != name:
            continue
        if inspect.isfunction(method):
            called = checked.__name__ if name == "__call__" else f"{checked.__name__}.{name}"
            made = explain_arguments(method, method, called, is_method=not isinstance(held, staticmethod))
            setattr(checked, name, made if held is method else type(held)(made))


def explain_arguments(
    function: Callable[..., object], source: Callable[..., object], called: str = "", *, is_method: bool = False
) -> Callable[..., object]:
    """Return a function that checks its arguments and passes them on.

    Args:
      function: the function.
      source: the function or the class of pydantic whose signature has its parameters.
      called: its name in messages. By default that of `source`.
      is_method: whether the first argument is an object or a class.
    """

    @functools.cache
    def parameters() -> tuple[list[str], list[tuple[int, str, list[str]]]]:
        """Return the names of the parameters, and the place, name and kinds of those whose values are checked."""
        found = inspect.signature(source).parameters
        names = list(found)[source is function and is_method :]
        if isinstance(source, type):
            return names, []  # because pydantic checks the values
        kinds = [str(found[name].annotation).split(" | ") for name in names]
        return names, [(place, names[place], kind) for place, kind in enumerate(kinds) if {*kind} <= {*KINDS, "None"}]

    @functools.wraps(function)
    def check_and_call(*args: object, **keywords: object) -> object:
        names, checks = parameters()
        for name in keywords:
            if name not in names:
                listed = ", ".join(f"`{each}`" for each in names) or "none"
                raise UsageError(f"{no_setting(called or source.__name__, name, names)} Its settings: {listed}.")
        for place, name, kinds in checks:
            if name in keywords:
                check_kind_of(name, keywords[name], kinds)
            elif place + is_method < len(args):
                check_kind_of(name, args[place + is_method], kinds)
        return function(*args, **keywords)

    return check_and_call


def is_whole(value: object) -> bool:
    """Return whether a value stands for a whole number, as arrays and tensors without axes may."""
    return hasattr(type(value), "__index__") and not isinstance(value, bool)


def are_whole(values: object) -> bool:
    """Return whether a value is a sequence of whole numbers."""
    return not isinstance(values, str) and isinstance(values, Iterable) and all(map(is_whole, values))


KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "int": ("a whole number", is_whole),
    "float": ("a number", lambda value: is_whole(value) or hasattr(type(value), "__float__")),
    "bool": ("True or False", lambda value: value is not None and hasattr(type(value), "__bool__")),
    "Sequence[int]": ("whole numbers", are_whole),
    "tuple[int, ...]": ("whole numbers", are_whole),
}
"""The checks of values, by annotation, with the expected kind of value in words."""


def check_kind_of(name: str, value: object, kinds: Collection[str]) -> None:
    """Raise UsageError if a value has none of the kinds in `KINDS`, or is None where that is no kind."""
    if (value is None and "None" in kinds) or any(KINDS[kind][1](value) for kind in kinds if kind != "None"):
        return
    expected = " or ".join(KINDS[kind][0] for kind in kinds if kind != "None")
    remedy = "Remove the quotes." if isinstance(value, str) and value.strip().lstrip("-").isdigit() else ""
    raise UsageError(subject=f"`{name}`", expected=expected, found=cut(repr(value)), remedy=remedy)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass that checks its values and its keywords.

    Use it for every class that a table holds. Pydantic checks the values against the annotated types and limits.

    ```python
    tv.objectives.IWAE(mc_samples=50)  # `mc_samples=0` and `k=50` raise UsageError
    ```

    Raises:
      UsageError: when the class is called with an unknown keyword, without a value that it needs, or with a value
        beyond its limits.
    """
    made = dataclass(cls, frozen=True, config=pydantic.ConfigDict(extra="forbid"))
    initialize = vars(made)["__init__"]
    positional = [each.name for each in dataclasses.fields(typing.cast("Any", made)) if not each.kw_only]

    @functools.wraps(initialize)
    def initialize_or_explain(self: object, *args: object, **keywords: object) -> None:
        named = dict(zip(positional, args, strict=False)) if len(args) <= len(positional) else {}
        if not named.keys() & keywords.keys():  # pydantic's errors name keywords, but only count other arguments
            args, keywords = args[len(named) :], {**named, **keywords}
        try:
            initialize(self, *args, **keywords)
        except pydantic.ValidationError as error:
            raise settings_error(type(self).__name__, error) from None  # the cause would show pydantic's own words

    setattr(made, "__init__", initialize_or_explain)  # noqa: B010  # a type checker refuses the plain assignment
    return check_keywords(typing.cast("type[T]", made))


class BaseRecord(pydantic.BaseModel, abc.ABC):
    """Base class of frozen records of settings, which refuse unknown names and wrong values.

    ```python
    tv.runs.config.TrainingConfig(epochs=3)  # `epochs=0` and `epohcs=3` raise UsageError
    ```

    Raises:
      UsageError: a name is unknown, a value is missing or wrong, or a field of a record is assigned.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:  # type checkers know the parameters of each record from its fields

        def __init__(self, /, **values: object) -> None:
            with plain_errors(type(self)):
                super().__init__(**values)

        __init__.__pydantic_base_init__ = True  # so that pydantic validates records within records without a call

        def __setattr__(self, name: str, value: object) -> None:
            called = type(self).__name__
            raise UsageError(f"{called} cannot be changed. Make a new one with `record.model_copy(update=...)`.")

        @classmethod
        def model_validate(cls, obj: object, **options: object) -> Self:
            """Return the record with the values of a mapping."""
            with plain_errors(cls):
                return super().model_validate(obj, **options)

        @classmethod
        def model_validate_json(cls, json_data: str | bytes | bytearray, **options: object) -> Self:
            """Return the record with the values of a JSON object."""
            with plain_errors(cls):
                return super().model_validate_json(json_data, **options)

        def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
            """Return a copy with new values, which are not checked, for some names, which are."""
            for name in set(update or ()) - type(self).model_fields.keys():
                raise UsageError(no_setting(type(self).__name__, name, type(self).model_fields))
            return super().model_copy(update=update, deep=deep)

        @classmethod
        def __pydantic_init_subclass__(cls, **options: object) -> None:
            super().__pydantic_init_subclass__(**options)
            explain_methods(cls)


@contextlib.contextmanager
def plain_errors(record: type[pydantic.BaseModel]) -> Iterator[None]:
    """Raise UsageError for values of a record that pydantic refuses in this block."""
    try:
        yield
    except pydantic.ValidationError as error:
        raise record_error(record, error) from None  # the cause would show pydantic's own words


def split_numbers(value: object) -> object:
    """Return text such as `512,512` as a tuple of its pieces, and any other value unchanged."""
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


WIDEST = 65_536
"""The most units that a layer may have."""

Width = Annotated[int, pydantic.Field(gt=0, le=WIDEST)]
Widths = Annotated[tuple[Width, ...], pydantic.Field(max_length=100), pydantic.BeforeValidator(split_numbers)]
"""Layer widths: a tuple of positive integers, or text such as `512,512`. An empty one means a linear map."""

Positive = Annotated[float, pydantic.Field(ge=1e-12, le=1e12, allow_inf_nan=False)]
"""A number above 0 whose square and inverse also fit into float32."""

NonNegative = Annotated[float, pydantic.Field(ge=0, le=1e12, allow_inf_nan=False)]
"""A number of at least 0 that fits into float32."""

Depth = Annotated[int, pydantic.Field(ge=1, le=100)]
"""A number of layers."""


class Member(NamedTuple):
    """A name from a table with all its settings.

    The settings include the defaults, so a run's config keeps its meaning if a default changes later.
    """

    name: str
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}:{settings_text(self.settings)}".rstrip(":")


class MemberInfo(NamedTuple):
    """An entry of a table: its name, the first line of its docstring, and its settings with their defaults."""

    name: str
    summary: str
    defaults: Mapping[str, Any]


def settings_text(settings: Mapping[str, object]) -> str:
    """Return settings as `key=value,key=value`, without those that are None."""
    texts = {k: ",".join(map(str, v)) if isinstance(v, tuple | list) else v for k, v in settings.items()}
    return ",".join(f"{key}={text}" for key, text in texts.items() if text is not None)


def split_name(value: str | Mapping[str, object] | Member) -> tuple[str, str | Mapping[str, object]]:
    """Return the name in `value`, and its settings as they are written."""
    if isinstance(value, Member):
        return value
    if isinstance(value, Mapping):
        return str(value.get("name", "")), {key: item for key, item in value.items() if key != "name"}
    imported = IMPORT_PATH.fullmatch(value)
    if imported is not None:
        return imported[1], imported[2] or ""
    name, _, text = value.partition(":")
    return name.strip(), text


def parse(value: str | Mapping[str, object] | Member) -> tuple[str, dict[str, object]]:
    """Return the name and the settings in `value`, unchecked.

    ```python
    from tfp_vae.core.registry import parse

    parse("mlp:hidden=512,512,dropout=0.1")  # ("mlp", {"hidden": "512,512", "dropout": "0.1"})
    parse("my_module:Net:width=3")  # ("my_module:Net", {"width": "3"})
    ```

    Raises:
      UsageError: a piece is not key=value, or a key occurs twice.
    """
    name, written = split_name(value)
    if not isinstance(written, str):
        return name, dict(written)
    settings: dict[str, object] = {}
    key = ""
    for piece in filter(None, written.split(",")):
        if "=" in piece:
            key, _, setting = (part.strip() for part in piece.partition("="))
            if key in settings:
                raise UsageError(f"{key} is given twice in {written!r}. Keep one")
            settings[key] = setting
        elif key:
            settings[key] = f"{settings[key]},{piece.strip()}"  # a list, such as 512,512
        else:
            raise UsageError(f"expected key=value, found {piece!r} in {written!r}")
    return name, settings


@contextlib.contextmanager
def allow_code(folder: Path | None = None) -> Iterator[None]:
    """Allow runs to import the code that they name, within this block.

    A run may name objects of your own modules, such as `my_module:MyPrior`. Importing a module runs its code, so a run
    from a stranger could run theirs. Loading a run therefore imports nothing, unless you allow it.

    ```python
    from tfp_vae.core.registry import allow_code, import_object

    with allow_code():
        prior = import_object("tfp_vae.model.priors:StandardNormal", "prior", tv.priors.Prior)
    ```

    Modules stay imported afterwards, but `sys.path` does not keep the folder.

    Args:
      folder: a folder to import modules from, in addition to `sys.path`.
    """
    folders = _FOLDERS.get() or ()
    is_new = folder is not None and str(folder) not in sys.path
    token = _FOLDERS.set(folders if folder is None else (*folders, folder))
    try:
        yield
    finally:
        _FOLDERS.reset(token)
        if is_new and str(folder) in sys.path:
            sys.path.remove(str(folder))


def can_import(path: str) -> bool:
    """Return whether `import_object` may import `module:Name`, because you allow it or the module is imported."""
    return _FOLDERS.get() is not None or sys.modules.get(path.partition(":")[0]) is not None


def import_object(path: str, kind: str, base: type[object]) -> Callable[..., Any]:
    """Return the class or function that an import path `package.module:Name` names.

    Without `allow_code`, the module must be imported already, and the object must declare the right kind:
    a subclass of `base`, or a function whose return annotation is `base`. So a run cannot call an arbitrary function,
    such as one of the standard library. With `allow_code`, a function may leave out the annotation. It may be named
    again in this process without permission.

    Args:
      path: the import path.
      kind: the name of the kind in messages, such as `prior`.
      base: the class or the protocol of such objects.

    Raises:
      RunError: importing the module is not allowed, or the object does not declare the right kind.
      UsageError: the module cannot be imported, lacks the name, or has another kind of object there.
    """
    module_name, _, name = path.partition(":")
    allowed = _FOLDERS.get() is not None
    if not can_import(path):
        raise RunError(
            f"{kind} {path!r} is code of the module {module_name}, and loading a run never imports code by itself. "
            "If you trust that code, set `allow_code`."
        )
    if allowed:
        sys.path.extend(str(folder) for folder in _FOLDERS.get() or () if str(folder) not in sys.path)
        try:
            found = getattr(importlib.import_module(module_name), name, None)
        except ModuleNotFoundError as error:
            if not f"{module_name}.".startswith(f"{error.name}."):
                raise UsageError(f"{kind} {path!r}: importing {module_name} failed: {one_line(error)}.") from error
            raise UsageError(
                f"{kind} {path!r}: there is no module {error.name}. Check the name, or work in the folder of its file."
            ) from error
        except Exception as error:
            said = f"{type(error).__name__}: {one_line(error)}"
            raise UsageError(f"{kind} {path!r}: importing {module_name} failed ({said}).") from error
    else:
        found = vars(sys.modules[module_name]).get(name)  # not by getattr, which may import more
    if found is None:
        module = sys.modules[module_name]
        where = getattr(module, "__file__", None) or "built into Python"
        hint = suggest(name, [each for each in vars(module) if not each.startswith("_")])
        raise UsageError(f"{kind} {path!r}: the module {module_name} ({where}) has no {name!r}.{hint}")
    constructor = check_kind(found, path, kind, base, declared=not allowed and (path, base) not in _ALLOWED)
    if allowed:
        _ALLOWED.add((path, base))
    return constructor


def check_kind(found: object, path: str, kind: str, base: type[object], *, declared: bool) -> Callable[..., Any]:
    """Return `found` if it is a constructor of `base`: a subclass, or a function that returns one.

    If `base` is an abstract class, only subclasses pass, because the program asks the class for its capabilities.

    Args:
      found: the object.
      path: its name, for the error.
      kind: the name of the kind in messages.
      base: the class or the protocol of the objects that it should make.
      declared: whether it must be a subclass of `base` or have it as return annotation. If not, a function without
        annotation passes, and so does any class if `base` is a protocol.

    Raises:
      RunError: it is something else, and `declared` is set.
      UsageError: it is something else.
    """
    problem = RunError if declared else UsageError
    protocol = bool(getattr(base, "_is_protocol", False))
    family = inspect.isabstract(base) and not protocol
    expected = f"a subclass of {base.__name__}" if family else f"a function that returns {base.__name__}"
    if inspect.isclass(found):
        if base in found.__mro__ and inspect.isabstract(found):
            missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise problem(f"{kind} {path!r} is abstract. Define {missing} in it.")
        if base in found.__mro__ or (protocol and not declared):
            return found
        raise problem(subject=f"{kind} {path!r}", expected=expected, found=f"the class {found.__name__}")
    if family or not callable(found):
        what = "a function" if callable(found) else f"an object {type(found).__name__}"
        raise problem(subject=f"{kind} {path!r}", expected=expected, found=what)
    try:
        result = typing.get_type_hints(found).get("return")
    except (NameError, TypeError, AttributeError):  # imported for type checkers only
        result = getattr(found, "__annotations__", {}).get("return")
    if result is None:
        if not declared:
            return found
        raise problem(
            subject=f"{kind} {path!r}",
            expected=expected,
            found="a function without return annotation",
            remedy=f"Annotate it with `-> {base.__name__}`, or set `allow_code`.",
        )
    same_name = isinstance(result, str) and result.rpartition(".")[2] == base.__name__
    if result is base or same_name or base in getattr(result, "__mro__", ()):
        return found
    shown = getattr(result, "__name__", str(result))
    raise problem(subject=f"{kind} {path!r}", expected=expected, found=f"a function that returns {shown}")


@functools.cache
def entry_points(group: str, search_path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name.

    Args:
      group: such as `tfp_vae.priors`.
      search_path: `sys.path`, so that the result is read again if it changes.

    Raises:
      UsageError: two installed packages offer the same name.
    """
    from importlib import metadata

    del search_path
    found: dict[str, EntryPoint] = {}
    for each in metadata.entry_points(group=group):
        other = found.setdefault(each.name, each)
        if other.value != each.value:
            raise UsageError(
                f"Two installed packages offer {each.name!r} in {group}: {other.value} and {each.value}. Uninstall one."
            )
    return found


@final
class Table(Mapping[str, Any], Generic[T_co]):
    """The constructors of one kind of member, by name.

    Iteration visits the table's own entries only, so installing a package never changes a choice that the program
    makes.

    ```python
    table = tv.posteriors.POSTERIORS
    member = table.member("householder-flow:reflections=2")  # checked, all settings filled in
    posterior = table.build(member, 8, seed=0)  # HouseholderFlow(latent_dim=8, reflections=2), which takes no seed
    str(member)  # "householder-flow:reflections=2"
    ```

    Args:
      kind: the name of a member in messages.
      entries: the constructors by name.
      base: the class or the protocol of the members.
      group: the plural, for entry points. By default, `kind` with an s.
      takes: the positional parameters that a constructor must accept.
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, Callable[..., T_co]],
        *,
        base: type[object],
        group: str = "",
        takes: tuple[str, ...] = (),
    ) -> None:
        self.kind, self.base, self.group, self.takes = kind, base, group or f"{kind}s", takes
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        """Return a constructor. An import path must be one that `import_object` may import."""
        if name in self._entries:
            return self._entries[name]
        if ":" in name:
            found = import_object(name, self.kind, self.base)
        else:
            entry = self.installed()[name]
            try:
                found = check_kind(entry.load(), entry.value, self.kind, self.base, declared=False)
            except (ImportError, AttributeError) as error:
                raise UsageError(f"{self.kind} {name!r}: importing {entry.value} failed: {one_line(error)}.") from error
        parameters = inspect.signature(found).parameters
        settings = {key: None for key, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
        try:
            inspect.signature(found).bind(*self.takes, **settings)
        except TypeError as error:
            raise UsageError(
                subject=f"{self.kind} {name!r}",
                expected=f"the parameters ({', '.join([*self.takes, '*', 'settings'])})",
                found=f"({', '.join(parameters)})",
                remedy="Put settings after `*`, or mark fields as `kw_only`.",
            ) from error
        if "name" in settings:
            raise UsageError(f"{self.kind} {name!r}: a setting cannot be called 'name'. Rename it.")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<table of {len(self)} {self.kind} members: {', '.join(self)}>"

    def installed(self) -> dict[str, EntryPoint]:
        """Return the entry points that installed packages add to this table. The table's own names take precedence."""
        found = entry_points(f"tfp_vae.{self.group}", tuple(sys.path))
        return {name: entry for name, entry in found.items() if name not in self._entries}

    def names(self) -> list[str]:
        """Return the names of the table's own entries, then those from installed packages."""
        return [*self._entries, *self.installed()]

    def knows(self, text: str) -> bool:
        """Return whether `text` begins with the name of a member or with an import path, which may not exist."""
        name, _ = split_name(text)
        return name in self._entries or ":" in name or name in self.installed()

    def can_resolve(self, name: str) -> bool:
        """Return whether `name` has a constructor here that may be used now, see `allow_code`."""
        return name in self._entries or (can_import(name) if ":" in name else name in self.installed())

    def member(self, value: str | Mapping[str, object] | Member, *, recorded: bool = False) -> Member:
        """Return the checked member that `value` names, with every setting.

        Args:
          value: text `name:key=value,...`, a mapping with `name` and settings, or a member.
          recorded: whether the value comes from a run. If so, an import path that may not be imported stays unchecked,
            and `build` will refuse it. Otherwise you name it yourself, which allows importing it. A `Member` counts as
            recorded, because it may be from a run's config.

        Raises:
          UsageError: an unknown name, an unknown key, or a value that does not fit.
        """
        if not isinstance(value, str | Mapping | Member):
            raise self._no_name(value)
        name, _ = split_name(value)
        first, _, second = name.partition(":")
        if second and first in self._entries:
            raise UsageError(f"{self.kind} {first}: expected key=value, found {second!r}")
        if not second and name not in self._entries and name not in self.installed():
            hint, known = suggest(name, self.names()), ", ".join(self.names())
            raise UsageError(f"unknown {self.kind} {name!r}. Choose from {known}{'.' * bool(hint)}{hint}")
        _, settings = parse(value)
        recorded = recorded or isinstance(value, Member)
        if recorded and not self.can_resolve(name):
            return Member(name, settings)
        with contextlib.nullcontext() if recorded else allow_code():
            model = settings_model(self[name])
        try:
            return Member(name, model.model_validate(settings).model_dump())
        except pydantic.ValidationError as error:
            keys, problem = list(model.model_fields), error.errors(include_url=False)[0]
            hint = suggest(str(problem["loc"][0]), keys) if problem["type"] == "extra_forbidden" else ""
            listed = f"Its keys: {', '.join(keys) or 'none'}{'.' * bool(hint)}{hint}"
            raise UsageError(f"{self.kind} {name}: {first_problem(error)}. {listed}") from None

    def _no_name(self, value: object) -> UsageError:
        """Return the error for a value that is no name, such as a class or an object of this table."""
        is_class = inspect.isclass(value)
        made_by = value if is_class else type(value)
        name = next((name for name, entry in self._entries.items() if entry is made_by), "")
        example = name or next(iter(self._entries), "module:Name")
        shown = getattr(value, "__name__", "") if is_class else f"an object {type(value).__name__}"
        remedy = f"Write '{name}', with its settings after a colon." if name else ""
        if is_class:
            remedy = f"Call it if this place takes objects: `{shown}(...)`. {remedy.replace('Write', 'Or write')}"
            shown = f"the class {shown}"
        return UsageError(
            subject=self.kind,
            expected=f"a name with settings, such as '{example}'",
            found="None" if value is None else shown,
            remedy=remedy.rstrip(),
        )

    def build(self, member: Member, *context: object, **more_context: object) -> T_co:
        """Call the member's constructor with the context and the member's settings, and return its result.

        Args:
          member: from `member`.
          context: positional arguments of the constructor.
          more_context: more arguments by name. Those that the constructor does not have, or has as settings, are left
            out.

        Raises:
          RunError: the member is code that may not be imported, see `allow_code`.
          UsageError: the constructor of an import path returns the wrong type.
        """
        constructor = self[member.name]
        if member.name not in self._entries:
            member = self.member(member, recorded=True)  # it may have been read without its code
        wanted = inspect.signature(constructor).parameters.keys() & more_context.keys() - member.settings.keys()
        made = constructor(*context, **{name: more_context[name] for name in wanted}, **member.settings)
        unchecked = member.name in self._entries or getattr(self.base, "_is_protocol", False)
        if not unchecked and not isinstance(made, self.base):
            expected, found = self.base.__name__, type(made).__name__
            raise UsageError(subject=f"{self.kind} {member.name!r}", expected=f"an object {expected}", found=found)
        return typing.cast("T_co", made)

    def resolve(self, value: object, *context: object, **more_context: object) -> T_co:
        """Return `value` itself if it is a member, or build the member that it names.

        ```python
        tv.objectives.OBJECTIVES.resolve("iwae:mc_samples=5")  # IWAE(mc_samples=5), as for that object itself
        ```

        Args:
          value: an object of the table's kind, or a name with settings.
          context, more_context: arguments of the constructor, see `build`.

        Raises:
          UsageError: neither of these, such as a class that was not called.
        """
        if isinstance(value, str | Member):
            return self.build(self.member(value), *context, **more_context)
        protocol = getattr(self.base, "_is_protocol", False)
        needs = get_protocol_members(self.base) if protocol else ()
        fits = all(hasattr(value, name) for name in needs) if protocol else isinstance(value, self.base)
        if inspect.isclass(value) or not fits:
            raise self._no_name(value)
        return typing.cast("T_co", value)

    def info(self, name: str) -> MemberInfo:
        """Return the name, the first line of the docstring, and the settings with their defaults.

        ```python
        tv.likelihoods.LIKELIHOODS.info("laplace").summary
        ```
        """
        summary = (inspect.getdoc(self[name]) or "").partition("\n")[0]
        fields = settings_model(self[name]).model_fields
        return MemberInfo(
            name, summary, {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
        )

    @functools.cached_property
    def validator(self) -> pydantic.PlainValidator:
        """Validates a field of a pydantic model as a member of this table. See `RECORDED`."""

        def validate(value: object, info: pydantic.ValidationInfo) -> Member:
            if not isinstance(value, str | Mapping | Member):
                raise ValueError(f"expected the name of a {self.kind}")
            return self.member(value, recorded=bool(info.context and info.context.get("recorded")))

        return pydantic.PlainValidator(validate)


def as_mapping(member: Member) -> dict[str, object]:
    """Return a member as one mapping, for JSON."""
    return {"name": member.name, **member.settings}


AS_MAPPING = pydantic.PlainSerializer(as_mapping)
"""Serializes a field of a pydantic model that holds a member."""


def keyword_hints(constructor: Callable[..., object], names: Collection[str]) -> dict[str, Any]:
    """Return the type hints of a constructor's parameters `names`, with limits.

    Those of a class are the hints of its `__init__`, or of its fields if it is a dataclass.

    Raises:
      NameError: a hint names something that its module does not have, such as an import for type checkers only.
    """
    sources: list[Any] = [constructor]
    if inspect.isclass(constructor):
        owner = next(base for base in constructor.__mro__ if "__init__" in vars(base))
        from_fields = owner is object or "__dataclass_fields__" in vars(owner)
        sources = list(reversed(constructor.__mro__)) if from_fields else [vars(owner)["__init__"]]
    hints: dict[str, Any] = {}
    for source in map(inspect.unwrap, sources):
        written = {name: hint for name, hint in inspect.get_annotations(source).items() if name in names}
        known = getattr(source, "__globals__", None) or vars(sys.modules[source.__module__])
        holder = types.SimpleNamespace(__annotations__=written)
        hints |= typing.get_type_hints(holder, globalns=known, include_extras=True)
    return hints


@functools.cache
def settings_model(constructor: Callable[..., object]) -> type[pydantic.BaseModel]:
    """Return a pydantic model with a field for each keyword-only parameter of a constructor.

    Raises:
      UsageError: the annotation of a setting cannot be read, or is not a type of settings.
    """
    parameters = inspect.signature(constructor).parameters
    settings = {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    called = getattr(constructor, "__name__", type(constructor).__name__)
    try:
        hints = keyword_hints(constructor, settings)
        fields: dict[str, Any] = {}
        for name, parameter in settings.items():
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            guess = Any if default in (..., None) else type(default)
            fields[name] = (hints.get(name, guess), default)
        return pydantic.create_model(called, __config__=pydantic.ConfigDict(extra="forbid"), **fields)
    except NameError as error:
        raise UsageError(
            f"The settings of {called} cannot be read: {one_line(error)}. Import each name in their annotations when "
            "the module runs, not under `if TYPE_CHECKING`."
        ) from error
    except (TypeError, AttributeError, pydantic.PydanticUserError) as error:
        raise UsageError(
            f"The settings of {called} cannot be read: {one_line(error)}. Annotate each with a type of numbers or text."
        ) from error
