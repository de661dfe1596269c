"""A Norse network with three faults: what its check-up says, and the mend.

Run: python examples/norse_faulty.py
Or:  snnlens checkup examples/norse_faulty.py:faulty --data digits
"""

import norse.torch as norse
import torch
from torch import Tensor, nn

import snnlens
from snnlens.data import images

STEPS, WIDTH, CLASSES = 8, 64, 10


def current(features: int) -> nn.Module:
    """What charges a spiking layer: weights, and BatchNorm that gives it the deviation 1."""
    norm = nn.BatchNorm1d(WIDTH, momentum=None)  # None: eval() is right from the first batch on
    return nn.Sequential(nn.Linear(features, WIDTH, bias=False), norm)


class Block(nn.Module):
    """A current and the layer that it charges; Norse takes time on axis 0, and begins at rest."""

    def __init__(self, features: int, slope: float = 1.0, threshold: float = 1.0) -> None:
        super().__init__()
        self.current = current(features)
        self.lif = norse.LIF(norse.LIFParameters(  # at 1 ms per step: leak 1/2, no synapse
            tau_mem_inv=torch.tensor(500.0), tau_syn_inv=torch.tensor(1000.0),
            v_th=torch.tensor(threshold), method="tanh", alpha=torch.tensor(slope),
        ))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.lif(self.current(x.flatten(0, 1)).unflatten(0, x.shape[:2]))[0]


class Net(nn.Module):
    """Three spiking layers and a linear readout; images [B, 3, 8, 8] in, [T, B, classes] out."""

    def __init__(self, *, slope: float, threshold: float, time_axis: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Block(3 * 8 * 8, slope=slope), Block(WIDTH, threshold=threshold), Block(WIDTH),
            nn.Linear(WIDTH, CLASSES),
        )  # fmt: skip
        self.time_axis = time_axis

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(torch.stack([x.flatten(1)] * STEPS, dim=self.time_axis))


def faulty() -> nn.Module:
    """A surrogate too narrow for any membrane, a threshold out of reach, and time on axis 1."""
    return Net(slope=1000.0, threshold=100.0, time_axis=1)


def halfway() -> nn.Module:
    """The threshold is mended: now the check-up sees what the silence hid."""
    return Net(slope=1000.0, threshold=1.0, time_axis=1)


def mended() -> nn.Module:
    """All three faults are mended."""
    return Net(slope=1.0, threshold=1.0, time_axis=0)


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
