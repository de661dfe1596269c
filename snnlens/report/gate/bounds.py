"""Thresholds judged: each site or row beside its bound, the worst one first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from snnlens.errors import InputError
from snnlens.measures.compare import excess
from snnlens.report.gate import rows
from snnlens.report.gate.advice import advice
from snnlens.report.gate.case import Case, Place
from snnlens.report.gate.grammar import SITES, Bound
from snnlens.report.gate.subject import Subject
from snnlens.report.gate.words import spoken, visible, wrong
from snnlens.report.text import plural

MISSING, SHOWN = "missing", 3  # so many places are named after the worst


@dataclass(frozen=True)
class _Broken:
    """A row that breaks a bound: by which limits, the worst first, and by how much that."""

    place: Place
    limits: tuple[str, ...]
    excess: float


def thresholds(
    subjects: Sequence[Subject], bounds: Sequence[Bound], base: Subject | None
) -> list[list[Case]]:
    """The cases of each run, in the order of the bounds.

    Of several runs a bound is about those of the questions of which one holds the quantity.
    """
    made: list[list[Case]] = [[] for _ in subjects]
    for bound in bounds:
        questions = {s.question for s in subjects if _holds(s, bound)}
        if not questions:
            questions = {subjects[0].question}  # which raises what is wrong
        for subject, cases in zip(subjects, made, strict=True):
            asked = subject.question in questions
            cases.append(_case(bound, subject, base) if asked else _elsewhere(bound, subject))
    return made


def _elsewhere(bound: Bound, subject: Subject) -> Case:
    says = f"{subject.name} does not answer a question that has it"
    return Case("threshold", bound.name, "skipped", says, bound=bound.text)


def _holds(subject: Subject, bound: Bound) -> bool:
    if bound.table != SITES and bound.table not in subject.tables:
        return False
    return bound.quantity in rows.rows(subject, bound.table, bound.said_in)


def _case(bound: Bound, subject: Subject, base: Subject | None) -> Case:
    looked, values, labels = _looked(bound, subject)
    before = _before(bound, subject, base, looked)
    places = [Place(*p) for p in zip(labels, values[looked], before, strict=True)]
    judged = [(p, broken) for p in places for known, broken in [_judge(bound, p)] if known]
    if not judged:
        raise InputError(bound.said_in, got="no row that the baseline has, too",
                         wanted="about at least one")  # fmt: skip
    broken = sorted((b for _, b in judged if b), key=lambda b: -b.excess)
    what = plural(len(judged), "site" if bound.table == SITES else "row")
    common = {"kind": "threshold", "name": bound.name, "bound": bound.text}
    if not broken:
        says = f"{what}, {_range([p.value for p, _ in judged])}"
        return Case(**common, ended="passed", says=says)  # type: ignore[arg-type]
    worst = broken[0]
    return Case(
        **common, ended="failed", severity=bound.severity,  # type: ignore[arg-type]
        says=_said(bound, broken, what), site=worst.place.where,
        try_=advice(bound.quantity, worst.limits[0]), places=tuple(b.place for b in broken),
    )  # fmt: skip


def _looked(bound: Bound, subject: Subject) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Which rows are judged, the numbers of all rows, the names of those that are judged."""
    frame = rows.rows(subject, bound.table, bound.said_in)
    if bound.quantity not in frame:
        raise _unheld(bound, subject)
    values = rows.numbers(frame, bound.quantity, bound.said_in)
    kept = rows.chosen(frame, bound.where, bound.but, bound.said_in, subject.name)
    if bound.table == SITES:
        kept &= subject.measured(bound.quantity).to_numpy(bool)
    if np.isnan(values[kept]).all():
        raise InputError(
            bound.said_in, got=f"no number of {visible(bound.quantity)} in {subject.name}",
            wanted="about a quantity with a number",
            do="`where` and `except` leave none" if bound.where or bound.but else "",
        )  # fmt: skip
    return kept, values, rows.labels(frame[kept], frame)


def _unheld(bound: Bound, subject: Subject) -> InputError:
    """A quantity that this run does not hold: the nearest that it does, or where it stands."""
    tables = {SITES: subject.sites, **subject.tables}
    where = [t for t, frame in tables.items() if bound.quantity in frame]
    if where:
        key = "[gate.sites]" if where[0] == SITES else f"[gate.tables.{visible(where[0])}]"
        return InputError(bound.said_in, got=bound.quantity, wanted=f"in {key}")
    known = subject.quantities if bound.table == SITES else [str(c) for c in tables[bound.table]]
    return wrong(
        bound.said_in, bound.quantity, known, f"about a quantity that {subject.name} holds"
    )


def _before(
    bound: Bound, subject: Subject, base: Subject | None, looked: np.ndarray
) -> list[float | None]:
    """The baseline's numbers of the same rows; None where it has none."""
    if not bound.compares:
        return [None] * int(looked.sum())
    if base is None:
        raise InputError(bound.said_in, got="no baseline", wanted="without drop and rise",
                         do="give --baseline RUN0")  # fmt: skip
    there, values, _ = _looked(bound, base)
    old = rows.rows(base, bound.table, bound.said_in)[there]
    new = rows.rows(subject, bound.table, bound.said_in)[looked]
    by = rows.shared(old, new)
    known = dict(zip(rows.identities(old, by), values[there], strict=True))
    return [known.get(key) for key in rows.identities(new, by)]


def _judge(bound: Bound, place: Place) -> tuple[bool, _Broken | None]:
    """Whether a row can be judged, and the limit that it breaks by most.

    No number breaks every limit, unless it may be missing; an infinite one always does.
    """
    value = math.nan if place.value is None else place.value
    over = {limit: _over(limit, most, value, place.before) for limit, most in bound.limits}
    known = {limit: excess for limit, excess in over.items() if not math.isnan(excess)}
    if math.isinf(value) or (len(known) < len(over) and bound.missing == "fail"):
        shown = place if math.isfinite(value) else replace(place, value=None)
        return True, _Broken(shown, (MISSING,), math.inf)
    broken = tuple(sorted((n for n in known if known[n] > 0), key=lambda n: -known[n]))
    return bool(known), _Broken(place, broken, max(known.values())) if broken else None


def _over(limit: str, number: float, value: float, before: float | None) -> float:
    """By how much a value breaks a limit; NaN where there is nothing to compare with."""
    old = math.nan if before is None else before
    if limit in {"min", "max"}:
        return number - value if limit == "min" else value - number
    return excess(old - value if limit == "drop" else value - old, number, old, value)


def _said(bound: Bound, broken: Sequence[_Broken], what: str) -> str:
    """`sn2 is 1, above max 0.1; 3 of 9 sites, also sn3 0.4, sn1 0.2`."""
    worst, others = broken[0], broken[1 : SHOWN + 1]
    said = f"{worst.place.where} is {spoken(worst.place.value)}{_how(bound, worst)}"
    said += f"; {len(broken)} of {what}"
    if others:
        said += ", also " + ", ".join(f"{b.place.where} {spoken(b.place.value)}" for b in others)
    more = len(broken) - 1 - len(others)
    return said + (f" and {more} more" if more else "")


def _how(bound: Bound, broken: _Broken) -> str:
    if broken.limits == (MISSING,):
        known = broken.place.value is not None
        return ", and the baseline has no such number" if known else f" ({bound.text})"
    before, most = f"was {spoken(broken.place.before)} in the baseline", dict(bound.limits)
    said = {
        "min": ", below min {:g}", "max": ", above max {:g}",
        "drop": f", {before}: it fell by more than {{:g}}",
        "rise": f", {before}: it rose by more than {{:g}}",
    }  # fmt: skip
    return "".join(said[limit].format(most[limit]) for limit in broken.limits)


def _range(values: Sequence[float | None]) -> str:
    finite = [v for v in values if v is not None]
    return f"{min(finite):.6g} to {max(finite):.6g}"
