"""SNL202: a spiking layer without a single spike; the first one of them."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import NO_RATES, Seen, no_spikes, others, severity
from snnlens.measures.silence import MINIMUM_OBSERVATIONS
from snnlens.recording.result import Finding


class SilentLayer(Check):
    """No spike of any neuron of a layer over all samples and steps.

    The first silent layer is the finding; the ones behind it are often silent because it is.
    """

    name = "silent_layer"
    code = "SNL202"
    title = "a layer is silent"
    why = (
        "Nothing passes a silent layer: all behind it sees a constant, and the loss stays constant."
    )
    next = (
        "Look at the first silent layer only. Raise its input current (larger weights, BatchNorm "
        "before the neuron, a larger gain of the input), or lower its threshold, or use more time "
        "steps; with a leak that divides the input by tau, multiply by tau or switch decay_input "
        "off. In evaluation mode look at the running statistics of the BatchNorm before it."
    )
    reference = (
        "SpikingJelly issues #285 and #216; snnTorch issue #33; Fang et al. 2021, Section 4.1"
    )
    formula = "sum of spikes over neurons, steps and samples = 0"
    thresholds = {
        "spikes": "exactly 0; nothing is chosen",
        "error": f"from {MINIMUM_OBSERVATIONS} neuron-steps on, below a warning; ours, as in SNL203: "
        "the layer's rate is then below 1.2 %",
    }
    needs = ("firing_rate",)

    def lacks(self, seen: Seen) -> str:
        return super().lacks(seen) or ("" if len(seen.layers("nonzero_share")) else NO_RATES)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        layers = seen.layers("nonzero_share")
        zero = (layers["nonzero_share"] == 0) & ~layers["site"].isin(list(seen.constant))
        silent = layers[zero]
        if len(silent):
            first = silent.iloc[0]
            evidence = (
                f"{seen.name}: {first['site']} is the first silent layer of {len(layers)}: "
                f"{no_spikes(first)}{others(len(silent) - 1, 'silent')}"
            )
            yield self.finding(severity(first), str(first["site"]), evidence)
