"""Surrogate-active share: at how many neurons and steps the surrogate gradient is not 0."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site


class SurrogateActive(Probe):
    """Share of neuron-steps with sigma'(H - V_th) != 0, per site and step.

    A surrogate of bounded support (rectangular, triangular) passes no gradient where the membrane
    is far from the threshold; one of unbounded support always has a share of 1.
    """

    name = "surrogate_active"
    statistics = frozenset({"active"})
    roles = NEURONS
    columns = {"active": Column(), "neuron_steps": Column()}
    quantities = {
        "surrogate_active": Quantity("ratio", ("active", "neuron_steps"), "share of neuron-steps")
    }

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """As the kernel of a neuron of snnlens counted them."""
        active = found["active"]
        neuron_steps = torch.full_like(active, calls * shape[1:].numel())
        return {"active": active, "neuron_steps": neuron_steps}
