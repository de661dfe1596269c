"""One run as the page shows it: a plain object, made from a run folder without torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.recording import checked, store
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Finding, Result
from snnlens.report import svg
from snnlens.report.columns import Column
from snnlens.report.findings import Case
from snnlens.report.methods import methods
from snnlens.report.navigator import Navigator, navigators
from snnlens.report.rows import Rows, rows
from snnlens.report.sheets import Sheet, sheet, worst
from snnlens.report.text import plural, slug, without_paths

# What provenance says first, and how; what else it holds follows under its own name.
LABELS = {
    "command": "Command", "started": "Started (UTC)", "finished": "Finished (UTC)",
    "seconds": "Took (s)", "snnlens": "snnlens", "git_commit": "Commit", "python": "Python",
    "packages": "Packages", "machine": "Machine", "device": "Device", "threads": "Threads",
    "data": "Data", "data_fingerprint": "Data, sha256", "seed": "Seed",
}  # fmt: skip
VERDICTS = ("fails", "not-testable", "holds")  # the order of the claims: what fails comes first
ELSEWHERE = ("parameters", "question")
MOST_CSV = 2**26  # bytes of a table that the page carries
LONG, SHORT = 400, 20  # rows of a further table: longer ones are shown in part
_NONE = Finding("", "note", None, "", "", "", "")
_TERM = re.compile(r"([A-Z][\w ]{2,20}): (.*)", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """What the templates read of one run."""

    id: str
    name: str
    folder: str
    title: str
    caption: str
    notes: list[tuple[str, str]]
    command: str
    parameters: list[tuple[str, str]]
    provenance: list[tuple[str, str]]
    methods: str
    claims: list[Claim]
    findings: list[Finding]
    networks: list[dict[str, Any]]
    analysed: bool
    figure: Markup | None
    no_figure: str
    rows: Rows
    extra: list[Sheet]
    record: Record
    csv: str
    csv_name: str
    csv_size: str
    unused: list[str] = field(default_factory=list)  # codes of checks that did not apply

    @property
    def main(self) -> Sheet:
        """The run's own table."""
        return self.rows.main

    @property
    def along(self) -> Sheet | None:
        """The table of what lies along the depth, where that is not the run's own."""
        return self.rows.along

    @property
    def sheets(self) -> list[Sheet]:
        """All its tables."""
        return [s for s in (self.main, self.along, *self.extra) if s is not None]

    @property
    def cases(self) -> list[Case]:
        """Its findings; one whose row is not shown leads to no row."""
        shown = {s.row_id(i) for s in (self.main, self.along) if s is not None for i in s.marks}
        return [c if c.row in shown else c.without_row() for c in self.rows.cases]

    @property
    def navigators(self) -> list[Navigator]:
        """One per network that has a depth."""
        return navigators(self.id, self.rows, self.record)

    @property
    def grouped(self) -> bool:
        """Whether its own table is one per network."""
        return self.main.table.grouped

    @property
    def guide(self) -> list[tuple[str, Column]]:
        """What the columns of its tables of rows hold."""
        sheets = [self.main] if self.along is None else [self.main, self.along]
        return list({n: c for s in sheets for n, c in s.table.guide}.items())

    @property
    def table_says(self) -> str:
        """What stands above its own table."""
        return _table_says(self)

    def cut(self, sheet_id: str) -> Run:
        """The same with one table cut to its worst rows."""
        own = self.rows
        if own.main.id == sheet_id:
            return replace(self, rows=replace(own, main=worst(own.main)))
        if own.along is not None and own.along.id == sheet_id:
            return replace(self, rows=replace(own, along=worst(own.along)))
        return replace(self, extra=[worst(s) if s.id == sheet_id else s for s in self.extra])


def read(folders: Sequence[Path]) -> list[Run]:
    """All runs; two of one name are told apart by a number."""
    runs: list[Run] = []
    seen: dict[str, int] = {}
    ids: set[str] = set()
    for folder in folders:
        last = Path(os.path.abspath(folder)).name  # noqa: PTH100 - resolve() would follow links
        seen[last] = seen.get(last, 0) + 1
        name = last if seen[last] == 1 else f"{last} ({seen[last]})"
        read_one = partial(_read, folder, last, name, _free(f"run-{slug(name)}", ids))
        with checked.reading(folder):
            runs.append(atomic.steady(folder, "RUN", read_one))
    return runs


def _free(wanted: str, taken: set[str]) -> str:
    """`wanted`, with a number behind it if another run has it."""
    made, number = wanted, 1
    while made in taken:
        number += 1
        made = f"{wanted}-{number}"
    taken.add(made)
    return made


def _read(folder: Path, last: str, name: str, id_: str) -> Run:
    result, record = store.load_both(folder)
    title = result.title if result else "What was recorded"
    figure, no_figure = _figure(folder, id_, title) if result else (None, "this run is a Record")
    frame = (result.table if result else _recorded(record)).reset_index(drop=True)
    csv = _csv(folder) if result else _csv_of(frame)
    return Run(
        id=id_,
        name=name,
        folder=last,
        title=title,
        caption=without_paths(result.caption) if result else "",
        notes=[_note(n) for n in result.notes] if result else [],
        **_origin(record),
        claims=result.claims if result else [],
        findings=result.findings if result else [],
        analysed=result is not None,
        figure=figure,
        no_figure=no_figure,
        rows=rows(Case("", id_, name, _NONE, figure=f"{id_}_figure"), frame, result, record),
        extra=list(_extra(id_, result)),
        record=record,
        csv="data:text/csv;charset=utf-8," + quote(csv, safe=",:;()+-._~/ ").replace(" ", "%20"),
        csv_name="result.csv" if result else "record.csv",
        csv_size=f"{len(csv.encode()) / 1000:.0f} kB",
        unused=_unused(result),
    )


def _extra(id_: str, result: Result | None) -> Iterator[Sheet]:
    """Further tables of a result, each named after itself; of a long one the beginning."""
    for number, (name, frame) in enumerate((result.extra if result else {}).items()):
        title = name.replace("_", " ")
        whole = frame.reset_index(drop=True)
        if len(whole) <= LONG:
            yield sheet(f"{id_}_x{number}", title, whole)
            continue
        note = f"{SHORT} of {len(whole)} rows; all are in {name}.csv of the run folder."
        shown = sheet(f"{id_}_x{number}", title, whole.head(SHORT))
        yield replace(shown, note=note)


def _unused(result: Result | None) -> list[str]:
    """The checks that did not apply, where the result lists them."""
    checks = result.extra.get("checks") if result else None
    if checks is None or not {"code", "outcome"} <= set(checks):
        return []
    return [str(c) for c in checks["code"][checks["outcome"] == "not applicable"]]


def _origin(record: Record) -> dict[str, Any]:
    provenance = record.provenance
    return {
        "command": without_paths(_text(provenance.get("command") or "")),
        "parameters": [
            (k, without_paths(_text(v)))
            for k, v in (provenance.get("parameters") or {}).items()
            if v not in (None, [], "")
        ],
        "provenance": _provenance(record),
        "methods": methods(record.networks, provenance),
        "networks": list(record.networks.values()),
    }


def _provenance(record: Record) -> list[tuple[str, str]]:
    facts = dict(record.provenance)
    parameters = facts.get("parameters") or {}
    if "seed" not in facts and parameters.get("seed") is not None:
        facts["seed"] = parameters["seed"]
    known = [k for k in LABELS if facts.get(k) is not None]
    others = [k for k in facts if k not in {*LABELS, *ELSEWHERE} and facts[k] is not None]
    return [
        (LABELS.get(k, k.replace("_", " ")), without_paths(_text(facts[k]))) for k in known + others
    ]


def _figure(folder: Path, id_: str, title: str) -> tuple[Markup | None, str]:
    try:
        path = store.member(folder, "figure.svg", checked.MOST_BYTES)
        return svg.figure(path, f"{id_}__", title), ""
    except InputError:
        return None, "figure.svg cannot be shown: the run has no figure.svg"
    except svg.Unfit as why:
        return None, f"figure.svg cannot be shown: {why}"


def _csv(folder: Path) -> str:
    return store.member(folder, "result.csv", MOST_CSV).read_bytes().decode("utf-8")


def _csv_of(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n", quoting=store.quoting(frame))


def _recorded(record: Record) -> pd.DataFrame:
    """The Record's frame, its quantities before what only describes the site."""
    frame, quantities = record.frame(), list(_units(record))
    first = [c for c in ("network", "site", "block", *quantities) if c in frame]
    return frame[[*first, *(c for c in frame.columns if c not in first)]]


def _units(record: Record) -> dict[str, str]:
    return {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}


def _table_says(run: Run) -> str:
    count = plural(len(run.main.frame), "row")
    networks = plural(len(run.main.parts), "network") if run.grouped else "one per network"
    what = "Every number behind the figure" if run.analysed else "Every quantity of the Record"
    if run.main.note:
        return f"{run.main.note} A heading sorts by its column; – is no value."
    return f"{what}: {count}, {networks}. A heading sorts by its column; – is no value."


def _note(note: str) -> tuple[str, str]:
    """A note's first words, up to a colon, are its term.

    >>> _note("Good: a level line."), _note("No term here.")
    (('Good', 'a level line.'), ('', 'No term here.'))
    """
    found = _TERM.fullmatch(note)
    return (found[1], found[2]) if found else ("", note)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
