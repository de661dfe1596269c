"""One file per diagnosis: what is wrong, where, with which evidence, and what to try."""

from __future__ import annotations

from snnlens import registry
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, ranked


def run_checks(record: Record) -> list[Finding]:
    """The findings of every check that applies to this record, worst first."""
    found: list[Finding] = []
    for name in registry.listing("checks"):
        check = registry.plugin("checks", name)()
        if check.applies(record):
            found += check.findings(record)
    return ranked(found)
