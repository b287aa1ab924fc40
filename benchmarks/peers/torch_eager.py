"""PyTorch, eager, as its users write it."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.problem import CHANNELS, LEARNING_RATE, SCALE_FLOOR, SIDE, SMALL, Layers, Problem

TILE = 100


@final
class Crop(nn.Module):
    """Without the last row and column, where TensorFlow's "same" pads and PyTorch does not."""

    def forward(self, h: Tensor) -> Tensor:
        """Return [..., H - 1, W - 1]."""
        return h[..., :-1, :-1]


def _linear(kernel: np.ndarray, bias: np.ndarray) -> nn.Linear:
    return _holding(nn.Linear(*kernel.shape), kernel.T, bias)


def _down(kernel: np.ndarray, bias: np.ndarray) -> nn.Conv2d:
    return _holding(nn.Conv2d(*kernel.shape[2:], 3, stride=2), kernel.transpose(3, 2, 0, 1), bias)


def _up(kernel: np.ndarray, bias: np.ndarray) -> nn.ConvTranspose2d:
    return _holding(nn.ConvTranspose2d(*kernel.shape[:1:-1], 3, stride=2), kernel.transpose(3, 2, 0, 1), bias)


def _same(kernel: np.ndarray, bias: np.ndarray) -> nn.Conv2d:
    return _holding(nn.Conv2d(*kernel.shape[2:], 3, padding="same"), kernel.transpose(3, 2, 0, 1), bias)


def _holding(module: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    module.weight.data, module.bias.data = torch.tensor(weight.copy()), torch.tensor(bias)
    return module


def _mlp(layers: Layers) -> list[nn.Module]:
    return [module for layer in layers for module in (_linear(*layer), nn.ReLU())][:-1]


def _channels_first(array: np.ndarray, axis: int) -> np.ndarray:
    """Return an array whose axis held [H, W, C], flat, with [C, H, W] there, as PyTorch flattens."""
    order = np.arange(array.shape[axis]).reshape(SMALL, SMALL, CHANNELS[-1]).transpose(2, 0, 1).ravel()
    return array.take(order, axis)


def encoder(problem: Problem) -> nn.Sequential:
    """Return the map from x [B, 784] to loc and scale's parameters [B, 2 D]."""
    if problem.workload.hidden:
        return nn.Sequential(*_mlp(problem.encoder))
    *convolutions, (kernel, bias), last = problem.encoder
    pad = nn.ZeroPad2d((0, 1, 0, 1))
    down = [module for layer in convolutions for module in (pad, _down(*layer), nn.ReLU())]
    dense = _mlp([(_channels_first(kernel, 0), bias), last])
    return nn.Sequential(nn.Unflatten(-1, (1, SIDE, SIDE)), *down, nn.Flatten(), *dense)


def decoder(problem: Problem) -> nn.Sequential:
    """Return the map from z [N, D] to logits [N, 784]."""
    if problem.workload.hidden:
        return nn.Sequential(*_mlp(problem.decoder))
    first, (kernel, bias), *transposed, last = problem.decoder
    dense = _mlp([first, (_channels_first(kernel, 1), _channels_first(bias, 0))])
    up = [module for layer in transposed for module in (_up(*layer), Crop(), nn.ReLU())]
    image = nn.Unflatten(-1, (CHANNELS[-1], SMALL, SMALL))
    return nn.Sequential(*dense, nn.ReLU(), image, *up, _same(*last), nn.Flatten())


@final
class Model(nn.Module):
    """Encoder and decoder."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(problem), decoder(problem)
        self.samples = problem.workload.samples

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return loc and scale of q(z|x)."""
        loc, s = self.encoder(x).chunk(2, dim=-1)
        return loc, SCALE_FLOOR + functional.softplus(s)

    def log_px(self, z: Tensor, x: Tensor) -> Tensor:
        """Return log p(x|z)."""
        logits = self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])
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
