"""SNL307: the membrane stays where the surrogate gradient passes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from snnlens.checks.surrogate_inactive import SurrogateInactive
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = SurrogateInactive()


def seen(*rows: dict[str, Any]) -> Record:
    return made([layer(**r) for r in rows],
                probes={"surrogate_active": ["surrogate_active", "surrogate_mean"]})  # fmt: skip


def test_the_worst_layer_of_bounded_support() -> None:
    rows = [{"surrogate_active": a, "surrogate_mean": a} for a in (0.5, 0.009, 0.001)]
    finding = only(CHECK, seen(*rows))
    assert (finding.severity, finding.site) == ("warning", "2")
    assert finding.evidence == (
        "net: at 2 the share of neuron-steps with sigma' != 0 is 0.001, bound 0.01 (N = 128 "
        "samples, T = 4); also at 1"
    )


@pytest.mark.parametrize(("mean", "issue"), [(0.021, False), (0.019, True)])
def test_unbounded_support_by_its_mean_over_its_peak(mean: float, *, issue: bool) -> None:
    """A peak of 2: the bound is a mean of 0.02."""
    record = seen({"surrogate_active": 1.0, "surrogate_mean": mean, "slope": 2.0})
    assert passes(CHECK, record) is not issue
    if issue:
        assert "the mean of sigma' over its peak is 0.0095" in only(CHECK, record).evidence


@pytest.mark.parametrize(("active", "issue"), [(0.011, False), (0.009, True)])
def test_the_active_share_alone(active: float, *, issue: bool) -> None:
    """A record of a time before the mean was kept."""
    record = made(
        [layer(surrogate_active=active)], probes={"surrogate_active": ["surrogate_active"]}
    )
    assert passes(CHECK, record) is not issue


def test_it_needs_the_probe() -> None:
    assert "surrogate_active" in reason(CHECK, made([layer()]))


def test_no_layer_whose_surrogate_is_known() -> None:
    assert reason(CHECK, seen({"surrogate_active": None})) == (
        "no spiking layer has a surrogate that its adapter knows; name one that does"
    )


def test_each_layer_by_the_smaller_of_its_two_shares() -> None:
    """A mean of half its peak is no finding, whatever the peak; the active share may be."""
    for slope in (0.5, 1.0, 4.0):
        by_mean = {"surrogate_active": 1.0, "surrogate_mean": 0.004 * slope, "slope": slope}
        by_share = {"surrogate_active": 0.004, "surrogate_mean": 0.5 * slope, "slope": slope}
        text = only(CHECK, seen(by_mean)).evidence
        assert "at 0 the mean of sigma' over its peak is 0.004, bound 0.01" in text
        text = only(CHECK, seen(by_share)).evidence
        assert "at 0 the share of neuron-steps with sigma' != 0 is 0.004, bound 0.01" in text


@pytest.mark.parametrize("slope", [0.0, -1.0, None])
def test_without_a_peak_the_active_share_counts(slope: float | None) -> None:
    row = {"surrogate_active": 0.5, "surrogate_mean": 1e-9, "slope": slope}
    assert passes(CHECK, seen(row))
    assert "share of neuron-steps" in only(CHECK, seen(row | {"surrogate_active": 0.005})).evidence


def test_exactly_at_its_bound() -> None:
    assert passes(CHECK, seen({"surrogate_active": 0.01, "surrogate_mean": 0.5}))


def test_one_layer_alone() -> None:
    rows = [{"surrogate_active": a, "surrogate_mean": a} for a in (0.5, 0.001)]
    assert only(CHECK, seen(*rows)).evidence.endswith("bound 0.01 (N = 128 samples, T = 4)")
