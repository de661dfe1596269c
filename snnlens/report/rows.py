"""The rows of a run and what leads to them: findings, the navigator. Needs no torch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import pandas as pd

from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Result
from snnlens.report import places as where
from snnlens.report.findings import Case, flag
from snnlens.report.navigator import LANES
from snnlens.report.places import Places
from snnlens.report.sheets import Sheet, sheet
from snnlens.report.tables import Mark

FACTS = ("network", "site", "block", "stage", "block_kind")


@dataclass(frozen=True)
class Rows:
    """The tables of a run that places and findings lie in.

    Attributes:
        main: the run's own table.
        along: the table of the places, if it is another one.
        places: what lies along the depth, if anything does.
        cases: the findings, each with its row.
    """

    main: Sheet
    along: Sheet | None
    places: Places | None
    cases: list[Case]

    @property
    def led_to(self) -> Sheet:
        """The table whose rows the navigator leads to."""
        return self.along or self.main


def rows(case: Case, frame: pd.DataFrame, result: Result | None, record: Record) -> Rows:
    """The tables of one run; `case` says whose they are and where its figure is."""
    found = where.places(frame, result, record)
    tables = {"t": frame}
    if found is not None and not found.own:
        tables["p"] = _shown(found)
    placed = [_placed(f, tables, record) for f in (result.findings if result else [])]
    cases = _cases(case, placed, tables)
    units = {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}
    sheets = {}
    for key, table in tables.items():
        along = found is not None and found.own == (key == "t")
        marks = _marks(f"{case.run_id}_{key}", table, cases, along=along)
        if along and found is not None:
            marks = _named(marks, found, record)
        sheets[key] = sheet(f"{case.run_id}_{key}", "", table, units, marks)
    return Rows(sheets["t"], sheets.get("p"), found, cases)


def _shown(found: Places) -> pd.DataFrame:
    """Of places that are no table of the run: what they are, and what the navigator shows."""
    names = [c for c in (*FACTS, *LANES) if c in found.frame]
    return found.frame[[c for c in names if found.frame[c].notna().any()]]


def _placed(
    finding: Finding, tables: dict[str, pd.DataFrame], record: Record
) -> tuple[Finding, str, int | None]:
    """A finding, the table that has its row, and which."""
    for key, table in tables.items():
        index = where.row_of(finding, table, record)
        if index is not None:
            return finding, key, index
    return finding, "", None


def _cases(
    case: Case,
    placed: list[tuple[Finding, str, int | None]],
    tables: dict[str, pd.DataFrame],
) -> list[Case]:
    made = []
    for number, (finding, key, index) in enumerate(placed):
        there = replace(case, id=f"{case.run_id}_f{number}", finding=finding)
        if index is not None:
            name = _row_name(tables[key].loc[[index]])
            there = replace(there, row=f"{case.run_id}_{key}{index}", row_name=name)
        made.append(there)
    return made


def _row_name(row: pd.DataFrame) -> str:
    name = row["site" if "site" in row else "block"].iloc[0]
    return str(name) if "site" in row else f"block {name}"


def _marks(prefix: str, table: pd.DataFrame, cases: list[Case], *, along: bool) -> dict[int, Mark]:
    """The rows that something leads to: all along the depth, else those with findings."""
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        found[case.row].append(case)
    ids = {int(i): f"{prefix}{i}" for i in table.index}
    return {
        index: Mark(name, flag=flag(found.get(name, [])))
        for index, name in ids.items()
        if along or name in found
    }


def _named(marks: dict[int, Mark], found: Places, record: Record) -> dict[int, Mark]:
    """Rows of blocks say which module the block is."""
    if found.kind != "block":
        return marks
    known = where.modules(record)
    keys = zip(found.frame.index, found.frame["network"], found.frame["block"], strict=True)
    said = {int(i): known.get((str(n), int(b)), "") for i, n, b in keys}
    return {i: replace(mark, said=said.get(i, "")) for i, mark in marks.items()}
