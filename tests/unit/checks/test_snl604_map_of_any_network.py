"""SNL604: the map of a network whose weights were permuted is nearly the same."""

from __future__ import annotations

import math

import pytest

from snnlens.checks.map_of_any_network import MapOfAnyNetwork
from snnlens.recording.record import Record
from tests.unit.attribution_record import Net, change, record
from tests.unit.checks.converted import OTHER
from tests.unit.checks.handmade import only, passes, reason

CHECK = MapOfAnyNetwork()


def alike(method: str, *values: float, made: Record | None = None) -> Record:
    """The Record in which a method's maps have these rank correlations with permuted weights."""
    made = made or record()
    for sample, value in enumerate(values):
        where = {"kind": "weights", "method": method, "sample": sample}
        change(made, "attribution_pairs", where, rank_correlation=value)
    return made


def test_maps_that_change_with_the_weights() -> None:
    assert passes(CHECK, record())


@pytest.mark.parametrize(("value", "issue"), [(0.5, False), (0.51, True), (-0.51, True)])
def test_its_bound(value: float, *, issue: bool) -> None:
    """Of the size, in the median of samples."""
    assert passes(CHECK, alike("ig", value, value, value)) is not issue
    assert passes(CHECK, alike("ig", value, -value, 0)) is not issue
    assert passes(CHECK, alike("ig", value, 0, 0))


def test_the_finding() -> None:
    made = alike("saliency", 0.6, 0.6, 0.6, made=alike("ig", 0.7, -0.8, 0.9))
    finding = only(CHECK, made)
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "net: with permuted weights the map of ig keeps its order: |rank correlation| 0.80 (median "
        "of 3 maps), bound 0.5; also saliency (0.60)"
    )


def test_constant_maps_have_no_ranks() -> None:
    finding = only(CHECK, alike("ig", 0.9, math.nan, math.nan))
    assert "0.90 (median of 1 map)" in finding.evidence


def test_other_pairs_do_not_count() -> None:
    made = record()
    for kind in ("surrogate", "seed", "method"):
        change(made, "attribution_pairs", {"kind": kind}, rank_correlation=1.0)
    assert passes(CHECK, made)


def test_each_network_by_itself() -> None:
    made = record(Net("a"), Net("b"))
    change(made, "attribution_pairs", {"network": "b", "kind": "weights"}, rank_correlation=0.9)
    assert only(CHECK, made).evidence.startswith("b: with permuted weights")


def test_not_applicable() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no attribution_pairs; `snnlens attribution` makes one that does"
    )
    made = record()
    table = made.tables["attribution_pairs"]
    made.tables["attribution_pairs"] = table[table["kind"] != "weights"]
    assert reason(CHECK, made) == "no maps of a network with permuted weights were made"
    constant = change(record(), "attribution_pairs", {"kind": "weights"}, rank_correlation=math.nan)
    assert reason(CHECK, constant) == (
        "the maps of a network with permuted weights are constant and have no ranks"
    )
