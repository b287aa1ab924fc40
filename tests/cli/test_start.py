"""The program's start: signals end it quietly before the command line is imported."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from tfp_vae.cli import start

STUBBED = """
import os, sys, types
from tfp_vae.cli import start

def application(prog_name):
    {body}

sys.modules["tfp_vae.cli.main"] = types.SimpleNamespace(main=application)
start.main()
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    """Start the program with a command line that runs `body` instead of a command."""
    command = [sys.executable, "-c", STUBBED.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_program_is_installed_under_its_name() -> None:
    (script,) = entry_points(group="console_scripts", name="tfp-vae")
    assert script.load() is start.main


def test_command_line_gets_the_name_of_the_program() -> None:
    done = run("print(prog_name)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "tfp-vae\n", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_during_the_start_ends_the_process_without_a_message(number: int, code: int) -> None:
    done = run(f"os.kill(os.getpid(), {int(number)})")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.slow
def test_an_interrupt_while_the_program_starts_leaves_no_traceback() -> None:
    """Python itself answers a signal that arrives before the first line of the program."""
    draw, heard = random.Random(1), 0
    program = Path(sys.executable).with_name("tfp-vae")
    for i in range(40):
        with subprocess.Popen([program, "runs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(draw.uniform(0.03, 0.4))
            process.send_signal((signal.SIGINT, signal.SIGTERM)[i % 2])
            _, said = process.communicate(timeout=60)
        assert not re.search(r'cli/start.py", line \d+, in main', said), said
        assert "Traceback" in said or process.returncode in {0, 130, 143, -signal.SIGINT, -signal.SIGTERM}
        heard += process.returncode in {130, 143}
    assert heard >= 10
