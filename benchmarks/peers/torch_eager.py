"""PyTorch, eager, as its users write it."""

from __future__ import annotations

import abc
import math
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.problem import (
    CHANNELS,
    LEARNING_RATE,
    SCALE_FLOOR,
    SIDE,
    SMALL,
    TILE,
    Layers,
    Problem,
    evidence,
    masks,
    tiles,
)


def as_tensor(problem: Problem, x: np.ndarray) -> Tensor:
    """Return images [N, 784] as the networks here see them: those of convolutions are mirrored in both axes.

    TensorFlow's "same" pads an even side at its end, PyTorch's `padding=1` counts from its beginning: on mirrored
    images, with mirrored kernels, they are the same map.
    """
    return torch.tensor(x if problem.workload.hidden else x[:, ::-1].copy())


def _linear(kernel: np.ndarray, bias: np.ndarray) -> nn.Linear:
    return _holding(nn.Linear(*kernel.shape), kernel.T, bias)


def _down(kernel: np.ndarray, bias: np.ndarray) -> nn.Conv2d:
    return _holding(nn.Conv2d(*kernel.shape[2:], 3, stride=2, padding=1), _mirrored(kernel), bias)


def _up(kernel: np.ndarray, bias: np.ndarray) -> nn.ConvTranspose2d:
    return _holding(
        nn.ConvTranspose2d(*kernel.shape[:1:-1], 3, stride=2, padding=1, output_padding=1), _mirrored(kernel), bias
    )


def _same(kernel: np.ndarray, bias: np.ndarray) -> nn.Conv2d:
    return _holding(nn.Conv2d(*kernel.shape[2:], 3, padding=1), _mirrored(kernel), bias)


def _mirrored(kernel: np.ndarray) -> np.ndarray:
    return kernel[::-1, ::-1].transpose(3, 2, 0, 1)


def _holding(module: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    module.weight.data, module.bias.data = torch.tensor(weight.copy()), torch.tensor(bias)
    return module


def _mlp(layers: Layers) -> list[nn.Module]:
    return [module for layer in layers for module in (_linear(*layer), nn.ReLU())][:-1]


def _channels_first(array: np.ndarray, axis: int) -> np.ndarray:
    """Return an array whose axis held [H, W, C], flat, with [C, H, W] there, mirrored, as PyTorch flattens."""
    order = np.arange(array.shape[axis]).reshape(SMALL, SMALL, CHANNELS[-1])[::-1, ::-1].transpose(2, 0, 1).ravel()
    return array.take(order, axis)


def encoder(problem: Problem) -> nn.Sequential:
    """Return the map from x [B, 784] to loc and scale's parameters [B, 2 D]."""
    if problem.workload.hidden:
        return nn.Sequential(*_mlp(problem.encoder))
    *convolutions, (kernel, bias), last = problem.encoder
    down = [module for layer in convolutions for module in (_down(*layer), nn.ReLU())]
    dense = _mlp([(_channels_first(kernel, 0), bias), last])
    return nn.Sequential(nn.Unflatten(-1, (1, SIDE, SIDE)), *down, nn.Flatten(), *dense)


def decoder(problem: Problem) -> nn.Sequential:
    """Return the map from z [N, D] to logits [N, 784]."""
    if problem.workload.hidden:
        return nn.Sequential(*_mlp(problem.decoder))
    first, (kernel, bias), *transposed, last = problem.decoder
    dense = _mlp([first, (_channels_first(kernel, 1), _channels_first(bias, 0))])
    up = [module for layer in transposed for module in (_up(*layer), nn.ReLU())]
    image = nn.Unflatten(-1, (CHANNELS[-1], SMALL, SMALL))
    return nn.Sequential(*dense, nn.ReLU(), image, *up, _same(*last), nn.Flatten())


@final
class Masked(nn.Module):
    """The masked network of one layer of a flow: shift and log-scale of z [S, B, D], given a context [B, C]."""

    def __init__(self, network: Any, latent_dim: int) -> None:
        super().__init__()
        for name, arrays in zip(("kernels", "biases", "contexts"), zip(*network, strict=True), strict=True):
            setattr(self, name, nn.ParameterList(torch.tensor(array) for array in arrays))
        for i, mask in enumerate(masks(latent_dim)):
            self.register_buffer(f"mask_{i}", torch.tensor(mask))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return m and a."""
        h = z
        for i, (kernel, bias, wide) in enumerate(zip(self.kernels, self.biases, self.contexts, strict=True)):
            h = functional.linear(h, (kernel * getattr(self, f"mask_{i}")).T, bias) + context @ wide
            h = functional.elu(h) if i < len(self.kernels) - 1 else h
        return h[..., ::2], 2 * torch.tanh(h[..., 1::2] / 2)


@final
class Model(nn.Module):
    """Encoder and decoder."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(problem), decoder(problem)
        self.flow = nn.ModuleList(Masked(network, problem.workload.latent_dim) for network in problem.flow)
        self.samples, self._dim = problem.workload.samples, problem.workload.latent_dim

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return loc and scale of q(z|x), or of what a flow begins with, and its context."""
        encoded = self.encoder(x)
        loc, s, context = encoded.split([self._dim, self._dim, encoded.shape[-1] - 2 * self._dim], dim=-1)
        return loc, SCALE_FLOOR + functional.softplus(s), context

    def log_px(self, z: Tensor, x: Tensor) -> Tensor:
        """Return log p(x|z)."""
        logits = self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])
        losses = functional.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
        return -losses.sum(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss."""
        loc, scale, context = self.posterior(x)
        noise = torch.randn(self.samples, *loc.shape)
        z, log_volume = self._warped(loc + scale * noise, context)
        terms = (z**2 - noise**2) / 2 if len(self.flow) else (loc**2 + scale**2 - 1) / 2
        rate = (terms - scale.log()).sum(dim=-1) + log_volume
        return -(self.log_px(z, x) - rate).mean()

    def _warped(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return z after each layer of the flow, and what log q loses by them."""
        total = z.new_zeros(())
        for t, network in enumerate(self.flow):
            z = z if t == 0 else z.flip(-1)
            shift, a = network(z, context)
            z, total = (z - shift) * (-a).exp(), total + a.sum(dim=-1)
        return z, total


class Base(abc.ABC):
    """What eager and compiled PyTorch share."""

    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(0)
        self._plain = Model(problem).to(memory_format=torch.channels_last)
        self._model, self._log_px = self.prepare(self._plain), self.prepare(self._plain.log_px)
        self._optimizer = torch.optim.Adam(self._plain.parameters(), lr=LEARNING_RATE, fused=True)
        self._problem, self._x, self._batch = problem, as_tensor(problem, problem.x), problem.workload.batch

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        with torch.no_grad():
            return float(self._model(as_tensor(self._problem, x)))

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
        pixels = as_tensor(self._problem, x)
        loc, scale, _ = self._plain.posterior(pixels)
        total = torch.full((len(x),), -math.inf)
        for _ in range(tiles(samples)):
            log_w = self._weigh(pixels, loc, scale, torch.randn(min(TILE, samples), *loc.shape))
            total = torch.logaddexp(total, torch.logsumexp(log_w, dim=0))
        return (total - math.log(samples)).numpy()

    @torch.no_grad()
    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> Any:
        """Return log p(x), [B], from noise [S, B, D]."""
        pixels = as_tensor(self._problem, x)
        loc, scale, _ = self._plain.posterior(pixels)
        return evidence(self._weigh(pixels, loc, scale, torch.tensor(noise)))

    def _weigh(self, pixels: Tensor, loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        z = loc + scale * noise
        log_ratio = (scale.log() + (noise**2 - z**2) / 2).sum(dim=-1)
        return self._log_px(z, pixels) + log_ratio

    @abc.abstractmethod
    def prepare(self, function: Any) -> Any:
        """Return a model, or a function of it, as it is run."""


@final
class Peer(Base):
    """Hand-written PyTorch."""

    def prepare(self, function: Any) -> Any:
        """Return what was given."""
        return function
