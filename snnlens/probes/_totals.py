"""Exact sums over a spike tensor, of each neuron or channel, without a host transfer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

EXACT = 2**24  # so many ones sum exactly in float32, in any order


def totals(x: Tensor, kept: Sequence[int], *, ones: bool) -> Tensor:
    """The sum over all axes that are not kept, float64, flat in C order.

    Zeros and ones (`ones`) are summed in float32, several times as fast, as long as it is exact.

    >>> x = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])  # T = 2, B = 1, two neurons
    >>> totals(x, [2], ones=True).tolist()
    [2.0, 1.0]
    """
    over = [axis for axis in range(x.dim()) if axis not in kept]
    # As they lie in memory: channels-last data summed in C order takes five times as long.
    order = sorted(kept, key=x.stride, reverse=True)
    exact = ones and math.prod(x.shape[axis] for axis in over) <= EXACT
    summed = x.permute(*over, *order).sum(
        list(range(len(over))), dtype=torch.float32 if exact else torch.float64
    )
    back = [order.index(axis) for axis in kept]
    return summed.permute(back).flatten().to(torch.float64)
