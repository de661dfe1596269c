"""Surrogate-active share: at how many neurons and steps the surrogate gradient is not 0."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site


class SurrogateActive(Probe):
    """Share of neuron-steps with sigma'(H - V_th) != 0, and the mean of sigma', per site and step.

        surrogate_active = number of neuron-steps with sigma' != 0 / neuron-steps
        surrogate_mean   = sum of sigma'(H - V_th) / neuron-steps, in spikes per unit of potential

    The rule of support: a neuron-step is active where sigma' is not exactly 0 in the layer's dtype.
    A surrogate of bounded support (rectangular, triangular) passes no gradient where the membrane
    is far from the threshold. One of unbounded support (ATan, sigmoid, SuperSpike) is active
    everywhere but where it underflows: its share is 1 and says nothing. There the mean tells, and
    the check of inactive surrogates takes the share of membranes so near to the threshold that
    sigma' is at least a tenth of its largest value (from the histogram of `membrane`).

    Source: Neftci, Mostafa and Zenke 2019, Surrogate gradient learning in spiking neural networks.
    """

    name = "surrogate_active"
    statistics = frozenset({"active", "surrogate"})
    roles = NEURONS
    columns = {"active": Column(), "neuron_steps": Column(), "slopes": Column()}
    quantities = {
        "surrogate_active": Quantity("ratio", ("active", "neuron_steps"), "share of neuron-steps"),
        "surrogate_mean": Quantity(
            "ratio", ("slopes", "neuron_steps"), "spikes per unit of potential"
        ),
    }

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """As the kernel of a neuron of snnlens counted them."""
        active = found["active"]
        neuron_steps = torch.full_like(active, calls * shape[1:].numel())
        return {"active": active, "neuron_steps": neuron_steps, "slopes": found["surrogate"]}
