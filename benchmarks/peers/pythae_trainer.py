"""pythae: its VAE with a custom encoder and decoder, its trainer and its `get_nll`."""

from __future__ import annotations

import tempfile
from typing import final
from unittest import mock

import numpy as np
import torch
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor
from torch.nn import functional

from benchmarks.peers import torch_eager
from benchmarks.problem import LEARNING_RATE, PIXELS, SCALE_FLOOR, Problem, Workload


def takes(workload: Workload) -> bool:
    """Return whether pythae supports a workload. It trains with one sample, and its own flow has another network."""
    return not workload.flow and (workload.steps == 0 or workload.samples == 1)


@final
class Encoder(BaseEncoder):
    """The parameters of q(z|x), as pythae names them."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.layers = torch_eager.encoder(problem)

    def forward(self, x: Tensor) -> ModelOutput:
        """Return loc and log scale^2."""
        loc, s = self.layers(x).chunk(2, dim=-1)
        return ModelOutput(embedding=loc, log_covariance=2 * (SCALE_FLOOR + functional.softplus(s)).log())


@final
class Decoder(BaseDecoder):
    """The means of p(x|z)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.layers = torch_eager.decoder(problem)

    def forward(self, z: Tensor) -> ModelOutput:
        """Return E[x|z]."""
        return ModelOutput(reconstruction=self.layers(z).sigmoid())


@final
class Binarized(BaseDataset):
    """A number of examples, each binarized again whenever it is read."""

    def __init__(self, x: Tensor, examples: int) -> None:
        super().__init__(x, torch.zeros(len(x)))
        self._examples = examples

    def __len__(self) -> int:
        return self._examples

    def __getitem__(self, index: int) -> DatasetOutput:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[DatasetOutput]:
        """Return the examples of a batch, binarized together."""
        rows = torch.tensor(indices) % len(self.data)
        return [
            DatasetOutput(data=x, labels=y)
            for x, y in zip(torch.bernoulli(self.data[rows]), self.labels[rows], strict=True)
        ]


@final
class Peer:
    """pythae."""

    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(0)
        config = VAEConfig(input_dim=(PIXELS,), latent_dim=problem.workload.latent_dim, reconstruction_loss="bce")
        self._model = VAE(config, Encoder(problem), Decoder(problem))
        self._problem, self._x, self._batch = problem, torch_eager.as_tensor(problem, problem.x), problem.workload.batch

    @torch.no_grad()
    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        return float(self._model({"data": torch_eager.as_tensor(self._problem, x)}).loss)

    def train(self, steps: int) -> None:
        """Train for one epoch with this number of batches."""
        with tempfile.TemporaryDirectory() as folder:
            config = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=1,
                learning_rate=LEARNING_RATE,
                per_device_train_batch_size=self._batch,
            )
            dataset = Binarized(self._x, steps * self._batch)
            BaseTrainer(self._model, dataset, training_config=config).train()

    @torch.no_grad()
    def evaluate(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Return the mean of log p(x), because `get_nll` averages."""
        return np.asarray(
            self._model.get_nll(torch_eager.as_tensor(self._problem, x), samples, batch_size=min(samples, 1_000))
        )

    @torch.no_grad()
    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the mean of log p(x) from noise [S, B, D]. `get_nll` uses that of one example at a time."""
        draws = iter(torch.tensor(noise).unbind(dim=1))
        with mock.patch.object(self._model, "_sample_gauss", lambda loc, scale: (loc + scale * next(draws), None)):
            return np.asarray(self.evaluate(x, len(noise)))
