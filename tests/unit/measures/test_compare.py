"""A change over seeds and its interval, beside scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snnlens.errors import InputError
from snnlens.measures import _student
from snnlens.measures.compare import Change, excess, paired, ratio, student_t, welch

RTOL = 1e-10  # rounding of a quadrature with 64 nodes and of a bisection, measured 3e-13


def seeds(n: int, m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(3, 1, (7, n)), rng.normal(4, 5, (7, m))


def ends(found: Change) -> list[list[float]]:
    return [np.asarray(found.low).tolist(), np.asarray(found.high).tolist()]


@pytest.mark.parametrize("freedom", [1, 1.0001, 1.5, 2, 2.7, 3, 9, 33.3, 1000.5])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_t_is_scipys(freedom: float, confidence: float) -> None:
    wanted = stats.t.ppf((1 + confidence) / 2, freedom)
    assert float(student_t(freedom, confidence)) == pytest.approx(wanted, rel=RTOL)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 31])
def test_t_of_whole_freedom_is_that_of_the_finite_sum(freedom: int) -> None:
    assert float(student_t(freedom)) == pytest.approx(_student.quantile(freedom), rel=RTOL)


def test_t_of_none() -> None:
    found = student_t([[0, 0.9], [math.nan, math.inf]])
    assert found.shape == (2, 2)
    assert np.isnan(found).all()


@pytest.mark.parametrize("n", [2, 3, 10])
def test_paired_is_ttest_rel(n: int) -> None:
    a, b = seeds(n, n, n)
    wanted = stats.ttest_rel(b, a, axis=1).confidence_interval()
    found = paired(a, b)
    np.testing.assert_allclose(found.low, wanted.low, rtol=RTOL)
    np.testing.assert_allclose(found.high, wanted.high, rtol=RTOL)
    np.testing.assert_allclose(found.change, b.mean(1) - a.mean(1), rtol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (2, 9), (10, 4)])
def test_welch_is_ttest_ind_of_unequal_variances(n: int, m: int) -> None:
    a, b = seeds(n, m, 7 * n + m)
    wanted = stats.ttest_ind(b, a, axis=1, equal_var=False).confidence_interval()
    found = welch(a, b)
    np.testing.assert_allclose(found.low, wanted.low, rtol=RTOL)
    np.testing.assert_allclose(found.high, wanted.high, rtol=RTOL)


@pytest.mark.parametrize("pair", [True, False])
def test_a_ratio_is_the_change_of_logarithms(pair: bool) -> None:
    a, b = (np.exp(x) for x in seeds(4, 4, 1))
    test = stats.ttest_rel if pair else stats.ttest_ind
    more = {} if pair else {"equal_var": False}
    wanted = test(np.log(b), np.log(a), axis=1, **more).confidence_interval()
    found = ratio(a, b, pair=pair)
    np.testing.assert_allclose(np.log(found.low), wanted.low, rtol=RTOL)
    np.testing.assert_allclose(np.log(found.high), wanted.high, rtol=RTOL)
    np.testing.assert_allclose(found.a, stats.gmean(a, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.change, found.b / found.a, rtol=1e-12)


@pytest.mark.parametrize("function", [paired, welch])
def test_intervals_hold_what_they_promise(function: type[Change]) -> None:
    """Of 4,000 experiments with a true change of 1, 95 % of the intervals hold it."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (4000, 4)), rng.normal(1, 1, (4000, 4))
    found = function(a, b)  # type: ignore[call-arg]
    held = ((found.low <= 1) & (found.high >= 1)).mean()
    assert 0.94 < held < 0.97  # Welch's is a little wide for few seeds; 3 sigma is 0.010


def test_without_seeds_there_is_no_interval() -> None:
    for found in (paired([1.0], [2.0]), welch([1.0], [2.0, 4.0]), ratio([1.0], [2.0], pair=True)):
        assert float(found.change) in {1.0, 2.0}
        assert np.isnan(found.low)
        assert np.isnan(found.high)


@pytest.mark.parametrize("function", [paired, welch])
def test_shapes_are_kept_without_an_interval(function: type[Change]) -> None:
    found = function(np.ones((2, 3, 1)), np.full((2, 3, 1), 3.0))  # type: ignore[call-arg]
    assert [part.shape for part in found] == [(2, 3)] * 5
    assert (found.change == 2).all()
    assert np.isnan(found.low).all()


@pytest.mark.parametrize("function", [paired, welch])
@pytest.mark.parametrize("worst", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_none_gives_no_interval_and_no_warning(
    function: type[Change], worst: float
) -> None:
    for a, b in (
        ([worst, 1.0], [worst, 2.0]),
        ([1.0, 2.0], [worst, 1.0]),
        ([worst] * 2, [worst] * 2),
    ):
        found = function(a, b)  # type: ignore[call-arg]
        assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("function", [paired, welch])
def test_what_is_infinite_is_not_said_to_be_zero(function: type[Change]) -> None:
    """An exploded norm beside one that did not explode, and beside another."""
    found = function([math.inf, math.inf], [1.0, 2.0])  # type: ignore[call-arg]
    assert (float(found.a), float(found.b), float(found.change)) == (math.inf, 1.5, -math.inf)
    found = function([1.0, math.inf], [math.inf, 2.0])  # type: ignore[call-arg]
    assert (float(found.a), float(found.b)) == (math.inf, math.inf)
    assert np.isnan(found.change)
    one = function([math.inf], [1.0])  # type: ignore[call-arg]
    assert (float(one.a), float(one.change)) == (math.inf, -math.inf)


@pytest.mark.parametrize("function", [paired, welch])
@pytest.mark.parametrize("unit", [2.0**-600, 2.0**-300, 2.0**300, 2.0**660])
def test_numbers_whose_squares_are_no_floats(function: type[Change], unit: float) -> None:
    """Vanished and exploded norms have the interval of any other unit, to the last bit."""
    a, b = np.array([1.0, 3.0, 4.5]), np.array([4.0, -2.0, 1.0, 0.5])[: 3 + (function is welch)]
    here, there = function(a, b), function(unit * a, unit * b)  # type: ignore[call-arg]
    assert [float(x) for x in there] == [float(x) * unit for x in here]
    assert np.isfinite(here).all()


@pytest.mark.parametrize("function", [paired, welch])
@pytest.mark.parametrize("size", [1e100, 1.7e308])
def test_numbers_that_overflow_on_the_way(function: type[Change], size: float) -> None:
    found = function([size, size / 3], [-size, -size / 2])  # type: ignore[call-arg]
    assert found.low.shape == ()  # and nothing warns
    assert np.isnan(found.low) or found.low <= found.change or math.isinf(found.change)


@pytest.mark.parametrize("function", [paired, welch])
def test_rows_of_another_size_do_not_count(function: type[Change]) -> None:
    """What is rounding beside 1 is none beside 1e-20; equal values have no spread of rounding."""
    a = np.array([[1e-20, 3e-20, 5e-20], [1.0, 2.0, 3.0], [0.1, 0.1, 0.1]])
    assert np.std([0.1, 0.1, 0.1]) > 0
    found, alone = function(a, 2 * a), [function(row, 2 * row) for row in a]  # type: ignore[call-arg]
    for part, each in zip(found, zip(*alone, strict=True), strict=True):
        assert part.tolist() == [float(number) for number in each]
    assert found.a.tolist() == pytest.approx([3e-20, 2.0, 0.1], rel=1e-15)
    assert found.low[2] == found.high[2]


def test_without_spread_the_interval_is_a_point() -> None:
    for found in (paired([1.0, 2.0], [2.0, 3.0]), welch([1.0, 1.0], [2.0, 2.0])):
        assert (float(found.low), float(found.high)) == (1.0, 1.0)


def test_a_missing_value_hides_nothing() -> None:
    for found in (paired([1.0, math.nan], [1.0, 2.0]), welch([1.0, math.nan], [1.0, 2.0])):
        assert np.isnan(found.a)
        assert np.isnan(found.change)
        assert np.isnan(found.low)


def test_a_ratio_too_large_for_a_number_is_infinite() -> None:
    found = ratio([1e-300, 2e-300], [1e300, 3e300], pair=True)
    assert float(found.change) == math.inf  # and no warning
    assert 0 < float(found.a) < float(found.b) < math.inf


def test_a_zero_has_no_logarithm() -> None:
    found = ratio([0.0, 1.0], [1.0, 2.0], pair=True)
    assert np.isnan(found.a)
    assert np.isnan(found.change)


def test_the_rounding_of_a_mean_is_no_change() -> None:
    found = welch([5 / 3, 0.0, -5 / 3 - 1e-17], [0.1, 0.2, 0.3])
    assert float(found.a) == 0.0
    nearly = [0.1, 0.2, -0.3]
    assert np.mean(nearly) != 0
    assert float(welch(nearly, [1.0, 2.0]).a) == 0.0
    assert float(welch([1e-9 + x for x in nearly], [1.0, 2.0]).a) == pytest.approx(1e-9, rel=1e-6)
    assert np.mean([0.1, 0.2, 0.3]) != np.mean([0.3, 0.2, 0.1])
    assert float(welch([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]).change) == 0.0


def test_refusals() -> None:
    with pytest.raises(InputError) as error:
        paired([1.0, 2.0], [1.0])
    assert str(error.value) == "paired values must be of one shape; got ((2,), (1,))"
    with pytest.raises(InputError) as error:
        welch([], [1.0])
    assert str(error.value) == "values of seeds must be at least one on the last axis; got (0,)"


def test_identical_values_change_by_nothing() -> None:
    a, _ = seeds(3, 3, 2)
    found = paired(a, a)
    assert ends(found) == [[0.0] * 7, [0.0] * 7]
    assert ends(ratio(abs(a), abs(a), pair=True)) == [[1.0] * 7, [1.0] * 7]


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_an_excess_is_none_within_rounding(unit: float) -> None:
    """4 eps of the larger end, whichever unit: beyond, the difference as it is, with its sign."""
    step = np.spacing(0.3 * unit)
    assert excess((0.4 - 0.3) * unit, 0.1 * unit, 0.4 * unit, 0.3 * unit) == 0
    assert excess(0.1 * unit + step, 0.1 * unit, 0.4 * unit, -0.3 * unit) == 0
    assert excess(0.1 * unit + 40 * step, 0.1 * unit, 0.4 * unit, 0.3 * unit) > 0
    assert excess(0.25 * unit, 0.125 * unit, 0.5 * unit, 0.25 * unit) == 0.125 * unit
    assert excess(0.125 * unit, 0.25 * unit, 0.5 * unit, 0.25 * unit) == -0.125 * unit
    assert excess(-0.5 * unit, 0.25 * unit, -1 * unit, 0.0) == -0.75 * unit
