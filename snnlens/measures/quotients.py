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
    with np.errstate(invalid="ignore", over="ignore"):  # inf / inf is NaN, and no warning
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


def root(squares: ArrayLike) -> Floats:
    """sqrt of a sum of squares: the norm of everything summed; NaN below 0.

    >>> root([9.0]).tolist()
    [3.0]
    """
    with np.errstate(invalid="ignore"):
        norm: Floats = np.sqrt(np.asarray(squares, float))
    return norm


def cosine(product: ArrayLike, a_squares: ArrayLike, b_squares: ArrayLike) -> Floats:
    """<a, b> / (||a|| ||b||) from the sums of a b, a^2 and b^2; NaN where a or b is 0.

    Not clipped: rounding may leave it a few 1e-16 beyond 1; more than that is a fault in the sums.

    >>> cosine([12.0], [9.0], [16.0]).tolist()
    [1.0]
    """
    # Two roots, not one of the product: (1e-90)^2 (1e-90)^2 is 0 in float64.
    return ratio(ratio(product, root(a_squares)), root(b_squares))


def deviation(total: ArrayLike, squares: ArrayLike, count: ArrayLike) -> Floats:
    """Standard deviation of a population: sqrt(sum x^2 / n - (sum x / n)^2); NaN where n is 0.

    The unit of x. The difference is clamped at 0, where rounding may leave it just below. It loses
    the digits that its two terms share: even with sums in float64, a deviation below about 1e-7 of
    the mean is rounding noise.

    Source: Chan, Golub and LeVeque 1983, the textbook one-pass formula and its error.

    >>> deviation([4.0, 6.0], [10.0, 18.0], [2, 2]).tolist()   # 1 and 3, 3 and 3
    [1.0, 0.0]
    """
    return root(_variance(total, squares, count))


def coefficient_of_variation(total: ArrayLike, squares: ArrayLike, count: ArrayLike) -> Floats:
    """CV = deviation / mean, from the sums of x, of x^2 and their number; NaN where the mean is 0.

    Of interspike intervals: 0 for a regular train, sqrt(1 - r) for independent spikes at rate r a
    step (a Poisson train in discrete time). No unit.

    Source: Dayan and Abbott 2001, Theoretical Neuroscience, section 1.4.

    >>> coefficient_of_variation([8.0], [40.0], [2]).tolist()   # intervals of 2 and 6 steps
    [0.5]
    """
    return ratio(deviation(total, squares, count), ratio(total, count))


def fano(total: ArrayLike, squares: ArrayLike, count: ArrayLike) -> Floats:
    """Fano factor = variance / mean of the spike counts of trains; NaN where no train spiked.

    From the sums of n, of n^2 and the number of trains, n being the spikes of one train: one neuron
    in one sample. 0 for equal counts, 1 - r for independent spikes at rate r a step. Over the
    trains of a layer it holds what differs between neurons and samples too. Unit: spikes.

    Source: Dayan and Abbott 2001, Theoretical Neuroscience, section 1.4.

    >>> fano([4.0], [16.0], [4]).tolist()   # one train with 4 spikes, three with none
    [3.0]
    """
    return ratio(_variance(total, squares, count), ratio(total, count))


def bit_width(largest: ArrayLike) -> Floats:
    """Bits that write the largest integer spike: 0 for 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7.

    NaN where the value is negative, infinite or no integer (a graded spike has no bit width).

    >>> bit_width([0, 1, 2, 3, 4, 0.5]).tolist()
    [0.0, 1.0, 2.0, 2.0, 3.0, nan]
    """
    largest = np.asarray(largest, float)
    whole = np.isfinite(largest) & (largest >= 0) & (largest == np.floor(largest))
    # frexp is exact where log2 rounds: x = m 2^e with 1/2 <= m < 1, so e is the number of bits.
    _, exponent = np.frexp(np.where(whole, largest, 0))
    return np.where(whole, exponent.astype(float), np.nan)


def xi(  # noqa: PLR0917 - one argument a recorded column
    current: ArrayLike, current_squared: ArrayLike, inputs: ArrayLike,
    threshold: ArrayLike, leak: ArrayLike, gain: ArrayLike,
) -> Floats:  # fmt: skip
    r"""xi = (theta - mu_U) / sigma_U of the free membrane, settled: how far away the threshold is.

    The free membrane has no reset, U[t] = leak U[t-1] + gain I[t]. For white input it settles at

        mu_U = gain mu_I / (1 - leak),   sigma_U^2 = gain^2 sigma_I^2 / (1 - leak^2).

    With decay_input (gain = 1/tau, leak = 1 - 1/tau) these are mu_I and sigma_I^2 / (2 tau - 1).
    xi is in standard deviations: 0 means that the mean alone reaches the threshold, 3 that only
    rare fluctuations do. Potentials are relative to the rest potential.

    mu_I and sigma_I are taken over all neurons, samples and steps of the layer, where the paper has
    one neuron over time. Input that does not change in time, and input that is the same from step
    to step, spreads U by up to gain sigma_I / (1 - leak), more than white input does: a layer's
    true xi may be nearer to 0.

    Args:
        current: sum of the input current I, in units of potential.
        current_squared: sum of I^2.
        inputs: how many values were summed.
        threshold: theta, of the same unit as U.
        leak: dU[t]/dU[t-1]. No stationary state, hence NaN, at abs(leak) >= 1: IF has leak 1.
        gain: dU[t]/dI[t].

    Returns:
        xi, without unit; NaN also where sigma_U is 0.

    Source: Rossbroich, Gygax and Zenke 2022, Fluctuation-driven initialization for spiking neural
    network training (xi, mu_U, sigma_U); their LIF in continuous time is written in steps here.

    >>> xi([0.0], [12.0], [4], [1.0], [0.5], [0.5]).tolist()   # sigma_I^2 = 3, tau = 2: sigma_U = 1
    [1.0]
    """
    leak, gain = np.asarray(leak, float), np.asarray(gain, float)
    leak = np.where(np.abs(leak) < 1, leak, np.nan)
    mean = gain * ratio(current, inputs) / (1 - leak)
    spread = np.abs(gain) * deviation(current, current_squared, inputs) / np.sqrt(1 - leak**2)
    return ratio(np.asarray(threshold, float) - mean, spread)


def xi_at_step(  # noqa: PLR0917 - one argument a recorded column
    current: ArrayLike, current_squared: ArrayLike, inputs: ArrayLike,
    threshold: ArrayLike, leak: ArrayLike, gain: ArrayLike, step: ArrayLike,
) -> Floats:  # fmt: skip
    """xi of the free membrane after `step` steps from rest: for IF, which never settles.

    With t = step, counted from 1, and white input of the same mu_I and sigma_I at steps 1 to t

        mu_U = gain mu_I (1 + leak + ... + leak^(t-1)),
        sigma_U^2 = gain^2 sigma_I^2 (1 + leak^2 + ... + leak^(2t-2)),

    for IF (leak = gain = 1) hence xi = (theta - t mu_I) / (sqrt(t) sigma_I). For abs(leak) < 1 it
    tends to `xi`. NaN where sigma_U is 0 or t is below 1. Arguments, unit and source as in `xi`.

    >>> xi_at_step([1.0], [2.0], [4], [1.0], [1], [1], [4]).tolist()   # mu_I = 1/4
    [0.0]
    """
    leak, gain, step = (np.asarray(x, float) for x in (leak, gain, step))
    mean = gain * ratio(current, inputs) * _geometric_sum(leak, step)
    spread = np.abs(gain) * deviation(current, current_squared, inputs)
    spread = spread * np.sqrt(_geometric_sum(leak**2, step))
    return ratio(np.asarray(threshold, float) - mean, spread)


def _variance(total: ArrayLike, squares: ArrayLike, count: ArrayLike) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        spread: Floats = ratio(squares, count) - ratio(total, count) ** 2
    return np.maximum(spread, 0)


def _geometric_sum(factor: Floats, terms: Floats) -> Floats:
    """1 + f + ... + f^(t-1); NaN for t < 1."""
    terms = np.where(terms >= 1, terms, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        total: Floats = np.where(factor == 1, terms, (1 - factor**terms) / (1 - factor))
    return total


QUOTIENTS: dict[str, Callable[..., Floats]] = {
    f.__name__: f
    for f in (
        ratio, root_mean, relative_norm, value, root, cosine, deviation,
        coefficient_of_variation, fano, bit_width, xi, xi_at_step,
    )
}  # fmt: skip
