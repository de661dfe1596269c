"""SNL207: the threshold is outside the reach of the membrane's fluctuations."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, finite, names
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding

LOW, HIGH = 1.0, 3.0


class XiRange(Check):
    """xi = (theta - mu_U) / sigma_U of the free membrane of each leaky layer, before any training.

    Below the range a layer is driven by its mean, above it hardly fires. A note: it is a rule for
    initialisation, and a trained layer may leave it.
    """

    name = "xi_range"
    code = "SNL207"
    title = "xi is outside its working range"
    why = (
        "Where fluctuations reach the threshold and the mean does not, layers fire sparsely and keep "
        "doing so with depth; outside, a deep network may not begin to learn."
    )
    next = (
        "Scale the weights: sigma_U grows in proportion, xi falls. Shift the bias to move mu_U. "
        "With BatchNorm before the neuron, set its weight and bias to the sigma and mu that give "
        "xi = 1 to 3 at this threshold and tau."
    )
    reference = (
        "Rossbroich, Gygax and Zenke 2022 (fluctuation-driven initialisation); snnTorch #450"
    )
    formula = "xi = (theta - mu_U) / sigma_U, settled, for a leak below 1"
    thresholds = {"range": "1 to 3, the working range of Rossbroich et al. 2022"}
    needs = ("input_current",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        rows = seen.layers("xi")
        if len(rows) and finite(rows, "xi").any():
            return ""
        return (
            "no spiking layer has a leak and a known threshold: the free membrane of an IF neuron "
            "never settles, so it has no xi (per step it has, see the record's input_current)"
        )

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = seen.layers("xi")
        rows = rows[finite(rows, "xi")]
        bad = rows[(rows["xi"] < LOW) | (rows["xi"] > HIGH)]
        if not len(bad):
            return
        first = bad.iloc[0]
        rest = f"; also {names(list(bad['site'])[1:])}" if len(bad) > 1 else ""
        evidence = (
            f"{seen.name}: xi = {first['xi']:.3g} at {first['site']}, bounds {LOW:g} and {HIGH:g}; "
            f"{len(bad)} of {len(rows)} leaky layers are outside ({extent(first)}){rest}"
        )
        yield self.finding("note", str(first["site"]), evidence)
