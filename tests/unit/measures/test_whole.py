"""Bit maps against bits picked one by one, histograms and patterns against their values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import entropy

from snnlens.errors import InputError
from snnlens.measures import isometry, whole
from snnlens.measures.whole import (
    WHOLE,
    bits,
    constant_share,
    eigenvalue_moment,
    measure,
    pattern_entropy,
    quantile,
    saturated_channel_share,
    saturated_share,
    share_between,
    silent_channel_share,
    silent_share,
)

SHAPES = [(3, 5), (8, 1), (1, 8), (7, 9), (1, 1), (16, 4)]  # channels, positions


def random_map(neurons: int, seed: int) -> np.ndarray:
    """Random bytes, the bits after the last neuron included; whole runs of zeros are likely."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, -(-neurons // 8)) * rng.integers(0, 2, -(-neurons // 8))


def bit(packed: np.ndarray, neuron: int) -> int:
    """Big-endian inside the byte: the first neuron is the highest bit."""
    return (int(packed[neuron // 8]) >> (7 - neuron % 8)) & 1


@pytest.mark.parametrize("share", [silent_share, saturated_share])
@pytest.mark.parametrize(("channels", "positions"), SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_neurons(share: Callable, channels: int, positions: int, seed: int) -> None:
    neurons = channels * positions
    packed = random_map(neurons, seed)
    zeros = sum(bit(packed, n) == 0 for n in range(neurons))
    assert share(packed, neurons=neurons) == zeros / neurons


@pytest.mark.parametrize("share", [silent_channel_share, saturated_channel_share])
@pytest.mark.parametrize(("channels", "positions"), SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_channels(share: Callable, channels: int, positions: int, seed: int) -> None:
    packed = random_map(channels * positions, seed)
    empty = 0
    for channel in range(channels):
        marks = [bit(packed, channel * positions + p) for p in range(positions)]
        empty += not any(marks)
    got = share(packed, neurons=channels * positions, positions=positions)
    assert got == empty / channels


def test_maps_of_known_spikes() -> None:
    """[samples, T, channels, positions]: one silent channel, one saturated, one in between."""
    spikes = np.zeros((2, 4, 3, 5), bool)
    spikes[:, :, 1] = True
    spikes[1, 2, 2, 3] = True
    spiked = np.packbits(spikes.any(axis=(0, 1)).ravel())
    missed = np.packbits((~spikes).any(axis=(0, 1)).ravel())
    assert silent_share(spiked, neurons=15) == 9 / 15
    assert saturated_share(missed, neurons=15) == 5 / 15
    assert silent_channel_share(spiked, neurons=15, positions=5) == 1 / 3
    assert saturated_channel_share(missed, neurons=15, positions=5) == 1 / 3


def test_bits_of_a_recorded_column() -> None:
    """A table holds bytes as int64."""
    assert bits(np.array([0b10000001, 0b01000000]), 10).tolist() == [True] + 6 * [False] + [
        True, False, True,
    ]  # fmt: skip
    assert math.isnan(silent_share(np.array([], np.uint8), neurons=0))


@pytest.mark.parametrize(
    ("packed", "neurons", "positions", "message"),
    [
        ([1, 2], 8, 1, "a bit map must be 1 bytes for 8 neurons; got (2,)"),
        ([1], 9, 1, "a bit map must be 2 bytes for 9 neurons; got (1,)"),
        ([256], 8, 1, "a bit map must be bytes of 0 to 255; got 'another value'"),
        ([math.nan], 8, 1, "a bit map must be bytes of 0 to 255; got 'another value'"),
        ([1], 8, 3, "neurons must be a multiple of 3 positions; got 8"),
        ([1], 8, 0, "neurons must be a multiple of 0 positions; got 8"),
    ],
)
def test_maps_of_the_wrong_size(
    packed: list[float], neurons: int, positions: int, message: str
) -> None:
    with pytest.raises(InputError) as error:
        silent_channel_share(packed, neurons=neurons, positions=positions)
    assert str(error.value) == message


EDGES = np.arange(-32, 49) / 8  # -4 to 6 thresholds in steps of 1/8


def histogram(values: np.ndarray) -> np.ndarray:
    """Counted one by one: row 0 below the first edge, the last row from the last edge up."""
    counts = np.zeros(len(EDGES) + 1, int)
    for value in values:
        counts[sum(edge <= value for edge in EDGES)] += 1
    return counts


def values(seed: int, size: int = 1000) -> np.ndarray:
    """Membranes around the threshold, many of them exactly on an edge, some far outside."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < 0.3, rng.choice(EDGES, size), rng.normal(1, 3, size))


@pytest.mark.parametrize(
    ("low", "high"),
    [(-math.inf, -1), (0.5, 1.5), (3, math.inf), (-math.inf, math.inf), (-4, 6), (1, 1),
     (6, math.inf), (-math.inf, -4)],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_share_between(low: float, high: float, seed: int) -> None:
    x = values(seed)
    wanted = np.count_nonzero((low <= x) & (x < high)) / len(x)
    assert share_between(histogram(x), edges=EDGES, low=low, high=high) == wanted


@pytest.mark.parametrize("q", [0.0, 0.0131, 0.25, 0.5, 0.7543, 0.97, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_quantile_is_in_the_bin_of_the_true_one(q: float, seed: int) -> None:
    x = values(seed)
    true = float(np.quantile(x, q, method="inverted_cdf"))
    got = quantile(histogram(x), edges=EDGES, q=q)
    if true < EDGES[0] or true >= EDGES[-1]:
        assert got == math.copysign(math.inf, true)
    else:
        lower = EDGES[true >= EDGES].max()
        assert lower <= got <= lower + 1 / 8


def test_quantile_of_an_even_spread_is_exact() -> None:
    counts = np.array([0, 10, 10, 10, 10, 0])
    for q in (0.0, 0.1, 0.5, 0.9, 1.0):
        got = quantile(counts, edges=np.arange(5.0), q=q)
        assert got == pytest.approx(4 * q, rel=1e-14)
    assert quantile([0, 0, 5, 0, 0], edges=np.arange(4.0), q=0.0) == 1  # not the empty bin's edge


def test_empty_histograms() -> None:
    assert math.isnan(share_between([0, 0, 0], edges=[0, 1], low=0, high=1))
    assert math.isnan(quantile([0, 0, 0], edges=[0, 1], q=0.5))


def test_wrong_histograms() -> None:
    with pytest.raises(InputError, match=r"^a bound of a share must be an edge .*; got 0\.3$"):
        share_between([1, 2, 3], edges=[0, 1], low=0.3, high=1)
    with pytest.raises(InputError, match=r"^a histogram must be 3 rows; got \(2,\)$"):
        share_between([1, 2], edges=[0, 1], low=0, high=1)
    with pytest.raises(InputError, match=r"^q must be from 0 to 1; got 1\.5$"):
        quantile([1, 2, 3], edges=[0, 1], q=1.5)


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_patterns_against_the_trains(steps: int) -> None:
    trains = np.random.default_rng(steps).random((steps, 500)) < 0.85
    counts = np.zeros(2**steps, int)
    for train in trains.T:
        counts[sum(int(s) << t for t, s in enumerate(train))] += 1
    constant = sum(train.all() or not train.any() for train in trains.T)
    assert constant_share(counts) == constant / 500
    assert pattern_entropy(counts) == pytest.approx(entropy(counts, base=2), rel=1e-12)


def test_a_quantile_is_of_all_values_those_behind_the_last_edge_too() -> None:
    """Of 8 values two are in the first bin: a quarter. Four are above the last edge."""
    counts, edges = [0, 2, 2, 4], [0.0, 1.0, 2.0]
    assert quantile(counts, edges=edges, q=0.25) == 1.0
    assert quantile(counts, edges=edges, q=0.125) == 0.5
    assert quantile(counts, edges=edges, q=0.75) == math.inf


def test_patterns_at_their_limits() -> None:
    assert constant_share([3, 4]) == 1  # T = 1
    assert constant_share([0, 2, 2, 0]) == 0
    assert pattern_entropy(np.full(256, 7)) == 8
    assert math.isnan(constant_share([0, 0]))
    assert math.isnan(pattern_entropy([0, 0]))
    for wrong in ([1], [1, 2, 3], np.ones((2, 2))):
        shape = re.escape(str(np.shape(wrong)))
        with pytest.raises(InputError, match=rf"^pattern counts must be 2\^T rows; got {shape}$"):
            constant_share(wrong)


def test_measure_gives_each_what_it_asks_for() -> None:
    facts = {"neurons": 4, "positions": 2, "time_steps": 8, "edges": [0.0, 1.0]}
    assert measure("silent_share", [0b10100000], **facts) == 0.5
    assert measure("silent_channel_share", [0b10100000], **facts) == 0
    assert measure("share_between", [1, 2, 1], low=0.0, high=1.0, **facts) == 0.5
    assert measure("constant_share", [1, 2, 1, 0], **facts) == 0.25


def test_measure_says_what_is_missing() -> None:
    with pytest.raises(InputError) as error:
        measure("silent_channel_share", [0], neurons=4)
    wanted = "the facts of silent_channel_share must be with positions; got ['neurons']"
    assert str(error.value) == wanted
    with pytest.raises(InputError, match=r"^a measure must be one of silent_share, .*; got 'x'$"):
        measure("x", [0])


def test_names_are_the_functions() -> None:
    assert all(getattr(whole, name) is function for name, function in WHOLE.items())
    assert len(WHOLE) == 9


@pytest.mark.parametrize("moment", ["mean", "variance"])
@pytest.mark.parametrize("number", ["value", "low", "high"])
def test_an_eigenvalue_moment_is_that_of_the_square_of_products(moment: str, number: str) -> None:
    """The columns of a table: G row by row, and m in each of its rows."""
    w = np.random.default_rng(0).normal(size=(33, 40))
    gram = w @ w.T
    estimate = getattr(isometry.eigenvalue_moments(gram, 40), moment)
    columns = gram.ravel(), np.full(gram.size, 40)
    found = measure("eigenvalue_moment", *columns, moment=moment, number=number)
    assert found == getattr(estimate, number)
    assert isinstance(found, float)


def test_an_eigenvalue_moment_by_hand() -> None:
    """All products of one vector with itself are 9 m: J = 3 I, and signs for its elements."""
    gram, outputs = np.full(32 * 32, 36.0), np.full(32 * 32, 4)
    gram[:: 32 + 1] = 36.0
    assert eigenvalue_moment(gram, outputs, moment="mean", number="value") == 9
    assert eigenvalue_moment(gram, outputs, moment="variance", number="value") == 36**2 / 4 - 81


def test_every_byte_is_a_bit_map_and_one_train_a_pattern() -> None:
    assert silent_share([255], neurons=8) == 0
    assert silent_share([0], neurons=8) == 1
    assert constant_share([1, 0, 0, 0]) == 1
    assert constant_share([0, 1, 0, 0]) == 0
    assert pattern_entropy([1, 0]) == 0
    assert share_between([0, 1, 0], edges=[0, 1], low=0, high=1) == 1
