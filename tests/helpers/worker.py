"""A process that imports TensorFlow once and forks a process for each line it reads: `tfp-vae` or a program.

So a training process can be killed many times in the time of one import.
"""

from __future__ import annotations

import abc
import itertools
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, final

from typing_extensions import Self

ROOT = Path(__file__).parents[2]


class Worker:
    """The forking process, as the tests use it."""

    def __enter__(self) -> Worker:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.worker"],
            cwd=ROOT,
            env={**os.environ, "PATH": path},  # so that a program may call `tfp-vae`
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert json.loads(self._process.stdout.readline()) == {"ready": True}
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        self._process.stdout.close()

    def start(
        self,
        *arguments: object,
        said: Path,
        folder: Path = ROOT,
        slow: float = 0.0,
        pause: float = 0.0,
        refused: int | None = None,
        **patches: float,
    ) -> int:
        """Run `tfp-vae` in a process of its own, and return its number.

        Args:
          arguments: the arguments of the command line.
          said: the file that receives stdout and stderr.
          folder: the working folder.
          slow: the delay of each part of a write, in seconds.
          pause: the delay of each compiled call of the training, in seconds.
          refused: the number, from 0, of the write that the kernel refuses.
          patches: values of constants in `tfp_vae.runs.train` and `tfp_vae.training.fitting`.
        """
        order = {
            "arguments": [*map(str, arguments)],
            "said": str(said),
            "folder": str(folder),
            "slow": slow,
            "pause": pause,
            "refused": refused,
            "patches": patches,
        }
        return self._begin(order)

    def run(self, program: str, folder: Path, said: Path) -> int:
        """Run a Python program in a folder, with a fresh import of `tfp_vae`, and return the exit code."""
        self._begin({"program": program, "folder": str(folder), "said": str(said)})
        return self.ended()

    def _begin(self, order: dict[str, Any]) -> int:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answer()["pid"])

    def ended(self) -> int:
        """Wait for the process, and return its exit code, or the negative number of the signal that ended it."""
        return int(self._answer()["code"])

    def call(self, *arguments: object, said: Path, **more: Any) -> int:
        """Run `tfp-vae` to its end, and return the exit code."""
        self.start(*arguments, said=said, **more)
        return self.ended()

    def _answer(self) -> dict[str, Any]:
        return dict(json.loads(self._process.stdout.readline()))


class OpenFile(abc.ABC):
    """An open file that writes in its own way."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @abc.abstractmethod
    def write(self, content: bytes) -> None:
        """Write some bytes."""

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))


@final
class SlowFile(OpenFile):
    """A file whose writes take long, so that the disk holds only a part of them for a while."""

    def __init__(self, file: Any, pause: float) -> None:
        super().__init__(file)
        self._pause = pause

    def write(self, content: bytes) -> None:
        middle = len(content) // 2
        for piece in (content[:middle], content[middle:]):
            self._file.write(piece)
            self._file.flush()
            time.sleep(self._pause)

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return int(self._file.fileno())


def make_slow(pause: float) -> None:
    """Delay every write of the storage: both halves, and the rename."""
    fdopen, replace = os.fdopen, os.replace

    def slow_replace(*arguments: Any, **more: Any) -> None:
        time.sleep(pause)
        replace(*arguments, **more)

    os.fdopen = lambda *arguments, **more: SlowFile(fdopen(*arguments, **more), pause)
    os.replace = slow_replace


def hold_up(pause: float) -> None:
    """Delay every compiled call of the training."""
    from tfp_vae.training.loop import Trainer

    run = Trainer.run

    def slow_run(*arguments: Any) -> Any:
        time.sleep(pause)
        return run(*arguments)

    Trainer.run = slow_run


@final
class FullFile(OpenFile):
    """A file to which the kernel refuses all writes."""

    def write(self, content: bytes) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, hard))
        try:
            self._file.write(content)
            self._file.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def refuse_one(number: int) -> None:
    """Make the kernel refuse one write of the storage, in the middle of the file."""
    fdopen, writes = os.fdopen, itertools.count()

    def opened(*arguments: Any, **more: Any) -> Any:
        file = fdopen(*arguments, **more)
        return FullFile(file) if next(writes) == number else file

    os.fdopen = opened


def command_line(order: dict[str, Any]) -> None:
    """Run `tfp-vae`."""
    from tfp_vae.cli.start import main

    from tfp_vae.runs import train as session
    from tfp_vae.training import fitting

    for name, value in order["patches"].items():
        setattr(fitting if hasattr(fitting, name) else session, name, value)
    if order["slow"]:
        make_slow(order["slow"])
    if order["pause"]:
        hold_up(order["pause"])
    if order["refused"] is not None:
        refuse_one(order["refused"])
    main(order["arguments"])


def program(order: dict[str, Any]) -> None:
    """Run a program, which imports the parts of `tfp_vae` that it uses."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tfp_vae"]:
        del sys.modules[name]
    sys.modules["__main__"] = module = ModuleType("__main__")
    exec(compile(order["program"], "<program>", "exec"), module.__dict__)


def work(order: dict[str, Any]) -> None:
    """Do the requested work in this process, and end it."""
    handle = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    code: object = 99
    try:
        os.chdir(order["folder"])
        (program if "program" in order else command_line)(order)
        code = 0
    except SystemExit as error:
        code = error.code
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))


def serve() -> None:
    """Answer each line with the number of a new process, and then with its exit code."""
    import sklearn.datasets  # noqa: F401
    import tensorflow_probability as tfp

    from tfp_vae.runs import train as session  # noqa: F401

    _ = tfp.distributions  # imported on first use
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            work(json.loads(line))
        print(json.dumps({"pid": pid}), flush=True)  # noqa: T201
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
