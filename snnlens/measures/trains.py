"""Spike trains by plain loops: the reference for what the probes stream.

A train is one neuron in one sample over T steps. A spike is an element that is not 0; an integer
spike (SEW ADD) is one spike here.

Everything is pooled over the trains of a layer. Intervals: the steps between successive spikes of
one train (never across samples), of all trains in one pool, so the CV holds how rates differ
between neurons besides how irregular each is, and busy neurons weigh more. T cuts intervals off:
none is longer than T - 1, and a train with fewer than two spikes has none. Fano: the variance of
the spike counts of all trains over their mean. All deviations are those of a population (1 / n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError

LONGEST_PATTERN = 8  # steps: 2^8 counts a layer


@dataclass(frozen=True)
class Trains:
    """Statistics of the spike trains of a layer; NaN where they do not exist.

    Attributes:
        trains: how many, samples x neurons.
        spikes: of all trains.
        intervals: how many interspike intervals.
        isi_mean: mean interval in steps.
        isi_cv: deviation of the intervals / their mean.
        fano: variance / mean of the spikes per train.
        patterns: trains with S[t] = bit t of p, for p = 0 .. 2^T - 1; None above T = 8.
        constant_share: share of trains that are all silent or all spikes.
    """

    trains: int
    spikes: int
    intervals: int
    isi_mean: float
    isi_cv: float
    fano: float
    patterns: NDArray[np.int64] | None
    constant_share: float


def reference_trains(spikes: ArrayLike) -> Trains:
    """Count the trains [T, N] one by one: slow, and as simple as the definitions.

    ISI mean = sum of d / n, CV = sqrt(sum of (d - mean)^2 / n) / mean over the n intervals d;
    Fano = the same variance over mean, of the spikes per train.

    Args:
        spikes: [T, N], N = samples x neurons.

    Raises:
        InputError: the array has not two axes, or no step.

    Source: Dayan and Abbott 2001, Theoretical Neuroscience, section 1.4 (CV, Fano factor).

    >>> found = reference_trains([[1, 0], [0, 0], [1, 0], [0, 0], [0, 0], [1, 0]])
    >>> found.isi_mean, round(found.isi_cv, 4), found.fano, found.constant_share
    (2.5, 0.2, 1.5, 0.5)
    """
    array = np.asarray(spikes)
    if array.ndim != 2 or not len(array):
        raise InputError("spikes", got=array.shape, wanted="[T, N] with at least one step")
    times = [[t for t, spike in enumerate(train) if spike != 0] for train in array.T.tolist()]
    intervals = [b - a for train in times for a, b in pairwise(train)]
    counts = [len(train) for train in times]
    mean, variance = _moments(intervals)
    per_train, spread = _moments(counts)
    constant = sum(count in {0, len(array)} for count in counts)
    return Trains(
        trains=len(times), spikes=sum(counts), intervals=len(intervals),
        isi_mean=mean, isi_cv=math.sqrt(variance) / mean,
        fano=spread / per_train if sum(counts) else math.nan,
        patterns=_patterns(times, len(array)),
        constant_share=constant / len(times) if times else math.nan,
    )  # fmt: skip


def _moments(values: list[int]) -> tuple[float, float]:
    """Mean and variance of a population, in two passes."""
    if not values:
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / len(values)


def _patterns(times: list[list[int]], time_steps: int) -> NDArray[np.int64] | None:
    if time_steps > LONGEST_PATTERN:
        return None
    counts = np.zeros(2**time_steps, np.int64)
    for train in times:
        counts[sum(2**t for t in train)] += 1
    return counts
