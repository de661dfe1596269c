"""The second way to every recorded number: keep all tensors with plain hooks, reduce in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from snnlens.adapters._survey import survey
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron.layers import IF, Neuron
from snnlens.sites import Site

Floats = NDArray[np.float64]


@dataclass
class Kept:
    """One site's tensor [T, B, ...] and its gradient, in float64."""

    value: Floats
    grad: Floats | None


def small(
    residual: str = "sew",
    connect: str | None = None,
    *,
    depth: int = 8,
    neuron: Neuron | None = None,
    zero_init: bool = False,
    time_steps: int = 3,
) -> ResNet:
    """A network of the cifar layout that runs in milliseconds."""
    return resnet(depth, residual=residual, connect=connect, layout="cifar",
                  neuron=neuron or IF(0.4), zero_init=zero_init, time_steps=time_steps,
                  classes=10, seed=0)  # fmt: skip


def batch(size: int = 4, pixels: int = 8, seed: int = 0, steps: int | None = None) -> Tensor:
    """Images [B, 3, H, W], or a sequence [T, B, 3, H, W], that want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    shape = (size, 3, pixels, pixels) if steps is None else (steps, size, 3, pixels, pixels)
    return torch.randn(shape, generator=generator).requires_grad_()


def loss(model: nn.Module, x: Tensor) -> Tensor:
    """Mean cross-entropy of made-up labels."""
    out = model(x)
    labels = torch.arange(len(out), device=out.device) % out.shape[1]
    return functional.cross_entropy(out, labels)


def keep_all(
    model: nn.Module, x: Tensor, run: Callable[[nn.Module, Tensor], Tensor] = loss
) -> dict[str, Kept]:
    """Every site's tensor and gradient of one forward and backward pass."""
    tensors: dict[str, Tensor] = {}
    handles = []

    def keep(name: str, x: Tensor) -> None:
        tensors[name] = x
        if x.requires_grad:
            x.retain_grad()

    for site in survey(model).sites:
        module = model.get_submodule(site.module)

        def hook(module: nn.Module, args: Any, out: Any = None, site: Site = site) -> None:
            keep(site.name, args[0] if site.reads == "input" else out)

        before = module.register_forward_pre_hook
        handles.append((before if site.reads == "input" else module.register_forward_hook)(hook))
    value = run(model, x)
    if value.requires_grad:
        value.backward()
    for handle in handles:
        handle.remove()
    return {name: Kept(_wide(t), None if t.grad is None else _wide(t.grad))
            for name, t in tensors.items()}  # fmt: skip


def _wide(x: Tensor) -> Floats:
    return x.detach().double().numpy().copy()
