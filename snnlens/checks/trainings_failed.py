"""SNL903: trainings of a sweep that failed, or did not come to their end."""

from __future__ import annotations

from collections.abc import Iterable

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.recording.record import Record
from snnlens.recording.result import Finding

SHOWN = 3  # trainings named in the evidence


class TrainingsFailed(Check):
    """Trainings of a sweep whose state is not `done`, and why."""

    name = "trainings_failed"
    code = "SNL903"
    title = "trainings of the sweep are missing"
    why = (
        "A mean over the seeds that ended is no mean over those that failed: it may look too good."
    )
    next = (
        "Read why in points.csv, mend it and run the same command with --resume: only what is "
        "missing runs again."
    )
    reference = "docs/contract.md, points.csv of `degradation`"
    formula = "state of a training = done"
    thresholds = {"missing": "none; nothing is chosen"}

    def applies(self, record: Record) -> str:
        return "" if "points" in record.tables else "the record is of no sweep"

    def findings(self, record: Record) -> list[Finding]:
        points = record.tables["points"]
        missing = points[points["state"] != "done"]
        if missing.empty:
            return []
        said = [f"{n} ({why or state})" for n, state, why in
                missing[["network", "state", "why"]].head(SHOWN).itertuples(index=False)]  # fmt: skip
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        text = f"{len(missing)} of {len(points)} trainings are not done: {'; '.join(said)}{more}"
        return [self.finding("warning", None, text)]

    def judge(self, seen: Seen) -> Iterable[Finding]:
        """A sweep is judged as a whole."""
        return ()
