"""PyTorch in eager mode, as its users write it."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import TypeVar, final

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

Module = TypeVar("Module", bound=nn.Module)


def as_tensor(problem: Problem, x: np.ndarray) -> Tensor:
    """Return images [N, 784] as the networks here see them. For convolutions they are mirrored in both axes.

    TensorFlow's "same" pads an even side at its end, but PyTorch's `padding=1` counts from its beginning. On mirrored
    images with mirrored kernels, both are the same map.
    """
    return torch.tensor(x if problem.workload.hidden else x[:, ::-1].copy())


def load(module: Module, weight: np.ndarray, bias: np.ndarray) -> Module:
    """Return a layer with given weights."""
    module.weight.data, module.bias.data = torch.tensor(weight.copy()), torch.tensor(bias)
    return module


def mirror(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel of a convolution as PyTorch stores it, mirrored in both axes."""
    return kernel[::-1, ::-1].transpose(3, 2, 0, 1)


def mlp(layers: Layers) -> list[nn.Module]:
    """Return dense layers with relu between them."""
    modules: list[nn.Module] = []
    for kernel, bias in layers:
        modules += [load(nn.Linear(*kernel.shape), kernel.T, bias), nn.ReLU()]
    return modules[:-1]


def channels_first(array: np.ndarray, axis: int) -> np.ndarray:
    """Return an array with flat [C, H, W] instead of [H, W, C] along an axis, mirrored, as PyTorch flattens."""
    order = np.arange(array.shape[axis]).reshape(SMALL, SMALL, CHANNELS[-1])[::-1, ::-1].transpose(2, 0, 1).ravel()
    return array.take(order, axis)


def encoder(problem: Problem) -> nn.Sequential:
    """Return the map from x [B, 784] to loc and scale's parameters [B, 2 D]."""
    if problem.workload.hidden:
        return nn.Sequential(*mlp(problem.encoder))
    *convolutions, (kernel, bias), last = problem.encoder
    down: list[nn.Module] = []
    for weight, shift in convolutions:
        layer = nn.Conv2d(*weight.shape[2:], 3, stride=2, padding=1)
        down += [load(layer, mirror(weight), shift), nn.ReLU()]
    dense = mlp([(channels_first(kernel, 0), bias), last])
    return nn.Sequential(nn.Unflatten(-1, (1, SIDE, SIDE)), *down, nn.Flatten(), *dense)


def decoder(problem: Problem) -> nn.Sequential:
    """Return the map from z [N, D] to logits [N, 784]."""
    if problem.workload.hidden:
        return nn.Sequential(*mlp(problem.decoder))
    first, (kernel, bias), *transposed, (last_kernel, last_bias) = problem.decoder
    dense = mlp([first, (channels_first(kernel, 1), channels_first(bias, 0))])
    up: list[nn.Module] = []
    for weight, shift in transposed:
        layer = nn.ConvTranspose2d(*weight.shape[:1:-1], 3, stride=2, padding=1, output_padding=1)
        up += [load(layer, mirror(weight), shift), nn.ReLU()]
    same = load(nn.Conv2d(*last_kernel.shape[2:], 3, padding=1), mirror(last_kernel), last_bias)
    image = nn.Unflatten(-1, (CHANNELS[-1], SMALL, SMALL))
    return nn.Sequential(*dense, nn.ReLU(), image, *up, same, nn.Flatten())


@final
class Masked(nn.Module):
    """The masked network of one layer of a flow, from z [S, B, D] and a context [B, C] to shift and log-scale."""

    def __init__(self, network: list[tuple[np.ndarray, np.ndarray, np.ndarray]], latent_dim: int) -> None:
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
        """Return loc and scale of q(z|x), or of the Normal before a flow, and the context of the flow."""
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
        z, log_volume = self._warp(loc + scale * noise, context)
        terms = (z**2 - noise**2) / 2 if len(self.flow) else (loc**2 + scale**2 - 1) / 2
        rate = (terms - scale.log()).sum(dim=-1) + log_volume
        return -(self.log_px(z, x) - rate).mean()

    def _warp(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return z after all layers of the flow, and the log-volume by which they reduce log q."""
        total = z.new_zeros(())
        for t, network in enumerate(self.flow):
            z = z if t == 0 else z.flip(-1)
            shift, a = network(z, context)
            z, total = (z - shift) * (-a).exp(), total + a.sum(dim=-1)
        return z, total


class Base(abc.ABC):
    """The base of eager and compiled PyTorch."""

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
    def evaluate(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Return log p(x), [B], streamed in tiles of samples."""
        pixels = as_tensor(self._problem, x)
        loc, scale, _ = self._plain.posterior(pixels)
        total = torch.full((len(x),), -math.inf)
        for _ in range(tiles(samples)):
            log_w = self._weigh(pixels, loc, scale, torch.randn(min(TILE, samples), *loc.shape))
            total = torch.logaddexp(total, torch.logsumexp(log_w, dim=0))
        return np.asarray((total - math.log(samples)).numpy())

    @torch.no_grad()
    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return log p(x), [B], from noise [S, B, D]."""
        pixels = as_tensor(self._problem, x)
        loc, scale, _ = self._plain.posterior(pixels)
        return evidence(self._weigh(pixels, loc, scale, torch.tensor(noise)))

    def _weigh(self, pixels: Tensor, loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        z = loc + scale * noise
        log_ratio = (scale.log() + (noise**2 - z**2) / 2).sum(dim=-1)
        return self._log_px(z, pixels) + log_ratio

    @abc.abstractmethod
    def prepare(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a model, or a function of it, in the form that runs."""


@final
class Peer(Base):
    """Hand-written PyTorch."""

    def prepare(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return the function unchanged."""
        return function
