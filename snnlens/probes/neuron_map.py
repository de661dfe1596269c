"""Neuron map: the spikes of every single neuron of chosen layers."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.probes._totals import totals
from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column
from snnlens.sites import Site

LARGEST = 2**16  # neurons: 256 x 256 positions; a table of 1 MB


class NeuronMap(Probe):
    """Sum of spikes and number of elements of each neuron, over samples and steps.

    The rate of neuron n is total[n] / elements[n], in spikes per step. A neuron is one element of
    the layer's state, in C order: reshape the table's rows to the state's shape for a map. Memory
    and table grow with the layer, so choose the layers. Where batches differ in the shape of the
    layer the map means nothing.

    Args:
        sites: names of the neuron layers to record; by default those of at most 65,536 neurons.
    """

    name = "neuron_map"
    roles = NEURONS
    axes = ("neuron",)
    columns = {"total": Column(), "elements": Column()}

    def __init__(self, sites: frozenset[str] | None = None) -> None:
        self.sites = sites

    def wants(self, site: Site) -> bool:
        """The chosen layers."""
        return super().wants(site) and (self.sites is None or site.name in self.sites)

    def value(self, site: Site, x: Tensor) -> Sums:
        """Totals of x [T, B, ...]; exact for spikes."""
        neurons = x.shape[2:].numel()
        if x.dim() < 2 or not x.numel() or (self.sites is None and neurons > LARGEST):
            return {}
        total = totals(x, range(2, x.dim()), ones=site.signal == "spikes")
        elements = torch.full_like(total, x.shape[:2].numel(), dtype=torch.int64)
        return {"total": total, "elements": elements}
