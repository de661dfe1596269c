"""SNL201: block outputs without a single spike."""

from __future__ import annotations

from snnlens.checks._base import Check, has_blocks, judged
from snnlens.recording.record import Record
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
    needs = ("firing_rate",)

    def applies(self, record: Record) -> bool:
        return super().applies(record) and has_blocks(record)

    def findings(self, record: Record) -> list[Finding]:
        found = []
        for network in judged(record):
            shares = network.blocks["nonzero_share_output"]
            silent = [int(str(block)) for block in shares.index[shares == 0]]
            if silent:
                row = network.blocks.iloc[silent[0]]
                seen = f"{row['batch_output']} samples, T = {row['time_steps_output']}"
                site = str(row["site_output"])
                evidence = (
                    f"{network.name}: {len(silent)} of {len(shares)} block outputs are silent "
                    f"over {seen}; the first is O^{silent[0]}"
                )
                found.append(self.finding("error", site, evidence))
        return found
