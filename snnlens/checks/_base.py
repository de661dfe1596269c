"""Check: a diagnosis on a Record. A subclass declares its facts and finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from snnlens.recording import blocks
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Severity


class Check(ABC):
    """One diagnosis. Codes are never reused: SNL1xx input and state, 2xx spikes, 3xx gradients,
    4xx blocks and identity, 9xx not seen by the recorder.
    """

    name: ClassVar[str]
    code: ClassVar[str]
    title: ClassVar[str]
    why: ClassVar[str]
    next: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()  # probes without which it does not apply

    def applies(self, record: Record) -> bool:
        """Whether the record holds what this check reads."""
        return all(probe in record.tables for probe in self.needs)

    @abstractmethod
    def findings(self, record: Record) -> list[Finding]:
        """What is wrong, one finding per network and cause."""

    def finding(self, severity: Severity, site: str | None, evidence: str) -> Finding:
        """A finding of this check."""
        return Finding(self.code, severity, site, evidence, self.why, self.next, self.reference)


def judged(record: Record) -> list[Network]:
    """The networks with residual blocks that were run for their own sake."""
    return [n for n in blocks.networks(record) if not n.facts.get("auxiliary")]


def has_blocks(record: Record) -> bool:
    """Whether the record's sites include residual blocks."""
    return bool((record.sites["role"] == "block_input").any())
