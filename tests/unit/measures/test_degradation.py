"""The slope against log2 depth, its interval over seeds, and what is at chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snnlens.errors import InputError
from snnlens.measures.degradation import at_chance, over_seeds, slope, slopes


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_slope_is_that_of_linregress(seed: int) -> None:
    depth = generator(seed).integers(8, 200, 12)
    loss = generator(seed + 100).normal(2, 1, 12)
    wanted = stats.linregress(np.log2(depth), loss).slope
    assert slope(depth, loss) == pytest.approx(wanted, rel=1e-12)  # rounding of twelve terms


def test_slope_is_per_doubling_whatever_the_order() -> None:
    assert slope([64, 8, 16, 32], [5.0, 2.0, 3.0, 4.0]) == 1.0
    assert slope([8, 8, 16, 16], [1.0, 3.0, 2.0, 4.0]) == 1.0


def test_equal_losses_have_the_slope_0() -> None:
    assert slope([8, 20, 32, 56], [0.4] * 4) == 0.0  # the mean of four 0.4 is not 0.4


@pytest.mark.parametrize(
    ("depth", "loss"),
    [([8, 8], [1.0, 2.0]), ([8], [1.0]), ([], []), ([8, 16], [1.0, math.nan]),
     ([8, 16], [1.0, math.inf])],
)  # fmt: skip
def test_no_slope(depth: list[int], loss: list[float]) -> None:
    assert math.isnan(slope(depth, loss))


def test_slope_refuses() -> None:
    with pytest.raises(InputError) as error:
        slope([0, 8], [1.0, 2.0])
    assert str(error.value) == "a depth must be at least 1; got 0.0"
    with pytest.raises(InputError) as error:
        slope([8, 16], [1.0])
    assert str(error.value) == "losses must be one a depth, (2,); got (1,)"


def test_a_slope_a_seed() -> None:
    """Their mean is the slope of all points where each seed has the same depths."""
    depth, seed = [8, 16, 32, 8, 16, 32], [4, 4, 4, 9, 9, 9]
    loss = [1.0, 1.5, 1.7, 1.1, 1.2, 2.0]
    found = slopes(depth, loss, seed)
    assert list(found) == [4, 9]
    assert found[4] == slope(depth[:3], loss[:3])
    assert found[9] == slope(depth[3:], loss[3:])
    assert np.mean(list(found.values())) == pytest.approx(slope(depth, loss), rel=1e-12)


def test_a_seed_of_one_depth_has_no_slope() -> None:
    assert slopes([8, 8, 16], [1.0, 1.0, 2.0], [0, 1, 1]) == {1: 1.0}
    assert slopes([], [], []) == {}


# --- over seeds --------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [2, 3, 5, 9])
def test_t_interval_is_scipys(seeds: int) -> None:
    values = generator(seeds).normal(0.3, 0.2, seeds)
    found = over_seeds(dict(enumerate(values)), generator())
    low, high = stats.t.interval(0.95, seeds - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-10)  # t by bisection
    assert found.mean == pytest.approx(values.mean())
    assert (found.seeds, found.method) == (seeds, f"t over {seeds} seeds")


def test_bootstrap_from_ten_seeds_on() -> None:
    values = generator(7).normal(0.3, 0.2, 10)
    found = over_seeds(dict(enumerate(values)), generator(3))
    draws = generator(3).integers(10, size=(10_000, 10))
    means = sorted(sum(values[i] for i in draw) / 10 for draw in draws)
    # numpy's quantile lies between the order statistics 249 and 250, 9749 and 9750
    assert means[249] <= found.low <= means[250]
    assert means[9749] <= found.high <= means[9750]
    assert found.mean == pytest.approx(values.mean(), rel=1e-15)
    assert (found.seeds, found.method) == (10, "bootstrap over 10 seeds")
    # and it is about the normal interval: z times the error of the mean without ddof
    half = 1.96 * values.std() / math.sqrt(10)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.06)  # skew of ten values


def test_the_generator_decides() -> None:
    values = dict(enumerate(generator(1).normal(size=12)))
    assert over_seeds(values, generator(0)) == over_seeds(values, generator(0))
    assert over_seeds(values, generator(0)) != over_seeds(values, generator(1))


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: int) -> None:
    """Normal values around 0: 95 % for t; a percentile bootstrap of ten is known to be narrow."""
    rng = generator(5)
    hits = 0
    for _ in range(400):
        found = over_seeds(dict(enumerate(rng.normal(size=seeds))), rng)
        hits += found.low <= 0 <= found.high
    share = hits / 400
    wanted = 0.95 if seeds == 3 else 0.90
    assert share == pytest.approx(wanted, abs=0.04)  # three standard errors: 3 sqrt(.09 / 400)


@pytest.mark.parametrize(
    ("values", "mean", "method"),
    [
        ({7: 0.5}, 0.5, "one seed: no interval"),
        ({}, math.nan, "no seed with two depths"),
        ({0: 0.5, 1: math.nan}, math.nan, "a value is not finite: no interval"),
    ],
)
def test_without_an_interval_it_is_said(values: dict[int, float], mean: float, method: str) -> None:
    found = over_seeds(values, generator())
    np.testing.assert_equal(found.mean, mean)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.seeds, found.method) == (len(values), method)


# --- at chance ---------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_at_chance_is_within_2_percent_of_ln_classes(classes: int) -> None:
    chance = math.log(classes)
    losses = chance * np.array([0.9799, 0.9801, 1.0, 1.0199, 1.0201, 0.5])
    assert at_chance(losses, classes).tolist() == [False, True, True, True, False, False]


def test_at_chance_of_each_its_own_classes() -> None:
    assert at_chance([math.log(10)] * 3, [10, 100, math.nan]).tolist() == [True, False, False]
    assert not at_chance(math.inf, 10)
