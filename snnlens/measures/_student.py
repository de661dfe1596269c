"""Student's t in numpy: the half-width of an interval from few values."""

from __future__ import annotations

import math
from functools import cache

import numpy as np


def inside(theta: float, freedom: int) -> float:
    """P(abs(T) < t) with t = sqrt(freedom) tan(theta): a finite sum for whole degrees of freedom.

    Source: Abramowitz and Stegun 1964, 26.7.3 (odd) and 26.7.4 (even).

    >>> round(inside(math.pi / 4, 1), 12)   # Cauchy: half lies within 1
    0.5
    """
    odd = freedom % 2
    k = np.arange(1, (freedom - odd) // 2)
    # Each term is the one before times 2k / (2k + 1), or (2k - 1) / 2k where freedom is even.
    steps = (2 * k - 1 + odd) / (2 * k + odd) * math.cos(theta) ** 2
    terms = 1 + np.cumprod(steps).sum() if freedom > 1 else 0.0
    if not odd:
        return float(math.sin(theta) * terms)
    return float(2 / math.pi * (theta + math.sin(theta) * math.cos(theta) * terms))


@cache
def quantile(freedom: int, confidence: float = 0.95) -> float:
    """t with P(abs(T) < t) = confidence, by bisection of the angle; NaN without freedom.

    >>> round(quantile(10), 4), round(quantile(31), 4)
    (2.2281, 2.0395)
    """
    if freedom < 1:
        return math.nan
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # pi / 2^61 is below the rounding of an angle
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(high)
