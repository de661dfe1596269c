"""The line against scipy's, its interval by coverage, and what it leaves out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import linregress, t

from snnlens.errors import InputError
from snnlens.measures import _student, depth
from snnlens.measures.fit import GeometricFit, factor_per_block, factor_per_step


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 31, 63, 150, 1001])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_students_t_is_scipys(freedom: int, confidence: float) -> None:
    wanted = t.ppf((1 + confidence) / 2, freedom)
    assert _student.quantile(freedom, confidence) == pytest.approx(wanted, rel=1e-9)


def test_no_freedom_no_interval() -> None:
    assert math.isnan(_student.quantile(0))


@pytest.mark.parametrize("points", [3, 4, 17, 50])
def test_against_scipy(points: int) -> None:
    rng = np.random.default_rng(points)
    blocks = rng.permutation(80)[:points]
    norms = np.exp(rng.normal(size=points) - 0.2 * blocks)
    fit = factor_per_block(norms, blocks)
    line = linregress(blocks, np.log(norms))
    half = t.ppf(0.975, points - 2) * line.stderr
    wanted = [math.exp(line.slope + x) for x in (0, -half, half)]
    # 1e-9 is scipy's t quantile; the sums agree to 1e-13
    assert [fit.factor, fit.low, fit.high] == pytest.approx(wanted, rel=1e-9)
    assert fit.r_squared == pytest.approx(line.rvalue**2, rel=1e-9)
    assert (fit.points, fit.zeros, fit.non_finite) == (points, 0, 0)


@pytest.mark.parametrize("factor", [0.2884, 0.95, 1.0, 1.5])
def test_geometric_series(factor: float) -> None:
    fit = factor_per_block(3e-9 * factor ** np.arange(34.0))
    assert [fit.factor, fit.low, fit.high] == pytest.approx([factor] * 3, rel=1e-12)
    assert fit.total(33) == pytest.approx(factor**33, rel=1e-10)


def test_the_interval_covers_the_true_factor() -> None:
    """Independent normal noise on log norm: exactly 95 %. Of 1000 fits 950, give or take 6.9; 4
    of these on either side."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        fit = factor_per_step(np.exp(-0.1 * np.arange(8) + rng.normal(size=8)))
        covered += fit.low <= math.exp(-0.1) <= fit.high
    assert abs(covered - 950) <= 27


def test_zeros_and_what_is_not_finite_are_left_out_and_counted() -> None:
    norms = [4.0, 0.0, 1.0, math.nan, 0.25, math.inf, 0.0]
    fit = factor_per_block(norms)
    assert (fit.points, fit.zeros, fit.non_finite) == (3, 2, 2)
    assert fit.factor == pytest.approx(0.5, rel=1e-12)  # at l = 0, 2 and 4, not at 0, 1 and 2
    assert fit == factor_per_block(norms, list(range(7)))
    apart = [0, 1, 3, 4, 9, 10, 11]
    assert factor_per_step(norms, apart) == factor_per_block(norms, apart) != fit


def test_backward_is_the_direction_of_the_gradient() -> None:
    """Toward the input, as `measures.depth` has it."""
    norms = np.exp(np.random.default_rng(2).normal(size=9))
    fit = factor_per_block(norms)
    published = depth.factor_per_block(range(9), norms)
    assert fit.backward.factor == pytest.approx(published.factor, rel=1e-12)
    assert fit.r_squared == pytest.approx(published.r_squared, rel=1e-12)
    turned = factor_per_block(norms[::-1])
    wanted = [turned.factor, turned.low, turned.high]
    assert [fit.backward.factor, fit.backward.low, fit.backward.high] == pytest.approx(wanted)
    assert fit.backward.total(5) == pytest.approx(1 / fit.total(5), rel=1e-12)


def test_two_points_have_a_factor_and_no_interval() -> None:
    fit = factor_per_block([1.0, 2.0])
    assert (fit.factor, fit.r_squared, fit.points) == (pytest.approx(2.0), pytest.approx(1.0), 2)
    assert math.isnan(fit.low)
    assert math.isnan(fit.high)


@pytest.mark.parametrize("norms", [[], [1.0], [0.0, 0.0, 0.0], [math.nan, 1.0, 0.0]])
def test_no_line(norms: list[float]) -> None:
    fit = factor_per_block(norms)
    assert math.isnan(fit.factor)
    assert math.isnan(fit.r_squared)
    assert fit.points + fit.zeros + fit.non_finite == len(norms)
    assert math.isnan(fit.backward.total(3))


def test_one_index_is_no_line() -> None:
    assert math.isnan(factor_per_block([1.0, 2.0], [4, 4]).factor)


def test_equal_norms_are_wholly_explained() -> None:
    """0.1: its logarithms have a mean that differs from them by a rounding."""
    assert factor_per_block([0.1] * 7).r_squared == 1


def test_huge_factors_do_not_warn() -> None:
    assert factor_per_block([1e-300, 1e300, 1e-300, 1e300]).high == math.inf
    assert GeometricFit(1e300, 1.0, 1.0, 1.0, 2).total(9) == math.inf
    assert GeometricFit(0.0, 0.0, 0.0, 1.0, 2).backward.factor == math.inf


def test_wrong_input() -> None:
    with pytest.raises(InputError, match=r"^a norm must be at least 0; got -1\.0$"):
        factor_per_block([1.0, -1.0])
    with pytest.raises(InputError, match=r"^indices must be one a norm, \(2,\); got \(3,\)$"):
        factor_per_block([1.0, 1.0], [1, 2, 3])
