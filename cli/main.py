"""The group of commands, and what becomes of an error."""

from __future__ import annotations

import errno
import importlib
import signal
from typing import Any, final

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


@final
class _Failure(click.ClickException):
    """One or two sentences on stderr, and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


@final
class _Application(click.Group):
    """Imports a command's module when the command is called, and turns errors into sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tfp_vae.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with signals.raise_exceptions(), console.notices(ctx):
                return super().invoke(ctx)
        except click.ClickException as error:
            error.message = console.with_options(error.message, ctx.meta.get(console.COMMAND))  # type: ignore[misc]
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt, signals.Terminated) as error:
            if ctx.meta.get(DEBUG):
                raise
            failure = _failure(error)
            message = console.with_options(failure.message, ctx.meta.get(console.COMMAND))
            raise _Failure(message, failure.exit_code) from None


def _failure(error: BaseException) -> _Failure:
    if isinstance(error, Interrupted):
        return _Failure(str(error), 128 + error.signal_number)
    if isinstance(error, TfpVaeError):
        return _Failure(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt | signals.Terminated):
        return _Failure(*_STOPPED[type(error)])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _Failure(
            f"could not write the output: {error.strerror}. Make room, then try again.", DiskError.exit_code
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return _Failure("not enough memory for these sizes; choose a smaller model or batch.", UsageError.exit_code)
    return _Failure(
        f"unexpected {type(error).__name__}: {one_line(error)}. Run it again with --debug for the traceback, and "
        "report it.",
        1,
    )


_STOPPED: dict[type[BaseException], tuple[str, int]] = {
    KeyboardInterrupt: ("interrupted.", 128 + signal.SIGINT),
    signals.Terminated: ("terminated.", 128 + signal.SIGTERM),
}


@click.group(cls=_Application, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tfp-vae")
def main() -> None:
    """Variational autoencoders whose encoder, decoder and prior return distributions.

    \b
    Examples:
      tfp-vae train --mc-samples 5
      tfp-vae sample --n 64
      tfp-vae evaluate --iw-samples 100
    """  # noqa: D301  (a raw string would print click's mark of a paragraph to leave as it is)
