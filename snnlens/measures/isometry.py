r"""Mean and variance of the eigenvalues of J J^T, from products of random vectors with J alone.

A block with output of m elements and Jacobian J [m, n] is dynamically isometric where the
eigenvalues of J J^T have mean phi near 1 (the gradient keeps its norm) and variance near 0 (it
does so in every direction). Neither needs J: with independent v_i of m independent elements of mean
0 and variance 1, a backward pass gives w_i = J^T v_i, and of G[i, j] = w_i . w_j

    E G[i, i] = tr(J J^T),    E G[i, j]^2 = tr((J J^T)^2)    (i != j).

Source: Chen et al. 2020, A comprehensive and modularized statistical framework for gradient norm
equality in deep neural networks (block dynamical isometry: phi(J J^T) = 1 and
phi((J J^T)^2) - phi(J J^T)^2 = 0); Hutchinson 1990 (the trace by random vectors).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError
from snnlens.measures import _student

Floats = NDArray[np.float64]

MINIMUM_PROBES = 32  # below it a jackknife of squares is too rough to give an interval


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error, and the ends of its 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """Mean and variance of the eigenvalues of J J^T, from so many probe vectors."""

    mean: Estimate
    variance: Estimate
    probes: int


def eigenvalue_moments(gram: ArrayLike, m: int) -> Moments:
    """phi = tr(J J^T) / m and tr((J J^T)^2) / m - phi^2, each with a 95 % interval.

    Both estimates are free of bias. phi is the mean of G[i, i] / m. The variance is the mean over
    pairs i != j of G[i, j]^2 / m - G[i, i] G[j, j] / m^2: the product of two *different* vectors
    has the mean phi^2, which the square of the estimated phi exceeds by its own variance. So the
    estimate may come out below 0 where the true variance is near 0, and is left so.

    The pairs share vectors and are not independent, the vectors are: the standard error is the
    jackknife's over vectors, sqrt((n - 1) / n x sum of (estimate without i - their mean)^2), which
    is consistent for such means over pairs (Arvesen 1969) and errs upward on average (Efron and
    Stein 1981). The interval is +- t_(n-1, 0.975) of them. At 32 probes it was measured to cover
    phi in 94 to 96 % and the variance in 96 to 99 % of 2000 trials for constant, two-valued and
    Marchenko-Pastur spectra; where one eigenvalue holds 90 % of the trace the estimates are skewed
    and it covers 90 and 83 %.

    Args:
        gram: G [probes, probes], at least 32 probes.
        m: elements of the block's output, which is the length of v and the number of eigenvalues.

    Returns:
        The moments, of the squared gain of a gradient through the block (no unit).

    Raises:
        InputError: G is not square, has fewer than 32 rows, or m is below 1.

    >>> rng = np.random.default_rng(0)
    >>> w = 2 * rng.normal(size=(64, 1000))         # J = 2 I: every eigenvalue is 4
    >>> moments = eigenvalue_moments(w @ w.T, 1000)
    >>> moments.mean.low < 4 < moments.mean.high, moments.variance.low < 0 < moments.variance.high
    (True, True)
    """
    g = np.asarray(gram, float)
    _check(g, m)
    n, diagonal = len(g), np.diagonal(g) / m
    pairs = g**2 / m - np.outer(diagonal, diagonal)
    np.fill_diagonal(pairs, 0)
    rows = pairs.sum(axis=1)
    without = (rows.sum() - 2 * rows) / ((n - 1) * (n - 2))
    mean = _estimate(diagonal.mean(), (diagonal.sum() - diagonal) / (n - 1))
    return Moments(mean, _estimate(rows.sum() / (n * (n - 1)), without), n)


def _estimate(value: float, without: Floats) -> Estimate:
    """The jackknife: `without[i]` is the estimate with probe i left out."""
    n = len(without)
    error = math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    half = _student.quantile(n - 1) * error
    return Estimate(float(value), error, float(value - half), float(value + half))


def _check(g: Floats, m: int) -> None:
    if g.ndim != 2 or g.shape[0] != g.shape[1]:
        raise InputError("the products of the probe vectors", got=g.shape, wanted="a square matrix")
    if len(g) < MINIMUM_PROBES:
        raise InputError("probe vectors", got=len(g), wanted=f"at least {MINIMUM_PROBES}")
    if m < 1:
        raise InputError("m", got=m, wanted="at least 1 element")
