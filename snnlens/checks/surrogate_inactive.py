"""SNL307: the membrane stays where the surrogate gradient passes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, most, names
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding

SHARE = 0.01


class SurrogateInactive(Check):
    """The share of neuron-steps with sigma' != 0; where sigma' is never 0, its mean over its peak."""

    name = "surrogate_inactive"
    code = "SNL307"
    title = "the surrogate gradient is inactive"
    why = (
        "The gradient passes a spiking layer only where the membrane is near the threshold; here it "
        "hardly ever is, so what lies before the layer hardly learns."
    )
    next = (
        "Bring the membrane to the threshold: normalise the input current (BatchNorm before the "
        "neuron, a larger gain of the weights), or set the threshold to the scale of the input; or "
        "widen the surrogate (a smaller alpha or slope, a wider rectangle)."
    )
    reference = "SpikingJelly issue #190; snnTorch issue #427; Zenke and Vogels 2021"
    formula = "sum [sigma' != 0] / neuron-steps, or mean sigma' / max sigma'"
    thresholds = {
        "share": "below 0.01; ours: 99 of 100 gradients are lost, more than a learning rate can mend"
    }
    needs = ("surrogate_active",)

    def lacks(self, seen: Seen) -> str:
        none = "no spiking layer has a surrogate that its adapter knows; name one that does"
        return super().lacks(seen) or ("" if len(_shares(seen)) else none)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = _shares(seen)
        bad = rows[rows["share"] < SHARE]
        if not len(bad):
            return
        worst = most(bad.assign(least=-bad["share"]), "least")
        rest = [s for s in bad["site"] if s != worst["site"]]
        also = f"; also at {names(rest)}" if rest else ""
        evidence = (
            f"{seen.name}: at {worst['site']} {worst['what']} is {worst['share']:.2g}, bound {SHARE} "
            f"({extent(worst)}){also}"
        )
        yield self.finding("warning", str(worst["site"]), evidence)


def _shares(seen: Seen) -> pd.DataFrame:
    """Per layer the smaller of the active share and the mean slope over the largest."""
    rows = seen.layers("surrogate_active")
    active = rows["surrogate_active"].to_numpy(float) if len(rows) else np.empty(0)
    mean = np.full(len(rows), np.nan)
    if {"surrogate_mean", "slope"} <= set(rows) and len(rows):
        slope = rows["slope"].to_numpy(float)
        slope = np.where(slope > 0, slope, np.nan)
        mean = rows["surrogate_mean"].to_numpy(float) / slope
    by_mean = mean < active  # never true of NaN
    what = np.where(by_mean, "the mean of sigma' over its peak",
                    "the share of neuron-steps with sigma' != 0")  # fmt: skip
    return rows.assign(share=np.where(by_mean, mean, active), what=what)
