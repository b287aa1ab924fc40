"""Options that commands share, and the types of their values."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, final

import click
import pydantic
from click.core import ParameterSource

from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, EXECUTIONS
from tfp_vae.core.registry import Table, allow_code, first_problem, split_name
from tfp_vae.data.dataset import DATASETS
from tfp_vae.data.readers.images import CHANNELS
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.transforms.scaling import SCALINGS
from tfp_vae.runs.checkpoint import BEST, FINAL

from .console import COMMAND, start_tensorflow
from .main import DEBUG

F = TypeVar("F", bound=Callable[..., Any])
N = TypeVar("N", int, float)


@final
class Whole(click.ParamType):  # type: ignore[type-arg]
    """A whole number from `least` on, up to `most` if there is such a bound."""

    name = "integer"

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least, self.most = least, most

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the bounds, for --help."""
        return f"N>={self.least}" if self.most is None else f"{self.least}<=N<={self.most}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        number = _as(int, value)
        if number is None or number < self.least:
            self.fail(f"expected a whole number of at least {self.least:,}, found {str(value)!r}", param, ctx)
        if self.most is not None and number > self.most:
            self.fail(f"expected a whole number of at most {self.most:,}, found {str(value)!r}", param, ctx)
        return number


SEED = Whole(0, 2**31 - 1)


def _as(kind: Callable[[Any], N], value: Any) -> N | None:
    """Return what `kind` makes of a value, or None where it refuses it."""
    try:
        return kind(value)
    except ValueError:
        return None


@final
class _Number(click.ParamType):  # type: ignore[type-arg]
    """A finite number, at least 0 or above it, and below a bound if there is one."""

    name = "number"

    def __init__(self, *, zero: bool, below: float = math.inf) -> None:
        self.zero, self.below = zero, below

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = _as(float, value)
        if number is None or not (0 <= number < self.below) or (number == 0 and not self.zero):
            below = "" if math.isinf(self.below) else f" and below {self.below:g}"
            bounds = "of at least 0" if self.zero else "above 0"
            self.fail(f"expected a finite number {bounds}{below}, found {str(value)!r}", param, ctx)
        return number


POSITIVE, NOT_NEGATIVE, SHARE = _Number(zero=False), _Number(zero=True), _Number(zero=False, below=1)


@final
class Several(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers with commas between them, as a tuple."""

    name = "N[,N...]"

    def __init__(self, each: Whole) -> None:
        self.each = each

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        return tuple(self.each.convert(part, param, ctx) for part in str(value).split(","))


@final
class _Finite(click.ParamType):  # type: ignore[type-arg]
    """A finite number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = _as(float, value)
        if number is None or not math.isfinite(number):
            self.fail(f"expected a finite number, found {str(value)!r}", param, ctx)
        return number


@final
class _Place(click.ParamType):  # type: ignore[type-arg]
    """The path of a file or folder, or a name; an empty one would be that of the folder one is in."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        if not str(value).strip():
            self.fail(
                f"expected a name or a path, found {value!r}; if a variable of the shell gave it, set it", param, ctx
            )
        return str(value)


FINITE, PLACE = _Finite(), _Place()


@contextmanager
def import_code(text: str) -> Iterator[None]:
    """Allow importing the object that an option names as `module:Name`, also from the current folder."""
    if ":" in split_name(text)[0]:
        start_tensorflow()  # before a module of the user's own imports it, so that its messages stay hidden
    with allow_code(Path.cwd()):
        yield


@final
class MemberType(click.ParamType):  # type: ignore[type-arg]
    """A member of a table, `name` or `name:key=value,key=value`; kept as text once it is checked."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name = table.kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the names, for --help."""
        return f"[{'|'.join(self.table)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, once the table knows what it names."""
        try:
            with import_code(str(value)):
                self.table.member(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return str(value)


@final
class _Data(click.ParamType):  # type: ignore[type-arg]
    """The name of a data set, `module:function`, or a path."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text. A function is imported, and its settings are checked."""
        text = PLACE.convert(value, param, ctx)
        return MemberType(DATASETS).convert(text, param, ctx) if ":" in split_name(text)[0] else text


DATASET = _Data()

DATA, MODEL, OBJECTIVE, OPTIMIZATION, RUN, OUTPUT = "Data", "Model", "Objective", "Optimization", "Run", "Output"
GROUPS = (DATA, MODEL, OBJECTIVE, OPTIMIZATION, RUN, OUTPUT)
"""The headings of help pages, in order."""


@final
class Option(click.Option):
    """An option that help pages list under the heading `group`."""

    def __init__(self, *args: Any, group: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.group = group


def option(*flags: str, group: str, **settings: Any) -> Callable[[F], F]:
    """Add an option to a command.

    Args:
      flags: its names, as for `click.option`.
      group: one of `GROUPS`.
      settings: passed to `click.option`.
    """
    return click.option(*flags, cls=Option, group=group, **settings)


@final
class Command(click.Command):
    """A command whose help page groups the options and ends with examples.

    It also records in the context which command runs, so that messages can name its options.
    """

    def __init__(self, *args: Any, examples: Sequence[str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        ctx.meta[COMMAND] = self
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group. `--help`, which click adds, belongs to the last one."""
        sections: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections[getattr(param, "group", OUTPUT)].append(record)
        for group, records in sections.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def _note_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value


def on_command_line(name: str) -> bool:
    """Return whether the command line sets a parameter of the current command."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_on_command_line(names: Iterable[str], why: str) -> None:
    """Raise UsageError if the command line sets a parameter that would have no effect.

    Args:
      names: of the parameters.
      why: the end of the sentence `--x has no meaning`, and what to do.
    """
    for name in filter(on_command_line, names):
        raise UsageError(f"--{name.replace('_', '-')} has no meaning {why}.")


def debug_option(command: F) -> F:
    """Add `--debug`."""
    return option(
        "--debug",
        group=OUTPUT,
        is_flag=True,
        expose_value=False,
        callback=_note_debug,
        help="Print the traceback if an error occurs.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`."""
    return option("--json", "as_json", group=OUTPUT, is_flag=True, help="Print one JSON object to stdout.")(command)


def output_options(
    suffixes: Iterable[str], same: str, default: str = "a picture in the run", more: str = ""
) -> Callable[[F], F]:
    """Return what adds `--seed` and `--out`.

    Args:
      suffixes: of the kinds of files that are written.
      same: the random quantity that the seed determines.
      default: where the output goes without `--out`.
      more: a further sentence about the output.
    """

    def add(command: F) -> F:
        seed = option("--seed", group=RUN, type=SEED, default=0, show_default=True, help=f"Seed of the {same}.")
        out = option(
            "--out",
            group=OUTPUT,
            metavar="FILE",
            type=PLACE,
            help=f"Output file ({', '.join(suffixes)}).{more and f' {more}'}  [default: {default}]",
        )
        return seed(out(command))

    return add


def show_options(command: F) -> F:
    """Add `--mean` and `--draw`, what is shown of p(x|z)."""
    mean = option("--mean", "show", group=OUTPUT, flag_value="mean", default=True, help="Show E[x|z].  [default]")
    draw = option("--draw", "show", group=OUTPUT, flag_value="draw", help="Draw x from p(x|z).")
    return mean(draw(command))


def runs_dir_option(command: F) -> F:
    """Add `--runs-dir`."""
    return option(
        "--runs-dir",
        group=RUN,
        type=PLACE,
        envvar="TFP_VAE_RUNS_DIR",
        default="runs",
        show_default=True,
        help="Folder that holds the runs.",
    )(command)


def execution_option(command: F) -> F:
    """Add `--execution`."""
    return option(
        "--execution",
        group=RUN,
        type=click.Choice([AUTO, *EXECUTIONS]),
        default=AUTO,
        show_default=True,
        help="How to run TensorFlow. `auto` suits the model.",
    )(command)


def data_dir_option(command: F) -> F:
    """Add `--data-dir`."""
    return option(
        "--data-dir",
        group=DATA,
        type=PLACE,
        envvar="TFP_VAE_DATA_DIR",
        help="Folder of downloaded data sets.  [default: the user's cache folder]",
    )(command)


def reading_options(command: F) -> F:
    """Add the options that say how a file or folder of a person's own is read, and what is done to its values."""
    added = (
        option(
            "--label-column", group=DATA, type=PLACE, metavar="NAME", help="Column of a .csv file that holds labels."
        ),
        option(
            "--columns",
            group=DATA,
            metavar="NAMES",
            help="Columns of a .csv file to learn from, as a,b,c.  [default: all but the labels]",
        ),
        option("--resize", group=DATA, metavar="HxW", help="Height and width for the images of a folder, in pixels."),
        option(
            "--channels",
            group=DATA,
            type=click.Choice(CHANNELS),
            default="auto",
            show_default=True,
            help="Read the images of a folder in grey or in colour.",
        ),
        option(
            "--scaling",
            group=DATA,
            type=MemberType(SCALINGS),
            help="How to scale the values.  [default: chosen from the data]",
        ),
    )
    for add in reversed(added):
        command = add(command)
    return command


def reading(given: dict[str, Any]) -> Reading:
    """Return how data is read, from what was given of the options of `reading_options`."""
    try:
        return Reading(**{name: given[name] for name in Reading.model_fields})
    except pydantic.ValidationError as error:
        raise UsageError(f"--{first_problem(error)}".replace("_", "-", 1)) from error


def note_allow_code(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Allow importing code for the rest of the command."""
    if value:
        start_tensorflow()  # before the run's code imports it, so that its messages stay hidden
        ctx.with_resource(allow_code(Path.cwd()))


def allow_code_option(command: F) -> F:
    """Add `--allow-code`."""
    return option(
        "--allow-code",
        group=RUN,
        is_flag=True,
        expose_value=False,
        callback=note_allow_code,
        help="Import the code that the run names. It can do anything that you can, so check where the run is from.",
    )(command)


def run_options(command: F) -> F:
    """Add the options that say which run: `--run` and `--runs-dir`."""
    run = option(
        "--run",
        group=RUN,
        type=PLACE,
        envvar="TFP_VAE_RUN",
        help="Folder of the run.  [default: the newest finished run under --runs-dir]",
    )
    return run(runs_dir_option(allow_code_option(command)))


def _named_runs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the runs named, else the one that the environment names; a path of it may have blanks."""
    named = os.environ.get("TFP_VAE_RUN")
    return value or ((named,) if named else ())


def several_runs_options(command: F) -> F:
    """Add `--run`, as often as one likes, and `--runs-dir`."""
    run = option(
        "--run",
        group=RUN,
        type=PLACE,
        multiple=True,
        callback=_named_runs,
        help="Folder of the run. Repeat to compare runs.  [default: the newest finished run under --runs-dir]",
    )
    return run(runs_dir_option(allow_code_option(command)))


def weights_option(command: F) -> F:
    """Add `--weights`."""
    return option(
        "--weights",
        group=RUN,
        type=click.Choice([FINAL, BEST]),
        default=FINAL,
        show_default=True,
        help="Weights of the last step, or of the best validation ELBO.",
    )(command)


def _from_toml(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    if path is None:
        return
    known = _names(ctx.command)
    repeated = {str(param.name) for param in ctx.command.params if isinstance(param, Option) and param.multiple}
    written: dict[str, str | list[str]] = {}
    for name, value in _read_toml(path).items():
        key = name.replace("_", "-")
        several = known.get(key) in repeated
        written[key] = (
            [_as_text(v) for v in (value if isinstance(value, list) else [value])] if several else _as_text(value)
        )
    unknown = sorted(written.keys() - known.keys())
    if unknown:
        raise click.UsageError(
            f"{path}: unknown key {unknown[0]!r}; a key is an option's name without the dashes in front."
        )
    ctx.default_map = {**(ctx.default_map or {}), **{known[key]: value for key, value in written.items()}}


def _names(command: click.Command) -> dict[str, str]:
    """Return the names that a config file may use, those of options without dashes, and the parameters they set."""
    options = [option for option in command.params if isinstance(option, Option) and not option.is_eager]
    flags = {flag.lstrip("-"): str(option.name) for option in options for flag in option.opts if option.expose_value}
    return {flag: name for flag, name in flags.items() if flag not in ("no-compile", "debug")}


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        settings = ",".join(f"{key}={_as_text(item)}" for key, item in value.items() if key != "name")
        return f"{value.get('name', '')}:{settings}"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_toml(path: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise click.UsageError(f"{path}: could not be read ({error.strerror}).") from error
    except ValueError as error:
        raise click.UsageError(f"{path}: not a TOML file ({error}).") from error


def config_option(command: F) -> F:
    """Add `--config`, whose values stand in for options that are not given."""
    return option(
        "--config",
        group=RUN,
        type=PLACE,
        is_eager=True,
        expose_value=False,
        callback=_from_toml,
        metavar="FILE",
        help="TOML file with any of these options. The command line wins.",
    )(command)
