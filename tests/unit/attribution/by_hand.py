"""Every method written out, one sample and one point at a time, without captum or a bridge.

A sample is [1, T, ...]; `score` gives [1, classes], `front` a layer's spikes and `back` its scores.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]


def gradient(score: Score, x: Tensor, target: int) -> Tensor:
    """df / dx."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(score(x)[0, target], x)[0]


def saliency(score: Score, x: Tensor, target: int) -> Tensor:
    return gradient(score, x, target).abs()


def input_x_gradient(score: Score, x: Tensor, target: int) -> Tensor:
    return x * gradient(score, x, target)


def path(steps: int) -> list[tuple[float, float]]:
    """Points and weights of the Gauss-Legendre rule on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return list(zip((points + 1) / 2, weights / 2, strict=True))


def ig(score: Score, x: Tensor, target: int, steps: int, nothing: Tensor | None = None) -> Tensor:
    nothing = torch.zeros_like(x) if nothing is None else nothing
    total = torch.zeros_like(x)
    for a, weight in path(steps):
        total += weight * gradient(score, nothing + a * (x - nothing), target)
    return (x - nothing) * total


def noise(x: Tensor, share: float, draws: int, seed: int) -> Tensor:
    """What captum adds: one draw of all copies from torch's generator, float32 as its sigma is."""
    sigma = torch.full((draws, *x.shape[1:]), share * float(x.max() - x.min()))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return torch.normal(0, sigma)


def smoothgrad(
    score: Score, x: Tensor, target: int, *, share: float, draws: int, seed: int,
    inner: Callable[[Score, Tensor, int], Tensor],
) -> Tensor:  # fmt: skip
    added = noise(x, share, draws, seed)
    return torch.stack([inner(score, x + e, target) for e in added.split(1)]).mean(0)


def gradient_shap(
    score: Score, x: Tensor, target: int, *, share: float, draws: int, seed: int,
    nothing: Tensor | None = None,
) -> Tensor:  # fmt: skip
    nothing = torch.zeros_like(x) if nothing is None else nothing
    generator = np.random.RandomState(seed)
    generator.choice(1, draws)  # which of one baseline
    coefficients = generator.uniform(0.0, 1.0, draws)
    total = torch.zeros_like(x)
    for e, u in zip(noise(x, share, draws, seed).split(1), coefficients, strict=True):
        z = x + e
        total += (z - nothing) * gradient(score, u * z + (1 - u) * nothing, target)
    return total / draws


@torch.no_grad()
def fall(score: Score, x: Tensor, target: int, at: tuple[slice, ...], nothing: Tensor) -> float:
    """f(x) - f(x with a window at the baseline)."""
    hidden = x.clone()
    hidden[0][at] = nothing[0][at]
    return float(score(x)[0, target] - score(hidden)[0, target])


def occlusion(
    score: Score, x: Tensor, target: int, window: tuple[int, ...], stride: tuple[int, ...],
    nothing: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Every window in turn until one reaches the end of its axis; means where they overlap."""
    nothing = torch.zeros_like(x) if nothing is None else nothing
    total, often = torch.zeros_like(x), torch.zeros_like(x)
    starts = []
    for length, size, step in zip(x.shape[1:], window, stride, strict=True):
        begin, of_axis = 0, [0]
        while begin + size < length:
            begin += step
            of_axis.append(begin)
        starts.append(of_axis)
    for corner in product(*starts):
        at = tuple(slice(b, b + w) for b, w in zip(corner, window, strict=True))
        total[0][at] += fall(score, x, target, at, nothing)
        often[0][at] += 1
    return total / often


def feature_ablation(
    score: Score, x: Tensor, target: int, window: tuple[int, ...], nothing: Tensor | None = None
) -> Tensor:
    """Windows side by side."""
    nothing = torch.zeros_like(x) if nothing is None else nothing
    found = torch.zeros_like(x)
    ranges = [range(0, n, w) for n, w in zip(x.shape[1:], window, strict=True)]
    for corner in product(*ranges):
        at = tuple(slice(b, b + w) for b, w in zip(corner, window, strict=True))
        found[0][at] = fall(score, x, target, at, nothing)
    return found


def layer_conductance(front: Score, back: Score, x: Tensor, target: int, steps: int) -> Tensor:
    """The gradient at each point times the layer's difference to the next one."""
    points = torch.linspace(0, 1, steps + 1).tolist()
    layers = [front(a * x).detach() for a in points]
    total = torch.zeros_like(layers[0])
    for here, there in pairwise(layers):
        total += gradient(back, here, target) * (there - here)
    return total


def layer_ig(front: Score, back: Score, x: Tensor, target: int, steps: int) -> Tensor:
    with torch.no_grad():
        spikes, nothing = front(x), front(torch.zeros_like(x))
    return ig(back, spikes, target, steps, nothing)


def gradcam(front: Score, back: Score, x: Tensor, target: int) -> Tensor:
    """[1, T, C, H, W] to [1, T, 1, H, W]."""
    with torch.no_grad():
        spikes = front(x)
    slope = gradient(back, spikes, target)
    total = torch.zeros_like(spikes[:, :, :1])
    for channel in range(spikes.shape[2]):
        total[:, :, 0] += slope[:, :, channel].mean() * spikes[:, :, channel]
    return total.clamp(min=0)


def neuron_conductance(
    front: Score, back: Score, x: Tensor, target: int, steps: int, neuron: tuple[int, ...]
) -> Tensor:
    total = torch.zeros_like(x)
    for a, weight in path(steps):
        here = (a * x).detach().requires_grad_()
        spikes = front(here)
        of_input = torch.autograd.grad(spikes[(0, *neuron)], here)[0]
        of_score = gradient(back, spikes, target)[(0, *neuron)]
        total += weight * of_score * of_input
    return x * total
