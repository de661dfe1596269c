"""A verdict as JUnit XML: a suite per run, a test case per thing that was judged."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

from snnlens.report.gate.case import Case, Judged, Verdict


def junit(verdict: Verdict) -> str:
    """The file that CI systems read; without times, so that equal runs give equal bytes."""
    counts = _counts(verdict, verdict.cases)
    root = ET.Element("testsuites", {"name": "snnlens gate"} | counts)
    for run in verdict.runs:
        _suite(root, run, verdict)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, run: Judged, verdict: Verdict) -> None:
    suite = ET.SubElement(root, "testsuite", {"name": run.run} | _counts(verdict, run.cases))
    names: Counter[tuple[str, str]] = Counter()
    for case in run.cases:
        group, name = f"{run.run}.{case.kind}", _name(case)
        names[group, name] += 1
        again = names[group, name]
        made = ET.SubElement(suite, "testcase", classname=group, time="0",
                             name=f"{name} ({again})" if again > 1 else name)  # fmt: skip
        _outcome(made, case, verdict)


def _outcome(made: ET.Element, case: Case, verdict: Verdict) -> None:
    """A failure, a reason to skip, or what was found where that does not count."""
    if verdict.stops(case):
        failure = ET.SubElement(made, "failure", type=case.severity, message=case.says)
        failure.text = _text(case)
    elif case.ended == "skipped":
        ET.SubElement(made, "skipped", message=case.says)
    elif case.ended == "failed":
        ET.SubElement(made, "system-out").text = f"{case.severity}: {_text(case)}"


def _name(case: Case) -> str:
    """What tells the case from the others, and stays the same when its numbers change."""
    if case.kind == "finding" and case.site:
        return f"{case.name} at {case.site}"
    return f"{case.name}: {case.bound}" if case.kind == "threshold" else case.name


def _text(case: Case) -> str:
    bound = [f"bound: {case.bound}"] if case.bound else []
    return "\n".join([case.says, *bound, *([f"try: {case.try_}"] if case.try_ else [])])


def _counts(verdict: Verdict, cases: list[Case] | tuple[Case, ...]) -> dict[str, str]:
    words = Counter(verdict.word(case) for case in cases)
    return {"tests": str(len(cases)), "failures": str(words["failed"]), "errors": "0",
            "skipped": str(words["skipped"])}  # fmt: skip
