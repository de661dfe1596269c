"""SNL205: the membrane lies far outside the range between rest and threshold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, most, names
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding

LOW, HIGH = 0.5, 0.25


class MembraneFar(Check):
    """The share of neuron-steps with H below -1 threshold, and with H above 3 thresholds.

    H is the membrane as it is compared with the threshold, before the reset; rest is 0.
    """

    name = "membrane_far"
    code = "SNL205"
    title = "the membrane is far outside the threshold"
    why = (
        "There a spike (or its absence) tells nothing of the size of the input, and the surrogate "
        "gradient is near its end: atan with alpha = 2 has 2.5 % of its peak 2 thresholds away."
    )
    next = (
        "Bring the input current to the scale of the threshold: BatchNorm before the neuron, "
        "smaller weights, inputs of 0 to 1; with a soft reset a membrane may pile up, so try a hard "
        "one or a leak; below, look for a large negative bias or inhibition that nothing resets."
    )
    reference = "snnTorch issues #66 (membrane above 100 thresholds) and #427"
    formula = "[H < -V_th] / neuron-steps, [H > 3 V_th] / neuron-steps"
    thresholds = {
        "low": "0.5; ours: a normalised current in an IF neuron puts up to a third there within 4 "
        "steps, so that half is no sign of health any more",
        "high": "0.25; ours: a normalised current puts below 1 % there, and a quarter of the layer "
        "then has no gradient to speak of",
    }
    needs = ("membrane",)

    def lacks(self, seen: Seen) -> str:
        none = "no membrane is known of any spiking layer; use an adapter that shows it"
        return super().lacks(seen) or ("" if len(_rows(seen)) else none)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = _rows(seen)
        low, high = rows["membrane_low_share"] / LOW, rows["membrane_high_share"] / HIGH
        rows = rows.assign(worse=np.maximum(low, high), up=high > low)
        bad = rows[rows["worse"] > 1]
        if not len(bad):
            return
        worst = most(bad, "worse")
        rest = [s for s in bad["site"] if s != worst["site"]]
        also = f"; also at {names(rest)}" if rest else ""
        share = worst["membrane_high_share" if worst["up"] else "membrane_low_share"]
        where = "above 3 thresholds" if worst["up"] else "below -1 threshold"
        evidence = (
            f"{seen.name}: at {worst['site']} the membrane is {where} in {share:.1%} of the "
            f"neuron-steps, bound {HIGH if worst['up'] else LOW:.0%} ({extent(worst)}){also}"
        )
        yield self.finding("warning", str(worst["site"]), evidence)


def _rows(seen: Seen) -> pd.DataFrame:
    rows = seen.layers("membrane_low_share", "membrane_high_share")
    lost = seen.broken("input_current", "current")  # its membrane is no number: SNL301
    return rows[~rows["site"].isin(list(lost))]
