"""Eigenvalue moments against explicit Jacobians: free of bias, and intervals that cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from snnlens.errors import InputError
from snnlens.measures.isometry import Moments, eigenvalue_moments


def jacobian(kind: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    if kind == "normal":  # 40 eigenvalues after Marchenko and Pastur
        return rng.normal(size=(40, 50)) / math.sqrt(50)
    if kind == "orthogonal":  # isometric: mean 4, variance 0
        return 2 * np.linalg.qr(rng.normal(size=(40, 40)))[0]
    if kind == "masked":  # half of the outputs pass nothing, as silent surrogates do
        return np.diag(np.repeat([1.0, 0.0], 20)) @ rng.normal(size=(40, 40)) / math.sqrt(20)
    return np.diag(np.sqrt([1.0, 2.0, 3.0]))


def truth(j: np.ndarray) -> tuple[float, float]:
    eigenvalues = np.linalg.eigvalsh(j @ j.T)
    return eigenvalues.mean(), eigenvalues.var()


def moments(j: np.ndarray, rng: np.random.Generator, probes: int = 32) -> Moments:
    w = rng.normal(size=(probes, len(j))) @ j
    return eigenvalue_moments(w @ w.T, len(j))


TRIALS = 800


@pytest.mark.parametrize("kind", ["normal", "orthogonal", "masked"])
def test_intervals_cover_the_truth(kind: str) -> None:
    """Of 800 trials 760 at 95 %, give or take 6.2 (binomial). The mean's interval keeps to 4 of
    these on either side. The variance's may only be too wide: the jackknife errs upward, to twice
    the variance where the eigenvalues are all equal, whence the bound on its standard error."""
    j, rng = jacobian(kind), np.random.default_rng(2)
    mean, variance = truth(j)
    found = [moments(j, rng) for _ in range(TRIALS)]
    covered = sum(f.mean.low <= mean <= f.mean.high for f in found)
    assert abs(covered - 760) <= 25
    covered = sum(f.variance.low <= variance <= f.variance.high for f in found)
    assert covered >= 760 - 25
    for estimates, widest in (([f.mean for f in found], 1.1), ([f.variance for f in found], 1.6)):
        spread = np.std([e.value for e in estimates])
        error = np.mean([e.standard_error for e in estimates])
        assert 0.9 < error / spread < widest  # a spread from 800 trials is good to 2.5 %


@pytest.mark.parametrize("kind", ["normal", "orthogonal", "masked", "three"])
def test_free_of_bias(kind: str) -> None:
    """The average of 3000 trials within 4 of its standard errors. With m = 3 the square of the
    estimated mean would be off by 2 tr(A^2) / (m^2 probes) = 0.1, which is 9 of them."""
    j, rng = jacobian(kind), np.random.default_rng(3)
    found = [moments(j, rng) for _ in range(3000)]
    for estimates, true in zip(
        ([f.mean.value for f in found], [f.variance.value for f in found]), truth(j), strict=True
    ):
        assert abs(np.mean(estimates) - true) < 4 * np.std(estimates) / math.sqrt(3000)


def plain(gram: np.ndarray, m: int) -> tuple[float, float]:
    """The two estimates by loops over single vectors and over pairs."""
    n = len(gram)
    mean = sum(gram[i, i] for i in range(n)) / n / m
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    second = sum(gram[i, j] ** 2 for i, j in pairs) / len(pairs) / m
    squared = sum(gram[i, i] * gram[j, j] for i, j in pairs) / len(pairs) / m**2
    return mean, second - squared


def test_estimates_and_jackknife_against_loops() -> None:
    j, rng = jacobian("normal"), np.random.default_rng(4)
    w = rng.normal(size=(33, 40)) @ j
    gram = w @ w.T
    without = []
    for i in range(33):
        kept = [k for k in range(33) if k != i]
        without.append(plain(gram[np.ix_(kept, kept)], 40))
    got = eigenvalue_moments(gram, 40)
    assert got.probes == 33
    for estimate, value, left in zip(
        (got.mean, got.variance), plain(gram, 40), np.transpose(without), strict=True
    ):
        error = math.sqrt(32 / 33 * sum((x - left.mean()) ** 2 for x in left))
        half = t.ppf(0.975, 32) * error
        wanted = [value, error, value - half, value + half]
        parts = [estimate.value, estimate.standard_error, estimate.low, estimate.high]
        assert parts == pytest.approx(wanted, rel=1e-8)  # differences of sums of 1000 terms


def test_error_of_the_mean_is_the_plain_one() -> None:
    """The jackknife of a mean is s / sqrt(n)."""
    w = np.random.default_rng(5).normal(size=(50, 30))
    got = eigenvalue_moments(w @ w.T, 30).mean.standard_error
    squares = (w**2).sum(axis=1) / 30
    assert got == pytest.approx(squares.std(ddof=1) / math.sqrt(50), rel=1e-12)


def test_random_signs_serve_as_well_as_normal_numbers() -> None:
    """E (w_i . w_j)^2 = tr((J J^T)^2) asks for mean 0 and variance 1 alone; at J = I the trace is
    then exact."""
    j, rng = jacobian("masked"), np.random.default_rng(6)
    w = rng.choice([-1.0, 1.0], size=(600, 40)) @ j
    got = eigenvalue_moments(w @ w.T, 40)
    mean, variance = truth(j)
    assert abs(got.mean.value - mean) < 4 * got.mean.standard_error
    assert abs(got.variance.value - variance) < 4 * got.variance.standard_error
    v = rng.choice([-1.0, 1.0], size=(32, 40))
    assert eigenvalue_moments(v @ v.T, 40).mean.low == pytest.approx(1, rel=1e-14)


def test_more_probes_say_more() -> None:
    j, rng = jacobian("normal"), np.random.default_rng(7)
    few, many = moments(j, rng), moments(j, rng, probes=512)
    assert many.mean.standard_error < few.mean.standard_error / 3  # 4 is expected
    assert many.variance.standard_error < few.variance.standard_error / 3


def test_nothing_passes() -> None:
    got = eigenvalue_moments(np.zeros((32, 32)), 10)
    assert (got.mean.value, got.mean.low, got.variance.value, got.variance.high) == (0, 0, 0, 0)


def test_one_output_element_has_one_eigenvalue() -> None:
    v = np.random.default_rng(8).choice([-1.0, 1.0], size=32)
    got = eigenvalue_moments(np.outer(v, v) * 9, 1)  # J = 3
    assert (got.mean.value, got.variance.value) == (9, 0)


def test_nan_stays() -> None:
    gram = np.eye(32)
    gram[3, 4] = gram[4, 3] = math.nan
    assert math.isnan(eigenvalue_moments(gram, 5).variance.value)


def test_wrong_input() -> None:
    with pytest.raises(InputError, match=r"^probe vectors must be at least 32; got 31$"):
        eigenvalue_moments(np.eye(31), 10)
    with pytest.raises(
        InputError,
        match=r"^the products of the probe vectors must be a square matrix; got \(32, 33\)$",
    ):
        eigenvalue_moments(np.ones((32, 33)), 10)
    with pytest.raises(InputError, match=r"^m must be at least 1 element; got 0$"):
        eigenvalue_moments(np.eye(32), 0)
