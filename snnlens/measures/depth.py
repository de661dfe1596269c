"""How a norm changes with depth: the factor per block of a straight line through log norms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Fit(NamedTuple):
    """factor = exp(-slope) per block toward the input, and the R^2 of the line."""

    factor: float
    r_squared: float
    points: int


def factor_per_block(block: ArrayLike, norm: ArrayLike) -> Fit:
    """Least squares through log norm against l: factor = exp(-slope).

    Below 1 the norm falls toward the shallow blocks (vanishing), above 1 it grows (exploding).
    NaN where fewer than two norms are positive and finite, or any is not.

    >>> fit = factor_per_block([3, 4, 5], [0.25, 0.5, 1.0])
    >>> round(fit.factor, 12), round(fit.r_squared, 12)
    (0.5, 1.0)
    """
    x, y = np.asarray(block, float), np.asarray(norm, float)
    if len(x) < 2 or not np.all(np.isfinite(y) & (y > 0)):
        return Fit(float("nan"), float("nan"), len(x))
    logs = np.log(y)
    dx, dy = x - x.mean(), logs - logs.mean()
    slope = (dx @ dy) / (dx @ dx)
    total = dy @ dy
    residual = ((dy - slope * dx) ** 2).sum()
    r_squared = 1.0 if total == 0 else 1 - residual / total
    return Fit(float(np.exp(-slope)), float(r_squared), len(x))


def without_ends(members: list[int]) -> list[int]:
    """The members of an area without its first and last: there the downsample blocks show.

    >>> without_ends(list(range(12, 48)))[::33]
    [13, 46]
    """
    return members[1:-1]
