"""One small network in each framework and layout, with the same weights, in float64.

conv 2 -> 3 (3 x 3), neurons `a`, linear 48 -> 8, neurons `b`, linear 8 -> 4. Each class can be run
two ways: its forward as the framework has it, and `front` then `back`, layer by layer over all of
time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.adapters._base import first_tensor

T, N, CLASSES = 5, 3, 4
SHAPE = (T, N, 2, 6, 6)
Y = torch.tensor([0, 2, 1])
Make = Callable[[], nn.Module]


def spikes_of(out: Any) -> Tensor:
    """What a layer returned, in float64: snnTorch and sinabs give float32 whatever they get."""
    return first_tensor(out).double()


def movie(seed: int = 0) -> Tensor:
    """A batch [T, N, 2, 6, 6] of values in [0, 2), half of them zero."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(SHAPE, generator=generator, dtype=torch.float64)
    return x * (torch.rand(SHAPE, generator=generator) < 0.5)


class Net(nn.Module):
    """The layers, and the reference: x [N, T, ...] to the spikes of `a`, and these to scores."""

    def __init__(self, make: Make) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            self.conv, self.a = nn.Conv2d(2, 3, 3), make()
            self.lin, self.b, self.out = nn.Linear(48, 8), make(), nn.Linear(8, CLASSES)
        self.double()
        with torch.no_grad():  # enough for spikes in every case
            self.conv.weight *= 1.5
            self.lin.weight *= 4

    def over_time(self, layer: nn.Module, x: Tensor) -> Tensor:
        """A layer of neurons on [T, N, ...], from rest."""
        raise NotImplementedError

    def front(self, x: Tensor) -> Tensor:
        """[N, T, 2, 6, 6] to the spikes of `a` [N, T, 3, 4, 4]."""
        currents = torch.stack([self.conv(step) for step in x.unbind(1)])
        return self.over_time(self.a, currents).transpose(0, 1)

    def back(self, spikes: Tensor) -> Tensor:
        """The spikes of `a` to scores [N, classes], the mean over time."""
        currents = torch.stack([self.lin(step.flatten(1)) for step in spikes.unbind(1)])
        return self.out(self.over_time(self.b, currents)).mean(0)


class TimeFirst(Net):
    """[T, N, ...] to [T, N, classes]."""

    def over_time(self, layer: nn.Module, x: Tensor) -> Tensor:
        return spikes_of(layer(x))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        x = spikes_of(self.a(x))
        return self.out(spikes_of(self.b(self.lin(x.flatten(2)))))


class BatchFirst(Net):
    """[N, T, ...] to [N, T, classes]."""

    def over_time(self, layer: nn.Module, x: Tensor) -> Tensor:
        return spikes_of(layer(x.transpose(0, 1))).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = spikes_of(self.a(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])))
        return self.out(spikes_of(self.b(self.lin(x.flatten(2)))))


class Folded(Net):
    """[N T, ...] to [N T, classes], the steps of a sample together."""

    def over_time(self, layer: nn.Module, x: Tensor) -> Tensor:
        out = spikes_of(layer(x.transpose(0, 1).flatten(0, 1)))
        return out.unflatten(0, (-1, len(x))).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        spikes = spikes_of(self.a(self.conv(x)))
        return self.out(spikes_of(self.b(self.lin(spikes.flatten(1)))))


class OneStep(Net):
    """[N, ...] to [N, classes], called once per step; the layers hold their state."""

    def over_time(self, layer: nn.Module, x: Tensor) -> Tensor:
        return torch.stack([spikes_of(layer(step)) for step in x])

    def forward(self, x: Tensor) -> Tensor:
        spikes = spikes_of(self.a(self.conv(x)))
        return self.out(spikes_of(self.b(self.lin(spikes.flatten(1)))))


class Looping(OneStep):
    """[T, N, ...] to [N, classes]: its own loop over time, and the mean."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([super(Looping, self).forward(step) for step in x]).mean(0)


class Handing(Net):
    """[T, N, ...] to [T, N, classes]: its own loop, which hands the state from step to step."""

    def over_time(self, layer: nn.Module, x: Tensor) -> Tensor:
        state, found = None, []
        for step in x:
            spikes, state = layer(step) if state is None else layer(step, state)
            found.append(spikes_of(spikes))
        return torch.stack(found)

    def forward(self, x: Tensor) -> Tensor:
        one = two = None
        found = []
        for step in x:
            spikes, one = self.a(self.conv(step), *([] if one is None else [one]))
            spikes, two = self.b(
                self.lin(spikes_of(spikes).flatten(1)), *([] if two is None else [two])
            )
            found.append(self.out(spikes_of(spikes)))
        return torch.stack(found)
