"""One run as the page shows it: a plain object, made from a run folder without torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import Record
from snnlens.recording.result import SEVERITIES, Claim, Finding, Result
from snnlens.report import svg
from snnlens.report.methods import methods
from snnlens.report.tables import Part, Table, table
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
LONG, SHORT = 400, 20  # rows of a further table: longer ones are shown in part
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
    table: Table
    extra: list[Part]
    table_says: str
    csv: str
    csv_name: str
    csv_size: str


def read(folders: Sequence[Path]) -> list[Run]:
    """All runs; two of one name are told apart by a number."""
    runs: list[Run] = []
    seen: dict[str, int] = {}
    ids: set[str] = set()
    for folder in folders:
        last = Path(os.path.abspath(folder)).name  # noqa: PTH100 - resolve() would follow links
        seen[last] = seen.get(last, 0) + 1
        name = last if seen[last] == 1 else f"{last} ({seen[last]})"
        runs.append(_read(folder, last, name, _free(f"run-{slug(name)}", ids)))
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
    result, record = store.load_result(folder), store.load(folder)
    title = result.title if result else "What was recorded"
    figure, no_figure = _figure(folder, id_, title) if result else (None, "this run is a Record")
    frame = result.table if result else _recorded(record)
    csv = _csv(folder) if result else frame.to_csv(index=False, lineterminator="\n")
    made = table(frame, _units(record))
    _check(folder, result)
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
        table=made,
        extra=_extra(result),
        table_says=_table_says(made, result),
        csv="data:text/csv;charset=utf-8," + quote(csv, safe=",:;()+-._~/ ").replace(" ", "%20"),
        csv_name="result.csv" if result else "record.csv",
        csv_size=f"{len(csv.encode()) / 1000:.0f} kB",
    )


def _extra(result: Result | None) -> list[Part]:
    """Further tables of a result, each named after itself; of a long one the beginning."""
    tables = result.extra if result else {}
    return [
        replace(part, name=_extra_name(name, frame, part.name))
        for name, frame in tables.items()
        for part in table(frame if len(frame) <= LONG else frame.head(SHORT)).parts
    ]


def _extra_name(name: str, frame: pd.DataFrame, network: str) -> str:
    """What stands above a further table: its name, and whose it is, or how much of it is shown."""
    title = name.replace("_", " ")
    if len(frame) > LONG:
        return f"{title}: {SHORT} of {len(frame)} rows, all in {name}.csv of the run folder"
    several = "network" in frame and frame["network"].nunique() > 1
    return f"{title}: {network}" if several else title


def _check(folder: Path, result: Result | None) -> None:
    """A verdict or a severity that nobody knows must not pass as a good one."""
    for claim in result.claims if result else []:
        if claim.verdict not in VERDICTS:
            raise InputError(
                f"a verdict in {folder / 'claims.json'}", got=claim.verdict,
                wanted="holds, fails or not-testable",
            )  # fmt: skip
    for finding in result.findings if result else []:
        if finding.severity not in SEVERITIES:
            raise InputError(
                f"a severity in {folder / 'findings.json'}", got=finding.severity,
                wanted="error, warning or note",
            )  # fmt: skip


def _origin(record: Record) -> dict[str, Any]:
    provenance = record.provenance
    return {
        "command": without_paths(_text(provenance.get("command") or "")),
        "parameters": [
            (k, without_paths(_text(v)))
            for k, v in (provenance.get("parameters") or {}).items()
            if v is not None
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
        return svg.figure(folder / "figure.svg", f"{id_}-", title), ""
    except svg.Unfit as why:
        return None, f"figure.svg cannot be shown: {why}"


def _csv(folder: Path) -> str:
    return (folder / "result.csv").read_text(encoding="utf-8")


def _recorded(record: Record) -> pd.DataFrame:
    """The Record's frame, its quantities before what only describes the site."""
    frame, quantities = record.frame(), list(_units(record))
    first = [c for c in ("network", "site", "block", *quantities) if c in frame]
    return frame[[*first, *(c for c in frame.columns if c not in first)]]


def _units(record: Record) -> dict[str, str]:
    return {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}


def _table_says(made: Table, result: Result | None) -> str:
    rows = plural(sum(len(part.rows) for part in made.parts), "row")
    networks = plural(len(made.parts), "network") if made.grouped else "one per network"
    what = "Every number behind the figure" if result else "Every quantity of the Record"
    return f"{what}: {rows}, {networks}. A heading sorts by its column; – is no value."


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
