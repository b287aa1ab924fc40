"""The program's start: an interrupt while Python is still importing ends it quietly."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line; until it is imported, and after it is done, a signal ends the process without a word."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from .main import main as application

    application(prog_name="tfp-vae")


def _leave(number: int, frame: object) -> None:
    os._exit(128 + number)
