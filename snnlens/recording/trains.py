"""Whole sequences for the probes that want them, joined where a layer is called once per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from snnlens.recording.ledger import Ledger
from snnlens.recording.probe import Probe, Train
from snnlens.sites import Site


@dataclass
class _Pieces:
    """The steps of the sequence that a site is in; held until it ends."""

    site: Site
    train: Sequence[Probe]
    paths: Sequence[Probe]
    steps: dict[int, Train] = field(default_factory=dict)

    def joined(self) -> Train:
        """The steps in their order; a step that no gradient reached has gradient 0."""
        parts = [self.steps[at] for at in sorted(self.steps)]
        first = parts[0]
        whole = replace(first, spikes=torch.cat([p.spikes for p in parts]), current=None)
        if all(p.current is not None for p in parts):
            whole = replace(
                whole, current=torch.cat([p.current for p in parts if p.current is not None])
            )
        if any(p.gradient is not None for p in parts):
            grads = [
                torch.zeros_like(p.spikes) if p.gradient is None else p.gradient for p in parts
            ]
            whole = replace(whole, gradient=torch.cat(grads))
        return whole


class Trains:
    """Hands whole sequences to the probes' `train` and, with their gradient, to `paths`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._paths: dict[str, Sequence[Probe]] = {}
        self._pieces: dict[str, _Pieces] = {}

    def take(
        self, site: Site, train: Sequence[Probe], paths: Sequence[Probe], seen: Train, at: int,
        *, whole: bool,
    ) -> Train | None:  # fmt: skip
        """A call of a spiking layer; returns what its gradient must come with, if one is wanted."""
        self._paths[site.name] = paths
        if whole:
            self._tell(train, "train", site, seen)
        else:
            pieces = self._pieces.setdefault(site.name, _Pieces(site, train, paths))
            pieces.steps[at] = seen
        return seen if paths else None

    def gradient(self, site: Site, seen: Train, grad: Tensor, at: int) -> None:
        """The gradient of a call has come."""
        seen = replace(seen, gradient=grad)
        pieces = self._pieces.get(site.name)
        if pieces is None:
            self._tell(self._paths[site.name], "paths", site, seen)
        elif at in pieces.steps:
            pieces.steps[at] = seen

    def flush(self, name: str | None = None) -> None:
        """The sequence of one site, or of all, has ended."""
        for one in [name] if name is not None else list(self._pieces):
            pieces = self._pieces.pop(one, None)
            if pieces is not None:
                whole = pieces.joined()
                self._tell(pieces.train, "train", pieces.site, whole)
                if whole.gradient is not None:
                    self._tell(pieces.paths, "paths", pieces.site, whole)

    def _tell(self, probes: Sequence[Probe], method: str, site: Site, train: Train) -> None:
        with torch.no_grad():
            for probe in probes:
                self._ledger.add(probe, site, getattr(probe, method)(site, train))
