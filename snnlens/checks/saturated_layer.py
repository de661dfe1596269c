"""SNL204: a spiking layer that fires at nearly every step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import NO_RATES, Seen, names
from snnlens.measures.silence import MINIMUM_OBSERVATIONS
from snnlens.recording.extent import extent, observations
from snnlens.recording.result import Finding

RATE, SHARE = 0.9, 0.5


class SaturatedLayer(Check):
    """The share of neuron-steps with a spike, and of neurons that fire at every step.

    In a layer with graded output, the share of its values that are not 0.
    """

    name = "saturated_layer"
    code = "SNL204"
    title = "a layer is saturated"
    why = (
        "A neuron that always fires says nothing, and its membrane is where the surrogate gradient "
        "is smallest; it also costs as many operations as a dense layer."
    )
    next = (
        "Raise the threshold, normalise the input current (BatchNorm before the neuron, smaller "
        "weights), scale the input to 0 to 1, or use a leak. Look at the first saturated layer: "
        "those behind it often follow."
    )
    reference = "Shannon 1948 (the entropy of a binary source); Rossbroich et al. 2022"
    formula = "spikes / (neurons x T x samples); neurons that fire at every step / neurons"
    thresholds = {
        "rate": "0.9; ours: the entropy of a spike is then at most H(0.9) = 0.47 bit of the 1 it "
        "could have",
        "share": "0.5 of the neurons fire at every step; ours: the layer has lost half of its width; "
        f"judged from N T = {MINIMUM_OBSERVATIONS} on, where chance explains none of it",
    }
    needs = ("firing_rate",)

    def lacks(self, seen: Seen) -> str:
        return super().lacks(seen) or ("" if len(seen.layers("nonzero_share")) else NO_RATES)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        layers = seen.layers("nonzero_share")
        layers = layers[~layers["site"].isin(list(seen.constant))]
        often, always = layers["nonzero_share"] > RATE, _always(layers) > SHARE
        bad = layers[often | always]
        if not len(bad):
            return
        first = bad.iloc[0]
        rest = f"; also {names(list(bad['site'])[1:])}" if len(bad) > 1 else ""
        neurons = (
            f", {first['saturated_share']:.1%} of its {int(first['neurons'])} neurons at every step "
            f"(bound {SHARE:.0%})"
            if _always(bad).iloc[0] > SHARE
            else ""
        )
        evidence = (
            f"{seen.name}: {first['site']} fires in {first['nonzero_share']:.1%} of the neuron-steps "
            f"(bound {RATE:.0%}){neurons} ({extent(first)}){rest}"
        )
        yield self.finding("warning", str(first["site"]), evidence)


def _always(layers: pd.DataFrame) -> pd.Series:
    """The share of neurons that always fire, where enough was seen to say so; else 0."""
    share = pd.Series(0.0, index=layers.index)
    if "saturated_share" in layers:
        enough = [observations(row) >= MINIMUM_OBSERVATIONS for _, row in layers.iterrows()]
        share = share.mask(np.array(enough, bool), layers["saturated_share"].astype(float))
    return share
