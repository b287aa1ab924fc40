"""The library's own trainer and evaluation."""

from __future__ import annotations

from typing import Any, final

import numpy as np

import tfp_vae as tv
from benchmarks.problem import LEARNING_RATE, PIXELS, SCALE_FLOOR, Problem
from tfp_vae.binarization import BINARIZATIONS
from tfp_vae.objectives import ELBO
from tfp_vae.optimizers import adam, constant
from tfp_vae.training import Totals, Trainer, epoch_batches


@final
class Peer:
    """The library, through XLA."""

    def __init__(self, problem: Problem) -> None:
        self._workload = workload = problem.workload
        posterior = tv.posteriors.DiagonalNormal(workload.latent_dim, scale_floor=SCALE_FLOOR)
        likelihood = tv.likelihoods.Bernoulli((PIXELS,))
        widths = {"hidden": workload.hidden, "activation": "relu"}
        self._vae = tv.VAE(
            tv.Encoder(tv.networks.mlp((PIXELS,), posterior.params_size, **widths), posterior),
            tv.Decoder(
                tv.networks.mlp((workload.latent_dim,), PIXELS, **{**widths, "hidden": workload.hidden[::-1]}),
                likelihood,
            ),
            tv.priors.StandardNormal(workload.latent_dim),
        )
        for network, layers in (
            (self._vae.encoder.network, problem.encoder),
            (self._vae.decoder.network, problem.decoder),
        ):
            network.set_weights([array for layer in layers for array in layer])
        binarization = BINARIZATIONS.build(BINARIZATIONS.member("dynamic"))
        self._elbo, self._taken, self._examples = ELBO(mc_samples=workload.samples), 0, len(problem.x)
        self._trainer = Trainer(
            self._vae,
            self._elbo,
            adam(LEARNING_RATE),
            constant(LEARNING_RATE, 1),
            problem.x,
            transform=lambda x, seed: binarization.batch(x, seed, "xla"),
            run_seed=0,
        )

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        self._taken += 1
        return float(self._elbo.loss(self._vae, x, seed=(0, self._taken)))

    def train(self, steps: int) -> None:
        """Take training steps, in one compiled loop."""
        batches = epoch_batches(self._examples, self._workload.batch, steps, 0, self._taken)
        self._trainer.run(batches, steps, self._taken, Totals())
        self._taken += steps

    def evaluate(self, x: np.ndarray, samples: int) -> Any:
        """Return log p(x), [B]."""
        return tv.evaluation.log_likelihood(self._vae, x, iw_samples=samples, seed=(0, 0), batch_size=len(x))
