"""SNL402: SEW blocks that join by AND go silent with depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnlens.checks.and_silence import AndSilence
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import only, passes, reason

CHECK = AndSilence()


def joined(nonzero: Any, connect: str = "and") -> Record:
    return record(Net("sew", connect, nonzero=nonzero), depth=18)


def test_the_first_silent_block() -> None:
    finding = only(CHECK, joined(np.array([0.2, 0.1, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0])))
    assert (finding.severity, finding.site) == ("warning", "layer2.1.output")
    assert finding.evidence == (
        "sew-and: O^3 is the first of 5 silent block outputs of 8; the share that fires goes from "
        "0.2 at O^0 to 0 at O^7 (N = 32 samples, T = 4)"
    )


def test_a_rate_that_falls_by_a_factor() -> None:
    """0.5^7 = 1/128, a line without noise."""
    finding = only(CHECK, joined(0.2 * 0.5 ** np.arange(8)))
    assert finding.site == "layer4.1.output"
    assert "a factor 0.5 per block (95 % 0.5 to 0.5), over 7 blocks 7.8e-03" in finding.evidence


@pytest.mark.parametrize(("total", "issue"), [(0.0102, False), (0.0098, True)])
def test_at_its_bound(total: float, *, issue: bool) -> None:
    assert passes(CHECK, joined(0.2 * np.geomspace(1, total, 8))) is not issue


def test_zero_init_keeps_the_rate() -> None:
    assert passes(CHECK, joined(0.25))


def test_blocks_that_join_otherwise() -> None:
    assert "AND" in reason(CHECK, joined(0.0, "add"))
