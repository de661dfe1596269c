"""SNL401: the neuron of a Spiking ResNet cannot be the identity."""

from __future__ import annotations

from snnlens.checks._base import Check
from snnlens.recording.record import Record
from snnlens.recording.result import Finding


class NoIdentity(Check):
    """SN(S) = S was tried on every spike train of up to 8 steps and failed on one."""

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

    def findings(self, record: Record) -> list[Finding]:
        broken = [
            name
            for name, facts in record.networks.items()
            if facts.get("residual") == "spiking"
            and facts.get("is_identity") is False
            and not facts.get("auxiliary")
        ]
        if not broken:
            return []
        facts = record.networks[broken[0]]
        evidence = (
            f"{', '.join(broken)}: {facts['neuron']} with V_th = {facts['threshold']:g}, "
            f"dH/dX = {facts['gain']:g}, {facts['reset']} reset"
        )
        return [self.finding("warning", None, evidence)]
