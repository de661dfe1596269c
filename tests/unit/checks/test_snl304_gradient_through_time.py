"""SNL304: the gradient vanishes or explodes from one time step to the one before it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from snnlens.checks.gradient_through_time import GradientThroughTime
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = GradientThroughTime()
T = 8


def back(*factors: float, steps: int = T) -> Record:
    """Layers whose gradient changes by a factor per step back in time."""
    rows = [layer(norms=f ** np.arange(steps - 1.0, -1, -1), time_steps=steps) for f in factors]
    return made(rows)


def test_the_worst_layer_speaks_for_all() -> None:
    """0.2^7 = 1.28e-5."""
    finding = only(CHECK, back(0.3, 0.2, 0.9))
    assert (finding.severity, finding.site) == ("warning", "1")
    assert finding.evidence == (
        "net: at 1 the gradient norm changes by a factor 0.2 per step back in time (95 % 0.2 to "
        "0.2, R^2 1.00, 8 steps): over 7 steps 1.3e-05, bound 0.001 (N = 128 samples, T = 8); "
        "also at 0"
    )


@pytest.mark.parametrize(
    ("total", "severity"),
    [(1.02e-3, None), (0.98e-3, "warning"), (0.98e-6, "error"), (0.98e3, None),
     (1.02e3, "warning"), (1.02e6, "error")],
)  # fmt: skip
def test_at_its_bounds(total: float, severity: str | None) -> None:
    found = CHECK.findings(back(total ** (1 / (T - 1))))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_noise_is_no_trend() -> None:
    assert passes(CHECK, made([layer(norms=[1e-5, 1, 1e-5, 1, 1e-5, 1, 1e-5, 1e5], time_steps=T)]))


def test_it_needs_four_steps_and_a_gradient() -> None:
    assert "T is 3" in reason(CHECK, back(0.01, steps=3))
    assert only(CHECK, back(0.01, steps=4)).site == "0"
    assert "gradient_norm" in reason(CHECK, made([{"rate": 0.2}]))
    zeros = made([layer(norms=[0.0] * 5 + [1.0] * 3, time_steps=T)])
    assert "4 steps" in reason(CHECK, zeros)


def test_the_worst_layer_need_not_be_the_last() -> None:
    assert only(CHECK, back(0.2, 0.3)).site == "0"
    assert only(CHECK, back(0.3, 5.1, 0.2)).site == "1"


def test_where_t_is_not_known() -> None:
    record = back(0.2)
    record.sites["time_steps"] = pd.NA
    assert reason(CHECK, record) == (
        "T is unknown: a factor per step needs at least 4; show more steps"
    )


def test_a_gradient_that_is_not_finite_is_another_finding() -> None:
    norms = [*(0.1 ** np.arange(T - 1.0)), math.inf]
    record = made([layer(norms=norms, time_steps=T)])
    assert reason(CHECK, record) == (
        "no spiking layer has 4 steps with a positive, finite gradient; see SNL301 and SNL305"
    )
    assert only(CHECK, made([layer(norms=norms[:-1], time_steps=T)])).site == "0"


def test_one_layer_alone() -> None:
    assert only(CHECK, back(0.2, 0.9)).evidence.endswith("bound 0.001 (N = 128 samples, T = 8)")


def test_steps_that_were_not_recorded_leave_a_gap() -> None:
    """0.2 per step over 7 steps, of which the third and the fourth are not known."""
    record = back(0.2)
    table = record.tables["gradient_norm"]
    record.tables["gradient_norm"] = table[~table["step"].isin([2, 3])]
    evidence = only(CHECK, record).evidence
    assert "a factor 0.2 per step" in evidence
    assert "6 steps): over 7 steps 1.3e-05" in evidence
