"""Gradient norm: ||dL/dS|| at block inputs, block outputs and neuron outputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Role, Site

READS: frozenset[Role] = NEURONS | {"block_input", "block_output"}


class GradientNorm(Probe):
    """||dL/dS|| = sqrt(sum (dL/dS)^2), squares summed in float64 from the first product.

    A norm belongs to one batch and one loss: over batches it is the root mean square. The loss
    is the user's; for a mean over B samples the norm falls as B^-1/2. `gradient_per_sample` is
    the norm times sqrt(samples per batch), by which runs of different batch size compare.

    Source: Fang et al. 2021, Figs. 6 to 8.
    """

    name = "gradient_norm"
    statistics = frozenset({"grad_spike_squared"})
    roles = READS
    columns = {
        "squares": Column(),
        "gradients": Column(),
        "batches": Column("sum", "max"),
        "samples": Column("sum", "max"),
        "squares_by_samples": Column(),
    }
    quantities = {
        "gradient_norm": Quantity("root_mean", ("squares", "batches"), "loss per spike"),
        "gradient_per_sample": Quantity(
            "root_mean", ("squares_by_samples", "batches"), "loss per spike and sqrt(sample)"
        ),
    }

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """Squares per step; the batch is the second axis."""
        squares = found["grad_spike_squared"]
        samples = shape[1] if len(shape) > 1 else 1
        gradients = calls * shape[1:].numel()
        return {
            "squares": squares,
            "gradients": torch.full_like(squares, gradients, dtype=torch.int64),
            "batches": torch.full_like(squares, calls, dtype=torch.int64),
            "samples": torch.full_like(squares, calls * samples, dtype=torch.int64),
            "squares_by_samples": squares * samples,
        }
