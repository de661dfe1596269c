"""What is not a number: verdicts, findings, words in tables, parameters, provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from snnlens.recording.result import SEVERITIES, Claim, Finding
from snnlens.report.compare import names
from snnlens.report.compare.align import Aligned
from snnlens.report.compare.keys import at
from snnlens.report.compare.read import Side, flat, measured
from snnlens.report.text import without_paths

CLAIMS = (
    "run", "id", "what", "verdict_a", "verdict_b", "measured_a", "measured_b", "statement", "bound",
    "source",
)  # fmt: skip
Alike = Callable[[Finding, Finding], bool]
FINDINGS = ("run", "what", "code", "severity", "site", "evidence_a", "evidence_b")
WORDS = ("table", "run", "network", "other_network", "a_at", "b_at", "column", "a", "b")
SETTINGS = ("kind", "name", "network")  # then a column for each run
WHEN = ("started", "finished", "seconds")  # differs between any two runs
ELSEWHERE = ("parameters", "question")


def claims(a: Side, b: Side) -> pd.DataFrame:
    """A row per claim of either run: changed verdicts first, then changed numbers."""
    of_a, of_b = numbered_claims(a.claims), numbered_claims(b.claims)
    rows = [_claim(b.letter, of_a.get(key), of_b.get(key)) for key in dict.fromkeys([*of_a, *of_b])]
    rows.sort(key=lambda row: ("verdict", "new", "gone", "number", "same").index(row["what"]))
    return pd.DataFrame(rows, columns=list(CLAIMS))


def numbered_claims(found: Sequence[Claim]) -> dict[tuple[str, int], Claim]:
    """By id; a second one of the same id under the next number."""
    ids = [claim.id for claim in found]
    return {(c.id, ids[:i].count(c.id)): c for i, c in enumerate(found)}


def _claim(run: str, a: Claim | None, b: Claim | None) -> dict[str, Any]:
    known = b or a
    assert known is not None
    return {
        "run": run, "id": known.id, "what": _claim_change(a, b),
        "verdict_a": a.verdict if a else None, "verdict_b": b.verdict if b else None,
        "measured_a": a.measured if a else None, "measured_b": b.measured if b else None,
        "statement": known.statement, "bound": known.bound, "source": known.source,
    }  # fmt: skip


def _claim_change(a: Claim | None, b: Claim | None) -> str:
    if a is None or b is None:
        return "new" if a is None else "gone"
    if a.verdict != b.verdict:
        return "verdict"
    return "same" if same(a.measured, b.measured) else "number"


def findings(a: Side, b: Side) -> pd.DataFrame:
    """A row per finding of either run, by code and site: new, gone, changed, same; worst first."""
    rows = [_finding(b.letter, what, x, y) for what, x, y in paired_findings(a, b)]
    return pd.DataFrame(rows, columns=list(FINDINGS))


def paired_findings(a: Side, b: Side) -> list[tuple[str, Finding | None, Finding | None]]:
    """What became of each finding, by code and site: new, gone, changed, same; worst first."""
    of_a, of_b = _by_place(a.findings), _by_place(b.findings)

    def alike(x: Finding, y: Finding) -> bool:
        return _nameless(x, a) == _nameless(y, b)

    pairs = [
        (_became(x, y, alike), x, y)
        for key in dict.fromkeys([*of_b, *of_a])
        for x, y in _told_apart(of_a.get(key, []), of_b.get(key, []), alike)
    ]
    return sorted(pairs, key=_rank)


def _nameless(finding: Finding, side: Side) -> Finding:
    """Without the name of an only network before its evidence: two runs may call it differently."""
    names = list(side.record.networks)
    if len(names) != 1:
        return finding
    return replace(finding, evidence=finding.evidence.removeprefix(f"{names[0]}: "))


def _became(a: Finding | None, b: Finding | None, alike: Alike) -> str:
    if a is None or b is None:
        return "new" if a is None else "gone"
    return "same" if alike(a, b) else "changed"


def _rank(pair: tuple[str, Finding | None, Finding | None]) -> tuple[int, int, str]:
    what, a, b = pair
    known = either(a, b)
    order = ("new", "gone", "changed", "same")
    return order.index(what), SEVERITIES.index(known.severity), known.code


def either(a: Finding | None, b: Finding | None) -> Finding:
    """What is, or what was."""
    known = b or a
    assert known is not None
    return known


def _by_place(found: Sequence[Finding]) -> dict[tuple[str, str | None], list[Finding]]:
    made: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in found:
        made.setdefault((finding.code, finding.site), []).append(finding)
    return made


def _told_apart(
    a: list[Finding], b: list[Finding], alike: Alike
) -> Iterator[tuple[Finding | None, Finding | None]]:
    """Findings of one code and site: those with the same evidence, then the others in order."""
    left_a, left_b = list(a), []
    for finding in b:
        same = next((x for x in left_a if alike(x, finding)), None)
        if same is None:
            left_b.append(finding)
        else:
            left_a.remove(same)
            yield same, finding
    for i in range(max(len(left_a), len(left_b))):
        yield (left_a[i] if i < len(left_a) else None, left_b[i] if i < len(left_b) else None)


def _finding(run: str, what: str, a: Finding | None, b: Finding | None) -> dict[str, Any]:
    known = either(a, b)
    return {
        "run": run, "what": what, "code": known.code, "severity": known.severity,
        "site": known.site, "evidence_a": a.evidence if a else None,
        "evidence_b": b.evidence if b else None,
    }  # fmt: skip


def words(aligned: Aligned) -> pd.DataFrame:
    """A row per text, or yes and no, that changed between two rows."""
    rows = [row for column in aligned.words for row in _words(aligned, column)]
    return pd.DataFrame(rows, columns=list(WORDS))


def _words(aligned: Aligned, column: str) -> Iterator[dict[str, Any]]:
    x, y = aligned.a[column].tolist(), aligned.b[column].tolist()
    for pair in aligned.pairs:
        for seed in (s for s in pair.rows_a if s in pair.rows_b):
            a, b = _word(x[pair.rows_a[seed]]), _word(y[pair.rows_b[seed]])
            if a != b:
                network = [n if seed == names.NO_SEED else f"{n}-s{seed}" for n in pair.match[:2]]
                yield {
                    "table": aligned.table, "run": aligned.side_b.letter,
                    "network": network[0], "other_network": network[1],
                    "a_at": at(pair.a, aligned.keys),
                    "b_at": at(pair.b, aligned.keys), "column": column, "a": a, "b": b,
                }  # fmt: skip


def settings(sides: Sequence[Side]) -> pd.DataFrame:
    """Parameters, provenance and facts of the networks that are not the same in all runs."""
    given = [flat(s.record.provenance.get("parameters") or {}) for s in sides]
    origin = [flat(_origin(s)) for s in sides]
    rows = [*_unequal("parameter", given), *_unequal("provenance", origin), *_facts(sides)]
    columns = [*SETTINGS, *(s.letter for s in sides)]
    return pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows], columns=columns)


def _origin(side: Side) -> dict[str, Any]:
    return {k: v for k, v in side.record.provenance.items() if k not in {*ELSEWHERE, "command"}} | {
        "command": side.record.provenance.get("command")
    }


def _unequal(
    kind: str, found: Sequence[Mapping[str, Any]], network: str | None = None
) -> Iterator[tuple[Any, ...]]:
    for name in dict.fromkeys(n for one in found for n in one):
        values = [one.get(name) for one in found]
        if any(not same(value, values[0]) for value in values):
            what = "time" if name in WHEN else kind
            yield (what, name, network, *map(said, values))


def _facts(sides: Sequence[Side]) -> Iterator[tuple[Any, ...]]:
    """Facts of the networks that all runs have, under the name that they have in A."""
    partners = [_partners(sides[0], side) for side in sides]
    merged: dict[tuple[Any, ...], list[str]] = {}
    for network, facts in sides[0].record.networks.items():
        others = [p.get(network) for p in partners]
        if all(o is not None for o in others):
            found = [_chosen(facts if o is None else o) for o in others]
            for row in _unequal("network", found):
                merged.setdefault((row[0], row[1], *row[3:]), []).append(network)
    for (kind, name, *values), networks in merged.items():
        yield (kind, name, ", ".join(networks), *values)


def _chosen(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen of a network; what was measured is a number among the others."""
    left_out = {"folder"}
    return {k: v for k, v in flat(facts).items() if k not in left_out and not measured(k, v)}


def _partners(a: Side, b: Side) -> dict[str, dict[str, Any]]:
    """The facts of B's network for each network of A; that of the same seed."""
    found = names.match(names.depths(a), names.depths(b)).found
    partner = {m.a: m.b for m in found}
    facts = {names.split(n): f for n, f in b.record.networks.items()}
    pairs = {n: names.split(n) for n in a.record.networks}
    return {
        n: facts[partner[group], seed]
        for n, (group, seed) in pairs.items()
        if (partner.get(group), seed) in facts
    }


def same(a: Any, b: Any) -> bool:
    """Equality in which no number is no number.

    >>> same(float("nan"), float("nan")), same(1, 1.0), same(None, 0)
    (True, True, False)
    """
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def said(value: Any) -> str | None:
    """A setting in words, without absolute paths; None is none.

    >>> said([1, 2]), said(True), said(None)
    ('1, 2', 'yes', None)
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(said(v)) for v in value)
    return without_paths(value if isinstance(value, str) else json.dumps(value, default=str))


def _word(value: Any) -> str | None:
    """A cell in words; an empty one is none."""
    if value is None or value is pd.NA or value == "" or value != value:  # noqa: PLR0124 - NaN
        return None
    if hasattr(value, "item"):
        value = value.item()
    return said(value)
