"""What is hidden at once: a window of steps, rows and columns, at all channels."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.attribution.methods._base import Options
from snnlens.errors import InputError


def window(x: Tensor, options: Options) -> tuple[int, ...]:
    """The window over the axes of a sample [T, C, H, W], no larger than the sample.

    All channels at once; of features [T, F] the columns are features, of [T, C, L] positions.

    Raises InputError for a sample of more than two axes of space.

    >>> window(torch.zeros(2, 5, 3, 8, 8), Options(window=(9, 2, 3)))
    (5, 3, 2, 3)
    >>> window(torch.zeros(2, 5, 7), Options())
    (1, 3)
    """
    time, *rest = x.shape[1:]
    channels, space = (rest[:1], rest[1:]) if len(rest) > 1 else ([], rest)
    if len(space) > 2:
        raise InputError(
            "a sample that windows are laid over", got=list(x.shape[1:]),
            wanted="[T, C, H, W], [T, C, L] or [T, F]",
        )  # fmt: skip
    steps, *sides = options.window
    sides = sides[len(sides) - len(space) :]
    inside = [min(side, size) for side, size in zip(sides, space, strict=True)]
    return (min(steps, time), *channels, *inside)


def half(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Half of a window, rounded up: each place but those at the border is covered twice an axis.

    >>> half((1, 3, 4))
    (1, 2, 2)
    """
    return tuple((size + 1) // 2 for size in sizes)


def groups(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Which window each element of a sample lies in, [1, T, ...]; windows do not overlap.

    >>> groups(torch.zeros(1, 2, 5), (1, 3)).tolist()
    [[[0, 0, 0, 1, 1], [2, 2, 2, 3, 3]]]
    """
    shape = x.shape[1:]
    found = torch.zeros(shape, dtype=torch.long, device=x.device)
    for axis, (length, size) in enumerate(zip(shape, sizes, strict=True)):
        place = torch.arange(length, device=x.device) // size
        along = place.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        found = found * (int(place[-1]) + 1) + along
    return found.unsqueeze(0)
