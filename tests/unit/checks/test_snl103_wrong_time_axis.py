"""SNL103: a change at one time step or sample moves what comes before it or lies beside it."""

from __future__ import annotations

import math
from typing import Any

from snnlens.checks.wrong_time_axis import WrongTimeAxis
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layers, made, only, passes, reason

CHECK = WrongTimeAxis()
NONE = {"not_applicable": "T = 1: there is no step before the change"}


def tried(before: Any = 0.0, others: Any = 0.0) -> Record:
    time = before if isinstance(before, dict) else {"step": 2, "before": before, "site": "1"}
    sample = (
        others if isinstance(others, dict) else {"sample": 3, "others": others, "site": "output"}
    )
    return made(layers(0.2, 0.2), time_axis="on axis 0", time_steps=4,
                tests={"time": time, "samples": sample})  # fmt: skip


def test_earlier_steps_move() -> None:
    finding = only(CHECK, tried(before=1.0))
    assert (finding.severity, finding.site) == ("warning", "1")
    assert finding.evidence == (
        "net: a change at step 2 moves earlier steps by up to 1 at 1, bound 0 (time was taken to "
        "be on axis 0, T = 4)"
    )


def test_other_samples_move() -> None:
    """The output is no site of the model."""
    finding = only(CHECK, tried(others=0.5))
    assert (finding.severity, finding.site) == ("error", None)
    assert "a change of sample 3 moves other samples by up to 0.5 at output" in finding.evidence


def test_both_are_one_finding() -> None:
    finding = only(CHECK, tried(before=1.0, others=0.5))
    assert (finding.severity, finding.site) == ("error", "1")


def test_a_causal_network_passes() -> None:
    assert passes(CHECK, tried())
    assert passes(CHECK, tried(before=NONE))  # the samples were tried


def test_neither_was_tried() -> None:
    assert reason(CHECK, tried(before=NONE, others=NONE)) == NONE["not_applicable"]
    assert "snnlens checkup" in reason(CHECK, made(layers(0.2)))
    assert "not finite" in reason(CHECK, tried(before=math.nan))


def test_both_are_said_the_samples_first() -> None:
    assert only(CHECK, tried(before=0.001, others=0.002)).evidence == (
        "net: a change of sample 3 moves other samples by up to 0.002 at output; a change at step "
        "2 moves earlier steps by up to 0.001 at 1, bound 0 (time was taken to be on axis 0, T = 4)"
    )


def test_where_the_time_axis_is_not_known() -> None:
    record = tried(before=1.0)
    del record.networks["net"]["time_axis"]
    assert only(CHECK, record).evidence.endswith("by up to 1 at 1, bound 0")


def test_one_of_the_two_was_not_tried() -> None:
    assert only(CHECK, tried(before=NONE, others=0.5)).severity == "error"
    assert only(CHECK, tried(before=0.5, others=NONE)).severity == "warning"
    assert "not finite" in reason(CHECK, tried(before=NONE, others=math.nan))
    other = {"not_applicable": "one sample"}
    assert reason(CHECK, tried(before=NONE, others=other)) == (
        "T = 1: there is no step before the change; one sample"
    )
