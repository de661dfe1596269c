"""How a notebook shows a Result, a Record and a Finding: with the parts that the page is made of.

There is no page around it: no ids (what is shown twice would have them twice), no script, icons
drawn where they stand, and one small style that reaches nothing else.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pandas as pd
from markupsafe import Markup

from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Result
from snnlens.report import tables
from snnlens.report.build import _file, _render, tally
from snnlens.report.findings import Case, entries
from snnlens.report.text import plural
from snnlens.report.view import VERDICTS
from snnlens.report.worst import worst

MOST_ROWS = 24  # of a table: `frame()` has the others
MOST_ENTRIES = 12  # of the findings
OF_RESULT = [
    (".frame()", "the table"), (".plot()", "the figure"), (".findings, .claims", "as shown here"),
]  # fmt: skip
OF_RECORD = [(".frame()", "the table"), (".save(folder)", "a run folder")]
_ICON = re.compile(r'<svg class="icon"[^>]*><use href="#icon-([\w-]+)"/></svg>')
_SYMBOL = re.compile(r'<symbol id="icon-([\w-]+)" (viewBox="[^"]+")>(.*?)</symbol>', re.DOTALL)


def html_of_result(result: Result) -> str:
    """Title, verdicts, findings, claims and the worst rows, for `Result._repr_html_`."""
    found = entries(map(_case, result.findings))
    claims = sorted(result.claims, key=lambda c: VERDICTS.index(c.verdict))
    parts, said = _table(result.table, result.record)
    return _rendered(
        title=result.title,
        summary=tally(result.claims, result.findings),
        caption=result.caption,
        entries=found[:MOST_ENTRIES],
        more_findings=max(len(found) - MOST_ENTRIES, 0),
        claims=[(None, claim) for claim in claims],
        parts=parts,
        said=said,
        notes=result.notes,
        hint=OF_RESULT,
    )


def html_of_record(record: Record) -> str:
    """What was recorded, of which networks, and the worst rows, for `Record._repr_html_`."""
    parts, said = _table(_measured(record), record)
    names = ", ".join(record.networks)
    return _rendered(
        title=f"Record of {plural(len(record.networks), 'network')}, "
        f"{plural(len(record.sites), 'site')}",
        caption=f"{names[:500]}; recorded: {', '.join(record.tables)}",
        parts=parts,
        said=said,
        hint=OF_RECORD,
    )


def html_of_finding(finding: Finding) -> str:
    """One finding, for `Finding._repr_html_`.

    >>> shown = html_of_finding(Finding("SNL201", "error", "<b>", "0 spikes", "why", "next", ""))
    >>> "&lt;b&gt;" in shown, "<b>" in shown, " id=" in shown
    (True, False, False)
    """
    return _rendered(entries=entries([_case(finding)]))


def _case(finding: Finding) -> Case:
    return Case("", "", "", finding)


def _table(frame: pd.DataFrame, record: Record) -> tuple[list[tables.Part], str]:
    """The table as the page has it, by network; a long one is cut, and the sentence says so."""
    units = {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}
    if frame.empty:
        return [], "No rows."
    if len(frame) <= MOST_ROWS:
        return tables.table(frame, units).parts, ""
    rows, said = worst(frame, MOST_ROWS)
    return tables.table(rows, units).parts, f"{said} The others are in .frame()."


def _measured(record: Record) -> pd.DataFrame:
    """A Record's numbers, without what describes the sites."""
    frame = record.frame()
    known = [n for s in record.schemas.values() for n in s.quantities]
    return frame[[c for c in ("network", "site", "role", "block", *known) if c in frame]]


# --- markup ----------------------------------------------------------------------------------


def _rendered(**parts: Any) -> str:
    """The template with what is given; icons stand in place of references to the page's."""
    empty: dict[str, Any] = dict.fromkeys(
        ("title", "summary", "caption", "entries", "more_findings", "claims", "parts", "said",
         "notes", "hint"), ""
    )  # fmt: skip
    html = _render("rich", style=Markup(_file("rich.css")), **(empty | parts))
    return _ICON.sub(lambda found: _icons()[found[1]], html)


@cache
def _icons() -> dict[str, str]:
    return {
        name: f'<svg class="icon" {box} aria-hidden="true" focusable="false">{drawing}</svg>'
        for name, box, drawing in _SYMBOL.findall(_file("icons.svg"))
    }
