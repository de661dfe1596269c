"""SNL206: nothing comes out of the network."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import NO_RATES, Seen, no_spikes, severity
from snnlens.measures.silence import MINIMUM_OBSERVATIONS
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding


class OutputSilent(Check):
    """The last spiking layer (or the last block's output) never fires, or every output is 0."""

    name = "output_silent"
    code = "SNL206"
    title = "the output is silent"
    why = (
        "All outputs are equal, so the loss is that of guessing, ln(classes) for a cross-entropy, "
        "and stays there."
    )
    next = (
        "Let the last layer not spike and read its current or membrane (a plain linear layer behind "
        "the spiking ones, a leaky readout without threshold), lower its threshold, or use more time "
        "steps. If layers before it are silent too, begin with the first of them (SNL202)."
    )
    reference = "SpikingJelly issue #216 (the loss stays at one value)"
    formula = "sum of the last layer's spikes = 0, or share of outputs that are 0 = 1"
    thresholds = {
        "spikes": "exactly 0; nothing is chosen",
        "error": f"from {MINIMUM_OBSERVATIONS} neuron-steps on, below a warning; ours, as in SNL202",
    }

    def lacks(self, seen: Seen) -> str:
        known = _last(seen) is not None or "zero_share" in seen.test("output")
        return "" if known else NO_RATES

    def judge(self, seen: Seen) -> Iterator[Finding]:
        last, out = _last(seen), seen.test("output")
        if last is not None and last["nonzero_share"] == 0:
            spikes = no_spikes(last) if last["role"] == "neuron" else f"0 spikes ({extent(last)})"
            text = f"{seen.name}: {last['site']}, the last layer: {spikes}"
            yield self.finding(severity(last), str(last["site"]), text)
        elif out.get("zero_share") == 1:
            samples = seen.facts.get("samples")
            over = f" (N = {samples} samples)" if samples else ""
            text = f"{seen.name}: 100 % of the outputs are exactly 0, bound below 100 %{over}"
            yield self.finding("error", None, text)


def _last(seen: Seen) -> pd.Series | None:
    """The last spiking layer; in a network of blocks the last block's output, if that is later."""
    ends = [seen.layers("nonzero_share"), seen.sites("block_output", "nonzero_share")]
    rows = pd.concat([e for e in ends if len(e)]) if any(len(e) for e in ends) else ends[0]
    rows = rows[~rows["site"].isin(list(seen.constant))]
    return None if rows.empty else rows.loc[rows.index.max()]
