"""PyTorch, eager, as its users write it."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.problem import LEARNING_RATE, SCALE_FLOOR, Problem

TILE = 100


def _mlp(layers: list[tuple[np.ndarray, np.ndarray]]) -> nn.Sequential:
    modules: list[nn.Module] = []
    for kernel, bias in layers:
        linear = nn.Linear(*kernel.shape)
        linear.weight.data, linear.bias.data = torch.tensor(kernel.T.copy()), torch.tensor(bias)
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


@final
class Model(nn.Module):
    """Encoder and decoder."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.encoder, self.decoder = _mlp(problem.encoder), _mlp(problem.decoder)
        self.samples = problem.workload.samples

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return loc and scale of q(z|x)."""
        loc, s = self.encoder(x).chunk(2, dim=-1)
        return loc, SCALE_FLOOR + functional.softplus(s)

    def log_px(self, z: Tensor, x: Tensor) -> Tensor:
        """Return log p(x|z)."""
        logits = self.decoder(z)
        losses = functional.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
        return -losses.sum(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss."""
        loc, scale = self.posterior(x)
        z = loc + scale * torch.randn(self.samples, *loc.shape)
        rate = ((loc**2 + scale**2 - 1) / 2 - scale.log()).sum(dim=-1)
        return -(self.log_px(z, x).mean(dim=0) - rate).mean()


class Base:
    """What eager and compiled PyTorch share."""

    def __init__(self, problem: Problem, model: Any) -> None:
        torch.manual_seed(0)
        self._model, self._plain = model, getattr(model, "_orig_mod", model)
        self._optimizer = torch.optim.Adam(self._plain.parameters(), lr=LEARNING_RATE, fused=True)
        self._x, self._batch = torch.tensor(problem.x), problem.workload.batch

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        with torch.no_grad():
            return float(self._plain(torch.tensor(x)))

    def train(self, steps: int) -> None:
        """Take training steps."""
        for batch in torch.randint(len(self._x), (steps, self._batch)):
            x = torch.bernoulli(self._x[batch])
            self._optimizer.zero_grad(set_to_none=True)
            self._model(x).backward()
            self._optimizer.step()

    @torch.no_grad()
    def evaluate(self, x: np.ndarray, samples: int) -> Any:
        """Return log p(x), [B], streamed in tiles of samples."""
        pixels = torch.tensor(x)
        loc, scale = self._plain.posterior(pixels)
        total = torch.full((len(x),), -math.inf)
        for _ in range(max(1, samples // TILE)):
            noise = torch.randn(min(TILE, samples), *loc.shape)
            z = loc + scale * noise
            log_ratio = (scale.log() + (noise**2 - z**2) / 2).sum(dim=-1)
            total = torch.logaddexp(total, torch.logsumexp(self._log_px(z, pixels) + log_ratio, dim=0))
        return (total - math.log(samples)).numpy()

    def _log_px(self, z: Tensor, x: Tensor) -> Tensor:
        return self._plain.log_px(z, x)


@final
class Peer(Base):
    """Hand-written PyTorch."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, Model(problem))
