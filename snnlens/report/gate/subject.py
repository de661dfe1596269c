"""What a gate judges: a run folder, or a Result that is in memory. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from snnlens.checks import Outcome, examine
from snnlens.errors import InputError, NothingToRecord
from snnlens.recording import store
from snnlens.recording.record import KEYS, Record
from snnlens.recording.result import SEVERITIES, Claim, Finding, Result, ranked
from snnlens.report.gate.words import visible

VERDICTS = ("holds", "fails", "not-testable")


@dataclass(frozen=True)
class Subject:
    """One run: numbers per site, tables by file name, what was found and what was claimed."""

    name: str
    question: str | None
    record: Record
    tables: dict[str, pd.DataFrame]
    findings: list[Finding]
    claims: list[Claim]
    outcomes: list[Outcome]

    @cached_property
    def sites(self) -> pd.DataFrame:
        """One row per network and site, a column per quantity."""
        return self.record.frame()

    @cached_property
    def quantities(self) -> list[str]:
        """The quantities that were recorded, without facts of the sites."""
        return [q for s in self.record.schemas.values() for q in s.quantities if q in self.sites]

    def measured(self, quantity: str) -> pd.Series[bool]:
        """At which sites it was recorded: a number that is missing there is no number."""
        probe = self._probe.get(quantity)
        if probe is None:  # a fact of the site, such as the threshold
            return self.sites[quantity].notna()
        seen = pd.MultiIndex.from_frame(self.record.tables[probe][KEYS])
        here = pd.MultiIndex.from_frame(self.sites[KEYS]).isin(seen)
        return pd.Series(here, index=self.sites.index)

    @cached_property
    def _probe(self) -> dict[str, str]:
        return {q: p for p, s in self.record.schemas.items() for q in s.quantities}


def read(folder: Path) -> Subject:
    """A run folder; one with nothing in it holds nothing to judge."""
    if folder.is_dir() and not any(folder.iterdir()):
        raise NothingToRecord(
            f"RUN must hold something to judge; got {visible(folder)!r}, an empty folder; "
            "run a question with -o first"
        )
    result, record = store.load_both(folder)
    name = visible(folder)
    return of_record(record, name) if result is None else of_result(result, name)


def of_result(result: Result, name: str) -> Subject:
    """A Result: its findings are those that were saved with it."""
    _check(result, name)
    tables = {"result": result.table} | result.extra
    return Subject(
        name, result.question, result.record, tables, result.findings, result.claims,
        _outcomes(result),
    )  # fmt: skip


def of_record(record: Record, name: str) -> Subject:
    """A Record alone: every check looks at it now."""
    outcomes = examine(record)
    found = ranked([f for o in outcomes for f in o.findings])
    return Subject(name, None, record, {}, found, [], outcomes)


def _outcomes(result: Result) -> list[Outcome]:
    """How the checks ended: as a check-up wrote it down, else as they end now."""
    saved = result.extra.get("checks")
    if saved is None:
        return examine(result.record)
    columns = ["code", "name", "title", "outcome", "reason"]
    return [Outcome(*map(str, row)) for row in saved[columns].itertuples(index=False)]  # type: ignore[arg-type]


def _check(result: Result, name: str) -> None:
    """A verdict or a severity that nobody knows must not pass as a good one."""
    for claim in result.claims:
        if claim.verdict not in VERDICTS:
            raise InputError(
                f"a verdict in claims.json of {name}", got=claim.verdict,
                wanted="holds, fails or not-testable",
            )  # fmt: skip
    for finding in result.findings:
        if finding.severity not in SEVERITIES:
            raise InputError(
                f"a severity in findings.json of {name}", got=finding.severity,
                wanted="error, warning or note",
            )  # fmt: skip
