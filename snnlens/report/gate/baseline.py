"""A run beside a baseline: the same sites and quantities, a relative tolerance, what is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api import types

from snnlens.errors import InputError
from snnlens.measures.compare import excess
from snnlens.report.gate import rows
from snnlens.report.gate.case import Case, Ended, Place
from snnlens.report.gate.grammar import Rules
from snnlens.report.gate.subject import Subject
from snnlens.report.gate.words import spoken, visible, wrong
from snnlens.report.text import plural

SHOWN = 3
RESULT = "result"
CHANGED = (
    "find out what changed it: `snnlens compare` shows both runs; if it was meant, record a new "
    "baseline"
)


def compared(subject: Subject, base: Subject, rules: Rules) -> list[Case]:
    """One case per quantity, and one of what only one of the two runs holds."""
    if subject.question != base.question:
        raise InputError(
            "--baseline", got=f"a run of {base.question or 'a Record alone'}",
            wanted=f"a run of {subject.question or 'a Record alone'}, as {subject.name} is",
        )  # fmt: skip
    asked = rules.compared or _both(subject, base)
    cases = [_case(name, subject, base, rules) for name in asked]
    empty = [case.name for case in cases if case.ended == "skipped"]
    if len(empty) == len(cases) or (rules.compared and empty):
        what = ", ".join(empty[:SHOWN] if rules.compared else ["the same sites and quantities"])
        raise InputError(
            "--baseline", got=base.name, wanted=f"a run with numbers of {visible(what)} in it",
            do=f"its networks are {_networks(base)}, those of {subject.name} {_networks(subject)}",
        )  # fmt: skip
    return [*_lost(subject, base, rules), *cases]


def _networks(run: Subject) -> str:
    return ", ".join(visible(n) for n in run.record.networks) or "none"


# --- what is compared ------------------------------------------------------------------------


def _both(subject: Subject, base: Subject) -> list[str]:
    """The quantities of both, then the columns of both results that are no site's quantity."""
    return [q for q in _all(base) if q in _all(subject)]


def _all(subject: Subject) -> list[str]:
    table = subject.tables.get(RESULT, pd.DataFrame())
    repeated = subject.quantities if "site" in table else []
    columns = [c for c in table if types.is_float_dtype(table[c]) and c not in repeated]
    return [*subject.quantities, *(f"{RESULT}.{c}" for c in columns)]


def _lost(subject: Subject, base: Subject, rules: Rules) -> list[Case]:
    """Sites and quantities of the baseline that are gone, and those that are new."""
    pairs = [("site", "sites", _names(base), _names(subject))]
    if not rules.compared:
        pairs.append(("quantity", "quantities", _all(base), _all(subject)))
    if RESULT in base.tables and (not rules.compared or any("." in n for n in rules.compared)):
        pairs.append(("row", "rows", *_rows(base, subject)))
    return [case for *names, old, new in pairs for case in _lost_of(names, old, new, rules)]


def _lost_of(names: Sequence[str], old: list[str], new: list[str], rules: Rules) -> list[Case]:
    one, what = names
    gone, fresh = [n for n in old if n not in set(new)], [n for n in new if n not in set(old)]
    made = []
    if gone:
        ended: Ended = "failed" if rules.missing == "fail" else "skipped"
        says = f"{plural(len(gone), one, what)} of the baseline missing here: {_listed(gone)}"
        made.append(Case("baseline", f"missing {what}", ended, says, try_=CHANGED,
                         places=tuple(Place(n, None) for n in gone)))  # fmt: skip
    if fresh:
        made.append(Case("baseline", f"new {what}", "skipped",
                         f"the baseline has them not: {_listed(fresh)}"))  # fmt: skip
    return made


def _rows(base: Subject, subject: Subject) -> tuple[list[str], list[str]]:
    """The rows of the two results; those of sites are said as sites already."""
    old, new = base.tables[RESULT], subject.tables[RESULT]
    by = [c for c in rows.shared(old, new) if c in new]
    return ([], []) if "site" in by else (rows.named(old, by), rows.named(new, by))


def _names(subject: Subject) -> list[str]:
    """Each site with its network, where that has several."""
    return rows.labels(subject.sites, subject.sites) if len(subject.sites) else []


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


# --- one quantity ----------------------------------------------------------------------------


def _case(name: str, subject: Subject, base: Subject, rules: Rules) -> Case:
    tolerance = rules.tolerance
    pairs = _pairs(name, subject, base)
    bound = f"within {tolerance:g} of the baseline"
    if not pairs:
        return Case("baseline", name, "skipped", "no number in both", bound=bound)
    allowed = tolerance * _scale([p.before for p in pairs])
    off = [(_off(p), p) for p in pairs]
    broken = [(d, p) for (d, p), most in zip(off, allowed, strict=True) if not _within(d, most, p)]
    if not broken:
        return Case(
            "baseline", name, "passed", f"{plural(len(pairs), 'number')} {bound}", bound=bound
        )
    broken.sort(key=lambda pair: -_relative(*pair))
    places = tuple(place for _, place in broken)
    return Case("baseline", name, "failed", _said(places, len(pairs), bound), bound=bound,
                site=places[0].where, try_=CHANGED, places=places)  # fmt: skip


def _pairs(name: str, subject: Subject, base: Subject) -> list[Place]:
    """The rows that the baseline has a number of and that are here; a NaN here is kept."""
    old, new = (_column(name, run) for run in (base, subject))
    by = rows.shared(old[0], new[0])
    known = {k: v for k, v in zip(rows.identities(old[0], by), old[1], strict=True)
             if math.isfinite(v)}  # fmt: skip
    labels = rows.labels(new[0], new[0])
    found = zip(rows.identities(new[0], by), labels, new[1], strict=True)
    return [Place(label, float(value) if math.isfinite(value) else None, known[key])
            for key, label, value in found if key in known]  # fmt: skip


def _column(name: str, subject: Subject) -> tuple[pd.DataFrame, np.ndarray]:
    """A quantity of the sites, or `result.COLUMN`: its rows and its numbers."""
    table, _, column = name.rpartition(".")
    frame = rows.rows(subject, table, "quantities of [gate.baseline]") if table else subject.sites
    if column not in frame:
        known = _all(subject)
        raise wrong("quantities of [gate.baseline]", name, known, f"quantities of {subject.name}")
    return frame, rows.numbers(frame, column, f"{visible(name)} of [gate.baseline]")


def _scale(before: Sequence[float | None]) -> np.ndarray:
    """What the tolerance is relative to: the number itself; of a quantity with both signs (a
    mean, which may be 0 but for rounding) its largest.
    """
    size = np.abs(np.array(before, float))
    signed = min(before, default=0) < 0 < max(before, default=0)  # type: ignore[type-var, operator]
    return np.full_like(size, size.max()) if signed else size


def _off(place: Place) -> float:
    """How far a number is from the baseline's; infinite where it is none."""
    if place.value is None or place.before is None:
        return math.inf
    return abs(place.value - place.before)


def _within(off: float, allowed: float, place: Place) -> bool:
    return excess(off, allowed, place.before or 0.0, place.value or 0.0) <= 0


def _relative(off: float, place: Place) -> float:
    return off / abs(place.before) if place.before else math.inf


def _said(places: Sequence[Place], count: int, bound: str) -> str:
    """`sn1 is 0.4, was 0.2; 3 of 9 numbers are not within 0.05 of the baseline`."""
    first = places[0]
    said = f"{first.where} is {spoken(first.value)}, was {spoken(first.before)}"
    verb = "is" if len(places) == 1 else "are"
    said += f"; {len(places)} of {plural(count, 'number')} {verb} not {bound}"
    others = ", ".join(p.where for p in places[1 : SHOWN + 1])
    return said + (f", also {others}" if others else "")
