"""Slow tests: learning MNIST and photos, and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.photos import colour_crops, ssim
from tfp_vae.runs.config import ModelConfig, TrainingConfig
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.results import Plan, assess
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

pytestmark = pytest.mark.slow


def test_learns_mnist(shared_data: Path, tmp_path: Path) -> None:
    model = ModelConfig(latent_dim=50, encoder="mlp:hidden=200,200", decoder="mlp:hidden=200,200")
    config, dataset = plan("mnist", str(shared_data), None, model, TrainingConfig(epochs=10, lr_schedule="cosine"))
    run = Run.create(tmp_path / "run", config)
    assert train(run, dataset)
    result = assess(LoadedRun(run), dataset, Plan(iw_samples=(100,), max_examples=1_000)).result
    assert result["elbo"] > -105
    assert result["log_likelihood"] > result["elbo"] + 2
    assert 8 <= result["active_units"] <= 40


def test_default_reconstructions_of_colour_photos_keep_their_structure() -> None:
    data = tv.data.load(colour_crops(32, stride=16))
    vae = tv.build(data)
    tv.fit(vae, data, epochs=24)
    x = data.test.x
    found = np.asarray(vae.decoder(vae.encoder(x).mean()).mean())
    assert ssim(x, x) == pytest.approx(1)
    assert ssim(x, np.broadcast_to(data.train.x.mean(axis=0), x.shape)) < 0.4  # because much of the photos is flat
    assert ssim(x, found) > 0.4


PEAK = """
import resource, sys
import numpy as np
import tfp_vae as tv
posterior, likelihood = tv.posteriors.DiagonalNormal(8), tv.likelihoods.Bernoulli((28, 28, 1))
vae = tv.VAE(
    tv.Encoder(tv.networks.mlp((28, 28, 1), 16, hidden=(32,)), posterior),
    tv.Decoder(tv.networks.mlp((8,), 784, hidden=(32,)), likelihood),
    tv.priors.StandardNormal(8),
)
x = np.zeros((32, 28, 28, 1), np.float32)
tv.log_likelihood(vae, x, iw_samples=int(sys.argv[1]), seed=(0, 0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_samples() -> None:
    peaks = [
        int(subprocess.run([sys.executable, "-c", PEAK, str(k)], capture_output=True, text=True, check=True).stdout)
        for k in (500, 50_000)
    ]
    assert peaks[1] < 1.1 * peaks[0]
