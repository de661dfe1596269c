"""SNL306: the largest surrogate slopes, multiplied over depth, are far from 1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding

BOUND, LAYERS = 1e3, 8


class SlopeDepth(Check):
    """The gradient passes a spiking layer times sigma' at most; a changed default goes to the power.

    A product over all spiking layers, as if they lay in a row; with shortcuts around them it is an
    upper end, and the finding a note.
    """

    name = "slope_depth"
    code = "SNL306"
    title = "the surrogate's slope explodes or vanishes over depth"
    why = (
        "A slope of 1.5 is harmless in 3 layers and a factor 1000 in 17: why a deep net breaks when "
        "a library changes its default surrogate."
    )
    next = (
        "Keep the largest derivative at 1: atan with alpha = 2, a sigmoid with alpha = 4, a "
        "triangle of height 1, a fast sigmoid 1 / (1 + k abs(x))^2 without a factor. Name the "
        "surrogate and its alpha in your code instead of taking the library's default."
    )
    reference = (
        "SpikingJelly issue #160 (keep the maximum of the derivative at 1); Fang et al. 2021"
    )
    formula = "product over the spiking layers of max sigma'"
    thresholds = {
        "product": "above 1e3 or below 1e-3; ours: as for the gradient itself, SNL302 and SNL303",
        "layers": "8 with a known slope; ours: in fewer a slope has to be off by 2.4 to matter",
    }

    def lacks(self, seen: Seen) -> str:
        count = len(_sloped(seen))
        return "" if count >= LAYERS else (
            f"{count} spiking layers have a known surrogate slope; over fewer than {LAYERS} it "
            "hardly multiplies (an adapter that knows the neuron's surrogate gives the slope)"
        )  # fmt: skip

    def judge(self, seen: Seen) -> Iterator[Finding]:
        slopes = _sloped(seen)["slope"].to_numpy(float)
        log = float(np.log10(slopes).sum())
        if abs(log) <= np.log10(BOUND):
            return
        around = len(seen.sites("block_input")) and seen.facts.get("residual") != "spiking"
        evidence = (
            f"{seen.name}: {len(slopes)} spiking layers with largest slopes of {slopes.min():.3g} to "
            f"{slopes.max():.3g}, product 1e{log:+.1f}, bounds 1e-3 and 1e+3"
            + ("; its blocks have shortcuts around them" if around else "")
        )
        yield self.finding("note" if around else "warning", None, evidence)


def _sloped(seen: Seen) -> pd.DataFrame:
    rows = seen.layers("slope")
    return rows[rows["slope"] > 0] if len(rows) else rows
