"""SNL203: a layer with more silent neurons than chance explains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, most, names
from snnlens.measures.silence import MINIMUM_OBSERVATIONS, rule_of_three, silent_by_chance
from snnlens.recording.extent import extent, observations
from snnlens.recording.result import Finding

NOTE, WARNING = 0.2, 0.5


class SilentNeurons(Check):
    """The share of neurons without a spike, less (1 - r)^(N T) at the layer's mean rate r.

    Of layers that fire at all: SNL202 has the others.
    """

    name = "silent_neurons"
    code = "SNL203"
    title = "many neurons of a layer are silent"
    why = "A neuron that never fires holds weights that do nothing: the layer is as narrow as the rest."
    next = (
        "Look at the layer's channels: a channel that is silent as a whole has a bias or BatchNorm "
        "shift far below the threshold; silent positions see a flat input (the border of a digit) "
        "and are harmless. Else lower the threshold, add a firing-rate term to the loss, or show "
        "more samples to see whether the neurons are rare rather than dead."
    )
    reference = "Hanley and Lippman-Hand 1983 (the bound); Rossbroich et al. 2022 (silent neurons)"
    formula = "silent / neurons - (1 - r)^(N T)"
    thresholds = {
        "warning": "0.5 beyond chance; ours: the layer then has less than half of its width",
        "note": "0.2; ours: a layer of a healthy SEW-18 on digits was measured at 5 to 8 %",
        "observations": f"N T of at least {MINIMUM_OBSERVATIONS}; ours: below, the bound 3/(N T) on "
        "a silent neuron's rate is above 1.2 %, a rate that many healthy neurons have",
    }
    needs = ("silence", "firing_rate")

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        layers = seen.layers("silent_share", "nonzero_share")
        most = max((observations(row) for _, row in layers.iterrows()), default=0)
        few = (
            f"N T = {most}: below {MINIMUM_OBSERVATIONS} a silent neuron may just be rare; show a "
            "larger batch"
        )
        return "" if most >= MINIMUM_OBSERVATIONS else few

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = _beyond(seen)
        bad = rows[rows["beyond"] > NOTE]
        if not len(bad):
            return
        worst = most(bad, "beyond")
        rest = [s for s in bad["site"] if s != worst["site"]]
        also = f"; also at {names(rest)}" if rest else ""
        channels = worst.get("silent_channel_share")
        whole = "" if channels is None or pd.isna(channels) else f", {channels:.1%} of its channels"
        severe = worst["beyond"] > WARNING
        evidence = (
            f"{seen.name}: {worst['silent_share']:.1%} of {int(worst['neurons'])} neurons{whole} are "
            f"silent at {worst['site']}, {worst['chance']:.1%} expected by chance at its rate of "
            f"{worst['nonzero_share']:.3g}, bound {WARNING if severe else NOTE:.0%} beyond "
            f"({extent(worst)}; a silent neuron's rate is below {rule_of_three(worst['seen']):.2g} "
            f"with 95 %){also}"
        )
        yield self.finding("warning" if severe else "note", str(worst["site"]), evidence)


def _beyond(seen: Seen) -> pd.DataFrame:
    """Per layer that fires and was seen enough: its silent share, that by chance, the difference."""
    rows = seen.layers("silent_share", "nonzero_share")
    rows = rows.assign(seen=[observations(row) for _, row in rows.iterrows()])
    rows = rows[(rows["seen"] >= MINIMUM_OBSERVATIONS) & (rows["nonzero_share"] > 0)]
    chance = [
        float(silent_by_chance(rate, int(n)))
        for rate, n in zip(rows["nonzero_share"], rows["seen"], strict=True)
    ]
    beyond = rows["silent_share"].to_numpy(float) - np.asarray(chance)
    return rows.assign(chance=chance, beyond=beyond)
