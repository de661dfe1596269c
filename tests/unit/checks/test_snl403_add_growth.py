"""SNL403: the output of SEW ADD blocks grows beyond what adding spikes can give."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnlens.analysis import rates
from snnlens.checks.add_growth import AddGrowth, _bounds
from snnlens.recording import blocks
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = AddGrowth()
BOUNDS = np.array(
    [2, 3, 2, 3, 2, 3, 2, 3]
)  # depth 18: two blocks a stage, the stem before the first


def added(largest: Any, connect: str | None = "add", **facts: Any) -> Record:
    return record(Net("sew", connect, largest=largest, facts=facts), depth=18)


def test_the_bounds_themselves_pass() -> None:
    """The claim of the rates question is the second way to the same bounds."""
    assert passes(CHECK, added(BOUNDS))
    (network,) = blocks.networks(added(BOUNDS))
    assert rates._add_bound(network)[0] == 0  # the excess: each block is at its bound


def test_the_first_block_above_its_bound() -> None:
    largest = BOUNDS.astype(float)
    largest[4:] = [2.5, 3.5, 2.5, 3.5]
    finding = only(CHECK, added(largest))
    assert (finding.severity, finding.site) == ("warning", "layer3.0.output")
    assert finding.evidence == (
        "sew-add: the largest value of O^4 is 2.5, bound 2; 4 of 8 blocks are above theirs (N = 32 "
        "samples, T = 4)"
    )


def test_foreign_blocks_by_their_signal() -> None:
    """A foreign model says no connect function; its blocks put out counts."""
    foreign = added(9.0)
    del foreign.networks["sew-add"]["connect"]
    assert "ADD" in reason(CHECK, foreign)
    foreign.sites["signal"] = "counts"
    assert only(CHECK, foreign).site == "layer1.0.output"


def test_blocks_that_join_otherwise() -> None:
    assert "ADD" in reason(CHECK, added(9.0, "iand"))


def test_the_stem_fires_once_and_each_block_adds_one() -> None:
    kinds = ["basic", "basic", "downsample", "basic", "downsample", "downsample"]
    assert _bounds(kinds).tolist() == [2, 3, 2, 3, 2, 2]


def test_outputs_without_a_number_are_none_to_judge() -> None:
    rows = [layer(), {"role": "block_output", "block": 0, "signal": "counts"}]
    assert "ADD" in reason(CHECK, made(rows, connect="add"))
