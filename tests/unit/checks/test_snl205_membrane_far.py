"""SNL205: the membrane lies far outside the range between rest and threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.checks.membrane_far import MembraneFar
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = MembraneFar()


def seen(*pairs: tuple[float, float]) -> Record:
    rows = [layer(membrane_low_share=low, membrane_high_share=high) for low, high in pairs]
    return made(rows, probes={"membrane": ["membrane_low_share", "membrane_high_share"]})


def test_the_worst_layer_speaks_for_all() -> None:
    finding = only(CHECK, seen((0.55, 0.0), (0.0, 0.95), (0.1, 0.0)))
    assert (finding.severity, finding.site) == ("warning", "1")
    assert finding.evidence == (
        "net: at 1 the membrane is above 3 thresholds in 95.0% of the neuron-steps, bound 25% (N = "
        "128 samples, T = 4); also at 0"
    )


def test_below_the_rest() -> None:
    text = only(CHECK, seen((0.6, 0.1))).evidence
    assert "at 0 the membrane is below -1 threshold in 60.0% of the neuron-steps, bound 50%" in text


@pytest.mark.parametrize(
    ("low", "high", "issue"),
    [(0.5, 0.0, False), (0.51, 0.0, True), (0.0, 0.25, False), (0.0, 0.26, True)],
)
def test_at_its_bounds(low: float, high: float, *, issue: bool) -> None:
    assert passes(CHECK, seen((low, high))) is not issue


def test_a_normalised_current_is_no_finding() -> None:
    """The reason for both bounds: IF, hard reset, a current of N(0, 1), T = 4, simulated."""
    current = np.random.default_rng(0).standard_normal((4, 20000))
    v, h = np.zeros(20000), []
    for x in current:
        h.append(v + x)
        v = np.where(h[-1] >= 1, 0.0, h[-1])
    low, high = float((np.array(h) < -1).mean()), float((np.array(h) > 3).mean())
    assert passes(CHECK, seen((low, high)))
    assert low < 0.34
    assert high < 0.01


def test_it_needs_a_membrane() -> None:
    assert "membrane" in reason(CHECK, made([layer()]))


def test_a_membrane_that_nobody_knows() -> None:
    rows = [layer(membrane_low_share=None, membrane_high_share=None)]
    record = made(rows, probes={"membrane": ["membrane_low_share", "membrane_high_share"]})
    assert reason(CHECK, record) == (
        "no membrane is known of any spiking layer; use an adapter that shows it"
    )


def test_one_layer_alone_below_the_rest_where_both_are_as_bad() -> None:
    """0.6 of 0.5 is as far as 0.3 of 0.25."""
    assert only(CHECK, seen((0.6, 0.3))).evidence == (
        "net: at 0 the membrane is below -1 threshold in 60.0% of the neuron-steps, bound 50% (N = "
        "128 samples, T = 4)"
    )


def test_a_layer_whose_current_is_no_number_is_another_finding() -> None:
    far = {"membrane_low_share": 0.9, "membrane_high_share": 0.0}
    rows = [layer(**far, current=math.inf), layer(**far, current=1.0)]
    probes = {"membrane": ["membrane_low_share", "membrane_high_share"]}
    finding = only(CHECK, made(rows, probes=probes | {"input_current": ["current"]}))
    assert finding.site == "1"
    assert "also" not in finding.evidence
