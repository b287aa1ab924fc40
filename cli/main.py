"""The group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import signal
from typing import final

import click

from tfp_vae import __version__
from tfp_vae.core.errors import DiskError, Interrupted, TfpVaeError, UsageError, one_line

from . import console, signals

COMMANDS = {
    "train": "Train a model and write a run.",
    "sample": "Sample from p(x) of a run.",
    "evaluate": "Estimate log p(x) and diagnostics on held-out data.",
    "reconstruct": "Reconstruct examples from their latent codes.",
    "encode": "Write the means, scales and samples of q(z|x) to a file.",
    "interpolate": "Decode paths through latent space.",
    "score": "Write log p(x) of each example and show the least likely.",
    "plot": "Draw pictures of a run into its folder.",
    "report": "Write a run as one HTML page that works offline.",
    "data": "List data sets or inspect one.",
    "runs": "List the runs in --runs-dir, oldest first.",
    "info": "Show versions, a run's configuration or a table of names.",
}
DEBUG = "tfp_vae.debug"
DISK = DiskError.exit_code


@final
class Failure(click.ClickException):
    """An error as the user sees it: at most three sentences on stderr, and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return the failure for an exception, with the exit code of its kind."""
        message, code = f"unexpected {type(error).__name__}: {one_line(error)}", 1
        message += ". Run it again with --debug for the traceback, and report it."
        if isinstance(error, Interrupted):
            message, code = str(error), 128 + error.signal_number
        elif isinstance(error, TfpVaeError):
            message, code = str(error), error.exit_code
        elif isinstance(error, KeyboardInterrupt):
            message, code = "interrupted.", 128 + signal.SIGINT
        elif isinstance(error, signals.Terminated):
            message, code = "terminated.", 128 + signal.SIGTERM
        elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message, code = f"could not write the output: {error.strerror}. Make room, then try again.", DISK
        elif isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
            message, code = "not enough memory for these sizes. Choose a smaller model or batch.", UsageError.exit_code
        return cls(message, code)


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
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. With `--debug`, its exceptions pass through."""
        try:
            with signals.raise_exceptions(), console.warnings(ctx):
                return super().invoke(ctx)
        except click.ClickException as error:
            error.message = console.with_options(error.message, ctx.meta.get(console.COMMAND))  # type: ignore[misc]
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt, signals.Terminated) as error:
            if ctx.meta.get(DEBUG):
                raise
            failure = Failure.of(error)
            failure.message = console.with_options(failure.message, ctx.meta.get(console.COMMAND))  # type: ignore[misc]
            raise failure from None


@click.group(cls=Application, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tfp-vae")
def main() -> None:
    """Variational autoencoders whose encoder, decoder and prior return distributions.

    \b
    Examples:
      tfp-vae train --mc-samples 5
      tfp-vae sample --n 64
      tfp-vae evaluate --iw-samples 100
    """  # noqa: D301  (a raw string would print click's mark for a block without line wrapping)
