"""The quotients that a Record makes of its sums. A probe names them; a Record applies them.

A quotient without a denominator is not a number: it comes back as NaN, which is written as null.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    """part / whole; NaN where whole is 0. For a firing rate: spikes / (neurons x T x samples).

    >>> ratio([1, 0], [4, 0]).tolist()
    [0.25, nan]
    """
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    quotient: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
    return quotient


def root_mean(squares: ArrayLike, batches: ArrayLike) -> Floats:
    """sqrt(sum of squares / batches): the root mean square over batches of a norm.

    >>> root_mean([8.0], [2]).tolist()
    [2.0]
    """
    norm: Floats = np.sqrt(ratio(squares, batches))
    return norm


def relative_norm(squares: ArrayLike, reference_squares: ArrayLike) -> Floats:
    """||a|| / ||b|| from sums of squares; NaN, never 0, where b is silent.

    >>> relative_norm([4.0, 0.0], [1.0, 0.0]).tolist()
    [2.0, nan]
    """
    norm: Floats = np.sqrt(ratio(squares, reference_squares))
    return norm


def value(number: ArrayLike) -> Floats:
    """The sum or extreme itself."""
    return np.asarray(number, float)


QUOTIENTS: dict[str, Callable[..., Floats]] = {
    f.__name__: f for f in (ratio, root_mean, relative_norm, value)
}
