"""SNL402: SEW blocks that join by AND go silent with depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnlens.checks.and_silence import AndSilence
from snnlens.measures.fit import factor_per_block
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import made, only, passes, reason

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


def outputs(*shares: float | None) -> Record:
    """Block outputs that fire in these shares; None was not recorded."""
    rates = [{} if share is None else {"rate": share} for share in shares]
    rows = [{"site": f"b{b}.output", "role": "block_output", "block": b} | rate
            for b, rate in enumerate(rates)]  # fmt: skip
    return made(rows, connect="and")


def test_a_factor_needs_four_blocks_and_silence_none() -> None:
    assert passes(CHECK, outputs(0.2, 0.2, 0.2, 0.2))
    assert reason(CHECK, outputs(0.2, 0.2, 0.2)) == "3 blocks: a factor per block needs at least 4"
    assert only(CHECK, outputs(0.2, 0.0, 0.2)).site == "b1.output"


def test_from_the_first_share_to_the_last() -> None:
    finding = only(CHECK, outputs(0.8, 0.08, 0.008, 0.0008))
    assert finding.evidence.endswith(
        "the share that fires goes from 0.8 at O^0 to 0.0008 at O^3 (N = 128 samples, T = 4)"
    )


def test_blocks_that_were_not_recorded_are_left_out() -> None:
    assert passes(CHECK, outputs(0.2, None, 0.2, 0.2, 0.2))


def test_the_first_share_is_that_of_the_first_block_that_was_recorded() -> None:
    text = only(CHECK, outputs(None, 0.8, 0.08, 0.008, 0.0008)).evidence
    assert "the share that fires goes from 0.8 at O^1 to 0.0008 at O^4" in text


def test_a_block_in_the_middle_that_was_not_recorded_leaves_a_gap() -> None:
    """0.1 per block from O^1 to O^5, O^3 unknown: 1e-4 over 4 blocks."""
    text = only(CHECK, outputs(None, 0.8, 0.08, None, 0.0008, 8e-5)).evidence
    assert "a factor 0.1 per block" in text
    assert "over 4 blocks 1.0e-04" in text
    assert "from 0.8 at O^1 to 8e-05 at O^5" in text
    dead = only(CHECK, outputs(0.2, None, 0.2, 0.0, 0.0, 0.2)).evidence
    assert "O^3 is the first of 2 silent block outputs of 5" in dead


def test_outputs_without_a_number_do_not_count() -> None:
    assert reason(CHECK, outputs(0.2, 0.2, 0.2, None)).startswith("3 blocks: ")


def test_shares_that_fall_by_chance_are_no_trend() -> None:
    """Over six blocks the line falls below the bound, and its interval goes up to 1 and more."""
    shares = (0.9, 0.05, 0.5, 0.001, 0.3, 0.0005, 0.01)
    fit = factor_per_block(np.array(shares), np.arange(7))
    assert fit.total(6) < 1e-2
    assert 1 < fit.high < 2
    assert passes(CHECK, outputs(*shares))
