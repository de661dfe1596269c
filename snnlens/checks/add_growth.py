"""SNL403: the output of SEW ADD blocks grows beyond what adding spikes can give."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding


class AddGrowth(Check):
    """The largest value of O^l against n + 2, n blocks after a downsample block (n + 1 after the stem).

    Each identity block adds a spike at most; a downsample block adds two, the shortcut's and the
    branch's, if its shortcut ends in a spiking layer.
    """

    name = "add_growth"
    code = "SNL403"
    title = "ADD outputs grow beyond their bound"
    why = (
        "Values above the bound are no sums of spikes: a shortcut without its spiking layer lets a "
        "current through, which grows with depth, and the network is none of spikes any more."
    )
    next = (
        "End each downsample shortcut in a spiking layer (convolution, BatchNorm, neuron), feed the "
        "first block spikes, and see that nothing scales a block's output (a dropout behind the sum, "
        "an average pooling)."
    )
    reference = "Fang et al. 2021, Section 3.3; Spike-Element-Wise-ResNet issue #13"
    formula = "max O^l - bound_l > 0, bound_l = 2 at a downsample block, else bound_(l-1) + 1"
    thresholds = {"bound": "n + 2, n + 1 after the stem; Fang et al. 2021, Section 3.3"}
    needs = ("firing_rate",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        outputs = seen.sites("block_output", "largest")
        counts = bool((outputs["signal"] == "counts").all())
        by_add = seen.facts.get("connect", "add" if counts else None) == "add"
        return "" if by_add and len(outputs) else "no block is known to join by ADD"

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = seen.sites("block_output", "largest").sort_values("block", kind="stable")
        largest = rows["largest"].to_numpy(float)
        bounds = _bounds([str(kind) for kind in rows["block_kind"]])
        over = np.flatnonzero(largest > bounds)
        if len(over):
            at = int(over[0])
            row = rows.iloc[at]
            evidence = (
                f"{seen.name}: the largest value of O^{int(row['block'])} is {largest[at]:g}, bound "
                f"{bounds[at]}; {len(over)} of {len(rows)} blocks are above theirs ({extent(row)})"
            )
            yield self.finding("warning", str(row["site"]), evidence)


def _bounds(kinds: list[str]) -> np.ndarray:
    bounds, bound = [], 1
    for kind in kinds:
        bound = 2 if kind == "downsample" else bound + 1
        bounds.append(bound)
    return np.array(bounds)
