"""Small healthy networks of SEW blocks (add, and) of linear layers.

What makes them healthy: the currents have mean 0.1 and deviation 0.45 at a threshold of 1, so that
an IF neuron fires in 7 to 8 % of the steps; the largest slope of each surrogate is 1. An AND block
has a branch that always fires (A = 1), as zero-init makes it, and so lets pass what comes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.layers import IF
from tests.faults.networks import CLASSES, FEATURES, WIDTH, batch

MEAN, DEVIATION = 0.1, 0.45
Make = Callable[[float], nn.Module]


def jelly_if(threshold: float) -> nn.Module:
    """SpikingJelly's IF, multi-step."""
    from spikingjelly.activation_based import neuron

    return neuron.IFNode(v_threshold=threshold, step_mode="m")  # type: ignore[no-any-return]


NEURONS: dict[str, Make] = {"spikingjelly": jelly_if, "snnlens": IF}


class SEWBlock(nn.Module):
    """O = g(SN(F(S)), S), its joining function named as SpikingJelly names it."""

    def __init__(self, make: Make, cnf: str) -> None:
        super().__init__()
        self.cnf = cnf
        self.fc1, self.sn1 = nn.Linear(WIDTH, WIDTH), make(1.0)
        self.fc2, self.sn2 = nn.Linear(WIDTH, WIDTH), make(1.0)
        self.downsample: nn.Module | None = None

    def forward(self, s: Tensor) -> Tensor:
        a: Tensor = self.sn2(self.fc2(self.sn1(self.fc1(s))))
        shortcut: Tensor = s if self.downsample is None else self.downsample(s)
        return a + shortcut if self.cnf == "ADD" else a * shortcut


class Blocks(nn.Module):
    """A first layer, residual blocks, and a linear readout; spikes [T, B, features] in."""

    def __init__(self, make: Make, blocks: list[SEWBlock]) -> None:
        super().__init__()
        self.make = make
        self.fc, self.sn = nn.Linear(FEATURES, WIDTH), make(1.0)
        self.depth = len(blocks)
        for i, block in enumerate(blocks):
            self.add_module(f"block{i}", block)
        self.out = nn.Linear(WIDTH, CLASSES)

    def blocks(self) -> list[SEWBlock]:
        return [self.get_submodule(f"block{i}") for i in range(self.depth)]  # type: ignore[misc]

    def forward(self, x: Tensor) -> Tensor:
        for module in self.modules():
            reset = getattr(module, "reset", None)  # SpikingJelly; those of snnlens begin at rest
            if callable(reset):
                reset()
        s: Tensor = self.sn(self.fc(x))
        for block in self.blocks():
            s = block(s)
        return self.out(s)  # type: ignore[no-any-return]


def residual(framework: str, connect: str, *, steps: int, samples: int) -> Blocks:
    """Four blocks, joined by ADD or AND; in ADD the second has a shortcut with a layer."""
    pytest.importorskip(framework)
    make = NEURONS[framework]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = [SEWBlock(make, connect) for _ in range(4)]
        if connect == "ADD":
            made[1].downsample = nn.Sequential(nn.Linear(WIDTH, WIDTH), make(1.0))
        net = Blocks(make, made)
        calibrate(net, batch(steps, samples)[0])
    if connect == "AND":
        for block in made:
            always(block)
    return net


@torch.no_grad()
def always(block: SEWBlock) -> None:
    """A = 1: the branch ends in a weight of 0 and a bias at the threshold."""
    block.fc2.weight.zero_()
    block.fc2.bias.fill_(1)


@torch.no_grad()
def calibrate(net: Blocks, x: Tensor) -> None:
    """Scale each neuron's weights and shift its bias until the layer's output is as it shall be."""
    for name, layer in net.named_modules():
        if not isinstance(layer, nn.Linear) or name == "out":
            continue
        seen: list[Tensor] = []
        with layer.register_forward_hook(
            lambda _m, _a, out, to=seen: to.append(out.flatten(0, -2))
        ):
            net(x)
        current = seen[0]
        scale = DEVIATION / current.std(0)
        layer.weight.mul_(scale[:, None])
        layer.bias.add_(MEAN / scale - current.mean(0)).mul_(scale)


# --- what is changed ---------------------------------------------------------------------------


def second_silent(net: Blocks) -> None:
    """A = 0 in the second block, and so O = 0."""
    net.blocks()[1].sn2 = net.make(100.0)


@torch.no_grad()
def without_bias(net: Blocks) -> None:
    """The last weight is 0, but no bias makes A = 1: A = 0."""
    for block in net.blocks():
        block.fc2.bias.zero_()


def shortcut_without_neuron(net: Blocks) -> None:
    """A current is added, not spikes."""
    block = net.blocks()[1]
    assert block.downsample is not None
    block.downsample = block.downsample.get_submodule("0")
