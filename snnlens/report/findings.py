"""Findings as the page lists them: ranked, one entry per diagnosis, each case with its links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from snnlens.recording.result import SEVERITIES, Finding

_FLAG = Markup(
    '<a class="flag {}" href="#{}" aria-label="{}"><svg class="icon" aria-hidden="true" '
    'focusable="false"><use href="#icon-{}"/></svg></a>'
)


@dataclass(frozen=True)
class Case:
    """One finding of one run; ids are empty where there is nothing to lead to.

    Attributes:
        id: of the case in the page.
        run_id, run_name: whose it is.
        finding: what was found.
        row: the id of its site's row.
        row_name: what that row is called.
        figure: the id of its run's figure.
    """

    id: str
    run_id: str
    run_name: str
    finding: Finding
    row: str = ""
    row_name: str = ""
    figure: str = ""

    def without_row(self) -> Case:
        """The same where its row is not shown."""
        return replace(self, row="", row_name="")


@dataclass(frozen=True)
class Entry:
    """One diagnosis: what its cases share, and the cases."""

    finding: Finding
    cases: list[Case]


def ranked(cases: Iterable[Case]) -> list[Case]:
    """Errors first; within a severity by code, then as found."""
    return sorted(cases, key=lambda c: (SEVERITIES.index(c.finding.severity), c.finding.code))


def entries(cases: Iterable[Case]) -> list[Entry]:
    """The ranked cases, those of one diagnosis under one entry.

    >>> found = [Finding("SNL201", "error", s, "", "why", "next", "") for s in ("a", "b")]
    >>> [len(e.cases) for e in entries([Case("", "", "", f) for f in found])]
    [2]
    """
    shared: dict[tuple[str, ...], list[Case]] = {}
    for case in ranked(cases):
        f = case.finding
        shared.setdefault((f.severity, f.code, f.why, f.next, f.reference), []).append(case)
    return [Entry(same[0].finding, same) for same in shared.values()]


def flag(cases: Sequence[Case]) -> Markup:
    """The link that stands in a row and leads to its findings: the worst one is what it shows.

    >>> case = Case("run-a-f0", "run-a", "a", Finding("SNL201", "error", "b", "", "", "", ""))
    >>> 'href="#run-a-f0"' in flag([case]), flag([])
    (True, Markup(''))
    """
    if not cases:
        return Markup("")
    worst = ranked(cases)
    said = ", ".join(f"{c.finding.severity} {c.finding.code}" for c in worst)
    severity = worst[0].finding.severity
    return _FLAG.format(severity, worst[0].id, f"Findings here: {said}", severity)
