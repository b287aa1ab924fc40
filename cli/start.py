"""The program's start: an interrupt while Python is still importing ends it quietly."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line. Before it is imported and after it is done, a signal ends the process without a message."""
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, lambda number, frame: os._exit(128 + number))
    from .main import main as application

    application(prog_name="tfp-vae")
