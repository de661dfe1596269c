"""Silence: which neurons never spiked, and which spiked at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.probes._totals import totals
from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site

BITS = 8


class Silence(Probe):
    """Share of neurons (and of channels) without any spike, and with a spike at every step.

    A neuron is one element of the layer's state, spikes[0, 0] in C order; a channel is all its
    positions. Of each neuron two bits are kept, eight neurons to a byte as `numpy.packbits` does:

        spiked    S[t, b] != 0 in at least one sample b and step t
        missed    S[t, b] == 0 in at least one

    and merged over batches by "or"; N bits are the one thing here that grows with the layer.

        silent_share     = neurons that are not `spiked` / neurons
        saturated_share  = neurons that are not `missed` / neurons

    and the same of channels, all of whose positions are so. A neuron whose input is zero throughout
    (a dead layer before it, an empty border of the image) counts as silent like any other: a
    silent layer behind a silent layer says nothing of itself. How much silence proves after N
    samples x steps: `snnlens.measures.silence`. Where batches differ in the shape of the layer, no
    map of neurons holds for all of them; the shares are then NaN.
    """

    name = "silence"
    roles = NEURONS
    axes = ("byte",)
    columns = {"spiked": Column("or", "or"), "missed": Column("or", "or")}
    quantities = {
        "silent_share": Quantity("silent_share", ("spiked",), "share of neurons"),
        "saturated_share": Quantity("saturated_share", ("missed",), "share of neurons"),
        "silent_channel_share": Quantity("silent_channel_share", ("spiked",), "share of channels"),
        "saturated_channel_share": Quantity(
            "saturated_channel_share", ("missed",), "share of channels"
        ),
    }

    def value(self, site: Site, x: Tensor) -> Sums:
        """The two maps of x [T, B, ...], from how often each neuron spiked: one pass over it."""
        if x.dim() < 2 or not x.numel():
            return {}
        neurons = range(2, x.dim())
        spikes = totals(x if site.signal == "spikes" else x != 0, neurons, ones=True)
        observed = x.shape[:2].numel()
        return {"spiked": _packed(spikes != 0), "missed": _packed(spikes != observed)}


def _packed(bits: Tensor) -> Tensor:
    """Booleans [N] as uint8 [N / 8, rounded up], the first in the highest bit."""
    filled = torch.nn.functional.pad(bits, (0, -len(bits) % BITS))
    places = 1 << torch.arange(BITS - 1, -1, -1, dtype=torch.uint8, device=bits.device)
    return (torch.unflatten(filled, 0, (-1, BITS)) * places).sum(1, dtype=torch.uint8)
