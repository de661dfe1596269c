"""A loop over a layer of our own, with three faults: what its check-up says, and the mend.

Run: python examples/plain_loop_faulty.py
Or:  cd examples; F=plain_loop_faulty.py; snnlens checkup $F:faulty --data digits --spiking $F:MyLIF
"""

import torch
from torch import Tensor, nn

import snnlens
from snnlens.data import images

STEPS, WIDTH, CLASSES = 8, 64, 10


class MyLIF(nn.Module):
    """Weights, BatchNorm and spikes; a gradient passes within `width` around the threshold."""

    def __init__(self, features: int, width: float = 1.0, threshold: float = 1.0) -> None:
        super().__init__()
        self.fc = nn.Linear(features, WIDTH, bias=False)
        self.bn = nn.BatchNorm1d(WIDTH, momentum=None)  # None: eval() is right from the first batch
        self.width, self.threshold, self.v = width, threshold, 0.0

    def reset(self) -> None:
        self.v = 0.0

    def forward(self, x: Tensor) -> Tensor:
        h = (self.v + self.bn(self.fc(x))) / 2
        spikes = (h >= self.threshold).float()
        self.v = (h * (1 - spikes)).detach()
        near = (h - self.threshold).abs() < self.width / 2
        return spikes + near * (h - h.detach())  # 0 is added, for its gradient


class Net(nn.Module):
    """Three spiking layers and a linear readout; images [B, 3, 8, 8] in, [T, B, classes] out."""

    def __init__(self, *, width: float, threshold: float, reset: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            MyLIF(3 * 8 * 8, width), MyLIF(WIDTH, threshold=threshold), MyLIF(WIDTH),
            nn.Linear(WIDTH, CLASSES),
        )  # fmt: skip
        self.reset = reset

    def forward(self, x: Tensor) -> Tensor:
        for neuron in self.layers[:3] if self.reset else ():
            neuron.reset()
        return torch.stack([self.layers(x.flatten(1)) for _ in range(STEPS)])


def faulty() -> nn.Module:
    """A surrogate too narrow for any membrane, a threshold out of reach, and no reset."""
    return Net(width=1e-6, threshold=100.0, reset=False)


def halfway() -> nn.Module:
    """The threshold is mended: now the check-up sees what the silence hid."""
    return Net(width=1e-6, threshold=1.0, reset=False)


def mended() -> nn.Module:
    """All three faults are mended."""
    return Net(width=1.0, threshold=1.0, reset=True)


def main() -> None:
    """Print what the check-up finds in each."""
    batch = images.load("digits", samples=64)
    for build in (faulty, halfway, mended):
        torch.manual_seed(0)
        result = snnlens.checkup(build(), batch.x, batch.y, spiking=[MyLIF])
        print(f"{build.__name__}: {len(result.findings)} findings")
        for f in result.findings:
            print(f"  {f.code} ({f.severity}) {f.site or 'model'}: {f.evidence}\n    try: {f.next}")


if __name__ == "__main__":
    main()
