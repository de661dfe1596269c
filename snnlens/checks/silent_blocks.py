"""SNL201: block outputs without a single spike."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding


class SilentBlocks(Check):
    """The share of elements of O^l that are not 0 is exactly 0 over the recorded samples."""

    name = "silent_blocks"
    code = "SNL201"
    title = "blocks are silent"
    why = (
        "Nothing passes a silent block forward, and where the gradient is a product with its "
        "spikes (SEW and) nothing passes backward either: dead, not vanishing."
    )
    next = (
        "SEW and: use add or iand, or zero-init, which sets A = 1. Else lower the threshold, or "
        "look at the BatchNorm before the neuron (in evaluation mode: its running statistics)."
    )
    reference = "Fang et al. 2021, Section 4.1 (the silence problem), Fig. 5"
    formula = "elements of O^l that are not 0 / elements = 0"
    thresholds = {"share": "exactly 0; nothing is chosen"}
    needs = ("firing_rate",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        known = len(seen.sites("block_output", "nonzero_share"))
        return (
            "" if known else "the model has no residual block that snnlens knows; SNL202 has layers"
        )

    def judge(self, seen: Seen) -> Iterator[Finding]:
        assert seen.blocks is not None
        shares = seen.blocks.blocks["nonzero_share_output"]
        silent = [int(str(block)) for block in shares.index[shares == 0]]
        if silent:
            row = seen.blocks.blocks.loc[silent[0]]
            seen_of = seen.frame[seen.frame["site"] == row["site_output"]].iloc[0]
            evidence = (
                f"{seen.name}: {len(silent)} of {len(shares)} block outputs are silent "
                f"({extent(seen_of)}); the first is O^{silent[0]}"
            )
            yield self.finding("error", str(row["site_output"]), evidence)
