"""Whole residual networks: SpikingJelly's own, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.neuron.layers import IF, Neuron
from tests.parity import jelly

IMAGES: Mapping[str, Any] = {"images": True}


def images() -> tuple[Tensor, Tensor]:
    """Four static images and their labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 32, 32, generator=generator), torch.arange(4)


class Shown(nn.Module):
    """SpikingJelly's network as a user runs it: reset, and shown an image for two steps."""

    def __init__(self, net: nn.Module, reset: Any) -> None:
        super().__init__()
        self.net, self.reset = net, reset

    def forward(self, x: Tensor) -> Tensor:
        self.reset(self.net)
        y: Tensor = self.net(x.expand(2, *x.shape))
        return y


def jelly_spiking_resnet(framework: str, **_of: Any) -> nn.Module:
    """One block a stage of its `spiking_resnet`, with IF: healthy at V_th = 1, its default."""
    pytest.importorskip(framework)
    lib = jelly.load()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = lib.spiking.SpikingResNet(
            lib.spiking.BasicBlock, [1, 1, 1, 1], num_classes=10, spiking_neuron=lib.neuron.IFNode,
            surrogate_function=lib.surrogate.ATan(), detach_reset=True,
        )  # fmt: skip
    lib.functional.set_step_mode(net, "m")
    return Shown(net, lib.functional.reset_net)


def own_spiking_resnet(_framework: str, **_of: Any) -> nn.Module:
    """Our Spiking ResNet-8 with IF at V_th = 1."""
    return snnlens.resnet(8, layout="cifar", residual="spiking", classes=10, seed=0)


def threshold_2(net: nn.Module) -> None:
    """Every neuron of either."""
    for name, module in list(net.named_modules()):
        if hasattr(module, "v_threshold"):
            module.v_threshold = 2.0
        if isinstance(module, Neuron):
            parent, _, last = name.rpartition(".")
            setattr(net.get_submodule(parent), last, IF(threshold=2.0))
