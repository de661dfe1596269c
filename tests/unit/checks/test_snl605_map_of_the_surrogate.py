"""SNL605: with another surrogate gradient the map is another one."""

from __future__ import annotations

import math

import pytest

from snnlens.checks.map_of_the_surrogate import MapOfTheSurrogate
from snnlens.recording.record import Record
from tests.unit.attribution_record import Net, change, record
from tests.unit.checks.converted import OTHER
from tests.unit.checks.handmade import only, passes, reason

CHECK = MapOfTheSurrogate()


def unlike(method: str, *values: float, made: Record | None = None) -> Record:
    """The Record in which a method's maps have these rank correlations with another surrogate's."""
    made = made or record()
    for sample, value in enumerate(values):
        where = {"kind": "surrogate", "method": method, "sample": sample}
        change(made, "attribution_pairs", where, rank_correlation=value)
    return made


def test_maps_that_stay() -> None:
    assert passes(CHECK, record())


@pytest.mark.parametrize(("value", "issue"), [(0.5, False), (0.49, True), (-0.9, True)])
def test_its_bound(value: float, *, issue: bool) -> None:
    """An order that is turned round is another one."""
    assert passes(CHECK, unlike("ig", value, value, value)) is not issue
    assert passes(CHECK, unlike("ig", value, value, 1)) is not issue
    assert passes(CHECK, unlike("ig", value, 1, 1))


def test_the_finding() -> None:
    made = unlike("saliency", 0.4, 0.4, 0.4, made=unlike("ig", 0.1, -0.3, 0.2))
    finding = only(CHECK, made)
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "net: with sigmoid as the surrogate the map of ig is another one: rank correlation 0.10 "
        "(median of 3 maps), bound 0.5; also saliency (0.40)"
    )


def test_other_pairs_do_not_count() -> None:
    made = record()
    for kind in ("weights", "seed", "method"):
        change(made, "attribution_pairs", {"kind": kind}, rank_correlation=0.0)
    assert passes(CHECK, made)


def test_each_network_by_itself() -> None:
    made = record(Net("a"), Net("b"))
    change(made, "attribution_pairs", {"network": "b", "kind": "surrogate"}, rank_correlation=0.0)
    assert only(CHECK, made).evidence.startswith("b: with sigmoid as the surrogate")


def test_not_applicable() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no attribution_pairs; `snnlens attribution` makes one that does"
    )
    made = record()
    table = made.tables["attribution_pairs"]
    made.tables["attribution_pairs"] = table[table["kind"] != "surrogate"]
    assert reason(CHECK, made) == "no maps of a network with another surrogate were made"
    constant = change(
        record(), "attribution_pairs", {"kind": "surrogate"}, rank_correlation=math.nan
    )
    assert reason(CHECK, constant) == (
        "the maps of a network with another surrogate are constant and have no ranks"
    )
