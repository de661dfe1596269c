"""One page per finding code, in the words of its check; nothing is copied by hand."""

from __future__ import annotations

import re
from typing import Any

from snnlens import registry
from snnlens.checks._base import Check
from snnlens_docs.words import definitions, paragraphs, prose, table

INTRODUCTION = """
Each check of a run ends as an issue, passed, or not applicable with the reason. An issue is a
finding: its code, its severity, the place, the numbers. `snnlens explain CODE` prints what these
pages say; codes are never reused.
""".strip()
SECTIONS = ("What it means", "How it is found", "Thresholds", "What to try", "Reference")


def checks() -> list[type[Check]]:
    """The checks of this package, by code; those of other packages have no page here."""
    names = [n for n in registry.listing("checks") if n not in registry.outside("checks")]
    found: list[type[Check]] = [registry.plugin("checks", name) for name in names]
    return sorted(found, key=lambda check: check.code)


def pages() -> dict[str, str]:
    """Path below docs/ and text of every page."""
    made = {f"findings/{check.code}.md": page(check) for check in checks()}
    return made | {"findings/index.md": index()}


def page(check: type[Check]) -> str:
    """What `snnlens explain` says of a check, with links to the codes that it names."""

    def link(code: str) -> str:
        return f"{code}.md"

    found = [f"`{check.formula}`"] if check.formula else []
    found += [paragraphs(check.__doc__ or "", link), *_needs(check)]
    of = {prose(name): prose(text, link) for name, text in check.thresholds.items()}
    texts = (
        prose(check.why, link),
        "\n\n".join(found),
        definitions(of) or "None.",
        prose(check.next, link),
        prose(check.reference, link),
    )
    parts = [f"# {check.code}: {prose(check.title)}"]
    for headline, text in zip(SECTIONS, texts, strict=True):
        parts += [f"## {headline}", text]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """All codes, in the groups that their first digit names."""
    parts = ["# Findings", INTRODUCTION]
    for digit, name in groups().items():
        of = [c for c in checks() if c.code[3] == digit]
        rows = [[f"[{c.code}]({c.code}.md)", prose(c.title)] for c in of]
        tree = "\n".join(["```{toctree}", ":hidden:", *(c.code for c in of), "```"])
        heading = f"## {name[0].upper()}{name[1:]} ({digit}xx)"
        parts += [heading, table(["code", "what is wrong"], rows), tree]
    return "\n\n".join(parts) + "\n"


def groups() -> dict[str, str]:
    """First digit and what its codes speak of, from the docstring of Check.

    >>> groups()["3"]
    'gradients'
    """
    said = " ".join((Check.__doc__ or "").split())
    return dict(re.findall(r"(\d)xx ([^,.]+)", said))


def _needs(check: Any) -> list[str]:
    names = ", ".join(f"`{probe}`" for probe in check.needs)
    return [f"It reads what the [probes](../reference/plugins.md#probes) {names} record."] * bool(
        names
    )
