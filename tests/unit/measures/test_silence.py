"""The bound against the beta and binomial distributions and against neurons that do spike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from snnlens.errors import InputError
from snnlens.measures.silence import (
    MINIMUM_OBSERVATIONS,
    rate_bound,
    rule_of_three,
    silent_by_chance,
)


@pytest.mark.parametrize("observations", [1, 2, 59, 256, 10_000, 10**9])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_bound_is_clopper_pearsons(observations: int, confidence: float) -> None:
    wanted = beta.ppf(confidence, 1, observations)
    assert rate_bound(observations, confidence) == pytest.approx(wanted, rel=1e-9)  # scipy's root


@pytest.mark.parametrize("observations", [1, 100, 256, 10**6, 10**12])
def test_at_the_bound_silence_has_the_probability_left(observations: int) -> None:
    # at N = 1e12 a bound from 1 - 0.05^(1/N) is good to 4 digits only
    left = math.exp(observations * math.log1p(-rate_bound(observations)))
    assert left == pytest.approx(0.05, rel=1e-9)


def test_silent_neurons_at_the_bound_are_one_in_twenty() -> None:
    """Binomial: of 40,000 neurons at the bound 2000 are silent, give or take 44; 5 of these."""
    rate = rate_bound(256)
    spikes = np.random.default_rng(0).binomial(256, rate, size=40_000)
    assert abs(np.count_nonzero(spikes == 0) - 2000) < 5 * math.sqrt(40_000 * 0.05 * 0.95)


def test_rule_of_three_is_close_and_never_below() -> None:
    for observations in (1, 2, 3, 10, 100, MINIMUM_OBSERVATIONS, 10**6):
        assert rate_bound(observations) <= rule_of_three(observations) <= 1
    assert rule_of_three(100) / rate_bound(100) == pytest.approx(1.017, abs=1e-3)
    assert rule_of_three(10**6) / rate_bound(10**6) == pytest.approx(3 / math.log(20), rel=1e-5)
    assert rule_of_three(2) == 1


def test_silent_by_chance_is_binomial() -> None:
    rates = np.array([0.0, 1e-12, 0.003, 0.2, 0.999, 1.0])
    for observations in (1, 7, 256, 5000):
        wanted = binom.pmf(0, observations, rates)
        got = silent_by_chance(rates, observations)
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-300)  # scipy's own log terms


def test_layers_of_unequal_neurons_are_silent_more_often() -> None:
    """Jensen: the value at the mean rate is below the mean over the rates, and a true layer shows
    the latter."""
    rng = np.random.default_rng(1)
    rates = rng.beta(0.5, 20, size=50_000)
    silent = np.count_nonzero(rng.binomial(256, rates) == 0) / 50_000
    expected = silent_by_chance(rates, 256).mean()
    assert abs(silent - expected) < 5 * math.sqrt(0.25 / 50_000)  # 5 standard errors at most
    assert silent_by_chance(rates.mean(), 256) < 0.1 * expected


def test_equal_neurons_reach_the_bound_of_jensen() -> None:
    assert silent_by_chance(np.full(3, 0.01), 300).mean() == pytest.approx(0.99**300, rel=1e-12)


def test_no_rate_is_nan() -> None:
    assert np.isnan(silent_by_chance([-0.1, 1.1, math.nan], 10)).all()


@pytest.mark.parametrize("measure", [rate_bound, rule_of_three, lambda n: silent_by_chance(0.1, n)])
def test_no_observation(measure: object) -> None:
    with pytest.raises(InputError, match=r"^observations must be at least 1; got 0$"):
        measure(0)  # type: ignore[operator]


def test_no_confidence() -> None:
    with pytest.raises(InputError, match=r"^confidence must be between 0 and 1; got 1$"):
        rate_bound(10, 1)
