"""SNL101: two equal calls give different outputs, because state is left over from the first."""

from __future__ import annotations

import math
from typing import Any

import pytest

from snnlens.checks.reset_forgotten import ResetForgotten
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layers, made, only, passes, reason

CHECK = ResetForgotten()


def tried(**repeat: Any) -> Record:
    return made(layers(0.2), samples=8, tests={"repeat": {"samples": 4} | repeat})


def test_it_fires_as_a_note() -> None:
    finding = only(CHECK, tried(difference=0.25, after_reset=0.0))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "net: two equal calls in evaluation mode differ by up to 0.25, bound 0; after a reset by 0 "
        "(N = 4 samples)"
    )
    for framework in ("SpikingJelly", "snnTorch", "Norse", "sinabs"):
        assert framework in finding.next


def test_equal_calls_pass() -> None:
    assert passes(CHECK, tried(difference=0.0, after_reset=0.0))


def test_a_difference_after_the_reset_is_something_else() -> None:
    """Noise, not state: neither a pass nor an issue."""
    assert "even after a reset" in reason(CHECK, tried(difference=0.2, after_reset=1e-7))


@pytest.mark.parametrize("bad", [{"difference": math.nan, "after_reset": 0.0},
                                 {"difference": 0.0, "after_reset": math.nan}])  # fmt: skip
def test_nan_says_nothing(bad: dict[str, float]) -> None:
    assert "not finite" in reason(CHECK, tried(**bad))


def test_nobody_tried() -> None:
    assert "snnlens checkup" in reason(CHECK, made(layers(0.2)))
    assert reason(CHECK, tried(not_applicable="it is stateless")) == "it is stateless"


def test_without_the_number_of_samples() -> None:
    finding = only(CHECK, tried(difference=1e-9, after_reset=0.0, samples=None))
    assert finding.evidence.endswith("differ by up to 1e-09, bound 0; after a reset by 0")
