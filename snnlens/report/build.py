"""One self-contained HTML file of any number of runs: findings, claims, figures, numbers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.recording import checked
from snnlens.recording.result import Claim, Finding
from snnlens.report import citations, numbers, text, view
from snnlens.report.findings import entries
from snnlens.report.sheets import MOST_ROWS, Sheet
from snnlens.report.view import VERDICTS, Run

WORDS = {
    "holds": ("holds", "hold"),
    "fails": ("fails", "fail"),
    "not-testable": ("not testable", "not testable"),
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
    "note": ("note", "notes"),
}
REPORT = "the report"
NOT_ANALYSED = "a Record alone: measured, with nothing concluded from it"
MOST_BYTES = 2_000_000  # of a page; above it the largest tables are cut
SCRIPTS = ("sort.js", "tables.js", "navigator.js")
_PICK = (
    '.nets:has(>.pick input[value="{0}"]:checked)>[data-n]:not([data-n="{0}"]){{display:none}}\n'
)
FIRST = [("findings", "Findings"), ("claims", "Claims")]  # of the contents, around the runs
LAST = [("not-run", "What did not run"), ("provenance", "Provenance")]
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Skipped:
    """Something that was asked for and did not run."""

    name: str
    reason: str


def build(runs: Sequence[Path], skipped: Sequence[Skipped] = ()) -> str:
    """The page. The same runs give the same page: it holds no time but those of the runs."""
    return page_of(runs, skipped)[0]


def write(
    runs: Sequence[Path], output: Path, *, force: bool = False, skipped: Sequence[Skipped] = ()
) -> dict[str, int]:
    """Write the page, whole or not at all; bytes per section, `frame` being style and script."""
    with place(output, force=force):
        page, sizes = page_of(runs, skipped)
        put(output, {output: page})
    return sizes


def page_of(runs: Sequence[Path], skipped: Sequence[Skipped] = ()) -> tuple[str, dict[str, int]]:
    """The page, and bytes per section."""
    with checked.reading(*runs):
        return _page(_read(runs, skipped), skipped)


# --- the page --------------------------------------------------------------------------------


def _read(runs: Sequence[Path], skipped: Sequence[Skipped]) -> list[Run]:
    if not runs and not skipped:
        raise InputError(
            "RUN", got="nothing", wanted="at least one run folder", do="see `snnlens list`"
        )
    return view.read([Path(run) for run in runs])


def _page(runs: list[Run], skipped: Sequence[Skipped]) -> tuple[str, dict[str, int]]:
    """The page and bytes per section; tables are cut while it is too large."""
    while True:
        page, sizes = _whole(runs, skipped)
        smaller = _smaller(runs, sum(sizes.values()) - MOST_BYTES)
        if smaller is None:
            return page, sizes
        runs = smaller


def _smaller(runs: list[Run], excess: int) -> list[Run] | None:
    """The runs with their largest tables cut to the worst rows; None if nothing is to be cut."""
    sheets = [(run.id, sheet) for run in runs for sheet in run.sheets if sheet.rows > MOST_ROWS]
    if excess <= 0 or not sheets:
        return None
    for run_id, sheet in sorted(sheets, key=lambda found: -found[1].size):
        runs = [run.cut(sheet.id) if run.id == run_id else run for run in runs]
        excess -= sheet.size * (sheet.rows - MOST_ROWS) // sheet.rows
        if excess <= 0:
            break
    return runs


def _whole(runs: list[Run], skipped: Sequence[Skipped]) -> tuple[str, dict[str, int]]:
    claims = _claims(runs)
    found = entries(case for run in runs for case in run.cases)
    skipped = [*skipped, *(Skipped(r.name, NOT_ANALYSED) for r in runs if not r.analysed)]
    untested = [(run, claim) for run, claim in claims if claim.verdict == "not-testable"]
    several = len(runs) > 1
    looked = any(run.analysed for run in runs)
    parts = {
        "header": _render("header", runs=runs, heading=_heading(runs), cut=_cut_tables(runs),
                          summary=tally([claim for _, claim in claims],
                                        [finding for run in runs for finding in run.findings]),
                          tallies=[(r, tally(r.claims, r.findings)) for r in runs],
                          several=several),
        "findings": _render("findings", entries=found, several=several, looked=looked),
        "claims": _render("claims", claims=claims, several=several),
        **{f"run {run.name}": _render("run", run=run, several=several) for run in runs},
        "not run": _render("not_run", skipped=skipped, untested=untested, several=several,
                           runs=runs),
        "provenance": _render("provenance", runs=runs, several=several, origins=_origins(runs),
                              bibtex=citations.bibtex([n for run in runs for n in run.networks])),
    }  # fmt: skip
    page = _frame(runs, parts)
    sizes = {name: len(part.encode()) for name, part in parts.items()}
    return page, {"frame": len(page.encode()) - sum(sizes.values())} | sizes


def _frame(runs: list[Run], parts: dict[str, Markup]) -> str:
    """The page around its parts; the policy allows the one script by its hash."""
    script = "".join(_file(name) for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    names = ", ".join(run.name for run in runs)
    return _render(
        "page",
        policy=policy,
        title=f"snnlens report: {names}"[:200] if names else "snnlens report",
        style=Markup(_file("style.css") + _picks(runs)),
        script=Markup(script),
        parts={
            "header": parts["header"],
            "sections": [p for n, p in parts.items() if n != "header"],
        },
        contents=[*FIRST, *((run.id, run.name) for run in runs), *LAST],
        skip=FIRST[0],
    )


def _picks(runs: list[Run]) -> str:
    """One network at a time, by style alone: what the chosen one is not is not displayed."""
    most = max((len(sheet.parts) for run in runs for sheet in run.sheets), default=0)
    rules = [_PICK.format(i) for i in range(most)] if most > 1 else []
    return "".join(["@media screen {\n", *rules, "}\n"]) if rules else ""


def _cut_tables(runs: list[Run]) -> list[tuple[Run, Sheet]]:
    """The tables that are not whole because the page would be too large."""
    return [(r, s) for r in runs for s in r.sheets if s.kept is not None]


def _heading(runs: list[Run]) -> str:
    return runs[0].title if len(runs) == 1 else text.plural(len(runs), "run")


def tally(claims: Sequence[Claim], findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    """`3 claims: 1 holds, 2 fail; 0 findings` in pieces: what stands before, kind, words."""
    return [
        ("", "", text.plural(len(claims), "claim")),
        *_counted([claim.verdict for claim in claims]),
        ("; ", "", text.plural(len(findings), "finding")),
        *_counted([finding.severity for finding in findings]),
    ]


def _counted(found: Sequence[str]) -> list[tuple[str, str, str]]:
    kinds = [kind for kind in WORDS if kind in found]
    said = [(kind, text.plural(found.count(kind), *WORDS[kind])) for kind in kinds]
    return [(", " if i else ": ", kind, how) for i, (kind, how) in enumerate(said)]


def _claims(runs: list[Run]) -> list[tuple[Run, Claim]]:
    pairs = [(run, claim) for run in runs for claim in run.claims]
    return sorted(pairs, key=lambda p: VERDICTS.index(p[1].verdict))


def _origins(runs: list[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Provenance: what all runs share, once, then what each has of its own."""
    if len(runs) < 2:
        return [("", run.provenance) for run in runs]
    shared = [row for row in runs[0].provenance if all(row in run.provenance for run in runs)]
    own = [(run.name, [row for row in run.provenance if row not in shared]) for run in runs]
    return [(name, rows) for name, rows in [("All runs", shared), *own] if rows]


# --- templates -------------------------------------------------------------------------------


def _render(name: str, **values: object) -> Markup:
    return Markup(_environment().get_template(f"{name}.html.j2").render(values))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": text.cut,
        "shortened": text.shortened,
        "plural": text.plural,
        "public": text.without_paths,
        "number": numbers.number,
        "steady": text.steady,
        "linked": _linked,
    }
    return environment


def _linked(source: str) -> Markup:
    """A source; one that is an address becomes a link, which the reader may follow."""
    if re.fullmatch(r"https?://[^\s\"'<>]+", source):
        return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(source, source)
    return Markup("{}").format(source)


def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").replace("\r\n", "\n")


# --- writing ---------------------------------------------------------------------------------


def _check_output(output: Path, *, force: bool) -> None:
    """Refuse, before any work, a place that cannot take the report."""
    if output.is_dir():
        raise InputError(
            REPORT, got=str(output), wanted="a file and no folder", do="give -o report.html"
        )
    if output.exists() and not force:
        raise InputError(
            REPORT, got=str(output), wanted="a new file",
            do="add --force to replace it, or choose another with -o",
        )  # fmt: skip


def place(output: Path, *, force: bool) -> AbstractContextManager[None]:
    """Have the page's place to oneself while the page is made."""
    return atomic.place(output, REPORT, "it", lambda: _check_output(output, force=force))


def put(output: Path, texts: Mapping[Path, str]) -> None:
    """Write a page and what lies beside it; all is written when the first takes its place."""
    try:
        atomic.write_files({path: text.encode() for path, text in texts.items()})
    except OSError as error:
        raise atomic.said(error, REPORT, output, "it") from error
