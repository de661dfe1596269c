"""Two facts of the neurons alone, without a network: the mean error, and what the order costs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from snnlens.conversion.activations import QCFS
from snnlens.conversion.layers import SequentialLayer
from snnlens.neuron.parallel import added, train

LEVELS, EXPECTED = (4, 8), (1, 2, 3, 4, 8, 16, 32)
GRID = 1 << 20  # midpoints on [0, theta]
HALF_NORMAL = 0.25  # sigma in theta: activations are mostly small
FAN_IN, NEURONS, SAMPLES = 256, 128, 32
ORDERED = (2, 4, 8, 16, 32, 64, 128, 256)
USED = 0.99  # theta is this quantile of the positive mean currents


def expectation() -> pd.DataFrame:
    r"""E[r_T - r_L] / theta over currents in [0, theta]: uniform, and half-normal as in a real net.

    Exact on uniform currents: 0 at shift psi = theta / 2, (1/L - 1/T) / 2 at psi = 0. On a grid of
    midpoints, weighted by the density.

    Source: Hao et al. 2025 (ICML), Theorem 4.1 (ii), which speaks of uniform currents alone.
    """
    z = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
    weights = {
        "uniform": torch.ones_like(z),
        "half-normal": torch.exp(-((z / HALF_NORMAL) ** 2) / 2),
    }
    rows = []
    for inputs, weight in weights.items():
        for shift in (0.5, 0.0) if inputs == "uniform" else (0.5,):
            for levels in LEVELS:
                reference = _mean(z, weight, levels, shift)
                rows += [
                    {"levels": levels, "time_steps": t, "shift": shift, "inputs": inputs,
                     "error": _mean(z, weight, t, shift) - reference}
                    for t in EXPECTED
                ]  # fmt: skip
    return pd.DataFrame(rows)


def unevenness(seed: int = 0) -> pd.DataFrame:
    """The error of a sequential IF against Q_T of its own mean current, by the order of its inputs.

    Every order has the same counts. regular: as an IF under a constant current fires; shuffled: in
    any order; late, early: sorted, as a parallel neuron fires. rmse and bias in theta.

    Source: ours, after Hao et al. 2023 (COS, ICLR), who name the error.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(NEURONS, FAN_IN, generator=generator, dtype=torch.float64) / FAN_IN**0.5
    rates = torch.rand(SAMPLES, FAN_IN, generator=generator, dtype=torch.float64)
    rows = []
    for t in ORDERED:
        counts = torch.round(rates * t)
        means = counts / t @ weights.T
        theta = float(torch.quantile(means[means > 0], USED))
        for inputs, order in _orders(generator).items():
            rows.append(_order_row(inputs, t, order(counts, t), weights, theta))
    return pd.DataFrame(rows)


def _order_row(
    inputs: str, t: int, spikes: Tensor, weights: Tensor, theta: float
) -> dict[str, object]:
    layer = SequentialLayer(torch.tensor(theta, dtype=torch.float64), t)
    steps = spikes @ weights.T
    found = added(layer.spikes(steps))
    wanted = layer.closed_form(added(steps) / t, t)
    error = (found - wanted) / t
    return {
        "inputs": inputs, "time_steps": t, "rmse": float(error.square().mean().sqrt()),
        "bias": float(error.mean()), "share": float((found != wanted).double().mean()),
    }  # fmt: skip


def _orders(generator: torch.Generator) -> dict[str, Callable[[Tensor, int], Tensor]]:
    """Ways to lay k spikes over T steps, [T, ...] from counts [...]."""

    def regular(counts: Tensor, t: int) -> Tensor:
        layer = SequentialLayer(torch.tensor(1.0, dtype=torch.float64), t)
        return layer.spikes((counts / t).expand(t, *counts.shape))

    def shuffled(counts: Tensor, t: int) -> Tensor:
        noise = torch.rand(t, *counts.shape, generator=generator)
        return train(counts, t).gather(0, noise.argsort(0))

    return {"regular": regular, "shuffled": shuffled, "late": train,
            "early": lambda counts, t: train(counts, t).flip(0)}  # fmt: skip


def _mean(z: Tensor, weight: Tensor, levels: int, shift: float) -> float:
    r = QCFS(levels, 1.0, shift=shift, learned=False).double()(z)
    return float((r * weight).sum() / weight.sum())
