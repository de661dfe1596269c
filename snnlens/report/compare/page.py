"""The page of a comparison: the report's frame and macros, differences first."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from snnlens.recording.result import SEVERITIES, Claim, Finding
from snnlens.report import build as pages
from snnlens.report.compare import said, tables
from snnlens.report.compare.found import TIME, Comparison
from snnlens.report.compare.keys import key_of
from snnlens.report.compare.read import FACTS, RECORDED, RESULT
from snnlens.report.compare.tables import Section
from snnlens.report.text import plural

MOST = 12  # places of one sort that could not be compared, in words; the others are counted
TITLES = {RESULT: "The numbers", RECORDED: "What was recorded", FACTS: "Facts of the networks"}


@dataclass(frozen=True)
class Found:
    """A finding of A or of another run, and what became of it."""

    what: str
    finding: Finding
    a: Finding | None
    b: Finding | None


@dataclass(frozen=True)
class Statement:
    """A claim in all runs: `what` is verdict, number or same."""

    what: str
    claim: Claim
    of: list[Claim | None]
    fails: bool


def page(found: Comparison) -> str:
    """The page. The same runs give the same page."""
    sections = tables.sections(found)
    contents = [("claims", "Claims"), ("findings", "Findings")]
    contents += [(s.id, title(s.name)) for s in sections]
    contents += [("not-run", "What could not be compared"), ("provenance", "Parameters and origin")]
    common = {"found": found, "sides": found.sides, "several": len(found.sides) > 2}
    parts = {
        "header": _render("header", **common, summary=_summary(found), title=_title(found)),
        "claims": _render("claims", **common, **_claims(found)),
        "findings": _render("findings", **common, runs=_findings(found)),
        **{
            f"numbers {s.name}": _render("numbers", **common, section=s, heading=title(s.name),
                                         how=_how(found, s), most=tables.FIGURES)
            for s in sections
        },
        "not run": _render("left", **common, left=_left(found)),
        "provenance": _render("settings", **common, **_settings(found)),
    }  # fmt: skip
    return _frame(found, parts, contents)


def title(table: str) -> str:
    """What a table is called.

    >>> title("result"), title("by_epoch")
    ('The numbers', 'By epoch')
    """
    words = table.replace("_", " ")
    return TITLES.get(table, words[:1].upper() + words[1:])


def _render(name: str, **values: object) -> Markup:
    return pages._render(f"compare_{name}", **values)


def _frame(found: Comparison, parts: dict[str, Markup], contents: list[tuple[str, str]]) -> str:
    script = pages._file("sort.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    names = ", ".join(side.name for side in found.sides)
    return pages._render(
        "page",
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'",
        title=f"snnlens compare: {names}"[:200],
        style=Markup(pages._file("style.css") + pages._file("compare.css")),
        script=Markup(script),
        parts={
            "header": parts["header"],
            "sections": [p for n, p in parts.items() if n != "header"],
        },
        contents=contents,
        skip=contents[0],
    )


def _title(found: Comparison) -> str:
    result = found.sides[0].result
    recorded = found.question == RECORDED or result is None
    return "What was recorded" if recorded or result is None else result.title


# --- in one line ------------------------------------------------------------------------------


def _summary(found: Comparison) -> list[tuple[str, str, str]]:
    """What stands before, the kind of mark, the words."""
    if found.equal:
        return [("", "holds", "No difference"),
                ("", "", ": every claim, finding, number and parameter is the same")]  # fmt: skip
    lines = [*_verdicts(found), ("; ", "", "findings: ")]
    lines = [*lines, *_new_or_gone(found)] if _new_or_gone(found) else [
        *lines[:-1], ("; ", "", "no finding is new, gone or changed")
    ]  # fmt: skip
    differ, total = int(found.numbers["differs"].sum()), len(found.numbers)
    numbers = f"{differ} of {plural(total, 'number')} differ" if differ else "no number differs"
    first = lines[0][2]
    return [("", lines[0][1], first[:1].upper() + first[1:]), *lines[1:], ("; ", "", numbers)]


def _verdicts(found: Comparison) -> list[tuple[str, str, str]]:
    claims = found.claims
    changed, alone = (
        claims[claims["what"] == "verdict"],
        claims[claims["what"].isin(["new", "gone"])],
    )
    fails = (changed["verdict_b"] == "fails") & (changed["verdict_a"] != "fails")
    kind = "fails" if fails.any() else ""
    words = plural(len(changed), "claim has another verdict", "claims have another verdict")
    said_of = [("", kind, words if len(changed) else "no claim has another verdict")]
    if len(alone):
        where = "in one run alone" if len(found.sides) == 2 else "not in every run"
        verb = "is" if len(alone) == 1 else "are"
        said_of.append((", ", "", f"{len(alone)} {verb} {where}"))
    return said_of


def _new_or_gone(found: Comparison) -> list[tuple[str, str, str]]:
    said_of: list[tuple[str, str, str]] = []
    for what in ("new", "gone", "changed"):
        rows = found.findings[found.findings["what"] == what]
        if len(rows):
            worst = min(rows["severity"], key=SEVERITIES.index) if what == "new" else ""
            said_of.append((", " if said_of else "", worst, f"{len(rows)} {what}"))
    return said_of


# --- claims and findings ----------------------------------------------------------------------


def _claims(found: Comparison) -> dict[str, Any]:
    numbered = [said.numbered_claims(side.claims) for side in found.sides]
    keys = dict.fromkeys(key for one in numbered for key in one)
    rows = [_statement([one.get(key) for one in numbered]) for key in keys]
    return {
        "changed": [r for what in ("verdict", "number") for r in rows if r.what == what],
        "same": [r for r in rows if r.what == "same"],
    }  # fmt: skip


def _statement(of: list[Claim | None]) -> Statement:
    there = [claim for claim in of if claim]
    verdicts = {claim.verdict if claim else "" for claim in of}
    numbers = all(c and said.same(c.measured, there[0].measured) for c in of)
    what = "verdict" if len(verdicts) > 1 else "same" if numbers else "number"
    later = any(claim and claim.verdict == "fails" for claim in of[1:])
    fails = what == "verdict" and later and not (of[0] and of[0].verdict == "fails")
    return Statement(what, there[-1], of, fails)


def _findings(found: Comparison) -> list[tuple[str, list[Found], list[Found]]]:
    """Per other run: its letter, what is different, what is the same."""
    made = []
    for side in found.sides[1:]:
        pairs = said.paired_findings(found.sides[0], side)
        rows = [Found(what, said.either(a, b), a, b) for what, a, b in pairs]
        made.append((side.letter, [r for r in rows if r.what != "same"],
                     [r for r in rows if r.what == "same"]))  # fmt: skip
    return made


# --- the rest ---------------------------------------------------------------------------------


def _how(found: Comparison, section: Section) -> list[tuple[str, str, str]]:
    rows = found.alignment[found.alignment["table"] == section.name]
    return [(str(r.run), str(r.how), str(r.networks)) for r in rows.itertuples()]


def _left(found: Comparison) -> list[tuple[str, str, str, str]]:
    """What is in one run alone: which run, which table and networks, what."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for row in found.unaligned.to_dict("records"):
        key = (row["only_in"], title(row["table"]), row["networks"])
        rows.setdefault(key, []).append(row["what"])
    return [(*key, _cut(what)) for key, what in rows.items()]


def _cut(what: Sequence[str]) -> str:
    more = len(what) - MOST
    return "; ".join(what[:MOST]) + (f"; and {more} more" if more > 0 else "")


def _settings(found: Comparison) -> dict[str, Any]:
    letters = [side.letter for side in found.sides]
    rows = [
        (row["kind"], row["name"], _none(row["network"]), [_none(row[x]) for x in letters])
        for row in found.settings.to_dict("records")
    ]
    kinds = ("parameter", "provenance", "network")
    ordered = [row for kind in kinds for row in rows if row[0] == kind]
    return {"rows": ordered, "times": [row for row in rows if row[0] == TIME]}


def _none(value: Any) -> str | None:
    """A cell of a frame: pandas may make NaN of None."""
    found = key_of(value)
    return None if found is None else str(found)
