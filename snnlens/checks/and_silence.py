"""SNL402: SEW blocks that join by AND go silent with depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnlens.checks import _line
from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.measures.fit import GeometricFit, factor_per_block
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding

TOTAL = 1e-2


class AndSilence(Check):
    """O = A and S fires at most where S does: the rate of O^l can only fall inside an area."""

    name = "and_silence"
    code = "SNL402"
    title = "AND blocks go silent with depth"
    why = "Each AND block removes spikes and none adds any; the gradient is a product with them."
    next = (
        "Join by add or iand; or use zero-init with a BatchNorm bias of at least V_th, so that each "
        "branch begins with A = 1 and the block as the identity."
    )
    reference = "Fang et al. 2021, Section 4.1 and Fig. 5; Spike-Element-Wise-ResNet issue #21"
    formula = "share of O^l that fires: 0 at a block, or c f^l with f^(L-1) < 1e-2"
    thresholds = {
        "total": "1e-2 over the recorded depth; ours, as in SNL208",
        "interval": _line.INTERVAL,
        "points": "4 blocks that fire; ours: the interval needs degrees of freedom",
    }
    needs = ("firing_rate",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        if seen.facts.get("connect") != "and":
            return "no block is known to join by AND (the fact `connect` of the record)"
        rows = seen.sites("block_output", "nonzero_share")
        few = len(rows) < _line.POINTS and bool((rows["nonzero_share"] > 0).all())
        return f"{len(rows)} blocks: a factor per block needs at least {_line.POINTS}" * few

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = seen.sites("block_output", "nonzero_share").sort_values("block", kind="stable")
        shares = rows["nonzero_share"].to_numpy(float)
        blocks = rows["block"].to_numpy(int)
        fit = factor_per_block(shares, blocks)
        dead = np.flatnonzero(shares == 0)
        at = int(dead[0]) if len(dead) else len(shares) - 1
        span = int(blocks[at] - blocks[0])
        if len(dead):
            how = (
                f"O^{blocks[at]} is the first of {len(dead)} silent block outputs of {len(shares)}"
            )
        elif fit.total(span) < TOTAL and fit.high < 1:
            how = f"{_words(fit)}, over {span} blocks {fit.total(span):.1e}, bound {TOTAL:g}"
        else:
            return
        row = rows.iloc[at]
        evidence = (
            f"{seen.name}: {how}; the share that fires goes from {shares[0]:.3g} at O^{blocks[0]} "
            f"to {shares[-1]:.3g} at O^{blocks[-1]} ({extent(row)})"
        )
        yield self.finding("warning", str(row["site"]), evidence)


def _words(fit: GeometricFit) -> str:
    return f"a factor {fit.factor:.3g} per block (95 % {fit.low:.3g} to {fit.high:.3g})"
