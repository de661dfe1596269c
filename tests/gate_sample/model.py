"""A small network for the handwritten digits: faulty, mended, and one that does not spike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import snnlens
from snnlens.data import images

STEPS, WIDTH, CLASSES = 8, 32, 10


class Net(nn.Module):
    """Two spiking layers and a linear readout; images [B, 3, 8, 8] in, [T, B, classes] out."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.current1, self.sn1 = nn.Linear(3 * 8 * 8, WIDTH, bias=False), snnlens.LIF()
        self.norm1, self.norm2 = nn.BatchNorm1d(WIDTH), nn.BatchNorm1d(WIDTH)
        self.current2, self.sn2 = (
            nn.Linear(WIDTH, WIDTH, bias=False),
            snnlens.LIF(threshold=threshold),
        )
        self.out = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """The image at every step."""
        x = x.flatten(1).expand(STEPS, -1, -1)
        x = self.sn1(2 * _each(self.norm1, self.current1(x)))
        x = self.sn2(2 * _each(self.norm2, self.current2(x)))
        return self.out(x)


def faulty() -> nn.Module:
    """The threshold of the second layer is out of reach: it is silent."""
    return Net(threshold=100.0)


def mended() -> nn.Module:
    """A threshold that the current reaches."""
    return Net(threshold=1.0)


def empty() -> nn.Module:
    """No spiking layer at all."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, CLASSES), nn.ReLU())


def batch() -> tuple[Tensor, Tensor]:
    """32 digits and their classes."""
    made = images.load("digits", samples=32)
    return made.x, made.y


def _each(norm: nn.Module, x: Tensor) -> Tensor:
    """BatchNorm over time and batch together."""
    return norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
