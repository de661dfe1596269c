"""One page per figure: notes of its analysis, how its numbers are made, reference results."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from snnlens import registry
from snnlens_docs.drawings import DRAWINGS
from snnlens_docs.words import definitions, documented, paragraphs, prose, table

INTRODUCTION = """
Each question of snnlens has one figure. Its page here says what is shown, what good and bad look
like and what to do, in the words of the analysis that draws it: the report prints the same below
the figure. The pictures are the [reference results](../project/reference-results.md) with the
command of each, or drawn while these pages were made.
""".strip()
PARTS = ("Shown", "Good", "Bad", "What to do")
VERDICTS = {"holds": "holds", "fails": "**fails**", "not-testable": "not testable"}
BELONGS = {"factor": "gradients"}  # a folder that is not named after its question
RESULTS = "reports/reference"


def pages(root: Path) -> dict[str, str]:
    """Path below docs/ and text of every page."""
    made = {f"figures/{name}.md": page(root, name) for name in names()}
    return made | {"figures/index.md": index()}


def names() -> list[str]:
    """The analyses: each draws one figure."""
    return list(registry.listing("analysis"))


def page(root: Path, name: str) -> str:
    """The figure, how to read it, how its numbers are made, and reference results."""
    analysis = registry.module("analysis", name)
    folders = results(root, name)
    first, *others = [*_pictures(root, name, folders), ""]
    parts = [
        f"# {name.capitalize()}",
        prose(registry.listing("experiments").get(name, "")),
        first,
        "## How to read it",
        definitions({head: prose(text) for head, text in how_to_read(analysis).items()}),
        "## How its numbers are made",
        paragraphs(documented(analysis.compute)),
    ]
    claims = _claims({folder: _judged(root, folder) for folder in folders})
    parts += ["## Claims, measured", claims] if claims else []
    parts += ["## More of them", *others] if any(others) else []
    return "\n\n".join(parts).rstrip("\n") + "\n"


def how_to_read(analysis: ModuleType) -> dict[str, str]:
    """The notes of an analysis by their first word: Shown, Good, Bad, What to do.

    >>> from snnlens.analysis import audit
    >>> list(how_to_read(audit))
    ['Shown', 'Good', 'Bad', 'What to do']
    """
    shown = [_shown(analysis)] if hasattr(analysis, "SHOWN") else []
    parted = [note.partition(": ") for note in (*shown, *analysis.NOTES)]
    return {head: text for head, _, text in parted}


def results(root: Path, name: str) -> list[str]:
    """The folders of reference results that answer a question, in the order of their README."""
    folder = root / RESULTS
    found = [p.name for p in folder.iterdir() if (p / "figure.svg").is_file()]
    listed = list(commands(root))
    of = [f for f in found if BELONGS.get(f, f.partition("-")[0]) == name]
    return sorted(of, key=lambda f: (listed.index(f) if f in listed else len(listed), f))


def commands(root: Path) -> dict[str, str]:
    """What made each reference result, from the table of their README."""
    text = (root / RESULTS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (.+) \|$", text, re.MULTILINE)
    return {folder: command for folder, command in rows if folder != "folder"}


def index() -> str:
    """All figures and the question that each answers."""
    questions = registry.listing("experiments")
    rows = [[f"[{n.capitalize()}]({n}.md)", prose(questions.get(n, ""))] for n in names()]
    tree = "\n".join(["```{toctree}", ":hidden:", *names(), "```"])
    return (
        "\n\n".join(["# Figures", INTRODUCTION, table(["figure", "question"], rows), tree]) + "\n"
    )


def _shown(analysis: Any) -> str:
    """What is shown of networks at initialisation, which these analyses say apart from the rest."""
    return analysis.SHOWN.format("at initialisation") + getattr(analysis, "INITIAL", "")


def _pictures(root: Path, name: str, folders: list[str]) -> list[str]:
    made = commands(root)
    shown = [(f"{RESULTS}/{f}/figure.svg", f"{f}: {made.get(f, '')}") for f in folders]
    for number, drawing in enumerate(() if folders else DRAWINGS.get(name, ())):
        shown.append((f"docs/figures/{name}-{number}.svg", drawing.said))
    return [_figure(path, text) for path, text in shown]


def _figure(path: str, text: str) -> str:
    """A picture, to be opened in its own size, with what made it."""
    at, alt = os.path.relpath(path, "docs/figures"), re.sub(r"`|\[|\]\(.*?\)", "", text)
    return f":::{{figure}} {at}\n:alt: {alt}\n\n{text}\n:::"


def _judged(root: Path, folder: str) -> list[dict[str, Any]]:
    """The claims of one reference result."""
    path = root / RESULTS / folder / "claims.json"
    judged: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.is_file() else []
    return judged


def _claims(judged: dict[str, list[dict[str, Any]]]) -> str:
    """Each claim once: statement, bound, and what came out in which folder."""
    known = {claim["id"]: claim for claims in judged.values() for claim in claims}
    said = {}
    for name, claim in known.items():
        found = {f: c for f, claims in judged.items() for c in claims if c["id"] == name}
        words = [prose(claim["statement"]), f"Bound: {prose(claim['bound'])}.", _outcomes(found)]
        said[f"`{name}`"] = "\n\n  ".join(words)
    return definitions(said)


def _outcomes(found: dict[str, dict[str, Any]]) -> str:
    """`Holds in rates-152 (0); not testable in factor.`: by verdict, with the measured numbers."""
    parts = []
    for verdict, words in VERDICTS.items():
        of = [f"{f}{_measured(c)}" for f, c in found.items() if c["verdict"] == verdict]
        parts += [f"{words} in {', '.join(of)}"] * bool(of)
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _measured(claim: dict[str, Any]) -> str:
    return "" if claim["measured"] is None else f" ({claim['measured']:.4g})"
