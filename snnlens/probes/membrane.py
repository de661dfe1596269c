"""Membrane: where the membrane potential lies around the threshold, before the reset."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from snnlens.neuron.statistics import Bins
from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site

BINS = Bins(-4.0, 0.125, 80)  # -4 to 6 thresholds
GIVEN = (BINS.lowest, BINS.width, BINS.count)


class Membrane(Probe):
    """Histogram of H / V_th over neurons, samples and steps, H the membrane before the reset.

    Row 0 counts what lies below -4 thresholds, row k = 1 to 80 what lies from -4 + (k - 1) / 8 up
    to, not including, -4 + k / 8, and row 81 what lies at 6 or above and what is not a number. In
    float64 an edge is rounded unless V_th is a power of 2: what lies on it may be one row lower. A
    neuron fires where H / V_th >= 1. Each share of neuron-steps is a sum of rows / sum of all rows:

        membrane_low_share   H < -V_th: one spike's worth of current below rest, and more
        membrane_near_share  1/2 V_th <= H < 3/2 V_th: where surrogate gradients are large
        membrane_high_share  H >= 3 V_th, and NaN

    Potentials are counted from 0, the rest of most neurons. There are no rows where the framework
    shows no membrane and snnlens cannot replay it.
    """

    name = "membrane"
    roles = NEURONS
    axes = ("bin",)
    statistics = frozenset({"histogram"})
    bins = BINS
    columns = {"counts": Column()}
    quantities = {
        "membrane_low_share": Quantity(
            "share_between", ("counts",), "share of neuron-steps", {"bins": GIVEN, "high": -1.0}
        ),
        "membrane_near_share": Quantity(
            "share_between", ("counts",), "share of neuron-steps",
            {"bins": GIVEN, "low": 0.5, "high": 1.5},
        ),
        "membrane_high_share": Quantity(
            "share_between", ("counts",), "share of neuron-steps", {"bins": GIVEN, "low": 3.0}
        ),
    }  # fmt: skip

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """The kernel's counts [T, bins + 2], summed over the steps."""
        return {"counts": found["histogram"].sum(0)}
