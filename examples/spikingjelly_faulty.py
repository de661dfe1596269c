"""A SpikingJelly network with three faults: what its check-up says, and the mend.

Run: python examples/spikingjelly_faulty.py
Or:  snnlens checkup examples/spikingjelly_faulty.py:faulty --data digits
"""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

import snnlens
from snnlens.data import images

STEPS, WIDTH, CLASSES = 8, 64, 10


def current(features: int) -> nn.Module:
    """What charges a spiking layer: weights, and BatchNorm that gives it the deviation 1."""
    norm = layer.BatchNorm1d(WIDTH, momentum=None)  # None: eval() is right from the first batch on
    return nn.Sequential(layer.Linear(features, WIDTH, bias=False), norm)


class Net(nn.Module):
    """Three spiking layers and a linear readout; images [B, 3, 8, 8] in, [T, B, classes] out."""

    def __init__(self, *, slope: float, threshold: float, reset: bool) -> None:
        super().__init__()
        self.current1, self.current2 = current(3 * 8 * 8), current(WIDTH)
        self.current3 = current(WIDTH)
        self.sn1 = neuron.LIFNode(surrogate_function=surrogate.Sigmoid(alpha=slope))
        self.sn2 = neuron.LIFNode(v_threshold=threshold)
        self.sn3 = neuron.LIFNode()
        self.out = layer.Linear(WIDTH, CLASSES)
        self.reset = reset
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        if self.reset:
            functional.reset_net(self)
        x = x.flatten(1).expand(STEPS, -1, -1)  # the image at every step: [T, B, 192]
        x = self.sn1(self.current1(x))
        x = self.sn2(self.current2(x))
        return self.out(self.sn3(self.current3(x)))


def faulty() -> nn.Module:
    """A surrogate too narrow for any membrane, a threshold out of reach, and no reset."""
    return Net(slope=4000.0, threshold=100.0, reset=False)


def halfway() -> nn.Module:
    """The threshold is mended: now the check-up sees what the silence hid."""
    return Net(slope=4000.0, threshold=1.0, reset=False)


def mended() -> nn.Module:
    """All three faults are mended; the largest slope of the surrogate is now 1."""
    return Net(slope=4.0, threshold=1.0, reset=True)


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
