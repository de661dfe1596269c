"""SNL606: a sample's score depends on the samples beside it, and so does its map."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._attribution import AttributionCheck
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding

PART = 1e-3


class BatchDependence(AttributionCheck):
    """The largest difference between a sample's scores alone and in the batch."""

    name = "batch_dependence"
    code = "SNL606"
    title = "scores depend on the batch"
    why = (
        "Attribution runs many versions of a sample as one batch. Where the samples of a batch change "
        "each other's scores (a state that is not reset, statistics of the batch, the axes of time and "
        "batch mixed up), the map explains the batch, not the sample."
    )
    next = (
        "Say which axis is time (--time-axis). Run `snnlens checkup`: SNL101 finds a reset that was "
        "forgotten, SNL103 a time axis that is the batch. With one sample a batch (--internal-batch 1) "
        "nothing is beside it."
    )
    reference = "captum, whose methods take each sample of a batch for independent"
    formula = "max of |score alone - score in the batch| / (largest - smallest score) > 0.001"
    thresholds = {
        "part": "0.001 of the scores' range; ours: sums of float32 in another order differ by 1e-6, so "
        "what is larger is no rounding, but for a spike that hangs on it"
    }
    reads = ("attribution_maps",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        known = seen.facts.get("alone_difference") is not None
        return "" if known else "one sample alone was shown: there is no batch to depend on"

    def judge(self, seen: Seen) -> Iterator[Finding]:
        part = float(seen.facts["alone_difference"])
        if not part <= PART:  # NaN is no score at all
            yield self.finding("warning", None, (
                f"{seen.name}: alone and in the batch the scores of a sample differ by "
                f"{100 * part:.3g} % of the scores' range, bound {100 * PART:g} %"
            ))  # fmt: skip
