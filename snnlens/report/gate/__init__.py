"""Judge runs: findings, claims, thresholds and a baseline, and say it in four formats.

    verdict = judge([read("runs/mine")], find(Path()))
    print(render(verdict, "text"))

What cannot be judged is an error and never green: a name that is not known, a run with nothing
to judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from snnlens.errors import InputError, NothingToRecord
from snnlens.recording.result import Claim, Finding
from snnlens.report.gate.baseline import compared
from snnlens.report.gate.bounds import thresholds
from snnlens.report.gate.case import FAIL_ON, Case, Judged, Verdict
from snnlens.report.gate.file import find
from snnlens.report.gate.file import read as read_rules
from snnlens.report.gate.formats import FORMATS, reasons, render
from snnlens.report.gate.grammar import Rules, rules
from snnlens.report.gate.subject import Subject, of_record, of_result, read
from snnlens.report.gate.words import spoken, wrong

__all__ = [
    "FAIL_ON", "FORMATS", "Case", "Judged", "Rules", "Subject", "Verdict", "find", "judge",
    "of_record", "of_result", "read", "read_rules", "reasons", "render", "rules",
]  # fmt: skip
MEND_CLAIM = "the report shows how it was measured; `snnlens report RUN`"


def judge(subjects: Sequence[Subject], told: Rules, base: Subject | None = None) -> Verdict:
    """The verdict on runs.

    Args:
        subjects: at least one run.
        told: thresholds, and what is ignored or required.
        base: the run that they are compared with.

    Raises:
        InputError: a rule that no run can answer, a baseline of another question.
        NothingToRecord: a run with nothing to judge.
    """
    if not subjects:
        raise InputError("RUN", got="nothing", wanted="at least one run folder")
    if told.only_new and base is None:
        raise InputError('judge = "new" of [gate.findings]', got="no baseline",
                         wanted="with one to compare with", do="give --baseline RUN0")  # fmt: skip
    _known_claims(subjects, told)
    bounds = thresholds(subjects, told.bounds, base)
    runs = tuple(
        Judged(s.name, s.question, tuple(_cases(s, told, base, mine)))
        for s, mine in zip(subjects, bounds, strict=True)
    )
    for run in runs:
        _judged_something(run)
    return Verdict(runs, told.fail_on, told.source, base.name if base else "")


def _cases(subject: Subject, told: Rules, base: Subject | None, bounds: list[Case]) -> list[Case]:
    """Findings, thresholds, the baseline, claims, and the checks that found nothing."""
    against = compared(subject, base, told) if base else []
    claims = [_claim(claim, told) for claim in subject.claims]
    return [*_findings(subject, told, base), *bounds, *against, *claims, *_checks(subject)]


def _judged_something(run: Judged) -> None:
    """Nothing that was judged is no success."""
    if all(case.ended == "skipped" for case in run.cases):
        said = Counter(case.says for case in run.cases)
        why = f": {said.most_common(1)[0][0]}" if said else ""
        raise NothingToRecord(f"RUN must hold something to judge; got {run.run!r}{why}")


# --- findings and checks ---------------------------------------------------------------------


def _findings(subject: Subject, told: Rules, base: Subject | None) -> list[Case]:
    old = Counter((f.code, f.site) for f in base.findings) if base else Counter()
    made = []
    for finding in subject.findings:
        key = (finding.code, finding.site)
        new = None if base is None else old[key] == 0
        old[key] -= old[key] > 0
        made.append(_finding(finding, told, new))
    return made


def _finding(finding: Finding, told: Rules, new: bool | None) -> Case:
    case = Case("finding", finding.code, "failed", finding.evidence, finding.severity,
                finding.site, try_=finding.next, new=new)  # fmt: skip
    if finding.code in told.ignored:
        return replace(case, ended="skipped", says=f"ignored by {told.source}: {case.says}")
    if told.only_new and not new:
        return replace(case, ended="skipped", says=f"the baseline has it, too: {case.says}")
    return case


def _checks(subject: Subject) -> list[Case]:
    """The checks that passed, and those that do not apply, and why."""
    return [
        Case("check", o.code, "passed" if o.outcome == "passed" else "skipped",
             f"{o.title}: not found" if o.outcome == "passed" else o.reason)
        for o in subject.outcomes if o.outcome != "issue"
    ]  # fmt: skip


# --- claims ----------------------------------------------------------------------------------


def _known_claims(subjects: Sequence[Subject], told: Rules) -> None:
    """Each id stands in a run, and in all runs of that question."""
    for key, ids in (("required", told.required), ("ignore", told.ignored_claims)):
        for id_ in ids:
            _known_claim(subjects, id_, f"{key} of [gate.claims] of {told.source}")


def _known_claim(subjects: Sequence[Subject], id_: str, place: str) -> None:
    has = {s.name: [c.id for c in s.claims] for s in subjects}
    questions = {s.question for s in subjects if id_ in has[s.name]}
    for subject in subjects:
        known = has[subject.name]
        if id_ not in known and (not questions or subject.question in questions):
            if not known:
                raise InputError(place, got=id_, wanted=f"a claim of {subject.name}",
                                 do="it has none")  # fmt: skip
            raise wrong(place, id_, known, f"a claim of {subject.name}")


def _claim(claim: Claim, told: Rules) -> Case:
    """A failing claim counts as a warning, one that is required as an error."""
    measured = "" if claim.measured is None else f"measured {spoken(claim.measured)}"
    says = ", ".join(t for t in (measured, claim.reason) if t) or claim.statement
    case = Case("claim", claim.id, "passed", says, "warning", bound=claim.bound,
                try_=MEND_CLAIM)  # fmt: skip
    if claim.id in told.ignored_claims:
        return replace(case, ended="skipped", says=f"ignored by {told.source}: {says}")
    required = claim.id in told.required
    if claim.verdict == "not-testable" and not required:
        return replace(case, ended="skipped", says=f"not testable: {says}")
    if claim.verdict != "holds":
        verdict = "fails" if claim.verdict == "fails" else "not testable, and it is required"
        return replace(case, ended="failed", severity="error" if required else "warning",
                       says=f"{verdict}: {says}")  # fmt: skip
    return case
