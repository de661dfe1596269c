"""The first k from which eq8-rate counts, against a search over k."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from snnlens.analysis._gradient_claims import _settled


def searched(s1: float, s0: float, share: float) -> float:
    """The bound as the issue has it, tried k by k in exact arithmetic."""
    big, small = max(Fraction(s1), Fraction(s0)), min(Fraction(s1), Fraction(s0))
    heavy = Fraction(share) if s1 > s0 else 1 - Fraction(share)
    if s1 == s0:
        return 1
    if heavy == 0:
        return math.inf
    weight, r = (1 - heavy) / heavy, (small / big) ** 2
    for k in range(1, 5000):
        if r ** (k - 1) * weight < Fraction(1, 1000):
            return k
    raise AssertionError("the search ends before 5000")


@pytest.mark.parametrize("share", [1e-6, 1e-3, 0.05, 0.25, 0.5, 0.9, 0.9989, 0.9991, 1.0, 0.0])
@pytest.mark.parametrize(
    ("s1", "s0"),
    [(1.0, 0.092), (1.5, 0.0657), (0.5, 0.4), (0.0921, 0.5296), (0.2884, 0.5), (0.99, 1.0),
     (1.0, 0.0), (0.0, 1.0), (3.0, 1e-9)],
)  # fmt: skip
def test_against_a_search(s1: float, s0: float, share: float) -> None:
    assert _settled(s1, s0, share) == searched(s1, s0, share)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("s", [0.0, 0.2884, 1.0])
def test_equal_factors_have_nothing_to_settle(s: float, share: float) -> None:
    assert _settled(s, s, share) == 1


def test_by_hand() -> None:
    """alpha = 2, V_th = 1, q = 1/2: (.092)^(2k-2) < 1e-3 first at k = 3 (.092^2 = .0085)."""
    assert _settled(1.0, 0.092, 0.5) == 3
    assert _settled(1.0, 0.031, 0.5) == 2  # .031^2 = .00096
    assert _settled(1.0, 0.092, 0.9991) == 1  # (1 - q)/q is below 1e-3 by itself
    assert _settled(0.092, 1.0, 0.0009) == 1  # the other way round
    assert _settled(1.0, 0.0, 0.5) == 2  # at k = 1 the silent elements still count
