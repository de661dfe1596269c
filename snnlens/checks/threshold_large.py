"""SNL502: thresholds far above what is used, so that most levels of a layer stay empty."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._conversion import PART, ConversionCheck, also, extent, layers, longest
from snnlens.checks._seen import Seen
from snnlens.measures.quotients import ratio
from snnlens.recording.result import Finding

USED, SATURATED = 0.25, 1e-3
UNIFORM = 1.5  # a uniform activation on [0, u theta] has sum(a^2) / sum(a) = 2/3 u theta


class ThresholdLarge(ConversionCheck):
    """The used range u of a layer: the uniform activation on [0, u theta] with its sum(a^2) / sum(a).

    a is the ANN's activation; zeros do not count in u, however sparse the layer is. Judged where
    nearly nothing is above theta.
    """

    name = "threshold_large"
    code = "SNL502"
    title = "a threshold is too large: quantisation dominates"
    why = (
        "T spikes divide [0, theta] into T levels. Where activations use a small part of it, T steps "
        "do the work of u T, and whatever is below theta / (2 T) gives no spike at all."
    )
    next = (
        "Take a quantile of the activations (0.999) instead of their maximum, which one sample can "
        "set, or thresholds per channel instead of per layer; else more steps. Of a QCFS network: "
        "start theta nearer to the activations, or train it longer."
    )
    reference = "Rueckauer et al. 2017 (quantile 99.9 %); Li et al. 2021 (thresholds by MMSE)"
    formula = (
        "u = 1.5 sum(a^2) / (theta sum(a)) < 0.25 and (values with z > theta) / values <= 0.001"
    )
    thresholds = {
        "used": "0.25; ours: two of the bits that log2 T steps give say nothing. Of a normal "
        "distribution behind a ReLU, theta at its maximum over 1e6 values is used to 0.4",
        "saturated": "0.001, the share that the usual quantile of 99.9 % leaves above theta: a layer "
        "with more of them has no threshold that is too large",
        "warning": f"rms(e_quant) above {PART:g} rms(a) at the largest T, as SNL501 judges clipping; "
        "below, a note: it costs steps, and this run had enough",
    }
    reads = ("conversion_layers",)

    def lacks(self, seen: Seen) -> str:
        levels = seen.facts.get("levels")
        coarse = (
            f"the ANN has {levels} levels: its smallest activation above 0, theta / {levels}, is "
            "no small part of theta"
        )
        blind = levels is not None and UNIFORM / levels >= USED
        return super().lacks(seen) or (coarse if blind else "")

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = longest(layers(seen))
        used = UNIFORM * ratio(rows["activation_squares"], rows["activation_sum"])
        rows = rows.assign(used=used, part=ratio(rows["quantisation"], rows["signal"]))
        bad = rows[(rows["used"] < USED) & (rows["saturated_share"] <= SATURATED)]
        if not len(bad):
            return
        worst = bad.iloc[int(bad["used"].to_numpy(float).argmin())]
        severe = bool((bad["part"] > PART).any())
        yield self.finding("warning" if severe else "note", seen.known(worst["layer"]),
                           _evidence(seen, bad, worst))  # fmt: skip


def _evidence(seen: Seen, bad: pd.DataFrame, worst: pd.Series) -> str:
    chosen = seen.facts.get("thresholds")
    how = f" (thresholds: {chosen})" if chosen else ""
    return (
        f"{seen.name}: the activations of {worst['layer']} use {worst['used']:.1%} of its theta "
        f"(bound {USED:.0%}){how}, and {worst['saturated_share']:.2%} of {int(worst['values'])} "
        f"values are above it; quantisation is {worst['quantisation']:.3g} theta rms, "
        f"{worst['part']:.1%} of the signal, at T = {int(worst['time_steps'])} "
        f"({extent(seen)}){also(bad, worst)}"
    )
