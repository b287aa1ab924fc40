"""The machine that runs the benchmarks: its processor, its rate of matrix products and the versions of packages."""

from __future__ import annotations

import contextlib
import platform
import re
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("tensorflow", "tensorflow-probability", "tf_keras", "jax", "optax", "torch", "keras", "numpyro", "pythae")
SIZE = 2048
"""Rows and columns of the matrices in `product_rate`."""


def describe() -> dict[str, Any]:
    """Return the processor, its number of cores, and the versions of the installed packages."""
    import psutil

    packages = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    cpu = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpu.read_text()) if cpu.exists() else None
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": psutil.cpu_count(),
        "python": platform.python_version(),
        "packages": packages,
    }


def product_rate(repeats: int = 10) -> float:
    """Return the float32 operations per second of TensorFlow's matrix product, the best of several repeats."""
    import tensorflow as tf

    a = tf.constant(np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32))
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        tf.matmul(a, a).numpy()
        times.append(time.perf_counter() - began)
    return 2 * SIZE**3 / min(times)
