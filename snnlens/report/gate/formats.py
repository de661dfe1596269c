"""A verdict as text, as JSON, as annotations of GitHub, as JUnit XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from snnlens.recording import store
from snnlens.report.gate.case import Case, Judged, Verdict
from snnlens.report.gate.junit import junit

SCHEMA = 1
LEVELS = {"error": "error", "warning": "warning", "note": "notice"}
NAME, LINE = 34, 120  # characters of a name, and of a line of what is said, in text
LONG = 2000  # of an annotation: more than a person reads there


def render(verdict: Verdict, format_: str) -> str:
    """The verdict in one of FORMATS; every format ends with a line break."""
    return FORMATS[format_](verdict)


# --- text ------------------------------------------------------------------------------------


def text(verdict: Verdict) -> str:
    """What failed, what it weighs, and what to try, under each run; then one line for all."""
    lines = [line for run in verdict.runs for line in _run(run, verdict)]
    source = f"rules of {verdict.rules}" if verdict.rules else "no thresholds"
    lines += [f"{verdict.summary} ({source})"]
    return "".join(f"{_no_command(line)}\n" for line in lines)


def _run(run: Judged, verdict: Verdict) -> list[str]:
    shown = sorted(
        (c for c in run.cases if c.ended == "failed"), key=lambda c: not verdict.stops(c)
    )
    shown += [c for c in run.cases if c.kind == "threshold" and c.ended != "failed"]
    width = min(NAME, max((len(_named(c)) for c in shown), default=0))
    passed = sum(c.ended == "passed" for c in run.cases)
    lines = [f"run {run.run} ({run.question or 'a Record alone'}): {passed} passed"]
    for index, case in enumerate(shown):
        lines += _case(case, verdict, width)
        again = any(case.try_ == earlier.try_ for earlier in shown[:index])
        if verdict.stops(case) and not again:
            lines += _wrapped(f"  {'':8} {'':{width}}  try: ", case.try_)
    return lines


def _case(case: Case, verdict: Verdict, width: int) -> list[str]:
    word = case.severity if case.ended == "failed" else case.ended
    mark = "*" if verdict.stops(case) else " "
    bound = f" [{case.bound}]" if case.bound and case.ended != "failed" else ""
    fresh = " (new)" if case.new else ""
    named = _cut(_named(case), width)
    return _wrapped(f"{mark} {word:8} {named:{width}}  ", f"{_cut(case.says, LONG)}{bound}{fresh}")


def _wrapped(head: str, said: str) -> list[str]:
    """What is said behind a head, in lines of LINE characters; none begins with GitHub's `::`."""
    made = [""]
    for word in (_cut(word, LINE) for word in said.split()):
        longer = f"{made[-1]} {word}".lstrip()
        fits = len(longer) <= LINE or word.startswith("::")
        made = [*made[:-1], longer] if fits else [*made, word]
    return [f"{head if i == 0 else ' ' * len(head)}{line}" for i, line in enumerate(made)]


def _named(case: Case) -> str:
    """`SNL202 sn2`: a threshold's site stands in what it says."""
    return f"{case.name} {case.site}" if case.kind == "finding" and case.site else case.name


def _cut(whole: str, length: int) -> str:
    return whole if len(whole) <= length else whole[: length - 3] + "..."


def _no_command(line: str) -> str:
    """GitHub reads `##[` anywhere in a line as a command of its own."""
    return line.replace("##[", "## [")


def reasons(verdict: Verdict) -> str:
    """What stops it, whole: site, number, bound, and what to try."""
    lines = [verdict.summary]
    for case in (c for c in verdict.cases if verdict.stops(c)):
        at = f" at {case.site}" if case.kind == "finding" and case.site else ""
        bound = f" [{case.bound}]" if case.bound else ""
        lines += [f"  {case.severity} {case.name}{at}{bound}: {case.says}", f"    try: {case.try_}"]
    return "\n".join(lines)


# --- annotations -----------------------------------------------------------------------------


def github(verdict: Verdict) -> str:
    """One line per case that failed, and one for all: `::error title=...::...`."""
    lines = [
        _command(LEVELS[case.severity], _title(case, run), _message(case))
        for run in verdict.runs for case in run.cases if case.ended == "failed"
    ]  # fmt: skip
    level = "notice" if verdict.green else "error"
    return "\n".join([*lines, _command(level, "snnlens gate", verdict.summary)]) + "\n"


def _title(case: Case, run: Judged) -> str:
    site = f" at {case.site}" if case.site else ""
    return _cut(f"{case.name}{site} ({run.run})", LINE)


def _message(case: Case) -> str:
    said = _cut(case.says, LONG)
    return f"{said}\ntry: {_cut(case.try_, LONG)}" if case.try_ else said


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(value: str) -> str:
    r"""As GitHub's own toolkit escapes what stands behind the second `::`.

    >>> _data("100 %\n::error::")
    '100 %25%0A::error::'
    """
    escaped = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return _no_command(escaped)


def _property(value: str) -> str:
    """As GitHub's own toolkit escapes a property.

    >>> _property("a:b,c")
    'a%3Ab%2Cc'
    """
    return _data(value).replace(":", "%3A").replace(",", "%2C")


# --- JSON ------------------------------------------------------------------------------------


def as_json(verdict: Verdict) -> str:
    """One object: schema, verdict, counts and every case of every run; no NaN."""
    runs = [{"run": r.run, "question": r.question, "cases": [_json(c, verdict) for c in r.cases]}
            for r in verdict.runs]  # fmt: skip
    counts = {word: verdict.counts[word] for word in ("failed", "minor", "passed", "skipped")}
    return store.dumps({
        "schema": SCHEMA, "verdict": "green" if verdict.green else "red",
        "fail_on": verdict.fail_on, "rules": verdict.rules or None,
        "baseline": verdict.baseline or None, "summary": verdict.summary, "counts": counts,
        "runs": runs,
    })  # fmt: skip


def _json(case: Case, verdict: Verdict) -> dict[str, Any]:
    made = asdict(case)
    made["try"] = made.pop("try_")
    return made | {"stops": verdict.stops(case)}


FORMATS: dict[str, Callable[[Verdict], str]] = {
    "text": text, "json": as_json, "github": github, "junit": junit,
}  # fmt: skip
