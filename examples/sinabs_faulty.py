"""A sinabs network with three faults: what its check-up says, and the mend.

Run: python examples/sinabs_faulty.py
Or:  snnlens checkup examples/sinabs_faulty.py:faulty --data digits
"""

import sinabs
import torch
from sinabs.activation import SingleExponential, SingleSpike
from sinabs.layers import LIFSqueeze
from torch import Tensor, nn

import snnlens
from snnlens.data import images

STEPS, WIDTH, CLASSES = 8, 64, 10


def current(features: int) -> nn.Module:
    """What charges a spiking layer: weights, and BatchNorm that gives it the deviation 1."""
    norm = nn.BatchNorm1d(WIDTH, momentum=None)  # None: eval() is right from the first batch on
    return nn.Sequential(nn.Linear(features, WIDTH, bias=False), norm)


def lif(width: float = 0.5, threshold: float = 1.0) -> nn.Module:
    """A layer that takes [B x T, features]; `width` is that of its surrogate."""
    return LIFSqueeze(
        num_timesteps=STEPS, tau_mem=1.5, spike_threshold=torch.tensor(threshold),
        spike_fn=SingleSpike, surrogate_grad_fn=SingleExponential(grad_width=width),
    )  # fmt: skip


class Net(nn.Module):
    """Three spiking layers and a linear readout; images [B, 3, 8, 8] in, [B, T, classes] out."""

    def __init__(self, *, width: float, threshold: float, reset: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            current(3 * 8 * 8), lif(width), current(WIDTH), lif(threshold=threshold),
            current(WIDTH), lif(), nn.Linear(WIDTH, CLASSES),
        )  # fmt: skip
        self.reset = reset

    def forward(self, x: Tensor) -> Tensor:
        if self.reset:
            sinabs.reset_states(self)
        x = x.flatten(1).repeat_interleave(STEPS, dim=0)  # the image at every step: [B x T, 192]
        return self.layers(x).unflatten(0, (-1, STEPS))


def faulty() -> nn.Module:
    """A surrogate too narrow for any membrane, a threshold out of reach, and no reset."""
    return Net(width=0.001, threshold=200.0, reset=False)


def halfway() -> nn.Module:
    """The threshold is mended: now the check-up sees what the silence hid."""
    return Net(width=0.001, threshold=1.0, reset=False)


def mended() -> nn.Module:
    """All three faults are mended."""
    return Net(width=0.5, threshold=1.0, reset=True)


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
