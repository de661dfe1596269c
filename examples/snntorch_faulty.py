"""An snnTorch network with three faults: what its check-up says, and the mend.

Run: python examples/snntorch_faulty.py
Or:  snnlens checkup examples/snntorch_faulty.py:faulty --data digits
"""

import torch
from snntorch import Leaky, surrogate, utils
from torch import Tensor, nn

import snnlens
from snnlens.data import images

STEPS, WIDTH, CLASSES = 8, 64, 10


def current(features: int) -> nn.Module:
    """What charges a spiking layer: weights, and BatchNorm that gives it the deviation 1."""
    norm = nn.BatchNorm1d(WIDTH, momentum=None)  # None: eval() is right from the first batch on
    return nn.Sequential(nn.Linear(features, WIDTH, bias=False), norm)


def leaky(slope: float = 1.0, threshold: float = 2.0) -> nn.Module:
    """A layer that keeps its membrane itself."""
    grad = surrogate.fast_sigmoid(slope=slope)
    return Leaky(beta=0.5, threshold=threshold, spike_grad=grad, init_hidden=True)


class Net(nn.Module):
    """Three spiking layers and a linear readout; images [B, 3, 8, 8] in, [T, B, classes] out."""

    def __init__(self, *, slope: float, threshold: float, reset: bool) -> None:
        super().__init__()
        self.current1, self.lif1 = current(3 * 8 * 8), leaky(slope)
        self.current2, self.lif2 = current(WIDTH), leaky(threshold=threshold)
        self.current3, self.lif3 = current(WIDTH), leaky()
        self.out = nn.Linear(WIDTH, CLASSES)
        self.reset = reset

    def forward(self, x: Tensor) -> Tensor:
        if self.reset:
            utils.reset(self)
        return torch.stack([self.step(x.flatten(1)) for _ in range(STEPS)])

    def step(self, x: Tensor) -> Tensor:
        x = self.lif1(self.current1(x))
        x = self.lif2(self.current2(x))
        return self.out(self.lif3(self.current3(x)))


def faulty() -> nn.Module:
    """A surrogate too narrow for any membrane, a threshold out of reach, and no reset."""
    return Net(slope=1000.0, threshold=200.0, reset=False)


def halfway() -> nn.Module:
    """The threshold is mended: now the check-up sees what the silence hid."""
    return Net(slope=1000.0, threshold=2.0, reset=False)


def mended() -> nn.Module:
    """All three faults are mended."""
    return Net(slope=1.0, threshold=2.0, reset=True)


def main() -> None:
    """Print what the check-up finds in each."""
    batch = images.load("digits", samples=64)
    for build in (faulty, halfway, mended):
        torch.manual_seed(0)
        result = snnlens.checkup(build(), batch.x, batch.y)
        print(f"{build.__name__}: {len(result.findings)} findings")
        for f in result.findings:
            print(f"  {f.code} ({f.severity}) {f.site or 'model'}: {f.evidence}\n    try: {f.next}")


if __name__ == "__main__":
    main()
