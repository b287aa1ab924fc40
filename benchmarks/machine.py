"""What a run of the benchmarks depends on: the machine, its speed at matrix products, the versions of what is timed."""

from __future__ import annotations

import platform
import re
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("tensorflow", "tensorflow-probability", "tf_keras", "jax", "optax", "torch", "keras", "numpyro", "pythae")
SIZE = 2048
"""Rows and columns of the matrices whose product is timed."""


def described() -> dict[str, Any]:
    """Return the processor, its number of cores, and the versions of the packages that are there."""
    import psutil

    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def _processor() -> str:
    found = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    return found[1] if found else platform.processor()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def product_rate(repeats: int = 10) -> float:
    """Return the float32 operations a second of TensorFlow's product of two matrices, the best of some repeats."""
    import tensorflow as tf

    a = tf.constant(np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32))
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        tf.matmul(a, a).numpy()
        times.append(time.perf_counter() - began)
    return 2 * SIZE**3 / min(times)
