"""SNL605: with another surrogate gradient the map is another one."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._attribution import (
    AttributionCheck,
    also,
    counted,
    medians,
    pairs,
    without_ranks,
)
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding

BOUND = 0.5
VARIANT = "a network with another surrogate"


class MapOfTheSurrogate(AttributionCheck):
    """The rank correlation of each method's maps with those of another surrogate's gradients."""

    name = "map_of_the_surrogate"
    code = "SNL605"
    title = "a map is that of the surrogate"
    why = (
        "The surrogate changes the backward pass alone: with another one the network fires the same "
        "spikes and gives the same scores. A map that changes with it shows a choice that was made for "
        "training, not what the network does."
    )
    next = (
        "Report maps of a gradient with their surrogate, or take a method without one (occlusion, "
        "feature_ablation, sam, tsa). Deep networks and narrow surrogates depend on it most: see SNL306 "
        "and SNL307."
    )
    reference = "Neftci et al. 2019 (surrogate gradients are a choice); the comparison is ours"
    formula = "median over samples of rank correlation with the map of another surrogate < 0.5"
    thresholds = {
        "bound": "0.5; ours: below it most of the order is not shared, though scores and spikes are "
        "the same"
    }
    reads = ("attribution_pairs",)

    def lacks(self, seen: Seen) -> str:
        return super().lacks(seen) or without_ranks(seen, "surrogate", VARIANT)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = pairs(seen, "surrogate")
        unlike = medians(rows, "rank_correlation").sort_values(kind="stable")
        unlike = unlike[unlike < BOUND]
        if len(unlike):
            method = unlike.index[0]
            own = rows[rows["method"] == method]
            yield self.finding("note", None, (
                f"{seen.name}: with {own['other'].iloc[0]} as the surrogate the map of {method} is "
                f"another one: rank correlation {unlike.iloc[0]:.2f} (median of "
                f"{counted(len(own), 'map')}), bound {BOUND:g}{also(unlike.iloc[1:].items())}"
            ))  # fmt: skip
