"""Firing rate: spikes / (neurons x T x samples), and what integer spikes hide in it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_elements, step_summary, step_sums
from snnlens.sites import Site


class FiringRate(Probe):
    """Firing rate per site and step: sum of spikes / (neurons x T x samples).

    At a block the tensor may hold integers (SEW add) or currents (MS): there `firing_rate` is the
    mean value, and the share of elements that are not 0, the share above 1 and the largest value
    stand beside it. A neuron layer's spikes are zeros and ones. `bit_width` is the number of bits
    that the largest value takes, floor(log2(largest)) + 1 and 0 for 0: what an integer spike costs
    when it is sent bit by bit. It is NaN where the largest value is negative or no integer.

    Source: Fang et al. 2021, Figs. 4 and 5.
    """

    name = "firing_rate"
    statistics = frozenset({"spikes"})
    columns = {
        "total": Column(),
        "elements": Column(),
        "nonzero": Column(),
        "above_one": Column(),
        "largest": Column("max", "max"),
    }
    quantities = {
        "firing_rate": Quantity("ratio", ("total", "elements"), "spikes per neuron and step"),
        "nonzero_share": Quantity("ratio", ("nonzero", "elements"), "share of elements"),
        "above_one_share": Quantity("ratio", ("above_one", "elements"), "share of elements"),
        "largest": Quantity("value", ("largest",), "spikes"),
        "bit_width": Quantity("bit_width", ("largest",), "bits"),
    }

    def shares(self, site: Site) -> str:
        """Zeros and ones are only counted; other signals are looked at more closely."""
        return "spikes" if _binary(site) else "other"

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """A neuron layer's spikes, as the kernel counted them."""
        return _of_spikes(found["spikes"].to(torch.float64), calls * shape[1:].numel())

    def value(self, site: Site, x: Tensor) -> Sums:
        """Sum, count and, where it is not spikes, the counts that tell integers from ones."""
        if _binary(site):
            return _of_spikes(step_sums(x), x.shape[1:].numel())
        return {"elements": step_elements(x)} | step_summary(x)


def _of_spikes(total: Tensor, elements: int) -> Sums:
    counts = torch.full_like(total, elements, dtype=torch.int64)
    return {"total": total, "elements": counts, "nonzero": total, "above_one": 0 * total,
            "largest": (total > 0).to(total.dtype)}  # fmt: skip


def _binary(site: Site) -> bool:
    """Zeros and ones by the model's word: a neuron's spikes, and AND or IAND of such."""
    return site.signal == "spikes"
