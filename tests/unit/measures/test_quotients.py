"""Quotients by hand; a missing denominator is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.measures import quotients
from snnlens.measures.quotients import QUOTIENTS, ratio, relative_norm, root_mean, value


def test_by_hand() -> None:
    assert ratio([3, 0], [12, 5]).tolist() == [0.25, 0]
    assert root_mean([50.0], [2]).tolist() == [5]
    assert relative_norm([9.0], [36.0]).tolist() == [0.5]
    assert value([4]).tolist() == [4]


@pytest.mark.parametrize("quotient", [ratio, root_mean, relative_norm])
def test_no_denominator_is_nan_and_never_zero(quotient: object) -> None:
    got = quotient(np.array([0.0, 5.0, 4.0]), np.array([0, 0, 4]))  # type: ignore[operator]
    assert np.isnan(got).tolist() == [True, True, False]


def test_nan_and_infinity_pass() -> None:
    assert math.isnan(root_mean([math.nan], [1])[0])
    assert root_mean([math.inf], [1])[0] == math.inf
    assert math.isnan(ratio([1.0], [math.nan])[0])


def test_large_counts_divide_exactly() -> None:
    assert ratio(np.array([2**53]), np.array([2**54])).tolist() == [0.5]


def test_names_are_the_functions() -> None:
    assert all(getattr(quotients, name) is function for name, function in QUOTIENTS.items())
    assert sorted(QUOTIENTS) == ["ratio", "relative_norm", "root_mean", "value"]
