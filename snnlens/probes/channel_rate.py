"""Channel rate: the spikes of each channel of a neuron layer."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.probes._totals import totals
from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column
from snnlens.sites import Site


class ChannelRate(Probe):
    """Sum of spikes and number of elements of each channel, over samples, steps and positions.

    The rate of channel c is total[c] / elements[c], in spikes per neuron and step. The channel is
    the axis behind time and batch; in a layer [T, B, N] each neuron is one, and a layer [T, B] has
    one channel. The table has one row per channel; no quantity of the frame is made of it.
    """

    name = "channel_rate"
    roles = NEURONS
    axes = ("channel",)
    columns = {"total": Column(), "elements": Column()}

    def value(self, site: Site, x: Tensor) -> Sums:
        """Totals of x [T, B, C, ...]; exact for spikes."""
        if x.dim() < 2 or not x.numel():
            return {}
        total = totals(x, range(2, min(x.dim(), 3)), ones=site.signal == "spikes")
        elements = torch.full_like(total, x.numel() // len(total), dtype=torch.int64)
        return {"total": total, "elements": elements}
