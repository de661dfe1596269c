r"""The telescoping split of one layer's conversion error, per neuron.

With f the ANN's activation, z the mean current of the spiking layer, Q_T its closed form:

    inherited     f(z_snn) - f(z_ann)              made upstream
    clip          clip(z_snn, 0, theta) - f(z_snn)  only where z > theta; 0 for QCFS, where f clips
    quantisation  Q_T(z_snn) - clip(z_snn)         at most theta / 2T; of QCFS Q_T(z_snn) - f(z_snn)
    unevenness    r - Q_T(z_snn)                   the order of the spikes alone

Their sum is r - a: the error of this layer's mean output against the ANN's activation.

Source: Bu et al. 2022 (QCFS), Section 3, for the three errors; the split per neuron is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from snnlens.conversion.activations import QCFS
from snnlens.conversion.layers import Spiking

SOURCES = ("inherited", "clip", "quantisation", "unevenness")
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)
ROUNDING = 1e-9  # of V in units of theta, float64: far above the rounding of 1,000 steps
ROUNDING_32 = 1e-4  # float32: V is a sum of up to 64 terms near 1


class Parts(NamedTuple):
    """The four parts, each shaped like one sample batch [B, ...], in the unit of theta."""

    inherited: Tensor
    clip: Tensor
    quantisation: Tensor
    unevenness: Tensor

    @property
    def total(self) -> Tensor:
        """r - a."""
        return self.inherited + self.clip + self.quantisation + self.unevenness


def split(
    activation: nn.Module, layer: Spiking, *, ann: Tensor, z: Tensor, counts: Tensor,
    time_steps: int,
) -> Parts:  # fmt: skip
    """The parts of r - a, divided by theta.

    Args:
        activation: f, the ANN's ReLU or QCFS.
        layer: the spiking layer that stands for it.
        ann: z_ann, what the ANN gives f.
        z: the mean current of the layer over T.
        counts: k, its spikes.
        time_steps: T.

    >>> from snnlens.conversion.layers import SequentialLayer
    >>> layer, z = SequentialLayer(1.0, 4), torch.tensor([1.5])
    >>> parts = split(nn.ReLU(), layer, ann=z, z=z, counts=torch.tensor([4.0]), time_steps=4)
    >>> [float(p) for p in parts]
    [0.0, -0.5, 0.0, 0.0]
    """
    theta = layer.theta
    own, reference = activation(z), activation(ann)
    clipped = own if isinstance(activation, QCFS) else torch.minimum(z.clamp(min=0), theta)
    ideal = layer.mean_of(layer.closed_form(z, time_steps), time_steps)
    parts = (own - reference, clipped - own, ideal - clipped,
             layer.mean_of(counts, time_steps) - ideal)  # fmt: skip
    return Parts(*(part / theta for part in parts))


def sums(parts: Parts, a: Tensor, r: Tensor, saturated: Tensor, theta: Tensor) -> dict[str, float]:
    """Sums and sums of squares of the parts, of activation and rate, in units of theta."""
    made: dict[str, float] = {"values": float(a.numel()), "saturated": _total(saturated)}
    for name, part in zip((*SOURCES, "total"), (*parts, parts.total), strict=True):
        made |= {f"{name}_sum": _total(part), f"{name}_squares": _total(part.double().square())}
    a, r = (a / theta).double(), (r / theta).double()
    for name, value in (("activation", a), ("rate", r)):
        made |= {f"{name}_sum": _total(value), f"{name}_squares": _total(value.square())}
    return made | {"activation_rate": _total(a * r)}


def offsets(counts: Tensor, layer: Spiking, z: Tensor, time_steps: int) -> dict[str, float]:
    """How many neurons fire so many spikes more than their own mean current asks for."""
    extra = (counts - layer.closed_form(z, time_steps)).clamp(OFFSETS[0], OFFSETS[-1])
    made = {_name(o): _total(extra == o) for o in OFFSETS}
    return made | {"uneven": _total(extra != 0)}


def residual(
    counts: Tensor, layer: Spiking, z: Tensor, membrane: Tensor, time_steps: int
) -> dict[str, float]:
    """What the potential that is left says, without the ANN: k too large or too small.

    V(T) < 0 and k > 0: by at least one spike too many; V(T) >= theta and k < T: too few.

    Source: Hao et al. 2023 (COS, ICLR), Section 4.
    """
    edge = ROUNDING if membrane.dtype == torch.float64 else ROUNDING_32
    more = (membrane < -edge) & (counts > 0)
    less = (membrane >= 1 - edge) & (counts < time_steps)
    asked = layer.closed_form(z, time_steps)
    wrong = (more != (counts > asked)) | (less != (counts < asked))
    return {"residual_more": _total(more), "residual_less": _total(less),
            "residual_wrong": _total(wrong)}  # fmt: skip


def _total(x: Tensor) -> float:
    return float(x.sum(dtype=torch.float64))


def _name(offset: int) -> str:
    return f"offset_m{-offset}" if offset < 0 else f"offset_{offset}"
