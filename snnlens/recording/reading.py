"""What the recorder holds of one site or tensor: who reads it, who hears its gradient."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from snnlens.adapters._base import Layout
from snnlens.neuron.statistics import BACKWARD, FORWARD, Bins, Statistics
from snnlens.recording.foreign import scaled
from snnlens.recording.probe import Probe, Sums, Train
from snnlens.sites import Site


@dataclass(frozen=True)
class Reading:
    """Which probes read a site, and how; asked once, used at each pass."""

    site: Site
    value: list[Probe]
    gradient: list[Probe]
    around: list[Probe]
    step: list[Probe]
    train: list[Probe]
    paths: list[Probe]
    statistics: frozenset[str]
    bins: Bins | None
    keeps_value: bool

    @classmethod
    def of(cls, site: Site, probes: Sequence[Probe]) -> Reading:
        """What the probes that want this site override or have the kernel sum."""
        wanting = [p for p in probes if p.wants(site)]
        gradient = [p for p in wanting if p.overrides("gradient") or p.statistics & BACKWARD]
        return cls(
            site,
            value=[p for p in wanting if p.overrides("value") or p.statistics & FORWARD],
            gradient=gradient,
            around=[p for p in wanting if p.overrides("around")],
            step=[p for p in wanting if p.overrides("step")],
            train=[p for p in wanting if p.overrides("train")],
            paths=[p for p in wanting if p.overrides("paths")],
            statistics=frozenset(n for p in wanting for n in p.statistics),
            bins=scaled(next((p.bins for p in wanting if p.bins), None), site.threshold),
            keeps_value=any(p.keeps_value for p in gradient),
        )

    @property
    def calls(self) -> bool:
        """Whether more is asked of a spiking layer's call than its output."""
        return bool(self.train or self.paths or self.statistics & FORWARD)


@dataclass(frozen=True)
class Heard:
    """Who hears of a tensor's gradient, how the tensor lies, and which step it begins with."""

    reading: Reading
    layout: Layout
    at: int
    train: Train | None = None


@dataclass
class Seen:
    """The tensor that passed last: one tensor may be several sites (O^l is S^(l+1))."""

    tensor: weakref.ref[Tensor]
    version: int | None
    values: dict[tuple[str, str], Sums] = field(default_factory=dict)
    counted: Statistics | None = None  # where it is the output of a spiking layer
    heard: list[Heard] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)  # the value, where a probe asks for it

    def is_now(self, x: Tensor) -> bool:
        """Whether x is that tensor, not changed in place since."""
        return self.tensor() is x and self.version is not None and self.version == x._version
