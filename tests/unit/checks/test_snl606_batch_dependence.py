"""SNL606: a sample's score depends on the samples beside it, and so does its map."""

from __future__ import annotations

import math

import pytest

from snnlens.checks.batch_dependence import BatchDependence
from snnlens.recording.record import Record
from tests.unit.attribution_record import Net, record
from tests.unit.checks.converted import OTHER
from tests.unit.checks.handmade import only, passes, reason

CHECK = BatchDependence()


def differs(part: float | None, name: str = "net") -> Record:
    """Two networks; the scores of one differ alone and in a batch by a share of their range."""
    return record(Net("same"), Net(name, facts={"alone_difference": part}))


def test_scores_that_are_the_same() -> None:
    assert passes(CHECK, record())


@pytest.mark.parametrize(
    ("part", "issue"), [(1e-6, False), (1e-3, False), (1.01e-3, True), (math.nan, True)]
)
def test_its_bound(part: float, *, issue: bool) -> None:
    assert passes(CHECK, differs(part)) is not issue


def test_the_finding() -> None:
    finding = only(CHECK, differs(0.25))
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "net: alone and in the batch the scores of a sample differ by 25 % of the scores' range, "
        "bound 0.1 %"
    )


def test_one_sample_has_no_batch() -> None:
    alone = record(Net(samples=1, facts={"alone_difference": None}))
    assert reason(CHECK, alone) == "one sample alone was shown: there is no batch to depend on"
    assert CHECK.outcome(differs(None)).reason.startswith("net: one sample alone")


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no attribution_maps; `snnlens attribution` makes one that does"
    )
