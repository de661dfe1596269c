"""The site's own extension: pages that are made from the package, and links bent to fit."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MADE = (
    "benchmarks",
    "figures",
    "findings",
    "notebooks",
    "project",
)  # folders that hold no other page


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the pages before Sphinx looks for them."""
    from snnlens_docs.directives import Section
    from snnlens_docs.docstrings import escape, signature
    from snnlens_docs.markup import reachable

    app.connect("builder-inited", _make)
    app.connect("source-read", _bend)
    app.connect("autodoc-process-docstring", escape, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    app.connect("html-page-context", reachable, priority=900)  # after the theme
    app.add_directive("section", Section)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def pages(root: Path) -> dict[str, str]:
    """Path below docs/ and text of every page that is made."""
    from snnlens_docs import figures, findings, reference, repository

    made = (repository.pages(root), findings.pages(), figures.pages(root), reference.pages())
    return {at: text for group in made for at, text in group.items()}


def write(docs: Path, made: dict[str, str]) -> None:
    """Write what is new or changed, and take away what is made no more."""
    for at, text in made.items():
        path = docs / at
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    old = [p for name in MADE for p in (docs / name).iterdir() if p.suffix in {".md", ".ipynb"}]
    for path in old:
        if path.relative_to(docs).as_posix() not in made:
            path.unlink()


def _make(app: Sphinx) -> None:
    from snnlens_docs import figures
    from snnlens_docs.drawings import IN_THE_TUTORIAL, draw

    docs = Path(app.srcdir)
    for name in figures.names():
        if name in IN_THE_TUTORIAL or not figures.results(docs.parent, name):
            draw(docs.parent, name)
    write(docs, pages(docs.parent))


def _bend(_app: Sphinx, docname: str, source: list[str]) -> None:
    """The links of a hand-written page that leave docs/."""
    from snnlens_docs.repository import moved

    if PurePosixPath(docname).parts[0] not in MADE:
        folder = str(PurePosixPath("docs", docname).parent)
        source[0] = moved(source[0], folder, folder)
