r"""One table of a result for a paper: booktabs, over several pages where it is long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from snnlens.report.columns import FACTS, Column, column
from snnlens.report.export import _tex
from snnlens.report.export._tex_columns import (
    PARAGRAPH,
    ROOM,
    Cells,
    Chosen,
    chosen,
    lines,
    missing,
    plain,
)

ONE_PAGE = 40  # rows of a float; more run over several pages
IN_CAPTION = 6  # columns of one value that the caption tells; further ones are in a comment
PACKAGES = r"\usepackage{booktabs,longtable,array,graphicx}"


@dataclass(frozen=True)
class Titled:
    """What stands around a table: `caption` and `source` are plain text."""

    caption: str
    label: str
    source: str
    note: str = ""


def table(frame: pd.DataFrame, titled: Titled, units: dict[str, str]) -> str:
    """The table as LaTeX, the rows of each network below its name."""
    by_network = "network" in frame and not frame["network"].is_unique
    without = {"network", *_of_networks(frame)} if by_network else set()
    made = chosen(frame, without, units)
    shared, networks = _networks(frame) if by_network else ([], {})
    body = list(_body(_rows(made.cells), networks, len(made.cells)))
    build = _float if len(frame) <= ONE_PAGE else _long
    caption = " ".join(filter(None, [titled.caption, _same(made, shared), titled.note]))
    return _comment(titled, made) + build(caption, titled.label, made.cells, body)


def _comment(titled: Titled, made: Chosen) -> str:
    """What a reader of the file should know; a comment ends with its line."""
    said = [f"From {titled.source}"]
    if len(made.same) > IN_CAPTION:
        said.append(f"Further the same in all rows: {_joined(made.same[IN_CAPTION:])}")
    if made.left:
        said.append(f"Left out for want of room: {', '.join(meta.full for meta in made.left)}")
    return "".join(f"% {line}\n" for line in [*map(_tex.escaped, said), f"Needs {PACKAGES}"])


def _same(made: Chosen, shared: Sequence[str]) -> str:
    """What holds for every row: facts of the network, and columns of one value."""
    facts = [*shared, *([_joined(made.same[:IN_CAPTION])] if made.same else [])]
    return f"In all rows: {'; '.join(facts)}." if facts else ""


def _joined(same: Sequence[tuple[Column, str]]) -> str:
    return "; ".join(_fact(meta, text) for meta, text in same)


def _of_networks(frame: pd.DataFrame) -> list[str]:
    """The facts that each network has one value of."""
    counts = frame.groupby("network", sort=False, dropna=False)
    return [f for f in FACTS if f in frame and bool((counts[f].nunique(dropna=False) <= 1).all())]


def _networks(frame: pd.DataFrame) -> tuple[list[str], dict[str, pd.Index[int]]]:
    """What all networks share; and by title of each, with what it has of its own, its rows."""
    facts = _of_networks(frame)
    same = [f for f in facts if frame[f].nunique(dropna=False) <= 1]
    titles: dict[str, pd.Index[int]] = {}
    groups = frame.reset_index(drop=True).groupby("network", sort=False, dropna=False)
    for name, rows in groups:
        own = _said(rows.iloc[0], [f for f in facts if f not in same])
        title = f"{str(name)[:80]} ({'; '.join(own)})" if own else str(name)[:80]
        titles[title if title not in titles else f"{title} {len(titles)}"] = rows.index
    one = list(titles) if len(titles) == 1 else []
    return one + _said(frame.iloc[0], same), titles


def _said(row: pd.Series[Any], facts: list[str]) -> list[str]:
    return [_fact(column(f, {}), plain(row[f])) for f in facts if not missing(row[f])]


def _fact(meta: Column, text: str) -> str:
    name = meta.label if meta.label.endswith("=") else meta.full  # T = 4 steps
    return f"{name} {text} {meta.unit}".strip()


def _rows(cells: list[Cells]) -> list[str]:
    lines = zip(*(c.texts for c in cells), strict=True)
    return [" & ".join(line) + r" \\" for line in lines]


def _body(rows: list[str], networks: dict[str, pd.Index[int]], columns: int) -> Iterator[str]:
    """The rows, each network's below its title where there are several."""
    if len(networks) < 2:
        yield from rows
        return
    for number, (title, at) in enumerate(networks.items()):
        yield r"\addlinespace" if number else ""
        yield rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\emph{{{_tex.escaped(title, 100)}}}}} \\"
        yield from (rows[i] for i in at)


# --- the heading -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """What stands above neighbouring columns: lines above a rule, then a label for each."""

    above: list[str]
    cells: list[Cells]

    @property
    def grouped(self) -> bool:
        return len(self.cells) > 1

    def row(self, back: int) -> str:
        """One row of the heading, counted from the last one, which is 0."""
        if not self.grouped:
            lines = self.cells[0].head
            return _tex.escaped(lines[-1 - back]) if back < len(lines) else ""
        if not back:
            return " & ".join(_tex.escaped(c.meta.label) for c in self.cells)
        text = _tex.escaped(self.above[-back]) if back <= len(self.above) else ""
        return rf"\multicolumn{{{len(self.cells)}}}{{c}}{{{text}}}"

    def rows(self) -> int:
        return len(self.above) + 1 if self.grouped else len(self.cells[0].head)


def _head(cells: list[Cells]) -> list[str]:
    """Rows of the heading: a group's name and unit, a rule below them, what each column is."""
    blocks = list(_blocks(cells))
    depth = max(block.rows() for block in blocks)
    rows = [" & ".join(b.row(back) for b in blocks) + r" \\" for back in range(depth)[::-1]]
    rules = "".join(_rules(blocks))
    return [*rows[:-1], *([rules] if rules else []), rows[-1]]


def _blocks(cells: list[Cells]) -> Iterator[_Block]:
    for group, members in groupby(cells, key=lambda c: c.meta.group):
        own = list(members)
        if not group or len(own) == 1:
            yield from (_Block([], [c]) for c in own)
            continue
        room = round(sum(max(c.width, len(c.meta.label)) for c in own))
        unit = own[0].meta.unit
        yield _Block(lines(group, room) + (lines(f"({unit})", room) if unit else []), own)


def _rules(blocks: list[_Block]) -> Iterator[str]:
    first = 1
    for block in blocks:
        last = first + len(block.cells) - 1
        if block.grouped:
            yield rf"\cmidrule(lr){{{first}-{last}}}"
        first = last + 1


# --- around the rows ---------------------------------------------------------------------------


def _columns(cells: list[Cells]) -> str:
    share = f"{PARAGRAPH / ROOM:.2f}"
    paragraph = rf">{{\raggedright\arraybackslash}}p{{{share}\linewidth}}"
    return "".join(paragraph if c.align == "p" else c.align for c in cells)


def _float(caption: str, label: str, cells: list[Cells], body: list[str]) -> str:
    return "\n".join([
        r"\begin{table}", r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_tex.escaped(caption)}}}\label{{{label}}}",
        rf"\begin{{tabular}}{{{_columns(cells)}}}", r"\toprule", *_head(cells), r"\midrule",
        *filter(None, body), r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _long(caption: str, label: str, cells: list[Cells], body: list[str]) -> str:
    head, whole = _head(cells), len(cells)
    return "\n".join([
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{{_columns(cells)}}}",
        rf"\caption{{{_tex.escaped(caption)}}}\label{{{label}}}\\",
        r"\toprule", *head, r"\midrule", r"\endfirsthead",
        rf"\multicolumn{{{whole}}}{{l}}{{\emph{{continued}}}} \\",
        r"\toprule", *head, r"\midrule", r"\endhead",
        rf"\midrule \multicolumn{{{whole}}}{{r}}{{\emph{{continued on the next page}}}} \\",
        r"\endfoot", r"\bottomrule", r"\endlastfoot",
        *filter(None, body), r"\end{longtable}", r"\endgroup", "",
    ])  # fmt: skip
