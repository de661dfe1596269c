"""SNL509: the ANN itself says nothing, so that its conversion has nothing to lose."""

from __future__ import annotations

import math
from collections.abc import Iterator

from snnlens.checks._conversion import ConversionCheck, accuracies, extent
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding

ERRORS = 3.0


class AnnAtChance(ConversionCheck):
    """The ANN's accuracy against 1 / classes and the standard error of a guess."""

    name = "ann_at_chance"
    code = "SNL509"
    title = "the ANN is at chance"
    why = (
        "What is converted has learned nothing, or is shown data that it does not know: no accuracy "
        "of its spiking networks means anything, however close they are."
    )
    next = (
        "Give the trained weights (--weights), and check that the data is normalised as in training; "
        "or train a built-in ANN here."
    )
    reference = "the standard error of a binomial share"
    formula = "accuracy <= 1 / classes + 3 sqrt(p (1 - p) / N), p = 1 / classes"
    thresholds = {"errors": "3 standard errors: a guess passes them in 0.1 % of runs"}
    reads = ("conversion_accuracy",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        known = seen.facts.get("classes") and (accuracies(seen)["neuron"] == "ann").any()
        return "" if known else "the ANN's accuracy or the number of classes is not known"

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = accuracies(seen)
        ann = rows[rows["neuron"] == "ann"].iloc[0]
        chance = 1 / int(seen.facts["classes"])
        bound = 100 * (chance + ERRORS * math.sqrt(chance * (1 - chance) / ann["samples"]))
        if ann["percent"] <= bound:
            yield self.finding("error", None, (
                f"{seen.name}: the ANN has {ann['percent']:.1f}%, a guess {100 * chance:.1f}%, bound "
                f"{bound:.1f}% ({extent(seen)})"
            ))  # fmt: skip
