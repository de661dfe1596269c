"""What silence proves: how high the rate of a neuron that was never seen to spike may still be.

N observations are samples x steps, taken as independent. Steps of one sample are not: a neuron that
is silent at one step tends to be so at the next, which makes silence by chance likelier than here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError

# Below it the bound 3 / N is above 1.2 % of the steps, a rate that many a healthy layer has.
MINIMUM_OBSERVATIONS = 256


def rate_bound(observations: int, confidence: float = 0.95) -> float:
    """Upper bound on the rate of a neuron silent in N observations: 1 - (1 - confidence)^(1/N).

    The largest rate r at which N silent observations still have the probability 1 - confidence,
    (1 - r)^N = 0.05 (Clopper and Pearson 1934, one-sided, no event). Unit: spikes per step.

    Raises:
        InputError: fewer than one observation, or a confidence outside 0 to 1.

    >>> round(rate_bound(256), 5), round(rule_of_three(256), 5)
    (0.01163, 0.01172)
    """
    _check(observations)
    if not 0 < confidence < 1:
        raise InputError("confidence", got=confidence, wanted="between 0 and 1")
    return -math.expm1(math.log1p(-confidence) / observations)  # 1 - x loses digits at large N


def rule_of_three(observations: int) -> float:
    """3 / N, the 95 % bound of `rate_bound` in short: 1.7 % above it at N = 100. At most 1.

    As 1 - 0.05^(1/N) <= -ln(0.05) / N = 2.996 / N. Unit: spikes per step.

    Source: Hanley and Lippman-Hand 1983, If nothing goes wrong, is everything all right?

    >>> rule_of_three(1000)
    0.003
    """
    _check(observations)
    return min(3 / observations, 1.0)


def silent_by_chance(rate: ArrayLike, observations: int) -> NDArray[np.float64]:
    """Expected share of neurons that are silent by chance alone: (1 - r)^N.

    With the mean rate of a layer it is a lower bound: (1 - r)^N is convex in r, so that for the
    rates of its single neurons the mean of (1 - r)^N is at least the value at their mean (Jensen).
    A silent share far above it says that rates differ or that neurons are dead, not which.

    Args:
        rate: the share of steps with a spike, 0 to 1; NaN outside.
        observations: N, samples x steps.

    Raises:
        InputError: fewer than one observation.

    >>> silent_by_chance([0.5, 0.0], 2).tolist()
    [0.25, 1.0]
    """
    _check(observations)
    r = np.asarray(rate, float)
    r = np.where((r >= 0) & (r <= 1), r, np.nan)
    with np.errstate(divide="ignore"):  # log 0 at r = 1: exp(-inf) is the 0 it should be
        share: NDArray[np.float64] = np.exp(observations * np.log1p(-r))
    return share


def _check(observations: int) -> None:
    if observations < 1:
        raise InputError("observations", got=observations, wanted="at least 1")
