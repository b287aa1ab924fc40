"""Engines: compiled once for each kind of model."""

from __future__ import annotations

import resource
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from tfp_vae.interop.sklearn import VAE, engines
from tfp_vae.interop.sklearn.engines import engine_for, keep
from tfp_vae.runs.config import ModelConfig


def test_values_that_were_used_last_are_kept() -> None:
    found: OrderedDict[str, int] = OrderedDict()
    for key in "abacad":
        keep(found, key, 2, lambda: ord(key))  # noqa: B023
    assert list(found) == ["a", "d"]
    assert keep(found, "a", 2, lambda: 0) == ord("a")


@pytest.mark.slow
def test_equal_settings_share_an_engine_and_their_number_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "MOST_ENGINES", 2)
    model = ModelConfig(latent_dim=1, likelihood="normal", encoder="mlp:hidden=2", decoder="mlp:hidden=2")
    first = engine_for(model, (2,))
    assert engine_for(model.model_copy(), (2,)) is first
    assert engine_for(model, (3,)) is not first
    engine_for(model, (4,))
    assert len(engines._ENGINES) == 2
    assert engine_for(model, (2,)) is not first


@pytest.mark.slow
def test_fits_of_other_sizes_and_seeds_trace_nothing_again(rng: np.random.Generator) -> None:
    x = rng.normal(size=(90, 2))
    settings = {"epochs": 2, "hidden": (4,), "batch_size": 16, "iw_samples": 5, "execution": "graph"}
    first = VAE(random_state=0, **settings).fit(x)
    loops = next(iter(first.fitted_.engine._loops.values()))
    scores = first.score_samples(x)
    for size, seed in ((60, 1), (75, 2), (90, 3)):
        other = VAE(random_state=seed, **settings).fit(x[:size])
        assert other.fitted_.engine is first.fitted_.engine
        assert np.isfinite(other.score(x[:7]))
    assert len(first.fitted_.engine._loops) == 1
    assert loops.trainer._loop.experimental_get_tracing_count() == 1
    assert loops.validator._bound.experimental_get_tracing_count() == 1
    np.testing.assert_array_equal(first.score_samples(x), scores)  # although the others used the same engine
    again = VAE(random_state=0, **settings).fit(x)
    for name, array in first.fitted_.weights.items():
        np.testing.assert_array_equal(again.fitted_.weights[name], array, err_msg=name)


def resident() -> int:
    """Return the memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_hundred_fits_neither_slow_down_nor_leak(rng: np.random.Generator) -> None:
    x = rng.normal(size=(150, 4))
    settings = {"epochs": 2, "hidden": (16,), "iw_samples": 5, "execution": "graph"}
    seconds, memory = [], []
    for i in range(100):
        began = time.process_time()
        VAE(random_state=i, **settings).fit(x[: 150 - i % 10])
        seconds.append(time.process_time() - began)
        memory.append(resident())
    assert np.median(seconds[-30:]) < 1.5 * np.median(seconds[10:40])
    assert max(memory[-30:]) - min(memory[20:50]) < 20e6
