"""SNL901: sites that the recorder never saw, or saw more often than the model was called."""

from __future__ import annotations

from snnlens.checks._base import Check
from snnlens.recording.record import Record
from snnlens.recording.result import Finding


class UnseenSites(Check):
    """Forward calls of each site against the forward passes of the model."""

    name = "unseen_sites"
    code = "SNL901"
    title = "the recorder did not see every site once per pass"
    why = "A number that was not seen is missing, and one that was seen twice counts double."
    next = (
        "Record before torch.compile, call the model itself and not a part of it, and turn off "
        "activation checkpointing while recording."
    )
    reference = "docs/architecture.md, the recorder's rules"

    def findings(self, record: Record) -> list[Finding]:
        found = []
        for network, facts in record.networks.items():
            passes = facts.get("forward_passes", 1)
            sites = record.sites.query("network == @network and role != 'parameter'")
            for odd, text in (
                (sites["forward_calls"] == 0, "never seen"),
                (sites["forward_calls"] > passes, "seen more often than the model was called"),
            ):
                if odd.any():
                    names = list(sites.loc[odd, "site"])
                    evidence = f"{network}: {len(names)} of {len(sites)} sites were {text}"
                    found.append(self.finding("warning", names[0], evidence))
        return found
