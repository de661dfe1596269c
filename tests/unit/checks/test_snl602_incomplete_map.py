"""SNL602: a complete method whose map does not add up to what it explains."""

from __future__ import annotations

import math

import pytest

from snnlens.checks.incomplete_map import IncompleteMap
from snnlens.recording.record import Record
from tests.unit.attribution_record import Net, change, record
from tests.unit.checks.converted import OTHER
from tests.unit.checks.handmade import only, passes, reason

CHECK = IncompleteMap()


def missing(*parts: float, method: str = "ig", made: Record | None = None) -> Record:
    """The Record in which a method's maps miss these shares of D = 1.5 + sample."""
    made = made or record(Net(methods=("ig", "layer_ig", "saliency")))
    for sample, part in enumerate(parts):
        gain = 1.5 + sample
        change(made, "attribution_maps", {"method": method, "sample": sample}, delta=-part * gain,
               total=gain - part * gain)  # fmt: skip
    return made


def test_two_in_a_hundred_are_no_issue() -> None:
    assert passes(CHECK, record())


@pytest.mark.parametrize(("part", "issue"), [(0.0499, False), (0.0501, True), (-0.0501, True)])
def test_its_bound(part: float, *, issue: bool) -> None:
    """Whichever way the sum is wrong, and in the median of samples."""
    assert passes(CHECK, missing(part, part, part)) is not issue
    assert passes(CHECK, missing(part, part, 0)) is not issue
    assert passes(CHECK, missing(part, 0, 0))


def test_the_finding() -> None:
    finding = only(CHECK, missing(0.1, 0.2, 0.5))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "net: ig misses 20 % of f(x) - f(baseline) (median of 3 samples), bound 5 %; at most 50 % "
        "(sample 2: sum 1.75 of 3.5)"
    )


def test_the_worst_method_first() -> None:
    made = missing(0.3, 0.3, 0.3, method="layer_ig", made=missing(0.1, 0.1, 0.1))
    assert only(CHECK, made).evidence == (
        "net: layer_ig misses 30 % of f(x) - f(baseline) (median of 3 samples), bound 5 %; at most "
        "30 % (sample 0: sum 1.05 of 1.5); also ig (10 %)"
    )


def test_of_a_static_image_each_place_by_itself() -> None:
    made = record(Net(static=True))
    change(made, "attribution_maps", {"method": "ig", "place": "input"}, delta=3.5)
    evidence = only(CHECK, made).evidence
    assert evidence.startswith("net: ig over input misses 140 %")
    assert "also" not in evidence


def test_a_sample_without_a_gain_is_left_out() -> None:
    made = missing(0.1, 0.2, 0.3)
    change(made, "attribution_maps", {"sample": 1}, score=0.5)
    assert "median of 2 samples" in only(CHECK, made).evidence


def test_each_network_by_itself() -> None:
    made = record(Net("a"), Net("b"))
    change(made, "attribution_maps", {"network": "b", "method": "ig"}, delta=3.0)
    assert only(CHECK, made).evidence.startswith("b: ig misses")


def test_not_applicable() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no attribution_maps; `snnlens attribution` makes one that does"
    )
    assert reason(CHECK, record(Net(methods=("saliency", "sam")))) == (
        "no method that was run claims that its map adds up to the score"
    )
    flat = change(record(), "attribution_maps", {}, score=0.5)
    assert reason(CHECK, flat) == "f(x) = f(baseline) in every sample: no share of 0 is one"
    assert reason(CHECK, change(record(), "attribution_maps", {}, delta=math.nan)) == (
        "no method that was run claims that its map adds up to the score"
    )
