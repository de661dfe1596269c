"""Batch norm: over how many numbers each channel is normalised, and which channels are flat."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import chunk
from snnlens.sites import Site

CHUNK = 1 << 17  # elements: 1 MB of float64


class BatchNorm(Probe):
    """Samples per channel statistic, and the share of channels whose variance is below eps.

    `norm_samples` = n = samples x positions of one channel of the input (x steps, where the layer
    gets them folded into the batch, as SpikingJelly's multi-step mode does), the smallest of all
    passes; it is what a training-mode pass averages over. Its mean errs by sigma / sqrt(n).

    `flat_channel_share` = sum of flat channels / sum of channels. A channel is flat where the
    variance that normalises it is below eps: then y = (x - mean) / sqrt(variance + eps) is no
    longer of variance 1, and a silent input stays silent. In training mode that is the variance
    of the batch (1 / n), summed in float64; in evaluation mode `running_var`.

    Source: Ioffe and Szegedy 2015, Algorithm 1 (eps).
    """

    name = "batch_norm"
    roles = frozenset({"norm"})
    axes = ()
    columns = {
        "samples": Column("min", "min"),
        "channels": Column(),
        "flat_channels": Column(),
    }
    quantities = {
        "norm_samples": Quantity("value", ("samples",), "values per channel"),
        "flat_channel_share": Quantity("ratio", ("flat_channels", "channels"), "share of channels"),
    }

    def around(self, site: Site, module: Any, x: Tensor, y: Tensor) -> Sums:
        """x is [N, C, ...], or [T, N, C, ...] in SpikingJelly's multi-step mode."""
        by_channel = x.movedim(2 if getattr(module, "step_mode", "s") == "m" else 1, 0)
        channels = len(by_channel)
        from_batch = module.training or module.running_var is None
        variance = _variance(by_channel) if from_batch else module.running_var
        flat = (variance < module.eps).sum()
        return {
            "samples": torch.full_like(flat, x.numel() // max(channels, 1)),
            "channels": torch.full_like(flat, channels),
            "flat_channels": flat,
        }


def _variance(x: Tensor) -> Tensor:
    """The variance 1/n of each row of x [C, ...], in float64, a few rows at a time."""
    rows = max(1, chunk(x, CHUNK) // max(1, x[0].numel()))
    parts = [part.to(torch.float64).flatten(1).var(1, correction=0) for part in x.split(rows)]
    return torch.cat(parts)
