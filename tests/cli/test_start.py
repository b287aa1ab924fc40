"""The program's start: signals end it quietly before the command line is imported."""

from __future__ import annotations

import os
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

def application(arguments, prog_name):
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


@pytest.mark.parametrize(("end", "code"), [("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(3)", 3)])
def test_end_runs_exit_functions_and_writes_output(end: str, code: int) -> None:
    done = run(f"import atexit; atexit.register(print, 'bye'); sys.stdout.write('done '); {end}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "done bye\n", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_after_the_command_ends_the_process_without_a_message(number: int, code: int) -> None:
    done = run(f"import atexit; atexit.register(os.kill, os.getpid(), {int(number)})")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


FORMS = {
    "script": ["-OO", "stub.py"],
    "module": ["-OO", "-m", "stub"],
    "one argument": ["-OOm", "stub"],
    "one argument with the name": ["-OOmstub"],
    "twice": ["-O", "-O", "stub.py"],
    "environment": ["stub.py"],
}


@pytest.mark.parametrize("form", FORMS)
def test_program_keeps_docstrings_without_which_keras_fails(form: str, tmp_path: Path) -> None:
    body = "print(sys.flags.optimize, sys.argv[1:])"
    (tmp_path / "stub.py").write_text(STUBBED.format(body=body))
    environment = {**os.environ, "PYTHONOPTIMIZE": "2" if form == "environment" else ""}
    done = subprocess.run(
        [sys.executable, *FORMS[form], "runs", "-OO"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 ['runs', '-OO']\n", "")


def test_other_flags_stay_if_docstrings_are_kept(tmp_path: Path) -> None:
    body = "print(sys.flags.optimize, sys.flags.isolated, sys._xoptions, sys.warnoptions, sys.argv[1:])"
    (tmp_path / "stub.py").write_text(STUBBED.format(body=body))
    flags = ["-IOO", "-X", "OO=1", "-Wignore:OO", "-W", "default:OO", "-XO"]
    done = subprocess.run(
        [sys.executable, *flags, "stub.py", "runs"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    shown = "1 1 {'OO': '1', 'O': True} ['ignore:OO', 'default:OO'] ['runs']\n"
    assert (done.returncode, done.stdout) == (0, shown), done.stderr


@pytest.mark.parametrize("flags", [["-OO", "-c"], ["-OOc"]])
def test_code_on_the_command_line_is_not_started_again(flags: list[str]) -> None:
    code = "print('once', flush=True)\n" + STUBBED.format(body="print(sys.flags.optimize)")
    done = subprocess.run(
        [sys.executable, *flags, code, "runs"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n2\n", "")


def wait_for_handlers(process: subprocess.Popen[str]) -> None:
    """Wait until the program handles SIGTERM. Until then, Python itself answers."""
    status, late = Path(f"/proc/{process.pid}/status"), time.monotonic() + 60
    while not int(re.findall(r"SigCgt:\s*(\w+)", status.read_text())[0], 16) >> (signal.SIGTERM - 1) & 1:
        assert time.monotonic() < late
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads the handled signals from /proc")
@pytest.mark.parametrize(
    ("arguments", "seconds", "times"),
    [(["runs"], 0.5, 24), (["train", "--execution", "xla", "--epochs", "1"], 12.0, 10)],
    ids=["runs", "train"],
)
def test_an_interrupt_at_a_random_moment_ends_the_program(
    arguments: list[str], seconds: float, times: int, tmp_path: Path
) -> None:
    """While it imports its own modules or TensorFlow, compiles, trains or draws pictures."""
    draw, ended = random.Random(1), 0
    program = Path(sys.executable).with_name("tfp-vae")
    for i in range(times):
        number, word = ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"))[i % 2]
        with subprocess.Popen(
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            wait_for_handlers(process)
            time.sleep(seconds * (i + draw.random()) / times)  # one moment in each interval
            process.send_signal(number)
            began = time.monotonic()
            _, said = process.communicate(timeout=60)
        assert time.monotonic() - began < 15, said  # 2 s are promised, and a busy machine gets more
        assert "Traceback" not in said, said
        assert "unexpected" not in said, said
        if process.returncode in {128 + number, -number}:
            ended += 1
            assert re.search(rf"^Error: ({word}|interrupted)", said, re.MULTILINE) or not said, said
        else:
            assert process.returncode == 0, said
    assert ended >= times // 2
