"""The network of the tutorial, as it was first written, and after each mend."""

import torch
from torch import nn

import snnlens


class Net(nn.Module):
    """Three spiking layers and a linear readout: images [B, 3, 8, 8] in, [T, B, 10] out."""

    def __init__(self, alpha: float = 100.0) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(192, 64), lif(alpha)
        self.fc2, self.lif2 = nn.Linear(64, 64), lif(alpha)
        self.fc3, self.lif3 = nn.Linear(64, 64), lif(alpha)
        self.out = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1).expand(8, -1, -1)  # the same image at each of T = 8 steps
        x = self.lif1(self.fc1(x))
        x = self.lif2(self.fc2(x))
        x = self.lif3(self.fc3(x))
        return self.out(x)


def lif(alpha: float) -> snnlens.LIF:
    """A spiking layer; its surrogate lets a gradient pass within 1 / (2 alpha) of the threshold."""
    return snnlens.LIF(tau=2.0, surrogate=snnlens.Rectangular(alpha))


def first() -> nn.Module:
    """As it was first written: the weights are those that PyTorch draws."""
    torch.manual_seed(0)
    return Net()


def larger() -> nn.Module:
    """The first mend: weights large enough for the threshold."""
    return enlarged(first())


def enlarged(net: nn.Module) -> nn.Module:
    """Draw the weights of the spiking layers anew, with a larger deviation."""
    for layer, gain in ((net.fc1, 1.5), (net.fc2, 4.0), (net.fc3, 4.0)):
        nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
    return net


def wider() -> nn.Module:
    """The second mend: a surrogate as wide as the membranes spread."""
    torch.manual_seed(0)
    return enlarged(Net(alpha=2.0))
