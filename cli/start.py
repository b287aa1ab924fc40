"""The program's start: from here on, signals end the process quickly, and its streams can be written."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from . import signals, streams


def leave(number: int, frame: FrameType | None) -> None:
    """End the process without a message, before the program has begun or after it is done."""
    os._exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
      arguments: the arguments. By default those of the process.
    """
    if sys.flags.optimize > 1 and arguments is None:
        keep_docstrings()
    for stopping in signals.STOPPING:
        signal.signal(stopping, leave)
    os.register_at_fork(after_in_child=signals.forget)
    stdout = streams.open_streams()
    try:
        with signals.watch(signals.Answer()):
            from .main import main as application

            application(arguments, prog_name="tfp-vae")
    except SystemExit as end:
        atexit._run_exitfuncs()  # noqa: SLF001  (there is no public way)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        code = int(end.code or 0)
        if stdout.failure is not None and not code:
            from tfp_vae.core.errors import DiskError  # the program's start does without it

            sys.stderr.write(f"Error: {stdout.failure}\n")
            code = DiskError.exit_code
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)  # shutting TensorFlow down takes over a second


def keep_docstrings() -> None:
    """Replace the process by one with `-O` instead of `-OO`, because tf_keras cannot be imported without docstrings.

    Python's other flags stay. A program from `-c` or from stdin goes on, because it cannot be started again.
    """
    if sys.argv[0] in ("", "-", "-c"):
        return
    import re  # the program's start does without it

    split = len(sys.orig_argv) - len(sys.argv) + 1  # the program's own arguments begin here
    letters = re.compile("^-[^-cmWX]*")  # flags without values at the start of an argument
    before = [letters.sub(lambda found: found[0].replace("O", ""), each) for each in sys.orig_argv[1:split]]
    arguments = ["-O", *(each for each in before if each != "-"), *sys.orig_argv[split:]]
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "PYTHONOPTIMIZE": "1"})
