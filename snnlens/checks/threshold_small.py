"""SNL501: thresholds so small that clipping is the largest error of a layer: no T cures it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._conversion import (
    OF_THE_SIGNAL,
    PART,
    ConversionCheck,
    also,
    extent,
    layers,
    longest,
)
from snnlens.checks._seen import Seen, most
from snnlens.measures.conversion import share
from snnlens.measures.quotients import ratio
from snnlens.recording.result import Finding


class ThresholdSmall(ConversionCheck):
    """Root mean squares over neurons and samples, in thresholds, at the largest T of the run.

    e_clip = clip(z, 0, theta) - ReLU(z); e_quant = QCFS_T(z) - clip(z, 0, theta); a the ANN's
    activation. A QCFS network is not judged: its ANN clips at the same theta.
    """

    name = "threshold_small"
    code = "SNL501"
    title = "a threshold is too small: clipping dominates"
    why = (
        "A neuron fires at most once per step, so that its mean output ends at theta. What the ANN "
        "has above is lost at every T: the accuracy stops rising before it reaches the ANN's."
    )
    next = (
        "Take a higher quantile of the activations, or their maximum (thresholds of the training "
        "set, per channel), and more samples to find it; then look at SNL502. Or train the ANN with "
        "QCFS or a clip at theta, so that it knows the end of the range."
    )
    reference = "Bu et al. 2022 (the three errors); Rueckauer et al. 2017 (quantile thresholds)"
    formula = "rms(e_clip) > rms(e_quant) at the largest T, and > 0.1 rms(a)"
    thresholds = {
        "dominates": "rms(e_clip) above rms(e_quant) at the largest T; nothing is chosen: of the two "
        "e_quant alone falls with T, as 1 / T",
        "share": OF_THE_SIGNAL,
        "warning": "more values are above theta than a layer's dead channels hold; else a note: errors "
        "are in units of their own theta, and that of a dead channel is a guess (SNL508)",
    }
    reads = ("conversion_layers",)

    def lacks(self, seen: Seen) -> str:
        own = "the ANN clips at the same thresholds itself (QCFS), so that the conversion clips nothing"
        return super().lacks(seen) or (own if seen.facts.get("activation") == "qcfs" else "")

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = longest(layers(seen))
        dead = share(rows["dead_channels"], rows["channels"])
        rows = rows.assign(
            part=ratio(rows["clip"], rows["signal"]), sure=rows["saturated_share"] > dead
        )
        bad = rows[(rows["clip"] > rows["quantisation"]) & (rows["part"] > PART)]
        if not len(bad):
            return
        sure = bool(bad["sure"].any())
        worst = most(bad[bad["sure"]] if sure else bad, "part")
        yield self.finding("warning" if sure else "note", seen.known(worst["layer"]), (
            f"{seen.name}: {_size(worst)} ({extent(seen)}){also(bad, worst)}"
        ))  # fmt: skip


def _size(row: pd.Series) -> str:
    steps, dead = int(row["time_steps"]), int(row["dead_channels"])
    equal = steps * row["quantisation"] / row["clip"]  # e_quant falls as 1 / T
    guessed = (
        ""
        if row["sure"]
        else f", maybe in {dead} dead channel{'' if dead == 1 else 's'} alone, whose theta is a guess "
        "(SNL508)"
    )
    return (
        f"clipping takes {row['clip']:.3g} theta rms at {row['layer']}, {row['part']:.1%} of its "
        f"signal (bound {PART:.0%}), quantisation {row['quantisation']:.3g} at T = {steps}; "
        f"{row['saturated_share']:.2%} of {int(row['values'])} values are above theta{guessed}; steps "
        f"beyond T = {max(equal, 1):.0f} gain less than clipping costs"
    )
