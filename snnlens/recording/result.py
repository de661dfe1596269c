"""Result, Claim and Finding: what an analysis makes of a Record. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Literal

import pandas as pd

from snnlens.errors import SnnlensError
from snnlens.recording.record import Record

Verdict = Literal["holds", "fails", "not-testable"]
Severity = Literal["error", "warning", "note"]
IN_NOTEBOOKS = "snnlens.report.rich"  # by name: what is recorded does not know how it is shown
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Claim:
    """One published statement, the number measured here, the bound and the verdict."""

    id: str
    statement: str
    source: str
    measured: float | None
    bound: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """One diagnosis: error = it cannot learn or the number is wrong, warning = likely harmful."""

    code: str
    severity: Severity
    site: str | None
    evidence: str
    why: str
    next: str
    reference: str

    def _repr_html_(self) -> str:
        """As the report shows it."""
        return str(import_module(IN_NOTEBOOKS).html_of_finding(self))


@dataclass(frozen=True)
class Result:
    """The answer to a question: one tidy table, claims, findings, and how to draw it.

    Attributes:
        question: the analysis' name.
        title: the question in words.
        table: every number that the figure or the caption shows.
        caption: T, batch, data, seed, threshold, alpha, device.
        claims: published statements with verdicts.
        findings: what is wrong, worst first.
        record: the Record that it was computed from.
        notes: what is shown, what good and bad look like, what to do.
        extra: further tables by name, each written beside the result.
        draw: draws the figure from this Result alone; None for a Result read from a folder.
        headline: what a person wants to know first, a line each; for the command line.
    """

    question: str
    title: str
    table: pd.DataFrame
    caption: str
    claims: list[Claim]
    findings: list[Finding]
    record: Record
    notes: list[str] = field(default_factory=list)
    extra: dict[str, pd.DataFrame] = field(default_factory=dict)
    draw: Callable[[Result], Any] | None = None
    headline: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        """As the report shows it: findings, claims, the figure's numbers."""
        return str(import_module(IN_NOTEBOOKS).html_of_result(self))

    def frame(self) -> pd.DataFrame:
        """The table."""
        return self.table

    def plot(self) -> Any:
        """The matplotlib Figure."""
        if self.draw is None:
            raise SnnlensError("this result has no drawing; compute it with snnlens.analyse")
        return self.draw(self)

    def as_json(self) -> dict[str, Any]:
        """`result`, `claims`, `findings` of the machine-readable contract, and further tables."""
        return {
            "result": self.table.to_dict(orient="records"),
            "claims": [asdict(c) for c in self.claims],
            "findings": [asdict(f) for f in self.findings],
            **{name: table.to_dict(orient="records") for name, table in self.extra.items()},
        }


def ranked(findings: list[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; within a severity by code, then as found."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.code))
