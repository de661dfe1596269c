"""A spiking network whose weights are set by hand, on data where one corner at one step decides.

`--data planted` lights one of four corners with 36 events at step T // 2; elsewhere a pixel has at
most one event of each polarity, so no other corner has more than 18 at a step. One neuron a corner
sums its events with weight 1/32, forgets half of its membrane a step and fires at 36/32:

    not lit    H <= 18/32 (1 + 1/2 + 1/4 + ...) < 36/32    it is silent at every step
    lit        H >= 36/32                                  it fires, at step T // 2 alone

The readout hands each spike to its class. So every answer is right, and an attribution that does
not point at the lit corner at step T // 2 is wrong.

Run: python examples/planted.py
Or:  snnlens attribution examples/planted.py:network --data planted
"""

import torch
from torch import Tensor, nn

from snnlens import LIF
from snnlens.data import images

CORNERS = 4


class Planted(nn.Module):
    """Frames [T, B, 2, 12, 12] in, [T, B, 4] out: 1 for the class of the lit corner at its step."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, stride=9, bias=False)  # the four corners, 2 x 2
        self.lif = LIF(tau=2.0, decay_input=False, threshold=36 / 32)
        self.readout = nn.Linear(CORNERS, CORNERS, bias=False)
        nn.init.constant_(self.conv.weight, 1 / 32)
        nn.init.eye_(self.readout.weight)

    def forward(self, x: Tensor) -> Tensor:
        current = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.readout(self.lif(current).flatten(2))


def network() -> nn.Module:
    """The network, as `--model` takes it."""
    return Planted().eval()


def main() -> None:
    """Print how often it is right, and at which steps it fires."""
    batch = images.load("planted", samples=256, part="test")
    with torch.no_grad():
        out = network()(batch.x)
    right = (out.mean(0).argmax(1) == batch.y).double().mean()
    steps = sorted(set(out.nonzero()[:, 0].tolist()))
    print(f"accuracy {right:.0%} of {len(batch.y)} samples; spikes at step {steps}")


if __name__ == "__main__":
    main()
