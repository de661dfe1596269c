"""Degradation: how much the final training loss rises when the depth doubles, with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError
from snnlens.measures import _student

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
BOOTSTRAP_FROM = 10  # seeds; of fewer the resamples are too few to have tails of 2.5 %
RESAMPLES = 10_000  # the 2.5 % end then rests on 250 of them
AT_CHANCE = 0.02  # of ln(classes)


class Interval(NamedTuple):
    """A mean over seeds, its 95 % interval, and how that was made."""

    mean: float
    low: float  # NaN where there is no interval
    high: float
    seeds: int
    method: str


def slope(depth: ArrayLike, loss: ArrayLike) -> float:
    """Least squares of loss against log2(depth): nats per doubling of the depth.

    slope = sum (x - mean x)(y - mean y) / sum (x - mean x)^2 with x = log2(depth). Above 0 deeper
    networks fit the training data worse: they degrade. Overfitting does not raise it, since it is
    the loss of training.

    Args:
        depth: weighted layers, at least 1; any order, repeats allowed.
        loss: the final training loss of each, in nats.

    Returns:
        nats per doubling; NaN with fewer than two depths, or where a loss is not finite.

    Raises:
        InputError: a depth below 1, or depths and losses of different length.

    Source: He et al. 2016 (ResNet), section 1, names the degradation problem; Fang et al. 2021,
    Fig. 3, shows it as curves. The slope is this project's statistic for it.

    >>> slope([8, 16, 32], [1.0, 1.25, 1.5])
    0.25
    """
    layers, y = np.asarray(depth, float), np.asarray(loss, float)
    if layers.shape != y.shape:
        raise InputError("losses", got=y.shape, wanted=f"one a depth, {layers.shape}")
    if (layers < 1).any():
        raise InputError("a depth", got=float(layers.min()), wanted="at least 1")
    if len(np.unique(layers)) < 2 or not np.isfinite(y).all():
        return math.nan
    if np.ptp(y) == 0:
        return 0.0  # exactly: the sign of a rounding error is no trend
    x = np.log2(layers)
    dx = x - x.mean()
    return float(dx @ (y - y.mean()) / (dx @ dx))


def slopes(depth: ArrayLike, loss: ArrayLike, seed: ArrayLike) -> dict[int, float]:
    """One slope for each seed with two depths at least, by seed.

    >>> slopes([8, 16, 8, 16, 8], [1.0, 1.5, 1.0, 2.0, 3.0], [0, 0, 1, 1, 2])
    {0: 0.5, 1: 1.0}
    """
    layers, y, seeds = np.asarray(depth), np.asarray(loss), np.asarray(seed)
    of = {int(s): seeds == s for s in np.unique(seeds)}
    return {s: slope(layers[m], y[m]) for s, m in of.items() if len(np.unique(layers[m])) > 1}


def over_seeds(values: Mapping[int, float], generator: np.random.Generator) -> Interval:
    """Mean over seeds and its 95 % interval.

    Of 2 to 9 seeds: mean +- t_(n-1, 0.975) s / sqrt(n), s the standard deviation with n - 1; it
    takes the values of the seeds as independent and normal. From 10 seeds on: the 2.5 % and 97.5 %
    quantiles of the means of 10,000 resamples of the seeds (percentile bootstrap), which takes them
    as independent only. Of one seed there is no interval, and `method` says so.

    Args:
        values: one number for each seed, any unit.
        generator: draws the resamples.

    Returns:
        The mean and the interval in the unit of the values; NaN where there is none.

    Source: Student 1908; Efron 1979 (the bootstrap).

    >>> found = over_seeds({0: 1.0, 1: 2.0, 2: 3.0}, np.random.default_rng(0))
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3), found.method
    (2.0, -0.484, 4.484, 't over 3 seeds')
    """
    x = np.array(list(values.values()), float)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if not n or not np.isfinite(x).all():
        return Interval(mean, math.nan, math.nan, n, _none(n))
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1, "one seed: no interval")
    if n < BOOTSTRAP_FROM:
        half = _student.quantile(n - 1, CONFIDENCE) * float(x.std(ddof=1)) / math.sqrt(n)
        return Interval(mean, mean - half, mean + half, n, f"t over {n} seeds")
    means = x[generator.integers(n, size=(RESAMPLES, n))].mean(1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), n, f"bootstrap over {n} seeds")


def at_chance(loss: ArrayLike, classes: ArrayLike) -> NDArray[np.bool_]:
    """Whether a loss is within 2 % of ln(classes), the cross-entropy of equal probabilities.

    Such a network has learned nothing yet; its final loss says nothing of its depth but that.

    Args:
        loss: in nats.
        classes: number of classes, at least 2; NaN where it is not known.

    Returns:
        One flag a loss; False where either is not known.

    >>> at_chance([2.30, 2.20, float("nan")], 10).tolist()
    [True, False, False]
    """
    chance = np.log(np.asarray(classes, float))
    return np.asarray(np.abs(np.asarray(loss, float) - chance) <= AT_CHANCE * chance)


def _none(seeds: int) -> str:
    return "a value is not finite: no interval" if seeds else "no seed with two depths"
