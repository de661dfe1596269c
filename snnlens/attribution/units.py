"""Units of an input: what is deleted or inserted at once, and what a map gives each."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from snnlens.errors import InputError

OVER = ("pixels", "steps", "events")
TIES = 0  # the seed of the one order in which equal values are taken


def own(sample: Tensor) -> int:
    """A sample's own constant, from its content: CRC-32 of its values as float64.

    The same alone and in any batch, in float32 and in float64, on every device.

    >>> own(torch.ones(2, 2)) == own(torch.ones(2, 2).double()), own(torch.zeros(1))
    (True, 1696784233)
    """
    return zlib.crc32(sample.detach().double().cpu().contiguous().numpy().tobytes())


def over_input(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Maps over a layer, brought to the elements of the input, in float64.

    Channels are summed, each position of the input takes the value of the position of the layer
    that lies over it (nearest, by centres), and each of its channels the same. Where the input is
    static, T = 1, the steps of the layer are summed. A map of the input's shape stays as it is.
    The sum is not kept: only ranks and maps up to a factor mean something afterwards.

    Args:
        values: [N, T, C, h, w], or [N, *shape].
        shape: the input's without N, [T, C, H, W].

    Returns:
        [N, *shape].

    Raises:
        InputError: a layer without positions in space, or of another T.

    >>> layer = torch.tensor([[1.0, 2.0]]).reshape(1, 1, 2, 1, 1)         # two channels, 1 x 1
    >>> over_input(layer, (1, 1, 2, 2)).flatten().tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    shape, found = tuple(shape), values.double()
    if found.shape[1:] == shape:
        return found
    if shape[0] == 1:
        found = found.sum(1, keepdim=True)
        if found.shape[1:] == shape:
            return found
    if found.dim() != 5 or len(shape) != 4 or found.shape[1] != shape[0]:
        raise InputError("maps over a layer", got=list(values.shape[1:]),
                         wanted=f"of positions in space at the input's steps, {list(shape)}",
                         do="take a layer of a convolution, or over='steps'")  # fmt: skip
    fine = interpolate(found.sum(2), shape[2:], mode="nearest-exact")  # [N, T, H, W]
    return fine.unsqueeze(2).expand(-1, -1, shape[1], -1, -1)


def nothing(x: Tensor, baseline: Tensor | None) -> Tensor:
    """The baseline of every sample, as large as x [N, T, ...]; None is zeros.

    >>> nothing(torch.ones(2, 3), torch.tensor([1.0, 2.0, 3.0])).tolist()
    [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    """
    given = torch.zeros((), dtype=x.dtype) if baseline is None else baseline
    try:
        return torch.broadcast_to(given.to(x), x.shape)
    except RuntimeError:
        raise InputError("the baseline", got=list(given.shape),
                         wanted=f"a sample, {list(x.shape[1:])}") from None  # fmt: skip


def shape_of(x: Tensor, over: str) -> tuple[int, ...]:
    """How the units lie over a sample [T, ...]; along an axis of size 1 they are one.

    >>> x = torch.zeros(8, 5, 2, 3, 4)
    >>> [shape_of(x, over) for over in OVER]
    [(1, 1, 3, 4), (5, 1, 1, 1), (5, 2, 3, 4)]
    """
    if over == "events":
        return tuple(x.shape[1:])
    if over == "steps":
        return x.shape[1], *(1 for _ in x.shape[2:])
    space = x.shape[3:] if x.dim() > 3 else x.shape[2:]  # positions, or features
    return *(1 for _ in range(x.dim() - 1 - len(space))), *space


def values_of(values: Tensor, shape: Sequence[int], over: str) -> Tensor:
    """What a sample's map gives each unit of an input of this shape [T, ...]: its sum, flat.

    >>> values_of(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), (2, 2), "pixels").tolist()
    [4.0, 6.0]
    """
    if over == "steps":
        if len(values) != shape[0]:
            raise InputError(
                "steps of a map", got=len(values), wanted=f"those of the input, {shape[0]}"
            )
        return values.double().reshape(len(values), -1).sum(1)
    found = over_input(values[None], shape)[0]
    if over == "pixels":
        found = found.sum((0, 1)) if found.dim() > 2 else found.sum(0)
    return found.flatten()


def falling(values: Tensor) -> Tensor:
    """The units, highest value first; equal ones in one order, shuffled once for all.

    >>> falling(torch.tensor([1.0, 3.0, 2.0])).tolist()
    [1, 2, 0]
    """
    ties = torch.from_numpy(np.random.default_rng(TIES).permutation(len(values))).to(values.device)
    return ties[values[ties].argsort(descending=True, stable=True)]


def ranks(order: Tensor, units: int) -> Tensor:
    """When each of the units is taken; one that is not in the order never is.

    >>> ranks(torch.tensor([2, 0]), 3).tolist()
    [1, 3, 0]
    """
    found = torch.full((units,), units, dtype=torch.int32, device=order.device)
    found[order] = torch.arange(len(order), dtype=torch.int32, device=order.device)
    return found
