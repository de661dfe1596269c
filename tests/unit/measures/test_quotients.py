"""Quotients by hand, by numpy and by simulation; a missing denominator is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.measures import quotients
from snnlens.measures.quotients import (
    QUOTIENTS,
    bit_width,
    coefficient_of_variation,
    cosine,
    deviation,
    fano,
    ratio,
    relative_norm,
    root,
    root_mean,
    value,
    xi,
    xi_at_step,
)


def sums(x: np.ndarray) -> tuple[list[float], list[float], list[int]]:
    return [x.sum()], [(x**2).sum()], [x.size]


def test_by_hand() -> None:
    assert ratio([3, 0], [12, 5]).tolist() == [0.25, 0]
    assert root_mean([50.0], [2]).tolist() == [5]
    assert relative_norm([9.0], [36.0]).tolist() == [0.5]
    assert value([4]).tolist() == [4]
    assert root([16.0, 0.0]).tolist() == [4, 0]


@pytest.mark.parametrize("quotient", [ratio, root_mean, relative_norm])
def test_no_denominator_is_nan_and_never_zero(quotient: object) -> None:
    got = quotient(np.array([0.0, 5.0, 4.0]), np.array([0, 0, 4]))  # type: ignore[operator]
    assert np.isnan(got).tolist() == [True, True, False]


@pytest.mark.parametrize("quotient", [deviation, coefficient_of_variation, fano])
def test_nothing_counted_is_nan(quotient: object) -> None:
    assert np.isnan(quotient([0.0], [0.0], [0])).all()  # type: ignore[operator]


def test_no_spike_has_a_deviation_but_no_fano_factor() -> None:
    assert deviation([0.0], [0.0], [5]).tolist() == [0]
    assert np.isnan(fano([0.0], [0.0], [5])).all()
    assert np.isnan(coefficient_of_variation([0.0], [0.0], [5])).all()


def test_nan_and_infinity_pass() -> None:
    """An exploded gradient gives inf or NaN, and no warning."""
    assert math.isnan(root_mean([math.nan], [1])[0])
    assert root_mean([math.inf], [1])[0] == math.inf
    assert math.isnan(ratio([1.0], [math.nan])[0])
    assert math.isnan(ratio([math.inf], [math.inf])[0])
    assert math.isnan(cosine([math.inf], [math.inf], [math.inf])[0])
    assert math.isnan(deviation([math.inf], [math.inf], [3])[0])
    assert math.isnan(root([-1.0])[0])
    assert ratio([1e300], [1e-300])[0] == math.inf


def test_large_counts_divide_exactly() -> None:
    assert ratio(np.array([2**53]), np.array([2**54])).tolist() == [0.5]


def test_names_are_the_functions() -> None:
    assert all(getattr(quotients, name) is function for name, function in QUOTIENTS.items())
    assert set(QUOTIENTS) == {
        "ratio", "relative_norm", "root_mean", "value", "root", "cosine", "deviation",
        "coefficient_of_variation", "fano", "bit_width", "xi", "xi_at_step",
    }  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 1e-100, 1e100])
def test_cosine_is_the_one_of_the_vectors(scale: float) -> None:
    """At 1e-100 the product of the two squared norms would be 0, at 1e100 infinite."""
    a, b = np.random.default_rng(0).normal(size=(2, 500))
    unit = (a / np.linalg.norm(a)) @ (b / np.linalg.norm(b))
    a, b = a * scale, b * scale
    assert cosine([a @ b], [a @ a], [b @ b])[0] == pytest.approx(unit, rel=1e-12)
    # rel: sums of 500 products in two orders, each 1e-16
    assert cosine([-a @ a], [a @ a], [a @ a])[0] == pytest.approx(-1, abs=1e-15)


def test_cosine_with_nothing_is_nan() -> None:
    assert np.isnan(cosine([0.0, 0.0], [0.0, 2.0], [3.0, 0.0])).all()


def test_deviation_against_numpy() -> None:
    x = np.random.default_rng(1).normal(3.0, 2.0, size=1000)
    assert deviation(*sums(x))[0] == pytest.approx(x.std(), rel=1e-13)
    assert coefficient_of_variation(*sums(x))[0] == pytest.approx(x.std() / x.mean(), rel=1e-13)
    assert fano(*sums(x))[0] == pytest.approx(x.var() / x.mean(), rel=1e-13)


def test_deviation_loses_the_digits_it_says() -> None:
    """The variance is the difference of two terms near 1, each good to about 1e-16."""
    x = 1 + 1e-5 * np.random.default_rng(2).normal(size=10_000)
    assert deviation(*sums(x))[0] == pytest.approx(x.std(), rel=1e-5)  # 1e-16 / 1e-10, and margin
    noise = deviation(*sums(1 + 1e-10 * np.random.default_rng(3).normal(size=10_000)))[0]
    assert 0 <= noise < 1e-7


def test_equal_values_have_no_deviation_though_rounding_says_less_than_none() -> None:
    x = np.full(10, 0.7)
    total, squares = [7.0], [float((x**2).sum()) - 1e-15]  # below the square of the mean
    assert deviation(total, squares, [10]).tolist() == [0]


def test_bit_width_is_pythons() -> None:
    numbers = [*range(1025), 2**31 - 1, 2**31, 2**52 - 1, 2**52, 2**53 - 1, 2**53]
    assert bit_width(numbers).tolist() == [n.bit_length() for n in numbers]


def test_bit_width_of_what_is_no_integer() -> None:
    assert np.isnan(bit_width([0.5, 1.5, -1.0, math.nan, math.inf])).all()


@pytest.mark.parametrize("tau", [1.0, 2.0, 5.0])
def test_xi_with_decayed_input_is_the_published_form(tau: float) -> None:
    """mu_U = mu_I, sigma_U^2 = sigma_I^2 / (2 tau - 1)."""
    current = np.random.default_rng(4).normal(0.3, 0.8, size=200)
    got = xi(*sums(current), [1.0], [1 - 1 / tau], [1 / tau])[0]
    wanted = (1.0 - current.mean()) / (current.std() / math.sqrt(2 * tau - 1))
    assert got == pytest.approx(wanted, rel=1e-12)


TRAINS = 100_000


def simulated(leak: float, gain: float, steps: int, seed: int) -> tuple[np.ndarray, tuple]:
    """The free membrane of many neurons after some steps of white input, and the input's sums."""
    rng = np.random.default_rng(seed)
    u, current, squares = np.zeros(TRAINS), 0.0, 0.0
    for _ in range(steps):
        i = rng.normal(0.2, 0.5, size=TRAINS)
        u = leak * u + gain * i
        current, squares = current + i.sum(), squares + (i**2).sum()
    return u, ([current], [squares], [TRAINS * steps])


def agrees(measured: float, u: np.ndarray, threshold: float) -> bool:
    """Within 5 standard errors: of a mean 1/sqrt(n), of a deviation 1/sqrt(2n)."""
    wanted = (threshold - u.mean()) / u.std()
    return abs(measured - wanted) < 5 * math.sqrt((1 + wanted**2 / 2) / TRAINS)


@pytest.mark.parametrize(("leak", "gain"), [(0.5, 0.5), (0.9, 1.0), (0.8, 0.2), (0.0, 1.0)])
def test_xi_against_a_simulated_membrane(leak: float, gain: float) -> None:
    u, recorded = simulated(leak, gain, steps=100, seed=5)  # 0.9^100 = 3e-5: it has settled
    assert agrees(xi(*recorded, [1.0], [leak], [gain])[0], u, 1.0)


@pytest.mark.parametrize(("leak", "gain"), [(1.0, 1.0), (1.0, 0.3), (0.9, 0.5)])
@pytest.mark.parametrize("step", [1, 2, 16])
def test_xi_at_step_against_a_simulated_membrane(leak: float, gain: float, step: int) -> None:
    u, recorded = simulated(leak, gain, steps=step, seed=6)
    assert agrees(xi_at_step(*recorded, [1.0], [leak], [gain], [step])[0], u, 1.0)


def test_xi_at_step_of_if_is_the_published_form() -> None:
    current = np.random.default_rng(7).normal(0.1, 0.4, size=300)
    for t in (1, 4, 9):
        wanted = (0.5 - t * current.mean()) / (math.sqrt(t) * current.std())
        got = xi_at_step(*sums(current), [0.5], [1.0], [1.0], [t])[0]
        assert got == pytest.approx(wanted, rel=1e-12)


def test_xi_at_step_tends_to_xi() -> None:
    recorded = sums(np.random.default_rng(8).normal(0.1, 0.4, size=300))
    late = xi_at_step(*recorded, [1.0], [0.5], [0.5], [60])  # 0.5^60 is below the rounding
    assert late.tolist() == pytest.approx(xi(*recorded, [1.0], [0.5], [0.5]).tolist(), rel=1e-14)


def test_xi_exists_only_for_a_leak() -> None:
    """IF never settles; constant input has no fluctuation; an unknown rule has no leak."""
    recorded = [10.0], [40.0], [10]
    for leak in (1.0, 1.5, -1.0, math.nan):
        assert np.isnan(xi(*recorded, [1.0], [leak], [1.0])).all()
    assert np.isfinite(xi(*recorded, [1.0], [-0.5], [1.0])).all()
    assert np.isnan(xi([10.0], [10.0], [10], [1.0], [0.5], [0.5])).all()
    assert np.isnan(xi([0.0], [0.0], [0], [1.0], [0.5], [0.5])).all()
    assert np.isnan(xi_at_step(*recorded, [1.0], [1.0], [1.0], [0])).all()
    assert np.isnan(xi_at_step(*recorded, [1.0], [1.5], [1.0], [100_000])).all()  # 1.5^100000


def test_xi_of_several_sites_at_once() -> None:
    got = xi([0.0, 1.0], [12.0, 1.0], [4, 4], [1.0, 1.0], [0.5, 1.0], [0.5, 1.0])
    assert got[0] == 1
    assert math.isnan(got[1])
