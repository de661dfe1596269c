"""A factor per block, or per step, with its uncertainty: a straight line through log norms.

An absolute bound on a gradient says nothing without the depth; a factor per block does. 0.9 is
harmless over 4 blocks and 0.005 over 50: `GeometricFit.total`. `snnlens.measures.depth` gives the
same line as one number for the published claims, and no number where a norm is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError
from snnlens.measures import _student

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GeometricFit:
    """norm_l = c factor^l, fitted through log norm.

    Attributes:
        factor: exp(slope) per index, upward: above 1 the norm grows with the index.
        low: lower end of its 95 % interval, exp(slope - t se); NaN with fewer than 3 points.
        high: its upper end.
        r_squared: share of the variance of log norm that the line explains; 1 for equal norms.
        points: how many norms the line goes through.
        zeros: exact zeros, left out: no logarithm. The line then is about what is left.
        non_finite: NaN and infinite norms, left out.
    """

    factor: float
    low: float
    high: float
    r_squared: float
    points: int
    zeros: int = 0
    non_finite: int = 0

    def total(self, depth: float) -> float:
        """factor^depth: what `depth` blocks or steps make of a norm; inf where it is too large.

        >>> round(GeometricFit(0.9, 0.9, 0.9, 1.0, 4).total(50), 4)
        0.0052
        """
        with np.errstate(over="ignore"):
            return float(np.float64(self.factor) ** depth)

    @property
    def backward(self) -> GeometricFit:
        """The same line the way a gradient goes: 1 / factor per index downward.

        >>> GeometricFit(0.5, 0.25, 1.0, 1.0, 4).backward.high
        4.0
        """
        factor, low, high = (1 / x if x else math.inf for x in (self.factor, self.high, self.low))
        return replace(self, factor=factor, low=low, high=high)


def factor_per_block(norms: ArrayLike, blocks: ArrayLike | None = None) -> GeometricFit:
    """Fit norm_l = c factor^l over blocks l; factor = exp(slope of log norm).

    The slope is that of ordinary least squares; its interval is slope +- t_(n-2, 0.975) se with
    se^2 = (sum of squared residuals / (n - 2)) / sum of (l - mean l)^2. It takes the residuals as
    independent and normal; those of neighbouring blocks are alike, and then it is too narrow.

    The factor is upward, with depth. `.backward` has it toward the input, the way of a gradient,
    which is the direction of `snnlens.measures.depth.factor_per_block`.

    Args:
        norms: one a block, at least 0, of any unit.
        blocks: their indices l, different ones; 0, 1, 2 ... by default.

    Returns:
        The fit, without unit; NaN where fewer than 2 norms are positive and finite.

    Raises:
        InputError: a norm below 0, or blocks and norms of different length.

    Source: Draper and Smith 1998, Applied Regression Analysis, section 1.4 (the interval).

    >>> fit = factor_per_block([8.0, 4.0, 0.0, 1.0])
    >>> round(fit.factor, 12), round(fit.backward.factor, 12), fit.points, fit.zeros
    (0.5, 2.0, 3, 1)
    """
    y = np.asarray(norms, float)
    x = np.arange(len(y), dtype=float) if blocks is None else np.asarray(blocks, float)
    _check(x, y)
    zeros, finite = y == 0, np.isfinite(y)
    kept = finite & ~zeros
    line = _line(x[kept], np.log(y[kept]))
    return GeometricFit(*line, int(kept.sum()), int(zeros.sum()), int((~finite).sum()))


def factor_per_step(norms: ArrayLike, steps: ArrayLike | None = None) -> GeometricFit:
    """The same line over time steps: norm_t = c factor^t; `.backward` is the way of a gradient.

    Arguments, returns, errors and source as in `factor_per_block`.

    >>> round(factor_per_step([1.0, 3.0, 9.0]).factor, 12)
    3.0
    """
    return factor_per_block(norms, steps)


def _check(x: Floats, y: Floats) -> None:
    if x.shape != y.shape:
        raise InputError("indices", got=x.shape, wanted=f"one a norm, {y.shape}")
    if (y < 0).any():
        raise InputError("a norm", got=float(y.min()), wanted="at least 0")


def _line(x: Floats, y: Floats) -> tuple[float, float, float, float]:
    """exp of the slope, of the ends of its interval, and R^2; NaN for what does not exist."""
    if len(x) < 2 or np.ptp(x) == 0:
        return (math.nan,) * 4
    dx, dy = x - x.mean(), y - y.mean()
    slope = (dx @ dy) / (dx @ dx)
    residual = ((dy - slope * dx) ** 2).sum()
    r_squared = 1.0 if np.ptp(y) == 0 else 1 - residual / (dy @ dy)
    freedom = len(x) - 2
    error = math.sqrt(residual / freedom / (dx @ dx)) if freedom else math.nan
    half = _student.quantile(freedom) * error
    with np.errstate(over="ignore"):
        factor, low, high = np.exp([slope, slope - half, slope + half])
    return float(factor), float(low), float(high), float(r_squared)
