"""SNL209: the spiking network's arithmetic costs more than that of the ANN."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.measures import energy
from snnlens.measures.energy import Layer
from snnlens.recording.extent import of_network
from snnlens.recording.result import Finding

AMPLITUDES = (
    "the spikes of this converted network carry theta; their operations are additions once theta is "
    "folded into the weights behind them"
)


class Energy(Check):
    """Counted synaptic operations, times their price, against the same layers run once as an ANN.

    Priced in the network's favour: an integer spike is one addition, and the first layer is run
    once for an input that is repeated over time. A note: no memory traffic and no chip is in it.
    """

    name = "energy"
    code = "SNL209"
    title = "the energy is above the ANN's"
    why = (
        "Fewer and cheaper operations are what spikes are for; at this rate and T the ANN of the "
        "same layers needs less."
    )
    next = (
        "Use fewer time steps, lower the rates (a firing-rate term in the loss, a higher threshold), "
        "and look at the layers with graded input: they do multiplications at every step. Compare "
        "conventions in the table of energies before you publish one."
    )
    reference = (
        "Horowitz 2014 (45 nm); Rathi and Roy 2021 (DIET-SNN); Zhou et al. 2023 (Spikformer)"
    )
    formula = "E_AC SynOps + E_MAC MACs of graded layers > E_MAC MACs of one pass; per sample"
    thresholds = {"ratio": "1, by the question; prices 0.9 pJ and 4.6 pJ of Horowitz 2014"}
    needs = ("synaptic_operations",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        if seen.facts.get("amplitudes") == "theta":
            return AMPLITUDES
        if of_network(seen.record, seen.name) is None:
            return "nothing says N and T of this pass; record it with `snnlens checkup`"
        return "" if sum(x.macs for x in _layers(seen)) > 0 else "no layer with weights was run"

    def judge(self, seen: Seen) -> Iterator[Finding]:
        size = of_network(seen.record, seen.name)
        assert size is not None
        samples, steps = size
        layers, items = _layers(seen), seen.table("synaptic_operations")["items"]
        macs = [x.macs / n for x, n in zip(layers, items, strict=True)]  # of one pass
        spiking = energy.counted(energy.shown_once(layers, list(items), samples), samples=samples)
        dense = energy.ann(macs)
        if spiking.picojoules > dense.picojoules:
            yield self.finding("note", None, (
                f"{seen.name}: {spiking.millijoules:.3g} mJ per sample ({spiking.additions:.3g} "
                f"additions, {spiking.macs:.3g} MACs), bound the ANN's {dense.millijoules:.3g} mJ "
                f"({dense.macs:.3g} MACs); N = {samples} samples, T = {steps}"
            ))  # fmt: skip


def _layers(seen: Seen) -> list[Layer]:
    rows = seen.table("synaptic_operations")
    return [
        Layer(float(r["events"]), float(r["macs"]), float(r["spikes_as_counts"]),
              float(r["bit_serial"]), bool(r["non_integer"] == 0))
        for _, r in rows.iterrows()
    ]  # fmt: skip
