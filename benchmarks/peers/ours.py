"""The trainer and the evaluation of this library."""

from __future__ import annotations

from typing import Any, final

import numpy as np

import tfp_vae as tv
from benchmarks.problem import (
    CHANNELS,
    CONTEXT,
    DENSE,
    FLOW_WIDTH,
    LEARNING_RATE,
    PIXELS,
    SCALE_FLOOR,
    SIDE,
    Problem,
    Workload,
    evidence,
)
from tfp_vae.core.execution import choose
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.objectives import ELBO, MonteCarloELBO
from tfp_vae.training.history import Totals
from tfp_vae.training.loop import Trainer, epoch_batches
from tfp_vae.training.optimizers import adam, constant


@final
class Peer:
    """The model of this library with its default execution."""

    def __init__(self, problem: Problem) -> None:
        self._workload = workload = problem.workload
        self._vae = build(workload)
        set_weights(self._vae, problem)
        binarization = BINARIZATIONS.build(BINARIZATIONS.member("dynamic"))
        self._elbo = (MonteCarloELBO if workload.flow else ELBO)(mc_samples=workload.samples)
        self._taken, self._examples = 0, len(problem.x)
        self._estimator: tv.evaluation.Estimator | None = None
        self._execution = choose(self._vae)
        self._trainer = Trainer(
            self._vae,
            self._elbo,
            adam(LEARNING_RATE),
            constant(LEARNING_RATE, 1),
            problem.x.reshape(-1, SIDE, SIDE, 1),
            transform=binarization.batch,
            run_seed=0,
            execution=self._execution,
        )

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        self._taken += 1
        return float(self._elbo.loss(self._vae, x.reshape(-1, SIDE, SIDE, 1), seed=(0, self._taken)))

    def train(self, steps: int) -> None:
        """Take training steps, in one compiled loop."""
        batches = epoch_batches(self._examples, self._workload.batch, steps, 0, self._taken)
        self._trainer.run(batches, steps, self._taken, Totals())
        self._taken += steps

    def evaluate(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Return log p(x), [B]."""
        if self._estimator is None:
            self._estimator = tv.evaluation.Estimator(self._vae, iw_samples=samples)
        self._taken += 1
        return self._estimator(x.reshape(-1, SIDE, SIDE, 1), seed=(0, self._taken)).log_likelihood

    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return log p(x), [B], from noise [S, B, D], by the model's distributions."""
        posterior = self._vae.encoder(x := x.reshape(-1, SIDE, SIDE, 1))
        z = posterior.mean() + posterior.stddev() * noise
        log_joint = self._vae.decoder(z).log_prob(x) + self._vae.prior().log_prob(z)
        return evidence(log_joint - posterior.log_prob(z))


def build(workload: Workload) -> tv.VAE:
    """Return the model of a workload."""
    image = (SIDE, SIDE, 1)
    posterior: tv.posteriors.Posterior = tv.posteriors.DiagonalNormal(workload.latent_dim, scale_floor=SCALE_FLOOR)
    if workload.flow:
        posterior = tv.posteriors.InverseAutoregressiveFlow(
            workload.latent_dim, depth=workload.flow, hidden=FLOW_WIDTH, context=CONTEXT
        )
    if workload.hidden:
        encoder = tv.networks.mlp(image, posterior.params_size, hidden=workload.hidden, activation="relu")
        decoder = tv.networks.mlp((workload.latent_dim,), PIXELS, hidden=workload.hidden[::-1], activation="relu")
    else:
        settings: dict[str, Any] = {"channels": CHANNELS, "dense": (DENSE,), "activation": "relu"}
        encoder = tv.networks.conv(image, posterior.params_size, **settings)
        decoder = tv.networks.conv((workload.latent_dim,), PIXELS, image_shape=image, **settings)
    return tv.VAE(
        tv.Encoder(encoder, posterior),
        tv.Decoder(decoder, tv.likelihoods.Bernoulli(image)),
        tv.priors.StandardNormal(workload.latent_dim),
    )


def set_weights(vae: tv.VAE, problem: Problem) -> None:
    """Set the first weights of a problem."""
    networks: tuple[Any, Any] = vae.encoder.network, vae.decoder.network
    for network, layers in zip(networks, (problem.encoder, problem.decoder), strict=True):
        arrays = [array for layer in layers for array in layer]
        network.set_weights([*arrays, *network.get_weights()[len(arrays) :]])  # convolutions have a bias per pixel too
    flow = getattr(vae.encoder.posterior, "flow", None)
    for network, weights in zip(() if flow is None else flow.networks, problem.flow, strict=True):
        for kind, given in zip(("kernels", "biases", "from_context"), zip(*weights, strict=True), strict=True):
            for variable, array in zip(getattr(network, kind), given, strict=True):
                variable.assign(array)
