"""The measures of conversion, from sums: by the values themselves, by scipy, by closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snnlens.errors import InputError
from snnlens.measures.conversion import (
    correlation,
    gap,
    latency_steps,
    power_law,
    rms,
    share,
    shift_bias,
    signed_mean,
    smallest_steps,
)

REL = 1e-12  # sums of some hundred float64 values


def values(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """An activation that is 0 for half of the neurons, and a rate that is like it."""
    generator = np.random.default_rng(seed)
    activation = np.maximum(generator.normal(0, 0.5, count), 0)
    return activation, np.maximum(activation + generator.normal(0.01, 0.1, count), 0)


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    sums = [[float(v.sum())] for v in (x * y, x, x * x, y, y * y)]
    return float(correlation(*sums, values=[len(x)])[0])


# --- how large, which way, how many ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_batches_give_the_numbers_of_all_values(seed: int) -> None:
    x, y = values(seed)
    error, parts = y - x, np.array_split(y - x, 4)
    squares, total = sum(float(p @ p) for p in parts), sum(float(p.sum()) for p in parts)
    assert rms(squares, len(error)) == pytest.approx(np.sqrt(np.mean(error**2)), rel=REL)
    assert signed_mean(total, len(error)) == pytest.approx(np.mean(error), rel=REL)
    spread = np.std(error)
    assert rms(squares, 300) ** 2 == pytest.approx(np.mean(error) ** 2 + spread**2, rel=REL)
    assert share((error > 0).sum(), len(error)) == np.mean(error > 0)


def test_a_mean_of_nothing_is_no_number() -> None:
    for measure in (rms, signed_mean, share):
        assert math.isnan(float(measure(0.0, 0)))


# --- how alike ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_correlation_is_scipys(seed: int) -> None:
    x, y = values(seed)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, rel=REL)


def test_equal_and_opposite_values() -> None:
    x, _ = values(0)
    assert pearson(x, x) == pytest.approx(1, abs=1e-12)
    assert pearson(x, 2 - 3 * x) == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1e6])
def test_a_constant_has_no_correlation(constant: float) -> None:
    """Whose variance from sums is rounding: of .1 it is not exactly 0."""
    _, y = values(1)
    assert math.isnan(pearson(np.full(300, constant), y))
    assert math.isnan(pearson(y, np.full(300, constant)))


def test_infinite_sums_have_no_correlation_and_no_warning() -> None:
    for worst in range(5):
        sums = [[3.0], [2.0], [2.0], [3.0], [5.0]]
        sums[worst] = [math.inf]
        with_infinite = correlation(*sums, values=[4])
        assert not np.isfinite(with_infinite).any() or with_infinite[0] == 0
    assert np.isnan(correlation([1e200], [1e200], [1e200], [1e200], [1e200], values=[1]))


def test_silent_neurons_count() -> None:
    """Zeros in both bring r near 1: they are kept, as the docstring says."""
    x, y = np.array([0.2, 0.4, 0.6]), np.array([0.4, 0.2, 0.6])
    zeros = np.zeros(30)
    assert pearson(x, y) == pytest.approx(0.5, rel=REL)
    assert pearson(np.append(x, zeros), np.append(y, zeros)) > 0.9


# --- the power law -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_exponent_and_interval_are_those_of_linregress(seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps = np.array([8, 16, 32, 64, 128, 256])
    error = 0.2 * steps**-0.7 * np.exp(generator.normal(0, 0.1, 6))
    line = stats.linregress(np.log(steps), np.log(error))
    half = stats.t.ppf(0.975, 4) * line.stderr
    found = power_law(steps, error)
    assert found.exponent == pytest.approx(line.slope, rel=1e-9)  # log of exp of the slope
    assert found.low == pytest.approx(line.slope - half, rel=1e-9)
    assert found.high == pytest.approx(line.slope + half, rel=1e-9)
    assert found.points == 6


def test_zeros_are_left_out_and_two_points_have_no_interval() -> None:
    found = power_law([2, 4, 8], [0.5, 0.0, 0.125])
    assert (found.points, found.exponent) == (2, pytest.approx(-1, rel=1e-12))
    assert math.isnan(found.low)
    assert math.isnan(power_law([2], [0.5]).exponent)


def test_a_fall_too_steep_for_a_number_has_no_exponent() -> None:
    """Of x that differ by 1e-6 the factor per unit of log x is below every float."""
    found = power_law([1.0, 1.000001], [1.0, 1e-5])
    assert math.isnan(found.exponent)
    assert found.points == 2


def test_power_law_refuses() -> None:
    with pytest.raises(InputError) as error:
        power_law([0, 2], [1.0, 1.0])
    assert str(error.value) == "an x of a power law must be above 0; got 0.0"
    with pytest.raises(InputError) as error:
        power_law([1, 2], [1.0, -1.0])
    assert str(error.value) == "a norm must be at least 0; got -1.0"


# --- accuracy and latency ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "accuracies", "reference", "within", "found"),
    [
        ([1, 2, 4, 8], [20.0, 90.0, 94.0, 96.0], 95.0, 1.0, 4),
        ([8, 4, 2, 1], [96.0, 94.0, 90.0, 20.0], 95.0, 1.0, 4),  # any order
        ([2, 4], [94.6, 95.6], 95.6, 1.0, 2),  # 95.6 - 94.6 is 1 + 1e-14
        ([2, 4], [94.5, 95.6], 95.6, 1.0, 4),
        ([2, 4], [60.0, 70.0], 95.0, 1.0, None),
        ([2, 4], [math.nan, 95.0], 95.0, 0.0, 4),
        ([2, 4, 8], [95.0, 90.0, 95.0], 95.0, 1.0, 2),  # whatever a larger T gives
        ([], [], 95.0, 1.0, None),
    ],
)
def test_smallest_steps(
    steps: list[int], accuracies: list[float], reference: float, within: float, found: int | None
) -> None:
    assert smallest_steps(steps, accuracies, reference, within=within) == found


def test_close_is_one_point_unless_it_is_said() -> None:
    assert smallest_steps([2, 4, 8], [93.5, 94.0, 95.0], 95.0) == 4
    assert smallest_steps([2, 4], [93.9, 93.8], 95.0) is None


def test_smallest_steps_refuses() -> None:
    with pytest.raises(InputError) as error:
        smallest_steps([2, 4], [90.0], 95.0)
    assert str(error.value) == "accuracies must be one a T, (2,); got (1,)"


def test_gap() -> None:
    assert gap([95.0, 95.0], [95.0, 61.7]).tolist() == pytest.approx([0.0, 33.3], rel=REL)


@pytest.mark.parametrize(("steps", "layers"), [(1, 1), (4, 16), (64, 3)])
def test_latency_by_counting(steps: int, layers: int) -> None:
    """The step in which the last layer gives its last spike, if each takes a step an input."""
    done = 0
    for _ in range(layers):  # a parallel layer begins when the one below has given all
        done += steps
    assert latency_steps(steps, layers, parallel=True) == done
    assert latency_steps(steps, layers, parallel=False) == steps


@pytest.mark.parametrize(
    ("steps", "layers", "what"), [(0, 1, "time_steps"), (1, 0, "layers"), (-2, 3, "time_steps")]
)
def test_latency_refuses(steps: int, layers: int, what: str) -> None:
    with pytest.raises(InputError) as error:
        latency_steps(steps, layers, parallel=True)
    wrong = min(steps, layers)
    assert str(error.value) == f"{what} must be at least 1; got {wrong}"


@pytest.mark.parametrize(("levels", "steps"), [(4, 1), (4, 16), (8, 3), (4, 4)])
def test_bias_without_a_shift_on_a_grid(levels: int, steps: int) -> None:
    """The mean of floor over midpoints, a whole number of them between any two rungs."""
    z = (np.arange(4800) + 0.5) / 4800
    mean = [np.mean(np.floor(z * n) / n) for n in (steps, levels)]
    assert shift_bias(levels, steps) == pytest.approx(mean[0] - mean[1], abs=1e-12)
