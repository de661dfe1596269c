"""SNL901: sites that the recorder never saw, or saw more often than the model was called."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding

NOT_JUDGED = ("parameter", "synapse", "norm")  # a readout or a tied weight may run at any time


class UnseenSites(Check):
    """Forward calls of each spiking layer and block against the forward passes of the model."""

    name = "unseen_sites"
    code = "SNL901"
    title = "the recorder did not see every site once per pass"
    why = "A number that was not seen is missing, and one that was seen twice counts double."
    next = (
        "Never seen: record before torch.compile (hooks that come after it never run), call modules "
        "and not their forward(), call the model itself and not a part of it. Seen twice: a module "
        "shared by several places is one site (give each place its own), and a block that is "
        "checkpointed runs again: turn that off while recording."
    )
    reference = "docs/architecture.md, the recorder's rules; PyTorch issues #117758 and #117925"
    formula = "forward calls of a site = forward passes of the model"
    thresholds = {"calls": "equal; nothing is chosen"}

    def lacks(self, seen: Seen) -> str:
        watched = (~seen.frame["role"].isin(list(NOT_JUDGED))).any()
        return "" if watched else "the record has no spiking layer and no block"

    def judge(self, seen: Seen) -> Iterator[Finding]:
        passes = seen.facts.get("forward_passes", 1)
        sites = seen.frame[~seen.frame["role"].isin(list(NOT_JUDGED))]
        wrapped = seen.facts.get("wrapped") or []
        around = f" (the model came wrapped in {', '.join(wrapped)})" if wrapped else ""
        for odd, text in (
            (sites["forward_calls"] == 0, "never seen"),
            (sites["forward_calls"] > passes, "seen more often than the model was called"),
        ):
            if odd.any():
                found = list(sites.loc[odd, "site"])
                evidence = (
                    f"{seen.name}: {len(found)} of {len(sites)} sites were {text} ({passes} forward "
                    f"passes): {names(found)}{around}"
                )
                yield self.finding("warning", found[0], evidence)
