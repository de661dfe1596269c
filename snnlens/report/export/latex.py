r"""LaTeX for a paper: booktabs tables, the figure as PDF and SVG, its caption, methods, BibTeX.

RESULT.tex          a table of the result, one file each; it says which packages it needs
figure.pdf, .svg    the figure, drawn again by the analysis; its caption is in caption.tex
methods.tex         the methods paragraph
references.bib      the works that the run rests on
all.tex             a document that shows all of it
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

from snnlens import registry
from snnlens.figures.style import styled
from snnlens.recording import checked, store
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from snnlens.report import citations
from snnlens.report.export import Exported, Options, _tex
from snnlens.report.export._tex_table import PACKAGES, Titled, table
from snnlens.report.methods import methods
from snnlens.report.text import without_paths
from snnlens.report.worst import worst

MOST_ROWS = 400  # of a table over several pages; a longer one is cut to its worst rows
WORST = 200
CLAIMS = ("statement", "measured", "bound", "verdict", "source")
DOCUMENT = rf"""\documentclass{{article}}
{PACKAGES}
\begin{{document}}
"""
END = r"""\nocite{*}
\bibliographystyle{plain}
\bibliography{references}
\end{document}
"""
FIGURE = r"""\begin{figure}
\centering
\includegraphics[width=\linewidth]{figure.pdf}
\caption{CAPTION}\label{fig:result}
\end{figure}"""
PLAIN = {"pdf": {"CreationDate": None, "Creator": None, "Producer": None},
         "svg": {"Date": None, "Creator": None}}  # fmt: skip
NO_GLYPH = "a name has letters that the figure's font has not: figure.pdf shows boxes there"
NO_FIGURE = "no figure: the run is a Record, with nothing concluded from it"


def export(source: str, _options: Options) -> Exported:
    """The tables, the figure and what goes with them, of a run folder."""
    folder = Path(source)
    with checked.reading(folder):
        return _exported(*store.load_both(folder))


def _exported(result: Result | None, record: Record) -> Exported:
    figure, says = _figure(result) if result else ({}, [NO_FIGURE])
    texts = _texts(result, record)
    texts |= dict(_tables(result, record, {*texts, "all.tex"}))
    texts["all.tex"] = _document(texts, figure=bool(figure))
    bib = citations.bibtex(list(record.networks.values())) + "\n"
    files = {name: text.encode("ascii") for name, text in texts.items()}
    facts = {
        "question": result.question if result else None,
        "command": without_paths(str(record.provenance.get("command") or "")),
    }
    return Exported(files | {"references.bib": bib.encode()} | figure, facts, says)


def _texts(result: Result | None, record: Record) -> dict[str, str]:
    """Sentences, one file each."""
    caption = without_paths(f"{result.title} {result.caption}") if result else ""
    said = {"caption": caption, "methods": methods(record.networks, record.provenance)}
    return {f"{name}.tex": f"{_tex.escaped(text)}\n" for name, text in said.items() if text}


def _tables(result: Result | None, record: Record, taken: set[str]) -> Iterator[tuple[str, str]]:
    """Each table by its file."""
    units = {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}
    for name, frame, caption, source in _frames(result, record):
        file, number = _tex.file_name(name), 2
        while f"{file}.tex" in taken:
            file, number = f"{_tex.file_name(name)}-{number}", number + 1
        taken.add(f"{file}.tex")
        yield f"{file}.tex", _table(frame, Titled(caption, f"tab:{file}", source), units)


def _frames(result: Result | None, record: Record) -> Iterator[tuple[str, pd.DataFrame, str, str]]:
    """Each table with its name, caption and where it is from."""
    if result is None:
        yield "record", record.frame(), "What was recorded.", "the Record of the run"
        return
    yield "result", result.table, result.title, "result.csv of the run folder"
    for name, frame in result.extra.items():
        words = name.replace("_", " ").strip()
        yield name, frame, f"{words[:1].upper()}{words[1:]}.", f"{name}.csv of the run folder"
    if result.claims:
        claims = pd.DataFrame([asdict(c) for c in result.claims])[list(CLAIMS)]
        yield "claims", claims, "Published statements, measured here.", "claims.json of the run"


def _table(frame: pd.DataFrame, titled: Titled, units: dict[str, str]) -> str:
    if frame.empty:
        return f"% {_tex.escaped(titled.source)} has no rows\n"
    if len(frame) > MOST_ROWS:
        frame, note = worst(frame, WORST)
        titled = replace(titled, note=note)
    return table(frame, titled, units)


def _document(texts: dict[str, str], *, figure: bool) -> str:
    """Everything in one document, to look at."""
    parts = [rf"\input{{{n.removesuffix('.tex')}}}" for n in texts if n != "caption.tex"]
    if figure:
        parts.append(FIGURE.replace("CAPTION", texts["caption.tex"].strip()))
    return DOCUMENT + "\n\n".join([*parts, r"\clearpage"]) + "\n" + END


# --- the figure ------------------------------------------------------------------------------


def _figure(result: Result) -> tuple[dict[str, bytes], list[str]]:
    """Drawn again from the Record; the caption below the panels is left to the paper."""
    analysis: Any = registry.module("analysis", result.question)
    again = replace(analysis.compute(result.record), findings=result.findings)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        figure = analysis.draw(again)
        for text in [t for t in figure.texts if t.get_gid() == "caption"]:
            text.remove()
        made = {f"figure.{kind}": _saved(figure, kind) for kind in PLAIN}
    return made, [NO_GLYPH] if any("Glyph" in str(w.message) for w in seen) else []


def _saved(figure: Any, kind: str) -> bytes:
    """The same figure gives the same bytes: no date, no program, ids from a fixed salt."""
    file = io.BytesIO()
    with styled(), mpl.rc_context({"svg.hashsalt": "figure", "pdf.fonttype": 42}):
        figure.savefig(
            file, format=kind, metadata=PLAIN[kind], bbox_inches="tight", pad_inches=0.06
        )
    return file.getvalue()
