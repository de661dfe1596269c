"""Statistics of a neuron layer, per time step: what a kernel sums while the data passes it.

    spikes                 how many neurons spiked                          int64 [T]
    active                 where sigma'(H - V_th) is not 0                  int64 [T]
    histogram              H below `lowest`, in each bin, above             int64 [T, bins + 2]
    current                sum of X                                         float64 [T]
    current_squared        sum of X^2                                       float64 [T]
    surrogate              sum of sigma'(H - V_th)                          float64 [T]
    grad_spike_squared     sum of (dL/dS)^2, in the backward pass           float64 [T]
    grad_current_squared   sum of (dL/dX)^2, in the backward pass           float64 [T]

`measure` here is the plain way, over whole tensors; the kernels are held to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnlens.neuron.equations import Step

_FORWARD = ("spikes", "active", "histogram", "current", "current_squared", "surrogate")
_BACKWARD = ("grad_spike_squared", "grad_current_squared")
FORWARD, BACKWARD = frozenset(_FORWARD), frozenset(_BACKWARD)
BIT = {name: 1 << place for place, name in enumerate(_FORWARD + _BACKWARD)}
_OF_MEMBRANES = BIT["active"] | BIT["histogram"] | BIT["surrogate"]
COUNTS = 2  # rows of the table of counts before the histogram
SUMS = 3  # rows of a forward pass's table of sums
GRADIENT_SUMS = 2


@dataclass(frozen=True)
class Bins:
    """The fixed edges of a histogram of H: `count` bins of one width from `lowest` on."""

    lowest: float = 0.0
    width: float = 0.125
    count: int = 0

    def place(self, h: Tensor) -> Tensor:
        """0 below, 1 to count in the bins, count + 1 above and for what is not a number."""
        place = ((h.to(torch.float64) - self.lowest) * (1 / self.width)).floor()
        inside = place.clamp(-1, self.count).nan_to_num(self.count)
        return inside.to(torch.int64) + 1


@dataclass
class Statistics:
    """What one call of a layer gave; `gradients` come with its backward pass, if it has one.

    `when_backward` hears of dL/dS and this object once the backward pass has run.
    """

    forward: dict[str, Tensor]
    with_backward: bool = False
    gradients: dict[str, Tensor] = field(default_factory=dict)
    when_backward: list[Callable[[Tensor, Statistics], None]] = field(default_factory=list)

    def inside(self) -> Statistics:
        """Without what a hook on the layer may change: its spikes, and their gradient."""
        return Statistics({name: x for name, x in self.forward.items() if name != "spikes"})

    def hear(self, grad: Tensor, gradients: dict[str, Tensor]) -> None:
        """Take what the backward pass gave and tell those who wait for it."""
        self.gradients = gradients
        for listener in self.when_backward:
            listener(grad, self)


def bits(names: frozenset[str]) -> int:
    """The names as one number, for the operators.

    >>> bits(frozenset({"spikes", "current"}))
    9
    """
    return sum(BIT[name] for name in names)


def unpack(wanted: int, counts: Tensor, sums: Tensor) -> dict[str, Tensor]:
    """The rows of a forward pass's two tables by name."""
    asked = [name for name in _FORWARD if wanted & BIT[name]]
    rows = {"spikes": (counts, 0), "active": (counts, 1), "current": (sums, 0),
            "current_squared": (sums, 1), "surrogate": (sums, 2)}  # fmt: skip
    found = {name: rows[name][0][rows[name][1]] for name in asked if name in rows}
    return found | ({"histogram": counts[COUNTS:].T} if "histogram" in asked else {})


def unpack_gradients(wanted: int, sums: Tensor) -> dict[str, Tensor]:
    """The rows of a backward pass's table by name."""
    return {name: sums[row] for row, name in enumerate(_BACKWARD) if wanted & BIT[name]}


def measure(
    x: Tensor, spikes: Tensor, membranes: Callable[[], Iterator[Step]], wanted: int, bins: Bins
) -> tuple[Tensor, Tensor]:
    """The two tables of a forward pass: counts int64 [2 + bins + 2, T], sums float64 [3, T]."""
    counts, sums = tables(len(x), bins, x.device)
    if wanted & BIT["spikes"]:
        counts[0] = _flat(spikes).count_nonzero(1)
    if wanted & BIT["current"]:
        sums[0] = _flat(x).to(torch.float64).sum(1)
    if wanted & BIT["current_squared"]:
        sums[1] = _flat(x).to(torch.float64).square().sum(1)
    for step in membranes() if wanted & _OF_MEMBRANES else ():
        if wanted & BIT["active"]:
            counts[1, step.t] = step.surrogate.count_nonzero()
        if wanted & BIT["surrogate"]:
            sums[2, step.t] = step.surrogate.sum(dtype=torch.float64)
        if wanted & BIT["histogram"]:
            places = bins.place(step.membrane).flatten()
            counts[COUNTS:, step.t] = torch.bincount(places, minlength=bins.count + 2)
    return counts, sums


def measure_gradients(grad: Tensor, grad_x: Tensor, wanted: int) -> Tensor:
    """The table of a backward pass: float64 [2, T]."""
    sums = gradient_table(wanted, len(grad), grad.device)
    for row, (name, y) in enumerate(zip(_BACKWARD, (grad, grad_x), strict=True)):
        if wanted & BIT[name]:
            sums[row] = _flat(y).to(torch.float64).square().sum(1)
    return sums


def tables(steps: int, bins: Bins, device: torch.device) -> tuple[Tensor, Tensor]:
    """Empty tables of a forward pass."""
    counts = torch.zeros(COUNTS + bins.count + 2, steps, dtype=torch.int64, device=device)
    return counts, torch.zeros(SUMS, steps, dtype=torch.float64, device=device)


def no_tables(_steps: int, _bins: Bins, device: torch.device) -> tuple[Tensor, Tensor]:
    """What stands for the tables where no statistic is wanted."""
    return (torch.empty(0, 0, dtype=torch.int64, device=device),
            torch.empty(0, 0, dtype=torch.float64, device=device))  # fmt: skip


def gradient_table(wanted: int, steps: int, device: torch.device) -> Tensor:
    """An empty table of a backward pass."""
    rows = GRADIENT_SUMS if wanted else 0
    return torch.zeros(rows, steps, dtype=torch.float64, device=device)


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)
