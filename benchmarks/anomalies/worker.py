"""Fit one detector and score rows in a process of its own: `python -m benchmarks.anomalies.worker NAME ROWS SEED`.

It prints its times as JSON. Only the library of the detector is imported, and before the clock starts, so the process
can run in an environment that has no other library.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

__all__ = ["COLUMNS", "DETECTORS", "Fitted", "draw"]

COLUMNS, FACTORS, GROUPS = 30, 5, 3
"""The columns of the rows, the dimension of the surface near which they lie, and the groups on it."""


Fitted: TypeAlias = "Callable[[np.ndarray], np.ndarray]"
"""A detector that is ready to score rows, [N, C] -> [N]."""

Start: TypeAlias = "Callable[[int], Callable[[np.ndarray], Fitted]]"
"""Imports a library, and returns a function that fits its detector with a seed."""


def start_vae(seed: int) -> Callable[[np.ndarray], Fitted]:
    """Return our VAE with its defaults, among them K = 100 samples per row."""
    import tensorflow_probability
    import tf_keras

    from tfp_vae.interop.sklearn import VAE

    del tensorflow_probability, tf_keras  # imported for the clock
    return lambda x: VAE(random_state=seed).fit(x).score_samples


def start_pyod_vae(seed: int) -> Callable[[np.ndarray], Fitted]:
    """Return the VAE of PyOD with its defaults."""
    from pyod.models.vae import VAE

    return lambda x: VAE(random_state=seed, verbose=0, device="cpu").fit(x).decision_function


def start_mixture(seed: int) -> Callable[[np.ndarray], Fitted]:
    """Return a Gaussian mixture of 8 components with full covariances."""
    from sklearn.mixture import GaussianMixture

    return lambda x: GaussianMixture(8, reg_covar=1e-3, random_state=seed).fit(x).score_samples


DETECTORS: dict[str, Start] = {
    "tfp_vae": start_vae,
    "PyOD's VAE": start_pyod_vae,
    "GaussianMixture": start_mixture,
}
"""The detectors by name."""


def draw(rows: int, seed: int) -> np.ndarray:
    """Return rows near a curved surface of 5 dimensions on which they form 3 groups, [rows, 30], float32."""
    fixed, generator = np.random.default_rng(0), np.random.default_rng(seed)
    centres, first, second = (
        fixed.normal(size=shape) for shape in ((GROUPS, FACTORS), (FACTORS, COLUMNS), (FACTORS, COLUMNS))
    )
    z = centres[generator.integers(GROUPS, size=rows)] + 0.5 * generator.normal(size=(rows, FACTORS))
    x = z @ first + np.sin(z @ second) + 0.3 * generator.normal(size=(rows, COLUMNS))
    return x.astype(np.float32)


def main(name: str, rows: int, seed: int) -> None:
    """Print the seconds and CPU seconds of fitting and of scoring as many other rows, and the peak memory in bytes."""
    warnings.simplefilter("ignore")
    fit, train, test = DETECTORS[name](seed), draw(rows, 2 * seed + 1), draw(rows, 2 * seed + 2)
    clocks = [(time.perf_counter(), time.process_time())]
    fitted = fit(train)
    clocks.append((time.perf_counter(), time.process_time()))
    scores = fitted(test)
    clocks.append((time.perf_counter(), time.process_time()))
    assert scores.shape == (rows,)
    (fit_seconds, fit_cpu), (score_seconds, score_cpu) = np.diff(clocks, axis=0).tolist()
    found = {
        "fit_seconds": fit_seconds,
        "fit_cpu": fit_cpu,
        "score_seconds": score_seconds,
        "score_cpu": score_cpu,
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    sys.stdout.write(f"\n{json.dumps(found)}\n")  # below whatever a library has printed


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
