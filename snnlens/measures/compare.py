"""What a number of one run became in another: its change, with an interval over seeds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
ROUNDING = 4 * np.finfo(float).eps
# Gauss-Legendre: of one degree of freedom, the worst case, the error is below 1e-20.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


class Change(NamedTuple):
    """The means over seeds, what lies between them, its 95 % interval; NaN where there is none."""

    a: Floats
    b: Floats
    change: Floats
    low: Floats
    high: Floats


def paired(a: ArrayLike, b: ArrayLike) -> Change:
    """Change over seeds that both runs have: of the differences, mean +- t s / sqrt(n).

    d_i = b_i - a_i of seed i; the interval is mean d +- t_(n-1, 0.975) s_d / sqrt(n), s_d with
    n - 1. It takes the differences as independent and normal, and lets a seed move both runs.

    Args:
        a: [..., seeds], any unit.
        b: the same shape, its seeds in the same order.

    Returns:
        Means and interval, [...], in the unit of the values; no interval of one seed, or where a
        value is not finite.

    Raises:
        InputError: not as many seeds in both.

    Source: Student 1908, The probable error of a mean, section IX (paired values).

    >>> found = paired([1.0, 2.0, 3.0], [2.0, 2.0, 5.0])
    >>> float(found.change), round(float(found.low), 3), round(float(found.high), 3)
    (1.0, -1.484, 3.484)
    """
    x, y = _floats(a), _floats(b)
    if x.shape != y.shape:
        raise InputError("paired values", got=(x.shape, y.shape), wanted="of one shape")
    n = x.shape[-1]
    with np.errstate(invalid="ignore", over="ignore"):
        d = y - x
        error = _deviation(d) / math.sqrt(n)
    return _change(x, y, student_t(n - 1) * error)


def welch(a: ArrayLike, b: ArrayLike) -> Change:
    """Change between seeds of their own: difference of means +- t se, variances unequal.

    se^2 = s_a^2 / n + s_b^2 / m, and the degrees of freedom of t are
    se^4 / ((s_a^2 / n)^2 / (n - 1) + (s_b^2 / m)^2 / (m - 1)). It takes all values as independent
    and those of one run as normal.

    Args:
        a: [..., n seeds], any unit.
        b: [..., m seeds].

    Returns:
        Means and interval, [...], in the unit of the values; no interval where a run has one seed,
        or a value is not finite.

    Source: Welch 1947, The generalization of Student's problem; Satterthwaite 1946, eq. 17.

    >>> found = welch([1.0, 2.0, 3.0], [4.0, 6.0, 8.0, 10.0])
    >>> float(found.change), round(float(found.low), 3), round(float(found.high), 3)
    (5.0, 1.102, 8.898)
    """
    x, y = _floats(a), _floats(b)
    n, m = x.shape[-1], y.shape[-1]
    if min(n, m) < 2:
        return _change(x, y, np.full(x.shape[:-1], math.nan))
    with np.errstate(invalid="ignore", over="ignore"):
        of_a, of_b = _deviation(x) / math.sqrt(n), _deviation(y) / math.sqrt(m)
        error = np.hypot(of_a, of_b)
        # Shares of se^2, for se^4 leaves the range of floats. Without any spread the interval is a
        # point, whatever the degrees of freedom.
        share = np.divide(of_a, error, out=np.zeros_like(error), where=error > 0) ** 2
        half = student_t(1 / (share**2 / (n - 1) + (1 - share) ** 2 / (m - 1))) * error
    return _change(x, y, half)


def ratio(a: ArrayLike, b: ArrayLike, *, pair: bool) -> Change:
    """The same of values that multiply: geometric means, their quotient b / a, its interval.

    exp of the change of the logarithms. Where a value is 0 or below there is no logarithm: the
    means and the quotient are NaN.

    Args:
        a: [..., seeds], above 0.
        b: [..., seeds].
        pair: as `paired`; else as `welch`.

    Returns:
        Geometric means, quotient and its interval, [...], the last three without unit.

    >>> found = ratio([1.0, 4.0], [2.0, 8.0], pair=True)
    >>> round(float(found.a), 6), round(float(found.change), 6)
    (2.0, 2.0)
    """
    logs = (_logarithm(a), _logarithm(b))
    found = paired(*logs) if pair else welch(*logs)
    with np.errstate(over="ignore"):
        return Change(*(np.exp(part) for part in found))


def excess(change: float, allowed: float, *ends: float) -> float:
    """By how much a change is above what is allowed, below 0 where it is below.

    Exactly 0 where that is no more than the rounding of the numbers that it lies between.

    Args:
        change: from one end to the other, with the sign that is asked for.
        allowed: of the same unit.
        ends: the two numbers.

    >>> excess(0.4 - 0.3, 0.1, 0.4, 0.3), excess(0.5 - 0.25, 0.125, 0.5, 0.25)
    (0.0, 0.125)
    """
    over = change - allowed
    return 0.0 if abs(over) <= ROUNDING * max(map(abs, ends)) else over


def student_t(freedom: ArrayLike, confidence: float = CONFIDENCE) -> Floats:
    """t with P(abs(T) < t) = confidence, for any degrees of freedom of at least 1.

    With t = sqrt(v) tan(theta), P = 2 G((v + 1) / 2) / (sqrt(pi) G(v / 2)) times the integral of
    cos^(v - 1) from 0 to theta, G being the gamma function; theta by bisection. For whole v
    `snnlens.measures._student` has the same integral as a finite sum.

    Args:
        freedom: any shape.
        confidence: above 0, below 1.

    Returns:
        t, without unit, to 1e-8 up to a million; NaN where the freedom is below 1 or no number.

    >>> student_t([1, 10, 2.5]).round(4).tolist()
    [12.7062, 2.2281, 3.5747]
    """
    given = np.asarray(freedom, float)
    usable = np.isfinite(given) & (given >= 1)
    v, back = np.unique(np.where(usable, given, 1.0), return_inverse=True)
    t = _solved(v, confidence)[back].reshape(given.shape)
    return np.where(usable, t, math.nan)


def _solved(v: Floats, confidence: float) -> Floats:
    """Bisection of t between 0 and that of one degree of freedom, the largest."""
    scale = np.array([2 * math.exp(math.lgamma((f + 1) / 2) - math.lgamma(f / 2)) for f in v])
    low = np.zeros_like(v)
    high = np.full_like(v, 1.001 * math.tan(confidence * math.pi / 2))
    for _ in range(60):  # 13 / 2^60 is below the rounding of t
        middle = (low + high) / 2
        theta = np.arctan(middle / np.sqrt(v))
        nodes = theta[:, None] * (NODES + 1) / 2
        area = theta / 2 * (WEIGHTS * np.cos(nodes) ** (v[:, None] - 1)).sum(1)
        short = scale / math.sqrt(math.pi) * area < confidence
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.asarray(high)


def _change(x: Floats, y: Floats, half: Floats) -> Change:
    with np.errstate(invalid="ignore", over="ignore"):
        a, b = _mean(x), _mean(y)
        change = _zero(b - a, np.maximum(abs(a), abs(b)))
        return Change(a, b, change, change - half, change + half)


def _mean(values: Floats) -> Floats:
    return _zero(values.mean(-1), abs(values).max(-1))


def _zero(sums: Floats, size: Floats) -> Floats:
    """A sum of numbers of that size which is their rounding alone is 0; infinite ones have none."""
    return np.where(np.isfinite(size) & (abs(sums) <= ROUNDING * size), 0.0, sums)


def _deviation(values: Floats) -> Floats:
    """Standard deviation with n - 1; exactly 0 of equal values; NaN of one value."""
    if values.shape[-1] < 2:
        return np.full(values.shape[:-1], math.nan)
    spread = np.ptp(values, axis=-1)
    unit = np.where(spread == 0, 1.0, spread)  # squares of 1e-170 would be 0
    return np.where(spread == 0, 0.0, (values / unit[..., None]).std(-1, ddof=1) * unit)


def _logarithm(values: ArrayLike) -> Floats:
    numbers = _floats(values)
    positive = numbers > 0
    return np.log(numbers, out=np.full(numbers.shape, math.nan), where=positive)


def _floats(values: ArrayLike) -> Floats:
    made = np.asarray(values, float)
    if made.ndim < 1 or made.shape[-1] < 1:
        raise InputError("values of seeds", got=made.shape, wanted="at least one on the last axis")
    return made
