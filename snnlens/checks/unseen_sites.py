"""SNL901: what the recorder did not see: sites, gradients, passes, ranks; or saw twice."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding

NOT_JUDGED = ("parameter", "synapse", "norm")  # a readout or a tied weight may run at any time
ODD = {  # facts that list sites
    "replaced": "gave their place to another module while they were recorded, which was not seen",
    "unheard": "ran again inside the backward pass, where their gradient was not heard",
}


class UnseenSites(Check):
    """Forward calls of each spiking layer and block against the forward passes of the model, and
    what the recorder says that it did not see: modules that were replaced, gradients that
    reentrant checkpointing keeps to itself, passes of other threads, processes whose record was not
    there when those of all ranks were merged.
    """

    name = "unseen_sites"
    code = "SNL901"
    title = "the recorder did not see every site once per pass"
    why = "A number that was not seen is missing, and one that was seen twice counts double."
    next = (
        "Never seen: call modules and not their forward(), call the model itself and not a part of "
        "it, and outside of torch.jit and torch.export. Seen twice: a module shared by several places "
        "is one site: give each place its own. Not heard: checkpoint(..., use_reentrant=False). "
        "Replaced: record again. Other threads: a lock around the call, or a copy for each thread. A rank "
        "that is missing: look why its process ended, and record again."
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
        for fact, text in ODD.items():
            if listed := list(seen.facts.get(fact) or ()):
                evidence = (
                    f"{seen.name}: {len(listed)} of {len(sites)} sites {text}: {names(listed)}"
                )
                yield self.finding("warning", seen.known(listed[0]), evidence)
        if elsewhere := seen.facts.get("elsewhere"):
            yield self.finding("warning", None, (
                f"{seen.name}: {elsewhere} passes that other threads made at the same time were not "
                "recorded"
            ))  # fmt: skip
        if missing := seen.facts.get("missing_ranks"):
            of = missing + seen.facts.get("ranks", seen.facts.get("merged_batches", 0))
            yield self.finding("warning", None, (
                f"{seen.name}: {missing} of the {of} records to merge were not there; the numbers are "
                "those of the others"
            ))  # fmt: skip
