"""SIGINT and SIGTERM during training, tested with real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tfp_vae.cli.commands.train  # noqa: F401  (which binds what is patched below)
from tfp_vae.cli import console, signals

from tests.helpers.commands import call, one_sentence
from tfp_vae.runs.run import Run

SMALL = ("train", "--epochs", 1, "--hidden", 8, "--execution", "graph", "--no-plots", "--run-dir")
CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]

IN_ONE_CALL = """
import hashlib
from tfp_vae.cli import signals
with signals.collect("heard"):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # some minutes within one call of C
"""


@pytest.mark.parametrize(("number", "code"), CODES)
def test_signals_are_answered_during_a_call_of_c_code(number: int, code: int) -> None:
    command = [sys.executable, "-c", IN_ONE_CALL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        late = threading.Timer(30, process.kill)  # so the test does not wait forever for a line
        late.start()
        try:
            assert process.stdout.readline() == "begun\n"
            process.send_signal(number)
            assert process.stderr.readline() == "heard\n"
            process.send_signal(number)
            assert process.wait(10) == code
        finally:
            late.cancel()
            process.kill()


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_signal_at_the_end_of_training_takes_effect(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal arrives at the last moment of collection, after training has answered all earlier ones."""
    handle = signals.handle

    @contextmanager
    def late(handlers: dict[signal.Signals, object]) -> Iterator[None]:
        with handle(handlers):
            yield
            if handlers.keys() == set(signals.STOPPING) and len({*handlers.values()}) == 1:
                signal.raise_signal(number)

    monkeypatch.setattr(signals, "handle", late)
    said = one_sentence(call(*SMALL, tmp_path / "run", code=code))
    assert f"training had finished, and the run is complete: {tmp_path / 'run'}" in said
    assert Run(tmp_path / "run").is_whole()


def test_collect_restores_handlers_threads_and_descriptors(capfd: pytest.CaptureFixture[str]) -> None:
    before, threads = [signal.getsignal(number) for number in signals.STOPPING], threading.active_count()
    descriptors = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with signals.collect("heard") as received:
            os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
    assert capfd.readouterr().err == 3 * "heard\n"
    assert [signal.getsignal(number) for number in signals.STOPPING] == before
    assert threading.active_count() == threads
    assert len(list(Path("/dev/fd").iterdir())) == descriptors
    assert signal.set_wakeup_fd(-1) == -1


def test_collect_ignores_other_signals() -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with signals.collect("heard") as received:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert received == []


def test_a_thread_other_than_the_main_one_collects_nothing() -> None:
    found: list[list[int]] = []

    def collect() -> None:
        with signals.collect("heard") as received:
            found.append(received)

    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    assert found == [[]]


def test_notice_reaches_the_original_stderr(tmp_path: Path) -> None:
    """TensorFlow's start redirects stderr, but the notice goes to the previous target."""
    code = """
import os, signal, time
from tfp_vae.cli import signals
with signals.collect("answered") as received:
    away = os.open("away", os.O_CREAT | os.O_WRONLY)
    os.dup2(away, 2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
assert received == [2]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "answered\n"


@pytest.mark.parametrize(
    ("error", "told"), [(KeyboardInterrupt, ""), (signals.Terminated, ""), (ImportError, "a note of TensorFlow\n")]
)
def test_messages_of_tensorflow_appear_only_if_its_import_fails(
    error: type[BaseException], told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def failing(name: str) -> None:
        os.write(2, b"a note of TensorFlow\n")
        raise error

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr("importlib.import_module", failing)
    with pytest.raises(error):
        console.start_tensorflow()
    assert capfd.readouterr().err == told
