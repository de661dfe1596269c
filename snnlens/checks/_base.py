"""Check: a diagnosis on a Record. A subclass declares its facts, says when it applies, and finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from snnlens.checks._seen import Seen, networks
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Severity

Word = Literal["issue", "passed", "not applicable"]


@dataclass(frozen=True)
class Outcome:
    """How one check ended on a Record: a check never passes in silence.

    Attributes:
        code: the check's code.
        name: its file's name.
        title: what it finds, in a few words.
        outcome: issue, passed or not applicable.
        reason: why it is not applicable; of the others, of which networks it was not.
        findings: its findings; none unless it is an issue.
    """

    code: str
    name: str
    title: str
    outcome: Word
    reason: str
    findings: tuple[Finding, ...] = ()


class Check(ABC):
    """One diagnosis. Codes are never reused: SNL1xx input and state, 2xx spikes, 3xx gradients,
    4xx blocks and identity, 5xx conversion, 6xx attribution, 9xx not seen by the recorder.
    """

    name: ClassVar[str]
    code: ClassVar[str]
    title: ClassVar[str]
    why: ClassVar[str]
    next: ClassVar[str]
    reference: ClassVar[str]
    formula: ClassVar[str] = ""
    thresholds: ClassVar[dict[str, str]] = {}  # name: its value and where it is from
    needs: ClassVar[tuple[str, ...]] = ()  # probes without which it does not apply

    def applies(self, record: Record) -> str:
        """Why it does not apply: what is missing, and what would give it; empty where it applies."""
        reasons = [self.lacks(seen) for seen in networks(record)]
        if not reasons:
            return "the record holds auxiliary networks only, which no check judges"
        return "" if "" in reasons else "; ".join(dict.fromkeys(reasons))

    def findings(self, record: Record) -> list[Finding]:
        """What is wrong, of each network to which it applies."""
        return [f for s in networks(record) if not self.lacks(s) for f in self.judge(s)]

    def outcome(self, record: Record) -> Outcome:
        """The check on this record: issue, passed, or not applicable and why."""
        facts = (self.code, self.name, self.title)
        if reason := self.applies(record):
            return Outcome(*facts, "not applicable", reason)
        found = tuple(self.findings(record))
        skipped = [f"{s.name}: {r}" for s in networks(record) if (r := self.lacks(s))]
        return Outcome(*facts, "issue" if found else "passed", "; ".join(skipped), found)

    def lacks(self, seen: Seen) -> str:
        """Why it does not apply to one network; empty where it does."""
        missing = [probe for probe in self.needs if seen.table(probe).empty]
        names = ", ".join(f'"{probe}"' for probe in missing)
        has = ", ".join(missing)
        return f"the record holds no {has}; record with probes=[..., {names}]" if missing else ""

    @abstractmethod
    def judge(self, seen: Seen) -> Iterable[Finding]:
        """What is wrong with one network to which it applies: one finding per cause."""

    def finding(self, severity: Severity, site: str | None, evidence: str) -> Finding:
        """A finding of this check."""
        return Finding(self.code, severity, site, evidence, self.why, self.next, self.reference)
