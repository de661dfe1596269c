"""What a gate says: cases, each passed, failed or skipped, of each run, and the verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from snnlens.recording.result import SEVERITIES, Severity
from snnlens.report.gate.words import visible
from snnlens.report.text import plural

Kind = Literal["finding", "check", "claim", "threshold", "baseline"]
Ended = Literal["passed", "failed", "skipped"]
FAIL_ON = ("never", "note", "warning", "error")


def _shown(made: object, *texts: str) -> None:
    """Whatever a name holds, each text is one printable line from here on."""
    for text in texts:
        if (value := getattr(made, text)) is not None:
            object.__setattr__(made, text, visible(value))


@dataclass(frozen=True)
class Place:
    """A site or a row that breaks a bound, and its number; None where there is no finite one."""

    where: str
    value: float | None
    before: float | None = None  # the baseline's number

    def __post_init__(self) -> None:
        _shown(self, "where")


@dataclass(frozen=True)
class Case:
    """One thing that was judged.

    Attributes:
        kind: finding, check (one that found nothing), claim, threshold or baseline.
        name: a finding's code, a claim's id, a quantity (`TABLE.COLUMN` of a table).
        ended: passed, failed or skipped.
        says: the evidence, the bound and the numbers, or why it was skipped.
        severity: what it weighs if it failed.
        site: where; None of the whole model.
        bound: of a threshold or a claim.
        try_: what to do about it.
        places: what breaks a bound, worst first.
        new: of a finding, whether the baseline has it not; None without a baseline.
    """

    kind: Kind
    name: str
    ended: Ended
    says: str
    severity: Severity = "error"
    site: str | None = None
    bound: str = ""
    try_: str = ""
    places: tuple[Place, ...] = ()
    new: bool | None = None

    def __post_init__(self) -> None:
        _shown(self, "name", "says", "site", "bound", "try_")


@dataclass(frozen=True)
class Judged:
    """One run, and the cases of it."""

    run: str
    question: str | None
    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        _shown(self, "run")


@dataclass(frozen=True)
class Verdict:
    """What the gate says of all runs."""

    runs: tuple[Judged, ...]
    fail_on: str
    rules: str = ""  # the file that they are from
    baseline: str = ""
    counts: Counter[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _shown(self, "rules", "baseline")
        ended = Counter(self.word(case) for case in self.cases)
        object.__setattr__(self, "counts", ended)

    @property
    def cases(self) -> list[Case]:
        """The cases of all runs."""
        return [case for run in self.runs for case in run.cases]

    def stops(self, case: Case) -> bool:
        """Whether it failed at or above --fail-on."""
        if case.ended != "failed" or self.fail_on == "never":
            return False
        return SEVERITIES.index(case.severity) <= SEVERITIES.index(self.fail_on)

    def word(self, case: Case) -> str:
        """`failed` stops the gate, `minor` failed below --fail-on; else passed or skipped."""
        if case.ended != "failed":
            return case.ended
        return "failed" if self.stops(case) else "minor"

    @property
    def green(self) -> bool:
        """Whether nothing stops it."""
        return not self.counts["failed"]

    @property
    def summary(self) -> str:
        """`red: 2 at or above error, 1 below, 38 passed, 5 skipped`."""
        count = self.counts
        above = f"{count['failed']} at or above {self.fail_on}, {count['minor']} below"
        if self.fail_on == "never":
            above = f"{count['minor']} failed, none of which counts (--fail-on never)"
        said = f"{above}, {count['passed']} passed, {count['skipped']} skipped"
        if self.baseline:
            fresh = sum(case.new is True for case in self.cases)
            said += f"; {plural(fresh, 'new finding')} against {self.baseline}"
        return f"{'green' if self.green else 'red'}: {said}"
