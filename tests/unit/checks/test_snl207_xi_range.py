"""SNL207: the threshold is outside the reach of the membrane's fluctuations."""

from __future__ import annotations

import math

import pytest

from snnlens.checks.xi_range import XiRange
from snnlens.measures.quotients import xi
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = XiRange()


def seen(*values: float) -> Record:
    return made([layer(xi=x) for x in values], probes={"input_current": ["xi"]})


def test_the_first_layer_outside() -> None:
    finding = only(CHECK, seen(2.0, 7.5, 1.5, 0.2))
    assert (finding.severity, finding.site) == ("note", "1")
    assert finding.evidence == (
        "net: xi = 7.5 at 1, bounds 1 and 3; 2 of 4 leaky layers are outside (N = 128 samples, T = "
        "4); also 3"
    )


@pytest.mark.parametrize(
    ("value", "issue"), [(0.99, True), (1.0, False), (3.0, False), (3.01, True), (-4.0, True)]
)
def test_at_its_bounds(value: float, *, issue: bool) -> None:
    assert passes(CHECK, seen(value)) is not issue


def test_a_neuron_without_a_leak_has_none() -> None:
    """By the measure itself: no stationary membrane at a leak of 1."""
    integrate = float(xi([0.0], [4.0], [4], [1.0], [1.0], [1.0])[0])
    assert math.isnan(integrate)
    assert "IF neuron" in reason(CHECK, seen(integrate))
    assert passes(CHECK, seen(integrate, 2.0))
    assert passes(CHECK, seen(math.inf, 2.0))
    assert "IF neuron" in reason(CHECK, seen(math.inf, -math.inf))
    assert "input_current" in reason(CHECK, made([layer()]))


def test_one_layer_alone() -> None:
    assert only(CHECK, seen(0.5)).evidence == (
        "net: xi = 0.5 at 0, bounds 1 and 3; 1 of 1 leaky layers are outside (N = 128 samples, T = "
        "4)"
    )
