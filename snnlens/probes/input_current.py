"""Input current: its mean and deviation, and how far the threshold is from the free membrane."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site


class InputCurrent(Probe):
    """Mean mu_I and deviation sigma_I of the input X of a neuron layer, and xi.

        mu_I = sum X / n,   sigma_I = sqrt(sum X^2 / n - mu_I^2),   xi = (V_th - mu_U) / sigma_U

    with n = neurons x samples x steps, and U the free membrane, which has no reset, after it has
    settled: for LIF with decay_input mu_U = mu_I and sigma_U^2 = sigma_I^2 / (2 tau - 1). X is in
    the unit of the threshold, xi in deviations of U. An IF neuron never settles: its xi is NaN, and
    `snnlens.measures.quotients.xi_at_step` gives it after so many steps. NaN too where threshold
    or leak is no single number. What is summed at step t is the current that arrives at step t; the
    leak of PLIF is that at the beginning of the recording.

    Source: Rossbroich, Gygax and Zenke 2022, Fluctuation-driven initialization for spiking neural
    network training, section 2 (xi, mu_U, sigma_U).
    """

    name = "input_current"
    roles = NEURONS
    statistics = frozenset({"current", "current_squared"})
    columns = {
        "current": Column(),
        "current_squared": Column(),
        "inputs": Column(),
        "threshold": Column("max", "max"),
        "leak": Column("max", "max"),
        "gain": Column("max", "max"),
    }
    quantities = {
        "current_mean": Quantity("ratio", ("current", "inputs"), "unit of the threshold"),
        "current_deviation": Quantity(
            "deviation", ("current", "current_squared", "inputs"), "unit of the threshold"
        ),
        "xi": Quantity(
            "xi", ("current", "current_squared", "inputs", "threshold", "leak", "gain"),
            "deviations of the free membrane",
        ),
    }  # fmt: skip

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """Sums and squares of the current per step, beside what is known of the neuron."""
        current = found["current"]
        return {
            "current": current,
            "current_squared": found["current_squared"],
            "inputs": torch.full_like(current, calls * shape[1:].numel(), dtype=torch.int64),
            "threshold": _constant(current, site.threshold),
            "leak": _constant(current, site.leak),
            "gain": _constant(current, site.gain),
        }


def _constant(like: Tensor, number: float | None) -> Tensor:
    return torch.full_like(like, math.nan if number is None else number)
