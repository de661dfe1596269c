"""What judges a map of an attribution: areas, rank correlations, intervals over draws, gaps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError
from snnlens.measures import _student

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean over draws and its interval; `low` and `high` are NaN where there is none."""

    mean: float
    low: float
    high: float


def area(share: ArrayLike, score: ArrayLike) -> float:
    """The area under score(share) from 0 to 1, by trapezoids: sum of (s' - s) (f' + f) / 2.

    Of a deletion curve a small area, of an insertion curve a large one speaks for the map. As the
    shares span [0, 1], the area is a mean of the score, in its unit.

    Args:
        share: what share of the input was changed, rising from 0 to 1.
        score: f of the changed input at each share.

    Returns:
        The area in the unit of the score; NaN where a score is.

    Raises:
        InputError: another length, or shares that do not rise from 0 to 1.

    Source: Petsiuk et al. 2018 (RISE), the areas under deletion and insertion curves.

    >>> area([0, 0.5, 1], [1, 0.5, 0.5])
    0.625
    """
    x, y = np.asarray(share, float), np.asarray(score, float)
    if x.shape != y.shape or x.ndim != 1:
        raise InputError("scores", got=y.shape, wanted=f"one a share, {x.shape}")
    if len(x) < 2 or x[0] != 0 or x[-1] != 1 or not (np.diff(x) > 0).all():
        raise InputError("shares", got=x.tolist(), wanted="rising from 0 to 1")
    return float(np.diff(x) @ (y[1:] + y[:-1]) / 2)


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's of the ranks; equal values share their mean rank.

    rho = sum (r - mean r)(q - mean q) / sqrt(sum (r - mean r)^2 sum (q - mean q)^2)

    Args:
        a: one map, any shape.
        b: another of the same shape.

    Returns:
        In [-1, 1]; NaN where one of them is constant, has fewer than two values or a NaN: a map of
        zeros is like no other, and unlike none.

    Raises:
        InputError: maps of different shape.

    Source: Spearman 1904; Adebayo et al. 2018 compare maps by it.

    >>> rank_correlation([1, 2, 3], [10, 30, 1000]), rank_correlation([1, 1, 1], [1, 2, 3])
    (1.0, nan)
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    if x.shape != y.shape:
        raise InputError("maps to compare", got=y.shape, wanted=f"of one shape, {x.shape}")
    if np.isnan(x).any() or np.isnan(y).any():
        return math.nan
    r, q = _centred_ranks(x.ravel()), _centred_ranks(y.ravel())
    if not r.any() or not q.any():  # constant, or fewer than two values
        return math.nan
    return float(np.clip(r @ q / math.sqrt((r @ r) * (q @ q)), -1, 1))


def interval(draws: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over draws and its interval: mean +- t(n - 1) s / sqrt(n), s with n - 1.

    It is that of the mean of all draws that could be made, and takes their values as normal. Of
    random orders each value is a mean over samples already, which is close to it.

    Args:
        draws: one value a draw, any unit.
        level: how sure, in (0, 1).

    Returns:
        The interval in the unit of the values; no ends with one draw, all NaN with none or a NaN.

    Raises:
        InputError: the level does not lie between 0 and 1.

    Source: Student 1908.

    >>> found = interval([1.0, 2.0, 3.0])
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    if not 0 < level < 1:
        raise InputError("level", got=level, wanted="between 0 and 1")
    x = np.asarray(draws, float).ravel()
    mean = float(x.mean()) if len(x) else math.nan
    if len(x) < 2 or math.isnan(mean):
        return Interval(mean, math.nan, math.nan)
    half = _student.quantile(len(x) - 1, level) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Interval(mean, mean - half, mean + half)


ROUNDING = 1e-6  # of the areas: scores in float32, of batches of another size


def missed(relative: float, of: str = "") -> str:
    """A relative delta in words: percent, or how many times.

    >>> missed(0.4321), missed(0.4321, "f(x)"), missed(1.52e6, "f(x)")
    ('43.2 %', '43.2 % of f(x)', '1.52e+06 times f(x)')
    """
    if relative < 10:
        return f"{100 * relative:.3g} %" + (f" of {of}" if of else "")
    return f"{relative:.3g} times {of}".rstrip()


def falls_below(area: float, low: float) -> bool:
    """Whether an area lies below a bound by more than rounding: curves that are equal do not.

    >>> falls_below(0.1, 0.2), falls_below(0.2, 0.2), falls_below(0.0, 0.0)
    (True, False, False)
    """
    return bool(low - area > ROUNDING * max(abs(area), abs(low)))


def alike(*areas: float) -> bool:
    """Whether areas are the same but for rounding: the score is the same in every order.

    >>> alike(0.7, 0.7 - 1e-8, 0.7), alike(0.7, 0.6)
    (True, False)
    """
    return not falls_below(min(areas), max(areas))


def relative_delta(delta: ArrayLike, score: ArrayLike, baseline_score: ArrayLike) -> Floats:
    """abs(delta) / abs(f(x) - f(baseline)): how much of what is to be explained a map misses.

    Args:
        delta: sum of the map - (f(x) - f(baseline)); NaN where a method claims no completeness.
        score: f(x).
        baseline_score: f(baseline).

    Returns:
        A share, 0 for a complete map; NaN where f(x) = f(baseline), and where delta is.

    Source: Sundararajan et al. 2017, Proposition 1 (completeness).

    >>> relative_delta([-0.5, 0.0], [3.0, 1.0], [1.0, 1.0]).tolist()
    [0.25, nan]
    """
    with np.errstate(invalid="ignore"):  # inf - inf and inf / inf are NaN, and no warning
        gain = np.abs(np.asarray(score, float) - np.asarray(baseline_score, float))
        found: Floats = np.abs(np.asarray(delta, float)) / np.where(gain == 0, np.nan, gain)
    return found


def _centred_ranks(values: Floats) -> Floats:
    """Ranks less their mean, exact in halves; ties share the mean of theirs."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    found: Floats = mean_rank[which] - (len(values) + 1) / 2
    return found
