"""SNL604: the map of a network whose weights were permuted is nearly the same."""

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
VARIANT = "a network with permuted weights"


class MapOfAnyNetwork(AttributionCheck):
    """The rank correlation of each method's maps with those of permuted weights."""

    name = "map_of_any_network"
    code = "SNL604"
    title = "a map is that of any network"
    why = (
        "What a network learned is in its weights. A map that stays when they are permuted shows the "
        "input and the architecture (edges, where events are), and would look as good on a network that "
        "knows nothing."
    )
    next = (
        "Do not take the map for what was learned; compare it with the input itself. Where every value "
        "is a factor times the input, most of the order may be the input's: look at the curves (SNL603), "
        "which are over what the network does with it."
    )
    reference = "Adebayo et al. 2018 (sanity checks for saliency maps), parameter randomisation"
    formula = "median over samples of |rank correlation with the map of permuted weights| > 0.5"
    thresholds = {
        "bound": "0.5; ours: above it the two share most of their order; the sign does not count, as "
        "the class of a permuted network is another"
    }
    reads = ("attribution_pairs",)

    def lacks(self, seen: Seen) -> str:
        return super().lacks(seen) or without_ranks(seen, "weights", VARIANT)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = pairs(seen, "weights")
        alike = medians(rows, "size").sort_values(ascending=False, kind="stable")
        alike = alike[alike > BOUND]
        if len(alike):
            method = alike.index[0]
            count = int((rows["method"] == method).sum())
            yield self.finding("warning", None, (
                f"{seen.name}: with permuted weights the map of {method} keeps its order: |rank "
                f"correlation| {alike.iloc[0]:.2f} (median of {counted(count, 'map')}), bound {BOUND:g}"
                f"{also(alike.iloc[1:].items())}"
            ))  # fmt: skip
