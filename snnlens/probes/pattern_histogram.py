"""Pattern histogram: how often each spike train occurs, for at most eight steps."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums, Train
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site

LONGEST = 8  # steps: 2^8 counts per layer


class PatternHistogram(Probe):
    """Number of trains, one per neuron and sample, with each of the 2^T spike patterns.

    Row p counts the trains with S[t] = bit t of p, so p = sum over t of S[t] 2^t: row 0 the silent
    ones, row 2^T - 1 those that spike at every step.

        constant_share = (counts[0] + counts[2^T - 1]) / sum of counts

    is the share of trains that hold no timing: through them T steps tell no more than one. Nothing
    is recorded above T = 8 and of graded spikes. All sequences must have the same T; the patterns
    of unequal ones would be mixed.
    """

    name = "pattern_histogram"
    roles = NEURONS
    axes = ("pattern",)
    columns = {"counts": Column()}
    quantities = {"constant_share": Quantity("constant_share", ("counts",), "share of trains")}

    def train(self, site: Site, train: Train) -> Sums:
        """Counts int64 [2^T] of a sequence [T, B, ...]."""
        if len(train.spikes) > LONGEST or site.signal != "spikes":
            return {}
        return {"counts": _counts(train.spikes)}


def _counts(spikes: Tensor) -> Tensor:
    pattern = torch.zeros(spikes[0].numel(), dtype=torch.float32, device=spikes.device)
    spike = torch.empty_like(pattern)
    for t, row in enumerate(spikes.reshape(len(spikes), -1)):
        pattern.add_(torch.ne(row, 0, out=spike), alpha=2**t)
    places = pattern.to(torch.int64)
    counts = torch.zeros(2 ** len(spikes), dtype=torch.int64, device=spikes.device)
    return counts.scatter_add_(0, places, torch.ones_like(places))  # bincount waits for the device
