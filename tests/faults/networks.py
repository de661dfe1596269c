"""Small healthy networks, the same in every framework, that a fault is planted in.

What makes them healthy: every neuron has leak 1/2 and a free membrane of mean 0.2 and deviation
0.67 thresholds, so that xi = (1 - 0.2) / 0.67 = 1.2 lies in 1 to 3 and 6 to 8 % of the steps have a
spike at any depth; the largest slope of the surrogate is 1; the readout is linear, at every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

FEATURES, WIDTH, CLASSES = 32, 32, 4
STEPS, SAMPLES = 8, 32  # N x T = 256: from there on silence is no chance
LEAK, XI, MEAN = 0.5, 1.2, 0.2
Change = Callable[[Tensor], Tensor]


def same(x: Tensor) -> Tensor:
    """What stands between two layers of a healthy network: nothing."""
    return x


class Stack(nn.Module):
    """fc0, bn0, sn0, fc1, bn1, sn1, ... and a linear readout; spikes [T, B, features] in.

    `links[i]` stands between sn_i and what follows, `read` behind the readout, `direct` holds the
    layers whose forward is called past their hooks: a fault changes one of them.
    """

    gain: ClassVar[float] = 1 - LEAK  # dH/dX
    batch_first: ClassVar[bool] = False

    def __init__(self, layers: int = 3, **neuron: Any) -> None:
        super().__init__()
        self.depth, self.resets = layers, True
        self.links: list[Change] = [same] * layers
        self.read: Change = same
        self.direct: set[int] = set()
        for i in range(layers):
            self.add_module(f"fc{i}", nn.Linear(WIDTH if i else FEATURES, WIDTH))
            self.add_module(f"bn{i}", nn.Identity())
            self.add_module(f"sn{i}", self.neuron(**neuron))
        self.out: nn.Module = nn.Linear(WIDTH, CLASSES)

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        """One spiking layer; `slope` is the largest sigma' of its surrogate."""
        raise NotImplementedError

    @classmethod
    def narrow(cls) -> nn.Module:
        """One whose surrogate passes nothing but within 0.01 thresholds."""
        raise NotImplementedError

    def rest(self) -> None:
        """Put the membranes to rest, as the framework does."""

    def current(self, i: int, x: Tensor) -> Tensor:
        """What charges layer i; BatchNorm sees all steps of a call as samples."""
        y: Tensor = getattr(self, f"fc{i}")(x)
        flat: Tensor = getattr(self, f"bn{i}")(y.flatten(0, -2))
        return flat.view_as(y)

    def fire(self, i: int, x: Tensor, *state: Any) -> Any:
        """What layer i returns."""
        layer = getattr(self, f"sn{i}")
        return (layer.forward if i in self.direct else layer)(x, *state)

    def forward(self, x: Tensor) -> Tensor:
        if self.resets:
            self.rest()
        return self.read(self.run(x))

    def run(self, x: Tensor) -> Tensor:
        """Multi-step: each layer takes the whole sequence."""
        return self.through(x)

    def through(self, x: Tensor) -> Tensor:
        """Every layer once."""
        for i in range(self.depth):
            x = self.links[i](self.fire(i, self.current(i, x)))
        return self.out(x)  # type: ignore[no-any-return]


class PerStep(Stack):
    """The loop over time lies in forward; a layer is called once per step."""

    def run(self, x: Tensor) -> Tensor:
        return torch.stack([self.through(now) for now in x])


def batch(steps: int = STEPS, samples: int = SAMPLES) -> tuple[Tensor, Tensor]:
    """Independent spikes [T, B, features] at a rate of 0.3, and labels."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(steps, samples, FEATURES, generator=generator) < 0.3
    return x.float(), torch.arange(samples) % CLASSES


def shown(net: Stack, x: Tensor) -> Tensor:
    """[T, B, ...] laid as the network takes it."""
    return x.transpose(0, 1) if net.batch_first else x


@torch.no_grad()
def calibrate(net: Stack, x: Tensor) -> None:
    """Scale each neuron's weights and shift its bias until its current is as it shall be."""
    mean, deviation = wanted_current(net)
    for i in range(net.depth):
        layer = getattr(net, f"fc{i}")
        seen: list[Tensor] = []
        with layer.register_forward_hook(
            lambda _m, _a, out, to=seen: to.append(out.flatten(0, -2))
        ):
            net(shown(net, x))
        current = torch.cat(seen)
        scale = deviation / current.std(0)
        layer.weight.mul_(scale[:, None])
        layer.bias.add_(mean / scale - current.mean(0)).mul_(scale)


@torch.no_grad()
def normalise(net: Stack, x: Tensor) -> None:
    """BatchNorm before each neuron, in training mode, after 50 batches."""
    mean, deviation = wanted_current(net)
    for i in range(net.depth):
        norm = nn.BatchNorm1d(WIDTH)
        norm.weight.fill_(deviation)
        norm.bias.fill_(mean)
        setattr(net, f"bn{i}", norm)
    for _ in range(50):  # 0.9^50 = 0.005 of the first statistics is left
        net(shown(net, x))


def wanted_current(net: Stack) -> tuple[float, float]:
    """Mean and deviation of the input current that give the free membrane of the first lines.

    It settles at the mean gain mu / (1 - leak) and the deviation gain sigma / sqrt(1 - leak^2).
    """
    return (
        MEAN * (1 - LEAK) / net.gain,
        (1 - MEAN) / XI * math.sqrt(1 - LEAK**2) / net.gain,
    )
