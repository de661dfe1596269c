"""The error of a conversion, from its sums: how large, which way, how alike; and its latency."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError
from snnlens.measures.fit import factor_per_block
from snnlens.measures.quotients import cosine, ratio, root_mean

Floats = NDArray[np.float64]

# A spread below 1e-6 of the root mean square is rounding: two sums in float64 share its digits.
FLAT = 1e-12
ROUNDING = 1e-9  # points; a gap of exactly `within` points counts, whatever 95.5 - 94.5 rounds to


class PowerLaw(NamedTuple):
    """y = c x^exponent: the exponent, its 95 % interval (NaN with two points), how many points."""

    exponent: float
    low: float
    high: float
    points: int


def rms(squares: ArrayLike, values: ArrayLike) -> Floats:
    """sqrt(sum of e^2 / n): how large an error is, whichever way it points; NaN where n is 0.

    Args:
        squares: sums of squared errors, each error divided by its own threshold theta.
        values: n, how many errors each sum holds (neurons x samples).

    Returns:
        The root mean square, in thresholds.

    Source: Li et al. 2021 (SNN Calibration) and Hao et al. 2025 compare layers by mean squares.

    >>> rms([0.09, 0.0], [9, 0]).tolist()
    [0.1, nan]
    """
    return root_mean(squares, values)


def signed_mean(total: ArrayLike, values: ArrayLike) -> Floats:
    """sum of e / n: above 0 the spiking neurons say more than the ANN's; NaN where n is 0.

    The unit of e: thresholds. Theorem 4.1 of Hao et al. 2025 speaks of this number alone.

    Source: Hao et al. 2025, Theorem 4.1.

    >>> signed_mean([-0.5], [4]).tolist()
    [-0.125]
    """
    return ratio(total, values)


def share(part: ArrayLike, values: ArrayLike) -> Floats:
    """part / n: of values that differ, are saturated, or are off by so many spikes. No unit.

    Source: Hao et al. 2023 (COS) count neurons by their offset in spikes.

    >>> share([1, 0], [8, 0]).tolist()
    [0.125, nan]
    """
    return ratio(part, values)


def correlation(
    product: ArrayLike, x: ArrayLike, x_squares: ArrayLike, y: ArrayLike, y_squares: ArrayLike,
    *, values: ArrayLike,
) -> Floats:  # fmt: skip
    """Pearson's r = cov(x, y) / (sd x sd y) of activation and rate, from their sums.

    cov = sum(x y) / n - (sum x / n)(sum y / n), the variances likewise. Neurons that are silent in
    both count, and so do saturated ones: many zeros bring r near 1. Other tools leave them out
    before they correlate (snn_toolbox does).

    Args:
        product: sum of x y.
        x: sum of x, the ANN's activations in thresholds.
        x_squares: sum of x^2.
        y: sum of y, the rates in thresholds.
        y_squares: sum of y^2.
        values: n.

    Returns:
        r, without unit; NaN where x or y does not vary (a spread below 1e-6 of its root mean
        square is rounding).

    Source: Pearson 1895; per layer in Rueckauer et al. 2017 (snn_toolbox).

    >>> correlation([3.0], [2.0], [2.0], [3.0], [5.0], values=[4]).round(4).tolist()
    [0.9045]
    """
    n = np.asarray(values, float)
    mean_x, mean_y = ratio(x, n), ratio(y, n)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf is NaN, and no warning
        covariance = ratio(product, n) - mean_x * mean_y
        spreads = _variance(mean_x, x_squares, n), _variance(mean_y, y_squares, n)
    return cosine(covariance, *spreads)


def power_law(x: ArrayLike, y: ArrayLike) -> PowerLaw:
    """The exponent p of y = c x^p: least squares of log y against log x.

    Of an error against T: -1 where it falls like 1 / T, 0 where more steps do not help.

    Args:
        x: above 0 and different, in any unit (T in steps).
        y: at least 0, in any unit; exact zeros and values that are not finite are left out.

    Returns:
        The exponent, its interval (t, as `fit.factor_per_block` makes it) and the points used.

    Raises:
        InputError: an x that is not above 0, a y below 0, or another number of them.

    Source: the line is that of `snnlens.measures.fit.factor_per_block` over log x.

    >>> found = power_law([8, 16, 32, 64], [4.0, 2.0, 1.0, 0.5])
    >>> round(found.exponent, 9), found.points
    (-1.0, 4)
    """
    at = np.asarray(x, float)
    if not (at > 0).all():  # NaN fails too
        raise InputError("an x of a power law", got=float(at.min()), wanted="above 0")
    fit = factor_per_block(y, np.log(at))
    exponent, low, high = (math.log(f) if f > 0 else math.nan
                           for f in (fit.factor, fit.low, fit.high))  # fmt: skip
    return PowerLaw(exponent, low, high, fit.points)


def gap(reference: ArrayLike, accuracy: ArrayLike) -> Floats:
    """reference - accuracy, in percentage points: above 0 where the network is worse than the ANN.

    Source: the accuracy loss of conversion, as in Hao et al. 2025.

    >>> gap(88.0, [61.5, 90.0]).tolist()
    [26.5, -2.0]
    """
    difference: Floats = np.asarray(reference, float) - np.asarray(accuracy, float)
    return difference


def smallest_steps(
    time_steps: ArrayLike, accuracies: ArrayLike, reference: float, *, within: float = 1.0
) -> int | None:
    """The smallest T at which a network is at most `within` points below the ANN.

    Only the T that were run are looked at; a larger T may be worse again, where accuracy wavers.

    Args:
        time_steps: T in steps, in any order.
        accuracies: of each T, in percent; NaN is never close.
        reference: of the ANN, in percent.
        within: in percentage points.

    Returns:
        T in steps; None where no T is close enough.

    Raises:
        InputError: another number of accuracies than of T.

    Source: the T that a method needs, as QCFS (Bu et al. 2022) and its followers compare it.

    >>> smallest_steps([2, 4, 8], [60.0, 95.0, 96.0], 96.0), smallest_steps([2], [60.0], 96.0)
    (4, None)
    """
    steps, right = np.asarray(time_steps), np.asarray(accuracies)
    if steps.shape != right.shape:
        raise InputError("accuracies", got=right.shape, wanted=f"one a T, {steps.shape}")
    near = steps[gap(reference, right) <= within + ROUNDING]
    return int(near.min()) if len(near) else None


def latency_steps(time_steps: int, layers: int, *, parallel: bool) -> int:
    """Time steps until the output is there, on hardware that runs one step after the other.

    Sequential IF: T, since a spike reaches the next layer in the same step. Parallel neurons:
    layers x T, since each one waits for all T steps of the layer below. Where all steps of a layer
    are computed at once (a GPU) neither number is a time.

    Args:
        time_steps: T, at least 1.
        layers: spiking layers one behind the other.
        parallel: whether the layers hold parallel neurons.

    Returns:
        Steps.

    Raises:
        InputError: T or layers below 1.

    Source: derived for snnlens from the neuron of Hao et al. 2025, which needs the sum over T.

    >>> latency_steps(4, 16, parallel=False), latency_steps(4, 16, parallel=True)
    (4, 64)
    """
    for name, number in (("time_steps", time_steps), ("layers", layers)):
        if number < 1:
            raise InputError(name, got=number, wanted="at least 1")
    return time_steps * layers if parallel else time_steps


def shift_bias(levels: ArrayLike, time_steps: ArrayLike) -> Floats:
    """E[r_T - r_L] / theta = (1/L - 1/T) / 2 of inputs uniform on [0, theta] at shift psi = 0.

    At psi = theta / 2 it is 0 for every L and T, which is Theorem 4.1 (ii). Unit: thresholds.

    Source: derived for snnlens: E of clip(floor(z T / theta), 0, T) / T is (1 - 1/T) / 2.

    >>> shift_bias([4, 4], [1, 16]).tolist()
    [-0.375, 0.09375]
    """
    bias: Floats = (1 / np.asarray(levels, float) - 1 / np.asarray(time_steps, float)) / 2
    return bias


def _variance(mean: Floats, squares: ArrayLike, values: Floats) -> Floats:
    """Mean square less the square of the mean; exactly 0 where the difference is rounding."""
    mean_square = ratio(squares, values)
    spread = mean_square - mean * mean
    kept: Floats = np.where(spread <= FLAT * mean_square, 0.0, spread)
    return kept
