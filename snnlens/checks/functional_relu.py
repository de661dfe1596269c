"""SNL504: an activation that was left analog, a functional one or not."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._conversion import ConversionCheck, coverage, is_max_pool, of_currents
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding

UNREAD = "(forward)"  # the row of a forward function that torch.fx cannot trace


class FunctionalRelu(ConversionCheck):
    """The layers that are not linear and for which no spikes stand, among all that are not linear.

    Max-pools are SNL505's. Where the forward function cannot be traced, functions that it calls
    besides ReLU are not known, which is a note.
    """

    name = "functional_relu"
    code = "SNL504"
    title = "an activation is left analog"
    why = (
        "Its values pass with all their digits at every step: there is no threshold, no quantisation "
        "and no spike. It flatters the accuracy at small T, and no neuromorphic chip can run it."
    )
    next = (
        "Make the activation an nn.ReLU (or QCFS) module of its own, so that it can be replaced, and "
        "train again where it was another function; or say beside every number that these layers "
        "are analog."
    )
    reference = (
        "Hao et al. 2025, released code: the stem of its training-free ResNets has a functional "
        "ReLU, which is no module and stays analog"
    )
    formula = "layers with the outcome analog, without max-pools"
    thresholds = {"analog": "one; nothing is chosen"}
    reads = ("conversion_coverage",)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = coverage(seen)
        exact = is_max_pool(rows) & ~of_currents(rows)
        analog = rows[(rows["outcome"] == "analog") & ~exact]
        if len(analog):
            first = analog.iloc[0]
            spiking = int(rows["outcome"].isin(["replaced", "spiking"]).sum())
            rest = list(analog["module"])[1:]
            more = f"; also {names(rest)}" if rest else ""
            yield self.finding("warning", seen.known(first["module"]), (
                f"{seen.name}: {first['module']} ({first['type']}) is left analog: "
                f"{first['why']}; {len(analog)} of {len(analog) + spiking} layers that are not linear "
                f"{'is' if len(analog) == 1 else 'are'} analog{more}"
            ))  # fmt: skip
        for _, row in rows[rows["module"] == UNREAD].iterrows():
            yield self.finding("note", None, f"{seen.name}: {row['why']}")
