"""What lies beside a report.html: report.json for programs, report.md for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.provenance import snnlens_version
from snnlens.recording import checked, store
from snnlens.recording.result import SEVERITIES, Claim, Result
from snnlens.report import build, view
from snnlens.report.build import NOT_ANALYSED, Skipped
from snnlens.report.columns import column
from snnlens.report.findings import Case, Entry, entries, ranked
from snnlens.report.markdown import code, fitting, sentence
from snnlens.report.numbers import number
from snnlens.report.text import plural, without_paths
from snnlens.report.view import VERDICTS, Run

BESIDE = "what lies beside the report"
SCHEMA_VERSION = 1  # of docs/schema/report-v1.json
FIRST = 5  # rows of each table that report.json shows
# A comment of GitHub takes 65,536 characters: so many may the parts of report.md have.
FINDINGS, CLAIMS, RUNS = 36_000, 20_000, 8_000
MOST_SITES = 5  # of one diagnosis
SHORT = 200  # characters of a sentence of which the report has more
Pairs = list[tuple[Run, Claim]]


def paths(output: Path) -> tuple[Path, Path]:
    """Where the companions of a page lie.

    >>> [p.name for p in paths(Path("out/report.html"))]
    ['report.json', 'report.md']
    """
    return output.with_name(f"{output.stem}.json"), output.with_name(f"{output.stem}.md")


def check(output: Path, *, force: bool) -> None:
    """Refuse, before any work, companions that would replace something."""
    if output in paths(output):
        raise InputError(
            "the report", got=str(output), wanted="another name: its companions end so",
            do="give -o report.html",
        )  # fmt: skip
    for path in paths(output):
        if path.is_dir() or (path.exists() and not force):
            raise InputError(
                BESIDE, got=str(path), wanted="a new file",
                do="add --force to replace it, or choose another report with -o",
            )  # fmt: skip


def write(
    runs: Sequence[Path],
    output: Path,
    *,
    force: bool = False,
    skipped: Sequence[Skipped] = (),
) -> list[Path]:
    """Write report.json and report.md beside the page `output`, each whole or not at all.

    Raises:
        InputError: a run that cannot be read; without `force`, a companion that is there.
    """
    with _beside(output, force=force):
        build.put(output, _texts(runs, output, skipped))
    return list(paths(output))


def write_with_page(
    runs: Sequence[Path], output: Path, *, force: bool = False
) -> tuple[dict[str, int], list[Path]]:
    """Write the page and what lies beside it: all is written when the first takes its place.

    Returns:
        The bytes of the page per section, and the companions.
    """
    with places(output, force=force):
        page, sizes = build.page_of(runs)
        build.put(output, {output: page} | _texts(runs, output, []))
    return sizes, list(paths(output))


@contextmanager
def places(output: Path, *, force: bool) -> Iterator[None]:
    """Have the places of a page and of its companions to oneself while they are made."""
    with build.place(output, force=force), _beside(output, force=force):
        yield


@contextmanager
def _beside(output: Path, *, force: bool) -> Iterator[None]:
    with ExitStack() as stack:
        for path in paths(output):
            ready = partial(check, output, force=force)
            stack.enter_context(atomic.place(path, BESIDE, "it", ready))
        yield


def _texts(runs: Sequence[Path], output: Path, skipped: Sequence[Skipped]) -> dict[Path, str]:
    """Both companions by their paths."""
    with checked.reading(*runs):
        shown = view.read([Path(run) for run in runs])
        results = [store.load_result(run) for run in runs]
        skipped = [*skipped, *(Skipped(r.name, NOT_ANALYSED) for r in shown if not r.analysed)]
        made = (
            store.dumps(as_json(shown, results, skipped)),
            as_markdown(shown, skipped, page=output.name),
        )
    return dict(zip(paths(output), made, strict=True))


# --- report.json -------------------------------------------------------------------------------


def as_json(
    runs: list[Run], results: Sequence[Result | None], skipped: Sequence[Skipped]
) -> dict[str, Any]:
    """What docs/schema/report-v1.json describes."""
    cases, claims = ranked(c for run in runs for c in run.cases), _claims(runs)
    return {
        "schema": SCHEMA_VERSION,
        "snnlens": snnlens_version(),
        "summary": {
            "findings": _counted(SEVERITIES, (c.finding.severity for c in cases)),
            "claims": _counted(VERDICTS, (claim.verdict for _, claim in claims)),
        },
        "findings": [{"run": case.run_name} | asdict(case.finding) for case in cases],
        "claims": [{"run": run.name} | asdict(claim) for run, claim in claims],
        "runs": [_run(run, result) for run, result in zip(runs, results, strict=True)],
        "not_run": [{"name": s.name, "reason": without_paths(s.reason)} for s in skipped],
    }


def _run(run: Run, result: Result | None) -> dict[str, Any]:
    tables = {"record": run.record.frame()}
    if result is not None:
        tables = {"result": result.table} | result.extra
    units = {n: q.unit for s in run.record.schemas.values() for n, q in s.quantities.items()}
    return {
        "name": run.name,
        "id": run.id,
        "question": result.question if result else None,
        "title": run.title,
        "caption": run.caption,
        "methods": run.methods,
        "networks": _public(run.record.networks),
        "provenance": _public(run.record.provenance),
        "tables": [_table(name, frame, units) for name, frame in tables.items()],
    }


def _table(name: str, frame: pd.DataFrame, units: dict[str, str]) -> dict[str, Any]:
    """The first facts of a table: its size, its columns with units, its first rows."""
    names = [str(c) for c in frame.columns]
    return {
        "name": name,
        "rows": len(frame),
        "columns": [{"name": n, "unit": column(n, units).unit} for n in names],
        "first": frame.head(FIRST).to_dict(orient="records"),
    }


def _public(value: Any) -> Any:
    """Without absolute paths: a report may be published."""
    if isinstance(value, dict):
        return {str(k): _public(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_public(v) for v in value]
    return without_paths(value) if isinstance(value, str) else value


def _counted(kinds: Sequence[str], found: Iterable[str]) -> dict[str, int]:
    names = list(found)
    return {kind: names.count(kind) for kind in kinds}


def _claims(runs: list[Run]) -> Pairs:
    """Of all runs, what fails first."""
    pairs = [(run, claim) for run in runs for claim in run.claims]
    return sorted(pairs, key=lambda p: VERDICTS.index(p[1].verdict))


# --- report.md ---------------------------------------------------------------------------------


def as_markdown(runs: list[Run], skipped: Sequence[Skipped], *, page: str) -> str:
    """Findings, claims, runs: for a comment, at most 65,000 characters."""
    found, claims = entries(case for run in runs for case in run.cases), _claims(runs)
    several = len(runs) > 1
    parts = [
        [f"## snnlens: {_heading(found, claims)}"],
        _md_findings(found, several=several, looked=any(run.analysed for run in runs)),
        _md_claims(claims, several=several),
        _md_runs(runs, skipped, page),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _heading(found: list[Entry], claims: Pairs) -> str:
    """What there is, in a line: `1 error, 2 notes; 1 of 3 claims fails`."""
    kinds = [case.finding.severity for entry in found for case in entry.cases]
    said = [plural(kinds.count(kind), kind) for kind in SEVERITIES if kind in kinds]
    fails = sum(claim.verdict == "fails" for _, claim in claims)
    verb = "fail" if fails > 1 else "fails"
    judged = f"{fails or 'none'} of {plural(len(claims), 'claim')} {verb}" if claims else ""
    return "; ".join(filter(None, [", ".join(said) or "nothing found", judged]))


def _md_findings(found: list[Entry], *, several: bool, looked: bool) -> list[str]:
    if not found:
        return [] if looked else ["Nothing was looked for: no analysis has been made."]
    lines = [_md_entry(entry, several=several) for entry in found]
    more = "- and {} more diagnoses: see the report"
    return ["### Findings", "", *fitting(lines, FINDINGS, more)]


def _md_entry(entry: Entry, *, several: bool) -> str:
    """One diagnosis: where, the first case's evidence, what to try."""
    finding = entry.finding
    where = _md_places(entry.cases, several=several)
    return (
        f"- **{finding.severity}** {code(finding.code)}{where}: {sentence(finding.evidence)}\n"
        f"  *Try next:* {sentence(finding.next, SHORT)}"
    )


def _md_places(cases: list[Case], *, several: bool) -> str:
    """The sites of a diagnosis, and whose they are."""
    sites = [
        (f" at {code(c.finding.site)}" if c.finding.site else "")
        + (f" of {code(c.run_name)}" if several else "")
        for c in cases
    ]
    names = list(dict.fromkeys(filter(None, sites)))
    more = f" and {len(names) - MOST_SITES} more" if len(names) > MOST_SITES else ""
    return ",".join(names[:MOST_SITES]) + more


def _md_claims(claims: Pairs, *, several: bool) -> list[str]:
    if not claims:
        return []
    lines = [_md_claim(run, claim, several=several) for run, claim in claims]
    head = ["### Claims", "", "| Verdict | Claim | Measured | Bound |", "|---|---|---:|---|"]
    return head + fitting(lines, CLAIMS, "| | and {} more: see the report | | |")


def _md_claim(run: Run, claim: Claim, *, several: bool) -> str:
    verdict = claim.verdict.replace("-", " ")
    verdict = f"**{verdict}**" if claim.verdict == "fails" else verdict
    whose = f" ({code(run.name, cell=True)})" if several else ""
    reason = f" {sentence(claim.reason, SHORT, cell=True)}" if claim.verdict != "holds" else ""
    said = (
        f"{code(claim.id, cell=True)}{whose} {sentence(claim.statement, SHORT, cell=True)}{reason}"
    )
    measured = "" if claim.measured is None else number(claim.measured)
    return f"| {verdict} | {said} | {measured} | {sentence(claim.bound, SHORT, cell=True)} |"


def _md_runs(runs: list[Run], skipped: Sequence[Skipped], page: str) -> list[str]:
    """Which runs, and by which commands; what did not run; where the rest is."""
    lines = [
        f"- {code(run.name)}: {sentence(run.title)}"
        + (f" {code(run.command, 200)}" if run.command else "")
        for run in runs
    ]
    lines += [f"- not run: {code(s.name)}, {sentence(without_paths(s.reason))}" for s in skipped]
    more = "- and {} more: see the report"
    return ["### Runs", "", *fitting(lines, RUNS, more), "", f"Figures and numbers: {code(page)}"]
