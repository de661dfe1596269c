"""From a measurement to a verdict."""

from __future__ import annotations

import math

import pytest

from snnlens.analysis._verdicts import NotTestable, claim


def judged(measured: float, *, holds: bool) -> tuple[float | None, str, str]:
    made = claim("x", "X.", "us", "<= 1", lambda: (measured, holds, "seen"))
    assert (made.id, made.statement, made.source, made.bound) == ("x", "X.", "us", "<= 1")
    return made.measured, made.verdict, made.reason


def test_holds_and_fails_keep_the_number() -> None:
    assert judged(0.5, holds=True) == (0.5, "holds", "seen")
    assert judged(1.5, holds=False) == (1.5, "fails", "seen")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("holds", [True, False])
def test_a_number_that_is_none_fails_whatever_was_said(number: float, holds: bool) -> None:
    assert judged(number, holds=holds) == (None, "fails", f"the measured number is {number}; seen")


def test_not_testable_has_its_reason() -> None:
    def measure() -> tuple[float, bool, str]:
        raise NotTestable("no such network")

    made = claim("x", "X.", "us", "<= 1", measure)
    assert (made.measured, made.verdict, made.reason) == (None, "not-testable", "no such network")


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        claim("x", "X.", "us", "<= 1", lambda: (1 / 0, True, ""))
