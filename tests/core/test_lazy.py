"""TensorFlow on first use."""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tfp_vae.core import lazy
from tfp_vae.core.lazy import LazyModule

NAMES = {"tf": "tensorflow", "tfp": "tensorflow_probability", "keras": "tf_keras"}


@pytest.mark.parametrize("name", NAMES)
def test_lazy_module_has_the_attributes_of_the_module(name: str) -> None:
    module = importlib.import_module(NAMES[name])
    assert getattr(lazy, name).__version__ == module.__version__


def test_lazy_distributions_equal_those_of_tfp() -> None:
    assert lazy.tfd.Normal is importlib.import_module("tensorflow_probability").distributions.Normal


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lazy.tf.no_such_name


def test_missing_module_raises_an_error_only_on_use() -> None:
    module = LazyModule("tfp_vae_no_such_module")
    with pytest.raises(ModuleNotFoundError, match="tfp_vae_no_such_module"):
        _ = module.anything


@pytest.mark.parametrize(("message", "kept"), [("triggered tf.function retracing", False), ("out of memory", True)])
def test_filter_drops_only_the_warning_about_retracing(message: str, kept: bool) -> None:
    record = logging.LogRecord("tensorflow", logging.WARNING, "", 0, message, (), None)
    assert bool(lazy.tf.get_logger().filter(record)) == kept


def test_tables_of_names_do_not_import_tensorflow() -> None:
    program = (
        "import sys\n"
        "from tfp_vae.model import posteriors, priors\n"
        "from tfp_vae.training import optimizers\n"
        "posteriors.POSTERIORS.member('real-nvp'), optimizers.OPTIMIZERS.member('adam')\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


NOTICES = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795791170.435026   10034 port.cc:153] oneDNN custom operations are on.\n"
    b"2026-11-27 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n"
)


@pytest.mark.parametrize("error", [None, ImportError, KeyboardInterrupt])
def test_notices_of_tensorflow_are_dropped_and_other_lines_kept(
    error: type[BaseException] | None, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(KeyboardInterrupt, ImportError), lazy.drop_notices():
        os.write(2, NOTICES + b"E0000 a real error\nlast words")
        if error is not None:
            raise error
    assert capfd.readouterr().err == "E0000 a real error\nlast words"


def test_import_without_stderr_drops_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def closed(descriptor: int) -> int:
        raise OSError(errno.EBADF, "closed")

    with monkeypatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(os, "dup", closed)
        stack.enter_context(lazy.drop_notices())
        os.write(2, NOTICES)
    assert capfd.readouterr().err == NOTICES.decode()


def test_keras_3_is_skipped_within_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
        monkeypatch.delitem(sys.modules, name)
    with lazy.skip_keras_3(), pytest.raises(ImportError):
        importlib.import_module("keras.src.optimizers")
    assert not [name for name in sys.modules if name.split(".")[0] == "keras"]


def test_a_keras_that_is_imported_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", kept := ModuleType("keras"))
    with lazy.skip_keras_3():
        assert sys.modules.get("keras.src", kept) is not None
    assert sys.modules["keras"] is kept


def test_tensorflow_probability_finds_keras_3_without_importing_it() -> None:
    namespace = SimpleNamespace(keras="own")
    with lazy.answer_for_keras_3(namespace):
        assert namespace.keras.version() == "3."
    assert namespace.keras == "own"


@pytest.mark.slow
def test_start_is_quiet_and_imports_neither_keras_3_nor_its_dependencies() -> None:
    program = (
        "import sys, tfp_vae as tv\n"
        "from tfp_vae.core.lazy import tf, tfd, keras\n"
        "tfd.Normal(0.0, 1.0).sample(seed=0), keras.layers.Dense(2)\n"
        "print(sorted({'keras', 'matplotlib', 'sklearn'} & set(sys.modules)))\n"
        "from tensorflow.keras.layers import Dense\n"
        "print(Dense.__module__.startswith('keras.src'), Dense is tf.keras.layers.Dense)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("[]\nTrue True\n", "")
