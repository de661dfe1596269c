"""What is looked at: a converted network at some T, one pass of it, one layer of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from snnlens.conversion.convert import Converted
from snnlens.conversion.watching import Pass
from snnlens.neuron.parallel import ParallelIF


@dataclass(frozen=True)
class Run:
    """A converted network under a name, and the T at which it is looked at.

    A sequential network is run once, at the largest T: its first steps are those of a shorter run.
    """

    neuron: str
    net: Converted
    times: tuple[int, ...]
    local: bool = True

    def lengths(self) -> list[tuple[int, tuple[int, ...]]]:
        """The runs that are needed: T, and the T that each one shows."""
        sorts = any(isinstance(m, ParallelIF) for m in self.net.modules())
        if self.net.method == "sequential" and not sorts:
            return [(max(self.times), self.times)]
        return [(t, (t,)) for t in self.times]


@dataclass(frozen=True)
class Look:
    """A run at the T that one pass of it shows, beside the ANN and the requantised ANNs."""

    run: Run
    shown: tuple[int, ...]
    ann: Pass
    wanted: Mapping[int, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Steps:
    """Currents and spikes [T, B, ...] of a layer, and V(T) / theta where it integrates."""

    steps: Tensor
    spikes: Tensor
    membrane: Tensor | None
