"""Small ANNs with everything that a converter may meet, and their statistics in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens.conversion.activations import QCFS

Factory = Callable[[], nn.Module]


class Branches(nn.Module):
    """A residual sum that works in place, a concatenation, an average pool, a view."""

    def __init__(self, act: Factory = nn.ReLU) -> None:
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.c2, self.b2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.c3 = nn.Conv2d(12, 4, 1)
        self.act, self.act2, self.act3 = act(), act(), act()
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(4 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        a = self.act(self.b1(self.c1(x)))
        b = self.b2(self.c2(a))
        b += a
        b = self.act2(b)
        c = self.act3(self.c3(torch.cat([a, b], 1)))
        return self.fc(self.pool(c).view(c.size(0), -1))


class Functional(nn.Module):
    """`F.relu`, `relu` of a tensor, `clamp`, and one module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(6, 6) for _ in range(4))
        self.relu, self.out = nn.ReLU(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.a(x))
        x = self.b(x).relu()
        x = self.relu(self.c(x).clamp(min=0))
        return self.out(self.relu(self.d(x)))


class Untraceable(nn.Module):
    """What it does depends on the data; `hidden` calls a functional ReLU."""

    def __init__(self, *, hidden: bool = False) -> None:
        super().__init__()
        self.a, self.act, self.b, self.hidden = nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3), hidden

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.a(x))
        if x.sum() > -1:
            x = 1 * x
        return self.b(functional.relu(x) if self.hidden else x)


def trained(model: nn.Module, x: Tensor) -> nn.Module:
    """The model in float64 with the statistics of x in its BatchNorms, thresholds set."""
    model.double().train()
    with torch.no_grad():
        for _ in range(3):
            model(x)
    for module in model.modules():
        if isinstance(module, QCFS):
            module.raw.data = torch.rand(()).double() + 0.6
    return model.eval()


def branches(levels: int = 4, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A QCFS network and a batch, float64."""
    torch.manual_seed(seed)
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    return trained(Branches(lambda: QCFS(levels, 1.0)), x), x


def relus(seed: int = 0) -> tuple[nn.Module, Tensor]:
    """The same network with ReLUs, and a batch."""
    torch.manual_seed(seed)
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    return trained(Branches(), x), x
