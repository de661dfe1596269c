"""Measures of one site that need all its rows at once: bit maps, histograms, spike patterns.

A quotient is made row by row; these take whole columns of a table with an axis other than time.
Plain arrays in, with the site's facts (neurons, positions, edges) as keywords; one number out, NaN
where it does not exist.

A bit map holds one bit a neuron, eight to a byte, the first neuron in the highest bit
(`numpy.packbits`); the bits that fill the last byte are not read. Neuron = channel x positions +
position, in C order; a channel without positions (a linear layer) has one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnlens.errors import InputError
from snnlens.measures import isometry

MEMBRANE_EDGES = np.arange(-32, 49) / 8  # of the histogram of H, in thresholds: -4 to 6


def silent_share(spiked: ArrayLike, *, neurons: int) -> float:
    """Share of neurons that never spiked: bits 0 of `spiked` / neurons. Unit: share of neurons.

    A neuron is one element of the layer's state; its bit is 1 if it spiked at least once in any
    sample and step. How much silence means depends on their number: `snnlens.measures.silence`.

    Args:
        spiked: the bit map, bytes of 0 to 255.
        neurons: how many bits of it are neurons.

    Raises:
        InputError: the map has another number of bytes than the neurons need.

    >>> silent_share([0b10100000], neurons=4)
    0.5
    """
    return _share(~bits(spiked, neurons))


def saturated_share(missed: ArrayLike, *, neurons: int) -> float:
    """Share of neurons that spiked at every step of every sample: bits 0 of `missed` / neurons.

    The bit of a neuron is 1 if at least one step passed without its spike. Arguments, errors and
    unit as in `silent_share`.

    >>> saturated_share([0b11100000], neurons=4)
    0.25
    """
    return _share(~bits(missed, neurons))


def silent_channel_share(spiked: ArrayLike, *, neurons: int, positions: int) -> float:
    """Share of channels that never spiked at any position: silent channels / channels.

    Args:
        spiked: the bit map of `silent_share`.
        neurons: channels x positions.
        positions: neurons per channel (height x width of its map).

    Raises:
        InputError: neurons is no multiple of positions, or the map has another size.

    >>> silent_channel_share([0b00100000], neurons=4, positions=2)   # 0 0 | 1 0
    0.5
    """
    return _share(_all_positions(~bits(spiked, neurons), positions))


def saturated_channel_share(missed: ArrayLike, *, neurons: int, positions: int) -> float:
    """Share of channels that spiked at every position, step and sample.

    Arguments, errors and unit as in `silent_channel_share`, with the map of `saturated_share`.

    >>> saturated_channel_share([0b00100000], neurons=4, positions=2)
    0.5
    """
    return _share(_all_positions(~bits(missed, neurons), positions))


def bits(packed: ArrayLike, neurons: int) -> NDArray[np.bool_]:
    """The bit map as one boolean a neuron [neurons], the fill of the last byte left out.

    >>> bits([0b10100000], 3).tolist()
    [True, False, True]
    """
    data = np.asarray(packed)
    wanted = -(-int(neurons) // 8)
    if data.shape != (wanted,):
        raise InputError(
            "a bit map", got=data.shape, wanted=f"{wanted} bytes for {neurons} neurons"
        )
    if not ((data >= 0) & (data <= 255)).all():  # NaN too: a site that one of the runs lacks
        raise InputError("a bit map", got="another value", wanted="bytes of 0 to 255")
    return np.unpackbits(data.astype(np.uint8), count=int(neurons)).astype(bool)


def share_between(counts: ArrayLike, *, edges: ArrayLike, low: float, high: float) -> float:
    """Share of the counted values with low <= x < high. Unit: share of values.

    Exact, as no bin is split: both bounds are edges, or infinite.

    Args:
        counts: [edges + 1]; the first row below edges[0], then edges[i] <= x < edges[i+1], the last
            row from edges[-1] up.
        edges: ascending, in the unit of x.
        low: an edge, or -inf.
        high: an edge, or inf.

    Raises:
        InputError: a bound is no edge, or counts has another number of rows than edges + 1.

    >>> share_between([1, 2, 3, 4], edges=[0.0, 0.5, 1.0], low=0.0, high=1.0)
    0.5
    >>> share_between([1, 2, 3, 4], edges=[0.0, 0.5, 1.0], low=-math.inf, high=0.5)
    0.3
    """
    rows, edges = _rows(counts, edges)
    inside = rows[_edge(edges, low) : _edge(edges, high)].sum()
    return float(inside / rows.sum()) if rows.sum() > 0 else math.nan


def quantile(counts: ArrayLike, *, edges: ArrayLike, q: float) -> float:
    """The q-quantile of the counted values, from their bins; the unit of the edges.

    The smallest x with at least the share q of the values at or below it lies in one bin; within
    that bin the values are taken as evenly spread, so the error is at most the bin's width. It is
    -inf or inf where it lies in the open first or last row: only a bound is known there.

    Args:
        counts: as in `share_between`.
        edges: as in `share_between`.
        q: 0 to 1.

    Raises:
        InputError: q is outside 0 to 1, or counts has another number of rows than edges + 1.

    >>> quantile([0, 2, 2, 0], edges=[0.0, 1.0, 2.0], q=0.75)
    1.5
    """
    rows, edges = _rows(counts, edges)
    if not 0 <= q <= 1:
        raise InputError("q", got=q, wanted="from 0 to 1")
    if rows.sum() == 0:
        return math.nan
    upto = np.cumsum(rows)
    first = int(np.flatnonzero(rows)[0])
    row = max(first, int(np.searchsorted(upto, q * upto[-1])))
    if row in {0, len(edges)}:
        return -math.inf if row == 0 else math.inf
    inside = (q * upto[-1] - upto[row - 1]) / rows[row]
    return float(edges[row - 1] + max(inside, 0.0) * (edges[row] - edges[row - 1]))


def constant_share(counts: ArrayLike) -> float:
    """Share of spike trains that are all silent or all spikes: (n_0 + n_(2^T - 1)) / sum of n.

    counts[p] is the number of trains (a neuron in a sample) with S[t] = bit t of p. Such a train
    carries no timing; at T = 1 every train is one of them. Unit: share of trains.

    Raises:
        InputError: counts has no 2^T rows.

    >>> constant_share([5, 1, 2, 2])
    0.7
    """
    rows = _patterns(counts)
    total = rows.sum()
    return float((rows[0] + rows[-1]) / total) if total > 0 else math.nan


def pattern_entropy(counts: ArrayLike) -> float:
    """Entropy of the spike patterns, -sum of (n_p / n) log2(n_p / n). Unit: bits; at most T.

    The plain estimate from n trains: too small by about (patterns seen - 1) / (2 n ln 2) bits
    (Miller 1955). Source: Shannon 1948. Counts and errors as in `constant_share`.

    >>> pattern_entropy([4, 4, 4, 4]), pattern_entropy([0, 9, 0, 0])
    (2.0, 0.0)
    """
    rows = _patterns(counts)
    if rows.sum() == 0:
        return math.nan
    p = rows[rows > 0] / rows.sum()
    return float((p * np.log2(1 / p)).sum())


def measure(name: str, *columns: ArrayLike, **facts: Any) -> float:
    """Apply a measure of WHOLE to its columns, with those of the facts that it asks for.

    Raises:
        InputError: there is no such measure, or a fact that it asks for is missing.

    >>> measure("silent_share", [0b10100000], neurons=4, positions=2, time_steps=8)
    0.5
    """
    if name not in WHOLE:
        raise InputError("a measure", got=name, wanted="one of " + ", ".join(WHOLE))
    asked = inspect.signature(WHOLE[name]).parameters.values()
    keys = [p.name for p in asked if p.kind is p.KEYWORD_ONLY]
    missing = [key for key in keys if key not in facts]
    if missing:
        raise InputError(f"the facts of {name}", got=sorted(facts), wanted="with " + missing[0])
    return WHOLE[name](*columns, **{key: facts[key] for key in keys})


def eigenvalue_moment(gram: ArrayLike, outputs: ArrayLike, *, moment: str, number: str) -> float:
    """The mean or variance of the eigenvalues of J J^T, or an end of its 95 % interval.

    Args:
        gram: G[i, j] = w_i . w_j row by row, see `snnlens.measures.isometry`.
        outputs: m, in every row.
        moment: mean or variance.
        number: value, low or high.

    >>> identity = np.eye(32).reshape(-1)
    >>> eigenvalue_moment(identity, np.ones(32 * 32), moment="mean", number="value")
    1.0
    """
    n = math.isqrt(np.size(gram))
    found = isometry.eigenvalue_moments(np.reshape(gram, (n, n)), int(np.reshape(outputs, -1)[0]))
    return float(getattr(getattr(found, moment), number))


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if chosen.size else math.nan


def _all_positions(neurons: NDArray[np.bool_], positions: int) -> NDArray[np.bool_]:
    if positions < 1 or neurons.size % positions:
        raise InputError("neurons", got=neurons.size, wanted=f"a multiple of {positions} positions")
    together: NDArray[np.bool_] = np.all(neurons.reshape(-1, int(positions)), axis=1)
    return together


def _rows(counts: ArrayLike, edges: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    rows, bounds = np.asarray(counts), np.asarray(edges, float)
    if rows.shape != (len(bounds) + 1,):
        raise InputError("a histogram", got=rows.shape, wanted=f"{len(bounds) + 1} rows")
    return rows, bounds


def _edge(edges: NDArray[np.float64], bound: float) -> int:
    """The first row at or above the bound."""
    if math.isinf(bound):
        return 0 if bound < 0 else len(edges) + 1
    found = np.flatnonzero(edges == bound)
    if not len(found):
        raise InputError("a bound of a share", got=bound, wanted="an edge of the histogram")
    return int(found[0]) + 1


def _patterns(counts: ArrayLike) -> NDArray[Any]:
    rows = np.asarray(counts)
    if rows.ndim != 1 or rows.size < 2 or rows.size & (rows.size - 1):
        raise InputError("pattern counts", got=rows.shape, wanted="2^T rows")
    return rows


WHOLE: dict[str, Callable[..., float]] = {
    f.__name__: f
    for f in (
        silent_share, saturated_share, silent_channel_share, saturated_channel_share,
        share_between, quantile, constant_share, pattern_entropy, eigenvalue_moment,
    )
}  # fmt: skip
