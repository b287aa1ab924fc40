"""The options that commands share, their types, and the options of `tfp-vae train` from the table of settings."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, TypeVar, final

import click
from click.core import ParameterSource

from tfp_vae.core.errors import UsageError, cut, suggest
from tfp_vae.core.registry import Member, Table, allow_code, split_name
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.sources import Reading
from tfp_vae.evaluation.proposals import REFINEMENTS
from tfp_vae.runs.config import GROUPS, SETTINGS, Setting, check_values
from tfp_vae.runs.folder.checkpoint import BEST, FINAL

from .console import COMMAND, start_tensorflow, with_options
from .main import DEBUG

F = TypeVar("F", bound=Callable[..., Any])


@final
class Whole(click.IntRange):
    """A whole number from `min` on, and up to `max` if there is such a limit."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the limits, for --help."""
        return f"N>={self.min}" if self.max is None else f"{self.min}<=N<={self.max}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        limit = f"at least {self.min:,}"
        with contextlib.suppress(ValueError):
            if self.max is not None and int(value) > self.max:
                limit = f"at most {self.max:,}"
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"expected a whole number of {limit}, found {str(value)!r}", param, ctx)


@final
class Number(click.FloatRange):
    """A finite number within limits."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            number = float(super().convert(value, param, ctx))
        except click.BadParameter:
            number = math.nan
        if not math.isfinite(number):
            low = "" if self.min is None else f" {'above' if self.min_open else 'of at least'} {self.min:g}"
            high = (
                ""
                if self.max is None
                else f"{' and' * bool(low)} {'below' if self.max_open else 'at most'} {self.max:g}"
            )
            self.fail(f"expected a finite number{low}{high}, found {str(value)!r}", param, ctx)
        return number


SEED = Whole(0, 2**31 - 1)
FINITE, POSITIVE = Number(), Number(min=0, min_open=True)
SHARE = Number(min=0, max=1, min_open=True, max_open=True)


@final
class Several(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers separated by commas, as a tuple."""

    name = "N[,N...]"

    def __init__(self, each: Whole) -> None:
        self.each = each

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        return tuple(self.each.convert(part, param, ctx) for part in str(value).split(","))


@final
class Choice(click.Choice):  # type: ignore[type-arg]
    """One of several names. The error for another name suggests the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = suggest(str(value), map(str, self.choices))
            error.message = f"{error.message.rstrip('.')}.{hint}" if hint else error.message  # type: ignore[misc]
            raise


LONGEST_NAME, LONGEST_PATH = 255, 4_095
"""The most bytes that file systems accept in a name and in a path."""


@final
class Place(click.ParamType):  # type: ignore[type-arg]
    """The path of a file or folder, or a name. A `~` at its start is the home folder.

    An empty text is an error because it would mean the current folder. So is a text that no file system accepts.

    Args:
      of_data: whether it names data. Reading the data then checks the name and expands the `~`.
    """

    name = "text"

    def __init__(self, *, of_data: bool = False) -> None:
        self.of_data = of_data

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        text = str(value)
        if not text.strip():
            self.fail(
                f"expected a name or a path, found {value!r}. If it comes from a shell variable, set the variable.",
                param,
                ctx,
            )
        if self.of_data:
            return text
        if "\0" in text:
            self.fail(f"expected a name or a path, found a NUL character in {cut(repr(text))}.", param, ctx)
        longest = max(len(os.fsencode(part)) for part in text.split("/"))
        if longest > LONGEST_NAME or len(os.fsencode(text)) > LONGEST_PATH:
            limits = f"names of at most {LONGEST_NAME} bytes and a path of at most {LONGEST_PATH:,}"
            self.fail(f"expected {limits}, found {longest:,} and {len(os.fsencode(text)):,}.", param, ctx)
        try:
            return str(Path(text).expanduser()) if text.startswith("~") else text
        except RuntimeError:
            self.fail(
                f"there is no home folder for {text.split('/', maxsplit=1)[0]!r}. Write the whole path.", param, ctx
            )


PLACE, DATA_PLACE = Place(), Place(of_data=True)


@contextlib.contextmanager
def import_code(*values: object) -> Iterator[None]:
    """Allow importing the objects that options name as `module:Name`, also from the current folder."""
    names = [split_name(value)[0] for value in values if isinstance(value, str | Mapping)]
    packages = {name.partition(":")[0].partition(".")[0] for name in names if ":" in name} - sys.modules.keys()
    if any(PathFinder.find_spec(package, [*sys.path, str(Path.cwd())]) for package in packages):
        start_tensorflow()  # before a module of the user's own imports it, so that its messages stay hidden
    with allow_code(Path.cwd()):
        yield


@final
class MemberType(click.ParamType):  # type: ignore[type-arg]
    """A member of a table: `name`, `name:key=value,key=value`, or `module:Name`. It stays text after the check."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name = table.kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the names, for --help."""
        return f"[{'|'.join(self.table)}]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the text, or the table of a TOML file, after the check."""
        try:
            with import_code(value):
                self.table.member(value)  # type: ignore[arg-type]  # text, or the table of a TOML file
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value


@final
class DataType(click.ParamType):  # type: ignore[type-arg]
    """The name of a data set, `module:function`, or a path."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the text. A function is imported, and its settings are checked."""
        text = DATA_PLACE.convert(value, param, ctx)
        return MemberType(DATASETS).convert(text, param, ctx) if ":" in split_name(text)[0] else text


DATASET = DataType()


@final
class SettingType(click.ParamType):  # type: ignore[type-arg]
    """A value that only the field of a setting can check, such as a size or names of columns."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.name = setting.key

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the value as the field holds it."""
        try:
            (checked,) = check_values({self.setting.key: value}).values()
        except UsageError as error:
            self.fail(str(error).partition(": ")[2], param, ctx)
        return checked


DATA, MODEL, OBJECTIVE, OPTIMIZATION, RUN, OUTPUT = GROUPS


@final
class Option(click.Option):
    """An option that help pages list under the heading `group`."""

    def __init__(self, *args: Any, group: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.group = group

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Return what follows the help text, without the limits, which the metavar shows."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def option(*flags: str, group: str, **settings: Any) -> Callable[[F], F]:
    """Add an option to a command.

    Args:
      flags: its names, as for `click.option`.
      group: one of `GROUPS`.
      settings: passed to `click.option`.
    """
    return click.option(*flags, cls=Option, group=group, **settings)


def options(*added: Callable[[F], F]) -> Callable[[F], F]:
    """Add several options to a command, in this order."""

    def add(command: F) -> F:
        return functools.reduce(lambda changed, each: each(changed), reversed(added), command)

    return add


def setting_type(setting: Setting) -> click.ParamType:  # type: ignore[type-arg]
    """Return the type of a setting's option, with the limits of its field."""
    limits = setting.limits
    if setting.table is not None:
        return DATASET if setting.kind is str else MemberType(setting.table)
    if setting.choices:
        return Choice(setting.choices)
    if setting.kind is bool:
        return click.BOOL
    if setting.kind is int:
        return Whole(limits.get("ge"), limits.get("le"))
    if setting.kind is float:
        least, most = limits.get("gt", limits.get("ge")), limits.get("lt", limits.get("le"))
        return Number(least, most, "gt" in limits, "lt" in limits)
    place = DATA_PLACE if setting.group == "Data" else PLACE
    return place if setting.kind is str else SettingType(setting)


def setting_option(name: str) -> Callable[[F], F]:
    """Return the option of a training setting. Its type, limits, default and help come from `SETTINGS`.

    Args:
      name: a name from `SETTINGS`.
    """
    setting = SETTINGS[name]
    flag, default = f"--{setting.key}", setting.field.default
    if isinstance(default, Member):
        default = default.name
    if setting.kind is bool and default:
        flag = f"{flag}/--no-{setting.key}"
    words = f"  [default: {setting.default}]" if setting.default else ""
    return option(
        flag,
        *(f"--{alias}" for alias in setting.aliases),
        name,
        group=setting.group,
        type=setting_type(setting),
        is_flag=setting.kind is bool,
        default=None if words else default,
        multiple=setting.multiple,
        show_default=not words and default not in (None, ()) and default is not False,
        metavar=setting.metavar,
        envvar=setting.variable,
        help=setting.help + words,
    )


@final
class Command(click.Command):
    """A command whose help page groups the options and ends with examples.

    It also records in the context which command runs, so that messages can name its options.
    """

    def __init__(self, *args: Any, examples: Sequence[str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line. The error about an unknown option suggests the nearest one only."""
        ctx.meta[COMMAND] = self
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            nearest = list(error.possibilities or ())[:1]
            raise click.NoSuchOption(error.option_name, possibilities=nearest, ctx=error.ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group. `--help`, which click adds, belongs to the last one."""
        sections: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):  # newer versions of click list arguments too
                sections[getattr(param, "group", OUTPUT)].append((record[0], with_options(record[1], self)))
        for group, records in sections.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def given_option(default: str) -> Callable[[F], F]:
    """Return the option of the condition, with the text of its default."""
    text = "Value of the run's condition. For example 3, or a=1,b=2 for two variables."
    return option("--given", group=RUN, metavar="VALUE", help=f"{text}  [default: {default}]")


def on_command_line(name: str) -> bool:
    """Return whether the command line sets a parameter of the current command."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_on_command_line(names: Iterable[str], why: str) -> None:
    """Raise UsageError if the command line sets a parameter that would have no effect.

    Args:
      names: names of the parameters.
      why: the end of the sentence `--x has no meaning`, and what to do.
    """
    for name in filter(on_command_line, names):
        raise UsageError(f"--{name.replace('_', '-')} has no meaning {why}.")


def command_line(ctx: click.Context, **instead: Sequence[str]) -> str:
    """Return the command line of the current command, as a shell reads it.

    Args:
      ctx: the context of the command.
      instead: values of options, by parameter, that replace those on the command line or are added to them.
    """
    words = [ctx.command_path]
    for param in ctx.command.params:
        name = str(param.name)
        if name not in instead and ctx.get_parameter_source(name) != ParameterSource.COMMANDLINE:
            continue
        value = instead.get(name, ctx.params.get(name, True))
        if isinstance(value, bool):
            words.append(param.opts[0] if value else param.secondary_opts[0])
            continue
        several = value if name in instead or param.multiple else [value]
        for each in several:
            words += [param.opts[0], ",".join(map(str, each)) if isinstance(each, tuple) else str(each)]
    return shlex.join([*words[0].split(), *words[1:]])


def note_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Record whether `--debug` is set, so that `main` shows the traceback of an error."""
    ctx.meta[DEBUG] = value


def note_allow_code(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Allow importing code for the rest of the command."""
    if value:
        start_tensorflow()  # before the run's code imports it, so that its messages stay hidden
        ctx.with_resource(allow_code(Path.cwd()))


debug_option = option(
    "--debug",
    group=OUTPUT,
    is_flag=True,
    expose_value=False,
    callback=note_debug,
    help="Print the traceback if an error occurs.",
)
json_option = setting_option("as_json")
runs_dir_option = setting_option("runs_dir")
data_dir_option = setting_option("data_dir")
execution_option = setting_option("execution")
reading_options = options(*(setting_option(name) for name in (*Reading.model_fields, "scaling") if name in SETTINGS))
refine_option = option(
    "--refine",
    group=RUN,
    type=MemberType(REFINEMENTS),
    default="none",
    show_default=True,
    help="Fit the proposal to each example. See `tfp-vae info refinements`.",
)
weights_option = option(
    "--weights",
    group=RUN,
    type=Choice([FINAL, BEST]),
    help="Weights of the last step, or of the best epoch.  [default: best if the run has early stopping, else final]",
)
allow_code_option = option(
    "--allow-code",
    group=RUN,
    is_flag=True,
    expose_value=False,
    callback=note_allow_code,
    help="Import the code that the run names. It can do anything that you can, so check where the run is from.",
)
run_options = options(
    option(
        "--run",
        group=RUN,
        type=PLACE,
        envvar="TFP_VAE_RUN",
        help="Folder of the run.  [default: the newest finished run under --runs-dir]",
    ),
    runs_dir_option,
    allow_code_option,
)


MOST_SAMPLES = 10**9
"""The most importance samples of an example."""


def samples_option(default: int, what: str) -> Callable[[F], F]:
    """Return the option `--iw-samples`.

    Args:
      default: the number without it.
      what: one of the examples, such as `row with missing cells`. The help names it.
    """
    text = f"Importance samples per {what}."
    return option("--iw-samples", group=RUN, type=Whole(1, MOST_SAMPLES), default=default, show_default=True, help=text)


def show_options(mean: str = "", draw: str | None = None) -> Callable[[F], F]:
    """Return the options `--mean` and `--draw`, see `choose_show`.

    Args:
      mean, draw: the outputs for which each is the default, such as ` for pictures`. None means that it never is.
    """
    default = "" if draw is None else f"  [default{draw}]"
    return options(
        option("--mean", group=OUTPUT, is_flag=True, help=f"Write E[x|z].  [default{mean}]"),
        option("--draw", group=OUTPUT, is_flag=True, help=f"Write draws of x from p(x|z).{default}"),
    )


def choose_show(mean: bool, draw: bool) -> str | None:
    """Return the output that `--mean` or `--draw` names, or None without them.

    Raises:
      UsageError: both were given.
    """
    if mean and draw:
        raise UsageError("--mean and --draw were both given. Keep one.")
    return "mean" if mean else "draw" if draw else None


def find_named_runs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named runs, or the one in `TFP_VAE_RUN`. Click would split that path at its blanks."""
    named = os.environ.get("TFP_VAE_RUN")
    return value or ((named,) if named else ())


several_runs_options = options(
    option(
        "--run",
        group=RUN,
        type=PLACE,
        multiple=True,
        callback=find_named_runs,
        help="Folder of the run. Repeat to compare runs.  [default: the newest finished run under --runs-dir]",
    ),
    runs_dir_option,
    allow_code_option,
)


def output_options(
    suffixes: Iterable[str], same: str, default: str = "a picture in the run", more: str = ""
) -> Callable[[F], F]:
    """Return the options `--seed` and `--out`.

    Args:
      suffixes: suffixes of the files that the command can write.
      same: the random quantity that the seed determines.
      default: where the output goes without `--out`.
      more: a further sentence about the output.
    """
    text = f"Output file ({', '.join(suffixes)}).{more and f' {more}'}  [default: {default}]"
    return options(
        option("--seed", group=RUN, type=SEED, default=0, show_default=True, help=f"Seed of the {same}."),
        option("--out", group=OUTPUT, metavar="FILE", type=PLACE, help=text),
    )


def reading(given: Mapping[str, object]) -> Reading:
    """Return how to read data, from the values of `reading_options` among others."""
    settings = {name: given[name] for name in Reading.model_fields if given.get(name) not in (None, ())}
    return Reading.model_validate(settings)


LARGEST_TOML = 1 << 20


def read_toml(path: str) -> dict[str, object]:
    """Return the content of a TOML file, or raise click.UsageError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with Path(path).open("rb") as file:  # as bytes, because TOML is UTF-8 in every locale
            content = file.read(LARGEST_TOML + 1)
        if len(content) > LARGEST_TOML:
            raise click.UsageError(f"{path}: expected at most {LARGEST_TOML:,} bytes, found more.")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise click.UsageError(f"{path}: could not be read ({error.strerror}).") from error
    except ValueError as error:
        raise click.UsageError(f"{path}: not a TOML file ({error}).") from error


def load_toml(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Make the settings in a TOML file the defaults of the options, after the fields of the settings checked them."""
    if path is None:
        return
    try:
        written = read_toml(path)
        with import_code(*written.values()):
            values = check_values(written)
    except UsageError as error:
        raise click.UsageError(f"{path}: {error}") from error
    ctx.default_map = {**(ctx.default_map or {}), **values}


config_option = option(
    "--config",
    group=RUN,
    type=PLACE,
    is_eager=True,
    expose_value=False,
    callback=load_toml,
    metavar="FILE",
    help="TOML file with any of these options. The command line wins.",
)
training_options = options(*map(setting_option, SETTINGS))
"""The options of all training settings."""
