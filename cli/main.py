"""The group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import signal
from pathlib import Path
from typing import final

import click

from tfp_vae import __version__
from tfp_vae.core.errors import DiskError, Interrupted, TfpVaeError, UsageError, one_line, suggest

from . import console, streams

COMMANDS = {
    "train": "Train a model and write a run.",
    "sample": "Sample from p(x) of a run.",
    "evaluate": "Estimate log p(x) and diagnostics on held-out data.",
    "reconstruct": "Reconstruct examples from their latent codes.",
    "encode": "Write the means, scales and samples of q(z|x) to a file.",
    "interpolate": "Decode paths through latent space.",
    "score": "Write log p(x) and p-values, and show the most unusual rows.",
    "impute": "Fill in the missing cells of a table.",
    "plot": "Draw pictures of a run into its folder.",
    "report": "Write a run as one HTML page that works offline.",
    "open": "Show the report of a run in a browser.",
    "data": "List data sets or inspect one.",
    "runs": "List the runs in --runs-dir, oldest first.",
    "info": "Show versions, a run's configuration or a table of names.",
}
SMALLER = ("batch_size", "hidden", "mc_samples", "resize", "iw_samples", "max_examples", "n", "steps")
"""Options whose smaller values save memory, the most useful first."""

DEBUG = "tfp_vae.debug"
DISK = DiskError.exit_code


@final
class Failure(click.ClickException):
    """An error as the user sees it: at most three sentences on stderr, and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]

    @classmethod
    def of(cls, error: BaseException, command: click.Command | None = None) -> Failure:
        """Return the failure of a command that raised an exception, with the exit code of its kind."""
        message, code = f"unexpected {type(error).__name__}: {one_line(error)}", 1
        message += ". Run it again with --debug for the traceback, and report it."
        if isinstance(error, Interrupted):
            message, code = str(error), 128 + error.signal_number
        elif isinstance(error, TfpVaeError):
            message, code = str(error), error.exit_code
        elif isinstance(error, KeyboardInterrupt):
            message, code = "interrupted.", 128 + signal.SIGINT
        elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message, code = f"could not write the output: {error.strerror}. Make room, then try again.", DISK
        elif isinstance(error, FileNotFoundError) and not current_folder_exists():
            message, code = "the current folder was deleted. Change to another folder, then try again.", DISK
        elif is_out_of_memory(error):
            names = {param.name for param in command.params} if command is not None else set()
            options = [f"--{name.replace('_', '-')}" for name in SMALLER if name in names][:4]
            choices = " or ".join(filter(None, (", ".join(options[:-1]), *options[-1:]))) or "model or batch"
            message, code = f"not enough memory for these sizes. Choose a smaller {choices}.", UsageError.exit_code
        return cls(console.with_options(message, command), code)


def current_folder_exists() -> bool:
    """Return whether the folder that relative paths refer to exists."""
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


@final
class Application(click.Group):
    """Import a command's module when the command is called, and turn errors into sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tfp_vae.cli.commands.{cmd_name}").command
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name. An error suggests the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            error.message += suggest(args[0], COMMANDS)  # type: ignore[misc]
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments before the command's name."""
        try:
            return super().parse_args(ctx, args)
        except click.ClickException as error:
            error.message = sentence(error.message)  # type: ignore[misc]
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. With `--debug`, its exceptions pass through."""
        try:
            with streams.printable_streams(), console.warnings(ctx):
                return super().invoke(ctx)
        except click.ClickException as error:
            message = console.with_options(error.message, ctx.meta.get(console.COMMAND))
            error.message = sentence(message)  # type: ignore[misc]
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if ctx.meta.get(DEBUG):
                raise
            raise Failure.of(error, ctx.meta.get(console.COMMAND)) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python or TensorFlow ran out of memory."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def sentence(message: str) -> str:
    """Return a message with a full stop at its end, because messages of click have none."""
    return message if not message or message.endswith((".", "?", "!", ":")) else f"{message}."


HELP = """Variational autoencoders whose encoder, decoder and prior return distributions.

\b
Examples:
  tfp-vae train --mc-samples 5
  tfp-vae sample --n 64
  tfp-vae evaluate --iw-samples 100
"""


@click.group(
    cls=Application, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="tfp-vae")
def main() -> None:
    """Run a command."""
