"""The sums that a recorder keeps: added up per probe and site, turned into tables in the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Merge
from snnlens.sites import Site


@dataclass
class Tally:
    """Statistics of a probe at a site, summed over the calls of one shape at one step."""

    probe: Probe
    site: Site
    at: int
    shape: torch.Size
    found: dict[str, Tensor]
    calls: int = 1

    def add(self, found: dict[str, Tensor]) -> None:
        """One more call."""
        self.calls += 1
        self.found = {name: old + found[name] for name, old in self.found.items()}


class Ledger:
    """Adds up what the probes found: O(sites x T) numbers, whatever the number of batches."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], Sums] = {}
        self.tallies: dict[tuple[str, str, bool, int], Tally] = {}

    def add(self, probe: Probe, site: Site, sums: Sums, at: int = 0) -> None:
        """Merge a probe's columns; if their rows are time steps, the first of them is `at`."""
        if not sums:  # the probe has nothing to say of this tensor
            return
        at = at if probe.axes[:1] == ("step",) else 0
        old = self.sums.setdefault((probe.name, site.name), {})
        for name, column in probe.columns.items():
            new = sums[name]
            if name not in old:
                old[name] = _placed(new, at, len(new) + at if new.dim() else 0, column.merge)
            else:
                old[name] = _merged(old[name], new, at, column.merge)

    def tally(
        self, probe: Probe, site: Site, shape: torch.Size, found: dict[str, Tensor],
        *, at: int = 0, backward: bool = False,
    ) -> None:  # fmt: skip
        """Keep statistics as they are; the probe makes its columns of them in the end."""
        key = (probe.name, site.name, backward, at)
        old = self.tallies.get(key)
        if old is not None and old.shape == shape:
            old.add(found)
            return
        own = {name: found[name] for name in probe.statistics if name in found}
        self.tallies[key] = Tally(probe, site, at, shape, own)
        if old is not None:
            self._settle(old)

    def settle(self) -> None:
        """Turn every tally into its probe's columns."""
        for tally in self.tallies.values():
            self._settle(tally)
        self.tallies.clear()

    def table(self, network: str, probe: Probe, sites: Sequence[Site]) -> pd.DataFrame:
        """What one probe kept: one row per site and element of its axes."""
        parts = []
        for site in sites:
            sums = self.sums.get((probe.name, site.name))
            if sums:
                parts.append(_rows(network, site.name, probe.axes, sums))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _settle(self, tally: Tally) -> None:
        sums = tally.probe.counted(tally.site, tally.found, tally.shape, tally.calls)
        self.add(tally.probe, tally.site, sums, tally.at)


def _merged(old: Tensor, new: Tensor, at: int, merge: Merge) -> Tensor:
    """old with new merged into its rows from `at` on; longer, if new reaches beyond it."""
    if not new.dim():
        return _merge(old, new, merge)
    length = max(len(old), len(new) + at)
    if len(new) == length:
        return _merge(_placed(old, 0, length, merge), new, merge)
    if len(old) < length:
        old = _longer(old, length, merge)
    part = old[at : at + len(new)]
    part.copy_(_merge(part, new, merge))
    return old


def _merge(old: Tensor, new: Tensor, merge: Merge) -> Tensor:
    if merge == "sum":
        return old + new
    if merge == "or":
        return torch.bitwise_or(old, new)
    return torch.maximum(old, new) if merge == "max" else torch.minimum(old, new)


def _placed(x: Tensor, at: int, length: int, merge: Merge) -> Tensor:
    """A tensor of its own with x from row `at` on, and rows around it that say nothing."""
    if not x.dim():
        return x
    if at == 0 and len(x) == length:
        return x.clone()
    info = torch.finfo(x.dtype) if x.is_floating_point() else torch.iinfo(x.dtype)
    neutral = {"sum": 0, "or": 0, "max": info.min, "min": info.max}[merge]
    placed = x.new_full((length, *x.shape[1:]), neutral)
    placed[at : at + len(x)] = x
    return placed


def _longer(x: Tensor, length: int, merge: Merge) -> Tensor:
    """More rows, which say nothing; with room for as many again, so that each step costs alike."""
    width = max(1, x[0].numel()) * x.element_size()
    if x.untyped_storage().nbytes() < length * width:
        x = _placed(x, 0, 2 * length, merge)
    return x.as_strided((length, *x.shape[1:]), x.stride())


def _rows(network: str, site: str, axes: tuple[str, ...], sums: Sums) -> pd.DataFrame:
    arrays = {c: t.cpu().numpy() for c, t in sums.items()}
    shape = next(iter(arrays.values())).shape
    index = np.indices(shape).reshape(len(shape), math.prod(shape))
    keys = {axis: index[i] for i, axis in enumerate(axes)}
    flat = {c: a.reshape(-1) for c, a in arrays.items()}
    return pd.DataFrame({"network": network, "site": site} | keys | flat)
