"""SNL401: the neuron of a Spiking ResNet cannot be the identity."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, networks, where
from snnlens.recording.record import Record
from snnlens.recording.result import Finding


class NoIdentity(Check):
    """SN(S) = S was tried on every spike train of up to 8 steps and failed on one.

    Of a foreign model nobody tried it. A block whose output is that of its last spiking layer is a
    Spiking block; where one spike of gain dH/dX does not reach the threshold, S = 1 gives no spike.
    """

    name = "no_identity"
    code = "SNL401"
    title = "no block can be the identity"
    why = (
        "A Spiking block O = SN(F(S) + S) is the identity only if its neuron passes S unchanged. "
        "If it cannot, extra blocks must change the signal, and deeper networks get worse."
    )
    next = (
        "IF with a hard reset and V_th <= 1, LIF without decay_input and V_th <= 1, LIF with it "
        "and V_th <= 1 / tau; or SEW blocks, which are the identity with any neuron. See "
        "`snnlens identity`."
    )
    reference = "Fang et al. 2021, Section 3.2"
    formula = "SN(S) = S for all spike trains S; it needs dH/dX >= V_th"
    thresholds = {"trains": "one of them differs; nothing is chosen"}

    def findings(self, record: Record) -> list[Finding]:
        """One for all networks whose neuron is known, and one per foreign network."""
        seen = networks(record)
        tried = [s for s in seen if not self.lacks(s) and _fails(s)]
        found = [self._of_all(tried)] if tried else []
        return found + [f for s in seen if not self.lacks(s) for f in self.judge(s)]

    def lacks(self, seen: Seen) -> str:
        if seen.facts.get("residual", "spiking") != "spiking":
            return (
                f"blocks of kind {seen.facts['residual']} do not pass S through their last neuron"
            )
        if "is_identity" in seen.facts:
            return ""
        if seen.blocks is None:
            return "the model has no residual block that snnlens knows"
        none = (
            "no block is seen to end in a neuron of known threshold behind its sum (SEW blocks do "
            'not); record with probes=["firing_rate"], or try the neuron with `snnlens identity`'
        )
        return "" if len(_last_neurons(seen)) else none

    def judge(self, seen: Seen) -> Iterator[Finding]:
        if "is_identity" in seen.facts:
            return  # _of_all
        rows = _last_neurons(seen)
        bad = rows[rows["gain"] < rows["threshold"]]
        if len(bad):
            first = bad.iloc[0]
            evidence = (
                f"{seen.name}: {len(bad)} of {len(rows)} blocks end in a neuron that one spike does "
                f"not reach: V_th = {first['threshold']:g}, dH/dX = {first['gain']:g}"
            )
            yield self.finding("warning", str(first["site"]), evidence)

    def _of_all(self, broken: list[Seen]) -> Finding:
        facts = broken[0].facts
        evidence = (
            f"{', '.join(s.name for s in broken)}: {facts['neuron']} with V_th = "
            f"{facts['threshold']:g}, dH/dX = {facts['gain']:g}, {facts['reset']} reset"
        )
        return self.finding("warning", None, evidence)


def _fails(seen: Seen) -> bool:
    return seen.facts.get("residual") == "spiking" and seen.facts.get("is_identity") is False


def _last_neurons(seen: Seen) -> pd.DataFrame:
    """The last spiking layer of each block whose spikes are those of the block's output.

    Told by their sums: equal at every step, and not all 0.
    """
    layers = seen.layers("threshold", "gain", "block")
    table = seen.table("firing_rate")
    if layers.empty or table.empty:
        return layers.iloc[:0]
    sums = {site: list(rows["total"]) for site, rows in table.groupby("site")}
    outputs = dict(seen.sites("block_output")[["block", "site"]].itertuples(index=False, name=None))
    last = layers.groupby("block", sort=False).tail(1)
    same = [
        any(sums.get(row["site"], []))
        and sums[row["site"]] == sums.get(outputs.get(row["block"], ""))
        for _, row in last.iterrows()
    ]
    return where(last, same)
