"""SIGINT and SIGTERM, tested with real signals: they end the program at any moment, or training saves its work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tfp_vae.cli.commands.train  # noqa: F401  (which binds what is patched below)
from tfp_vae.cli import signals

from tests.helpers.commands import QUICK, call, one_sentence
from tfp_vae.core import files
from tfp_vae.runs.run import Run

CODES = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]

PROGRAM = """
import os, sys, threading, time, types
from tfp_vae.cli import signals, start

number = int(sys.argv[1])

def send():
    os.kill(os.getpid(), number)

def later(seconds=0.1):
    threading.Timer(seconds, send).start()

def application(arguments, prog_name):
{body}

sys.modules["tfp_vae.cli.main"] = types.SimpleNamespace(main=application)
start.main([])
"""


def run(number: int, body: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Start the program with a command that runs `body`, which sends the signal to its own process."""
    program = PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    command = [sys.executable, "-c", program, str(int(number))]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, **more)


MOMENTS = {
    "in code that swallows exceptions": """
        later()
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                pass
        """,
    "in an import that wraps exceptions": """
        class Field:
            def __set_name__(self, owner, name):
                send()
                time.sleep(10)
        class Model:
            field = Field()
        """,
    "in one call of C code": """
        import hashlib
        later()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
        """,
    "while another thread works": """
        later()
        thread = threading.Thread(target=time.sleep, args=(10,))
        thread.start()
        thread.join()
        """,
    "while descriptor 2 is redirected": """
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        later()
        time.sleep(10)
        """,
    "in a command that has no work to save yet": """
        with signals.collect("saving"):
            later()
            time.sleep(10)
        """,
}
"""Code that receives a signal at a moment at which an exception would be lost, wrapped or late."""


@pytest.mark.parametrize(("number", "code", "word"), CODES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_the_program_at_any_moment(moment: str, number: int, code: int, word: str) -> None:
    done = run(number, MOMENTS[moment])
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"Error: {word}.\n")


def test_a_signal_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    body = """
        from pathlib import Path
        from tfp_vae.core import files
        files.write_bytes(Path("result"), b"old")
        os.fsync = lambda handle: (send(), time.sleep(10))
        files.write_bytes(Path("result"), b"new")
        """
    assert run(signal.SIGINT, body, cwd=tmp_path).returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
    assert (tmp_path / "result").read_bytes() == b"old"


def test_a_second_signal_prints_how_to_resume() -> None:
    body = """
        with signals.collect("saving") as answer:
            answer.ending, answer.saving = ". Resume with: it", True
            later(0.1)
            later(0.3)
            time.sleep(10)
        """
    done = run(signal.SIGINT, body)
    assert (done.returncode, done.stderr) == (130, "saving\nError: interrupted. Resume with: it\n")


def test_a_signal_after_the_block_prints_its_ending() -> None:
    body = """
        with signals.collect("saving") as answer:
            answer.ending = ". The run is complete"
        later()
        time.sleep(10)
        """
    assert run(signal.SIGTERM, body).stderr == "Error: terminated. The run is complete\n"


def test_an_ending_holds_within_its_block_only() -> None:
    within = """
        with signals.ending(". Continue with: it"):
            later()
            time.sleep(10)
        """
    after = """
        with signals.ending(". Continue with: it"):
            pass
        later()
        time.sleep(10)
        """
    done = run(signal.SIGINT, within)
    assert (done.returncode, done.stderr) == (130, "Error: interrupted. Continue with: it\n")
    assert run(signal.SIGINT, after).stderr == "Error: interrupted.\n"


def test_a_signal_to_a_forked_child_does_not_reach_the_program() -> None:
    body = """
        end, start = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(start, b"x")
            time.sleep(10)
        os.read(end, 1)
        os.kill(child, number)
        print(os.waitpid(child, 0)[1])
        time.sleep(0.1)
        """
    done = run(signal.SIGTERM, body)
    assert (done.returncode, done.stdout) == (0, f"{int(signal.SIGTERM)}\n")


def test_a_forked_child_leaves_the_block_and_the_program_still_answers() -> None:
    body = """
        with signals.collect("saving") as answer:
            child = os.fork()
        if child == 0:
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        later()
        time.sleep(10)
        """
    done = run(signal.SIGTERM, body)
    assert (done.returncode, done.stdout) == (143, "7\n"), done.stderr


def test_a_full_pipe_as_stderr_does_not_delay_the_end() -> None:
    """Nobody reads stderr, as when a pager waits for a key."""
    program = PROGRAM.format(
        body="    os.set_blocking(2, False)\n    while True:\n        try:\n            os.write(2, bytes(4096))\n"
        "        except BlockingIOError:\n            break\n    os.set_blocking(2, True)\n    later()\n"
        "    time.sleep(10)"
    )
    with subprocess.Popen([sys.executable, "-c", program, "2"], stderr=subprocess.PIPE) as process:
        assert process.wait(10) == 130


def test_a_command_that_another_program_calls_stops_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    with signals.collect("heard") as answer:
        os.kill(os.getpid(), signal.SIGTERM)
    assert answer.received == [signal.SIGTERM]
    assert capfd.readouterr().err == "heard\n"


@pytest.mark.parametrize(("number", "code", "word"), CODES)
def test_a_signal_at_the_end_of_training_takes_effect(
    number: int, code: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal arrives at the last moment of collection, after training has answered all earlier ones."""
    collect = signals.collect

    @contextmanager
    def late(notice: str) -> Iterator[signals.Answer]:
        with collect(notice) as answer:
            yield answer
            signal.raise_signal(number)

    monkeypatch.setattr(signals, "collect", late)
    said = one_sentence(call("train", *QUICK, "--run-dir", tmp_path / "run", code=code))
    assert f"interrupted after training had finished. The run is complete: {tmp_path / 'run'}" in said
    assert Run(tmp_path / "run").is_whole()


def test_collect_restores_handlers_threads_and_descriptors(capfd: pytest.CaptureFixture[str]) -> None:
    before, threads = [signal.getsignal(number) for number in signals.STOPPING], threading.active_count()
    descriptors = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with signals.collect("heard") as answer:
            os.kill(os.getpid(), signal.SIGTERM)
        assert answer.received == [signal.SIGTERM]
    assert capfd.readouterr().err == 3 * "heard\n"
    assert [signal.getsignal(number) for number in signals.STOPPING] == before
    assert threading.active_count() == threads
    assert len(list(Path("/dev/fd").iterdir())) == descriptors
    assert signal.set_wakeup_fd(-1) == -1


def test_collect_ignores_other_signals() -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with signals.collect("heard") as answer:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert answer.received == []


def test_a_thread_other_than_the_main_one_collects_nothing() -> None:
    found: list[list[int]] = []

    def collect() -> None:
        with signals.collect("heard") as answer:
            found.append(answer.received)

    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    assert found == [[]]


def test_no_file_is_completed_once_the_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_RENAMES", threading.Lock())
    staged = tmp_path / ".a.part"
    staged.touch()
    with files.open_folder(tmp_path) as folder:
        monkeypatch.setattr(files, "_STAGED", {(folder, staged.name), (folder, "gone")})
        files.remove_staged_files()
    assert not staged.exists()
    writer = threading.Thread(target=files.write_bytes, args=(tmp_path / "b", b"new"), daemon=True)
    writer.start()
    writer.join(0.1)
    assert not (tmp_path / "b").exists()
    files._RENAMES.release()  # so that the thread ends
    writer.join()
