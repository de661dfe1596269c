"""Gradient histogram: |dL/dS| in half decades; exact zeros and non-finite values apart."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import chunk
from snnlens.sites import Role, Site

READS: frozenset[Role] = NEURONS | {"block_input", "block_output"}
EDGES = tuple(10.0 ** (half / 2) for half in range(-60, 13))  # 1e-30 to 1e6, two bins a decade
ROWS = len(EDGES) + 3  # zeros, below, 72 bins, above, non-finite
NON_FINITE = ROWS - 1
CHUNK = 1 << 14  # elements: what is made of them stays in a core's cache
BITS = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}  # of the mantissa


class GradientHistogram(Probe):
    """Counts of |dL/dS| by size, over all elements, steps and samples.

    Row 0 holds exact zeros, row 1 what is below 1e-30, row 1 + i the bin EDGES[i-1] <= |g| <
    EDGES[i] = 10^(-30 + i/2) for i = 1 to 72, row 74 what is 1e6 or more, row 75 (the last) NaN
    and infinities. `zeros` and `non_finite` repeat the counts of their rows alone:

        gradient_zero_share = zeros / sum of all rows,    gradient_non_finite = a count.

    A gradient of exactly 0 got lost (a surrogate of bounded support, an AND with a silent input,
    underflow); one that is small did not. Unit of the gradient: loss per spike.

    Source: the gradient histograms of Glorot and Bengio 2010, with an axis in decades.
    """

    name = "gradient_histogram"
    roles = READS
    axes = ("bin",)
    columns = {"gradients": Column(), "zeros": Column(), "non_finite": Column()}
    quantities = {
        "gradient_zero_share": Quantity("ratio", ("zeros", "gradients"), "share of elements"),
        "gradient_non_finite": Quantity("value", ("non_finite",), "elements"),
    }

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        """Each element to its row."""
        counts = torch.zeros(ROWS, dtype=torch.int64, device=grad.device)
        size = chunk(grad, CHUNK)
        ones = torch.ones(min(size, grad.numel()), dtype=torch.int64, device=grad.device)
        for part in grad.reshape(-1).split(size):
            counts.scatter_add_(0, rows(part), ones[: len(part)])
        return {
            "gradients": counts,
            "zeros": _alone(counts, 0),
            "non_finite": _alone(counts, NON_FINITE),
        }


def rows(grad: Tensor) -> Tensor:
    """The row of each element [n], exactly: an octave of floats holds at most one edge.

    >>> rows(torch.tensor([0.0, 1e-38, -1.0, 3.0, 3.2, 2e6, torch.nan])).tolist()
    [0, 1, 62, 62, 63, 74, 75]
    """
    size = grad.abs()
    if size.dtype not in BITS:
        size = size.to(torch.float32)
    integer, mantissa = BITS[size.dtype]
    octave = size.contiguous().view(integer) >> mantissa
    row, edge = _octaves(size.dtype, size.device)
    return row.index_select(0, octave).add_(size >= edge.index_select(0, octave))


@cache
def _octaves(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each exponent: the row that its octave begins in, and the edge inside it or NaN.

    The first holds 0 and the denormal numbers, the last the non-finite ones.
    """
    number = np.float32 if dtype == torch.float32 else np.float64
    bias, edges = np.finfo(number).maxexp - 1, _at_least(number)
    begins = np.ldexp(number(1), np.arange(1, 2 * bias + 1) - bias)
    row = np.searchsorted(edges, begins, side="right")
    following = np.append(edges, number(np.inf))[row]
    edge = np.where(following < 2 * begins.astype(np.longdouble), following, number(np.nan))
    row = np.concatenate([[0], row + 1, [NON_FINITE]])
    edge = np.concatenate([[np.finfo(number).smallest_subnormal], edge, [number(np.nan)]])
    return torch.tensor(row, device=device), torch.tensor(edge, dtype=dtype, device=device)


def _at_least(number: type[np.floating]) -> np.ndarray:
    """EDGES as the least numbers of a type that are not below them: the same comparisons."""
    edges = np.array(EDGES)
    near = edges.astype(number)
    return np.where(near < edges, np.nextafter(near, number(np.inf)), near)


def _alone(counts: Tensor, row: int) -> Tensor:
    """The counts with every other row 0."""
    alone = torch.zeros_like(counts)
    alone[row] = counts[row]
    return alone
