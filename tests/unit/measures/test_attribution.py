"""Areas by scikit-learn, rank correlations and intervals by scipy, all of them on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import auc

from snnlens.errors import InputError
from snnlens.measures.attribution import (
    ROUNDING,
    alike,
    area,
    falls_below,
    interval,
    missed,
    rank_correlation,
    relative_delta,
)

REL = 1e-12  # sums of some hundred float64 values


def values(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays that are somewhat alike, most of whose values are 0, as in maps of events."""
    generator = np.random.default_rng(seed)
    a = np.maximum(generator.normal(-0.5, 1, count), 0).round(1)
    return a, np.maximum(a + generator.normal(-0.3, 1, count), 0).round(1)


# --- areas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("points", [2, 11, 40])
def test_area_is_that_of_scikit_learn(seed: int, points: int) -> None:
    generator = np.random.default_rng(seed)
    share = np.array([0, *np.sort(generator.random(points - 2)), 1])
    score = generator.normal(size=points)
    assert area(share, score) == pytest.approx(auc(share, score), rel=REL, abs=REL)


def test_area_of_a_straight_line_and_of_a_constant() -> None:
    assert area(np.linspace(0, 1, 5), np.linspace(3, 1, 5)) == 2
    assert area([0, 0.1, 1], [7, 7, 7]) == 7


def test_area_of_a_score_that_is_no_number() -> None:
    assert math.isnan(area([0, 0.5, 1], [1, math.nan, 1]))


@pytest.mark.parametrize("share", [[0, 1, 1], [0.1, 0.5, 1], [0, 0.5, 0.9], [0, 0.6, 0.5, 1], [0]])
def test_shares_that_do_not_rise_from_0_to_1(share: list[float]) -> None:
    with pytest.raises(InputError) as error:
        area(share, np.ones(len(share)))
    given = np.asarray(share, float).tolist()
    assert str(error.value) == f"shares must be rising from 0 to 1; got {given}"


def test_scores_of_another_number() -> None:
    with pytest.raises(InputError) as error:
        area([0, 1], [1, 2, 3])
    assert str(error.value) == "scores must be one a share, (2,); got (3,)"


# --- rank correlation --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_scipys(seed: int) -> None:
    a, b = values(seed)
    assert len(np.unique(a)) < len(a) / 2  # ties
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, rel=REL)
    assert rank_correlation(a, b) == rank_correlation(b, a)


def test_rank_correlation_without_ties_by_the_textbook() -> None:
    """1 - 6 sum of d^2 / (n (n^2 - 1))"""
    generator = np.random.default_rng(0)
    a, b = generator.permutation(20), generator.permutation(20)
    d = (a - b).astype(float)
    assert rank_correlation(a, b) == pytest.approx(1 - 6 * (d @ d) / (20 * 399), rel=REL)


def test_rank_correlation_sees_order_alone() -> None:
    a, _ = values(0)
    assert rank_correlation(a, np.exp(a)) == 1
    assert rank_correlation(a, -np.exp(a)) == -1
    assert rank_correlation(a.reshape(20, 15), a.reshape(20, 15)) == 1


def test_rank_correlation_of_what_has_no_ranks() -> None:
    a, _ = values(0)
    for other in (np.zeros_like(a), np.full_like(a, math.nan)):
        assert math.isnan(rank_correlation(a, other))
        assert math.isnan(rank_correlation(other, a))
    one_missing = [1.0, math.nan, 3.0]
    assert math.isnan(rank_correlation(one_missing, [1.0, 2.0, 3.0]))
    assert math.isnan(rank_correlation([1.0, 2.0, 3.0], one_missing))
    assert rank_correlation([1.0, 2.0], [2.0, 1.0]) == -1
    assert math.isnan(rank_correlation([], []))
    assert math.isnan(rank_correlation([1.0], [2.0]))


def test_rank_correlation_of_two_shapes() -> None:
    with pytest.raises(InputError) as error:
        rank_correlation(np.ones((2, 3)), np.ones(6))
    assert str(error.value) == "maps to compare must be of one shape, (2, 3); got (6,)"


# --- intervals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4, 10, 31])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_interval_is_scipys(count: int, level: float) -> None:
    draws = np.random.default_rng(count).normal(5, 2, count)
    low, high = stats.t.interval(level, count - 1, draws.mean(), stats.sem(draws))
    found = interval(draws, level)
    assert found.mean == draws.mean()
    assert (found.low, found.high) == pytest.approx((low, high), rel=REL)


def test_interval_covers_what_it_says() -> None:
    """Four draws of a normal variable, 4,000 times: 95 % of the intervals hold its mean."""
    drawn = np.random.default_rng(0).normal(1, 3, (4000, 4))
    holds = [low <= 1 <= high for _, low, high in map(interval, drawn)]
    spread = math.sqrt(0.95 * 0.05 / 4000)
    assert np.mean(holds) == pytest.approx(0.95, abs=4 * spread)  # four of its standard errors


def test_interval_of_too_few() -> None:
    assert interval([3.0])[:1] == (3.0,)
    assert all(math.isnan(end) for end in interval([3.0])[1:])
    for none in ([], [1.0, math.nan]):
        assert all(math.isnan(number) for number in interval(none))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_that_is_none(level: float) -> None:
    with pytest.raises(InputError) as error:
        interval([1, 2], level)
    assert str(error.value) == f"level must be between 0 and 1; got {level}"


# --- completeness ------------------------------------------------------------------------------


def test_relative_delta_one_by_one() -> None:
    generator = np.random.default_rng(0)
    delta, score, base = generator.normal(size=(3, 10))
    found = relative_delta(delta, score, base)
    for each in zip(found, delta, score, base, strict=True):
        assert each[0] == abs(each[1]) / abs(each[2] - each[3])


def test_relative_delta_that_is_none() -> None:
    found = relative_delta([0.1, math.nan, 0.0], [1.0, 2.0, 2.0], [1.0, 1.0, 1.0])
    assert [math.isnan(v) for v in found] == [True, True, False]
    assert found[2] == 0
    assert float(relative_delta(-0.5, 0.0, 2.0)) == 0.25
    infinite = relative_delta(
        [math.inf, 1.0, 1.0], [math.inf, math.inf, math.inf], [0.0, math.inf, 0]
    )
    assert [math.isnan(v) for v in infinite] == [True, True, False]  # and no warning


# --- words and rounding ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relative", "of", "said"),
    [
        (0.0512, "", "5.12 %"),
        (0.0512, "f(x)", "5.12 % of f(x)"),
        (9.99, "f(x)", "999 % of f(x)"),
        (10.0, "f(x)", "10 times f(x)"),  # from ten times on
        (12.34, "", "12.3 times"),
    ],
)
def test_what_is_missed_in_words(relative: float, of: str, said: str) -> None:
    assert missed(relative, of) == said


@pytest.mark.parametrize("size", [1.0, -1.0, 8.0, 0.125])
def test_below_by_more_than_rounding(size: float) -> None:
    """ROUNDING counts relative to the larger of the two sizes; exactly at it is not below."""
    low, step = size, abs(size) * ROUNDING
    assert falls_below(low - 1.001 * step, low)
    assert not falls_below(low - 0.999 * step, low)
    assert not falls_below(low, low)
    assert not falls_below(low + 2 * step, low)


def test_the_larger_size_counts() -> None:
    assert not falls_below(0.0, 0.0)
    assert falls_below(0.0, 1e-9)  # beside 0 everything is large
    assert falls_below(-1e-9, 0.0)
    assert falls_below(-1.0, 1.0)
    assert not falls_below(1.0, -1.0)
    assert falls_below(-1.0, -1.0 + 1.001e-6)
    assert not falls_below(-1.0, -1.0 + 0.999e-6)


def test_alike_means_the_least_and_the_largest() -> None:
    assert alike(0.7)
    assert alike(0.7, 0.7 - 0.9 * 0.7 * ROUNDING, 0.7)
    assert not alike(0.7, 0.7 - 1.1 * 0.7 * ROUNDING, 0.7)
    assert not alike(0.7, 0.7, 0.70001)
    assert not alike(0.70001, 0.7, 0.7)
