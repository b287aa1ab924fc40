"""TensorFlow on first use."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys

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
