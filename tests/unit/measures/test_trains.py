"""The loops against numpy on arrays, against the streamed quotients, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.errors import InputError
from snnlens.measures import chain
from snnlens.measures.quotients import coefficient_of_variation, fano, ratio
from snnlens.measures.trains import reference_trains
from snnlens.measures.whole import constant_share


def random_trains(steps: int, rate: float, count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((steps, count)) < rate


def intervals_of(spikes: np.ndarray) -> np.ndarray:
    """All trains in one row of time, with a step far off between two of them."""
    times = np.flatnonzero(np.pad(spikes, ((0, 1000), (0, 0))).T.ravel())
    gaps = np.diff(times)
    return gaps[gaps < 1000]


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 9, 60])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_against_numpy(steps: int, rate: float) -> None:
    spikes = random_trains(steps, rate)
    found, gaps, counts = reference_trains(spikes), intervals_of(spikes), spikes.sum(axis=0)
    assert (found.trains, found.spikes, found.intervals) == (400, spikes.sum(), len(gaps))
    assert found.fano == pytest.approx(counts.var() / counts.mean(), rel=1e-12)
    assert found.constant_share == np.mean((counts == 0) | (counts == steps))
    if len(gaps):
        assert found.isi_mean == pytest.approx(gaps.mean(), rel=1e-12)
        assert found.isi_cv == pytest.approx(gaps.std() / gaps.mean(), rel=1e-12, abs=1e-15)
    assert (found.patterns is None) == (steps > 8)


@pytest.mark.parametrize("steps", [6, 40])
def test_against_the_quotients_of_sums(steps: int) -> None:
    """What a probe streams: sums of d, d^2 and their number, and of the counts."""
    spikes = random_trains(steps, 0.3, seed=1)
    found, gaps, counts = reference_trains(spikes), intervals_of(spikes), spikes.sum(axis=0)
    sums = [gaps.sum()], [(gaps**2).sum()], [len(gaps)]
    assert found.isi_mean == pytest.approx(ratio(sums[0], sums[2])[0], rel=1e-12)
    assert found.isi_cv == pytest.approx(coefficient_of_variation(*sums)[0], rel=1e-12)
    sums = [counts.sum()], [(counts**2).sum()], [400]
    assert found.fano == pytest.approx(fano(*sums)[0], rel=1e-12)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_patterns_are_those_of_the_chain(steps: int) -> None:
    """Train p of `chain.spike_trains`, p + 1 times over."""
    every = chain.spike_trains(steps)
    trains = np.repeat(every, np.arange(len(every)) + 1, axis=0)
    found = reference_trains(np.random.default_rng(2).permutation(trains).T)
    assert found.patterns is not None
    assert found.patterns.dtype == np.int64
    assert found.patterns.tolist() == list(range(1, 2**steps + 1))
    assert constant_share(found.patterns) == found.constant_share


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.7])
def test_independent_spikes(rate: float) -> None:
    """Intervals are geometric: mean 1/r, CV sqrt(1-r); counts are binomial: Fano 1-r."""
    found = reference_trains(random_trains(1000, rate, count=1000, seed=3))
    # 1e5 intervals and more: 1/sqrt(1e5) is 0.3 %, 5 of it; the end of a train cuts off another
    # 1 / (1000 r), up to 1 %
    assert found.isi_mean == pytest.approx(1 / rate, rel=0.026)
    assert found.isi_cv == pytest.approx(math.sqrt(1 - rate), rel=0.026)
    # a variance from 1000 counts: 5 sqrt(2 / 1000) = 22 %
    assert found.fano == pytest.approx(1 - rate, rel=0.22)


def test_regular_trains_of_different_rates_have_a_pooled_cv() -> None:
    """Each train alone has CV 0; the pool of intervals of 2 and 4 steps has not."""
    spikes = np.zeros((17, 2))
    spikes[::2, 0] = spikes[::4, 1] = 1
    found = reference_trains(spikes)
    gaps = [2] * 8 + [4] * 4
    assert found.isi_cv == pytest.approx(np.std(gaps) / np.mean(gaps), rel=1e-12)
    assert reference_trains(spikes[:, :1]).isi_cv == 0
    assert found.fano == pytest.approx(np.var([9, 5]) / 7, rel=1e-12)


def test_an_integer_spike_is_one_spike() -> None:
    spikes = random_trains(8, 0.4, seed=4)
    more = spikes * np.random.default_rng(5).integers(1, 6, spikes.shape)
    one, many = reference_trains(spikes), reference_trains(more)
    assert (one.spikes, one.isi_cv, one.fano) == (many.spikes, many.isi_cv, many.fano)
    assert one.patterns is not None
    assert many.patterns is not None
    assert one.patterns.tolist() == many.patterns.tolist()


def test_what_does_not_exist() -> None:
    silent = reference_trains(np.zeros((4, 3)))
    assert (silent.spikes, silent.constant_share) == (0, 1)
    assert all(math.isnan(x) for x in (silent.isi_mean, silent.isi_cv, silent.fano))
    single = reference_trains(np.eye(4))
    assert math.isnan(single.isi_mean)
    assert single.fano == 0
    none = reference_trains(np.zeros((4, 0)))
    assert none.trains == 0
    assert math.isnan(none.constant_share)


@pytest.mark.parametrize("shape", [(4,), (4, 2, 2), (0, 3)])
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as error:
        reference_trains(np.zeros(shape))
    assert str(error.value) == f"spikes must be [T, N] with at least one step; got {shape}"
