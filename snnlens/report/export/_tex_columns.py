"""Which columns of a table a page of a paper has room for, and their cells as LaTeX."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api import types

from snnlens.report import numbers
from snnlens.report.columns import Column, column
from snnlens.report.export import _tex

# A page of 345 pt (article, 10 pt) has room for 81 digits of \footnotesize (4.25 pt each); between
# two columns lie twice 3 pt.
ROOM, GAP = 81.0, 1.4
ROW_NAMES = ("site", "block", "epoch")  # the first of these that a table has names its rows
MOST_TEXT = 34  # characters of a column of names; longer ones are cut
PARAGRAPH = 24.0  # of the room, for a column with a longer text of several words
MOST_SENTENCE = 400  # characters of such a text
HEAD = 10  # characters that a line of a heading may have over a narrow column


@dataclass(frozen=True)
class Cells:
    """One column: its heading, its cells as LaTeX, its width in digits, how it is aligned."""

    name: str
    meta: Column
    texts: list[str]
    width: float
    align: str

    @property
    def head(self) -> list[str]:
        """The lines of its heading where it stands alone: what it is, then the unit."""
        room = max(HEAD, round(self.width))
        unit = lines(f"({self.meta.unit})", room) if self.meta.unit else []
        return lines(self.words, room) + unit * (self.meta.unit != self.meta.meaning)

    @property
    def words(self) -> str:
        """What it is, with its group's name."""
        group, label = self.meta.group, self.meta.label
        words = f"{group}, {label}" if group and label != "all" else group or label
        return words[:1].upper() + words[1:] if words.islower() and len(words) > 1 else words


@dataclass(frozen=True)
class Chosen:
    """What fits, what is the same in every row, and what was left out."""

    cells: list[Cells]
    same: list[tuple[Column, str]]
    left: list[Column]


def chosen(rows: pd.DataFrame, without: set[str], units: dict[str, str]) -> Chosen:
    """The columns of a table that fit on a page, in its order; long texts come last.

    >>> frame = pd.DataFrame({"block": [0, 1], "firing_rate": [0.1, 0.25], "seed": [0, 0]})
    >>> made = chosen(frame, set(), {})
    >>> [c.texts for c in made.cells], [text for _, text in made.same]
    ([['0', '1'], ['0.1000', '0.2500']], ['0'])
    """
    found = {n: column(n, units) for n in _order(rows, without)}
    full = {n: meta for n, meta in found.items() if not all(map(missing, rows[n]))}
    same = {n for n in list(full)[1:] if len(rows) > 1 and _is_same(rows[n])}
    cells = [_cells(rows[n], n, meta) for n, meta in full.items() if n not in same]
    kept = _fitting(cells)
    return Chosen(
        cells=_grouped([c for c in cells if c.name in kept]),
        same=[(full[n], plain(rows[n].iloc[0])) for n in full if n in same],
        left=[c.meta for c in cells if c.name not in kept],
    )


def missing(value: Any) -> bool:
    """Whether a cell holds nothing.

    >>> [missing(v) for v in (None, math.nan, "", 0, pd.NA)]
    [True, True, True, False, True]
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return value == "" or (isinstance(value, float) and math.isnan(value))


def lines(text: str, room: int) -> list[str]:
    """Words in lines of at most so many characters, a longer word in its own.

    >>> lines("spikes per neuron and step", 12)
    ['spikes per', 'neuron and', 'step']
    """
    made = [""]
    for word in text.split():
        longer = f"{made[-1]} {word}".strip()
        made = [*made[:-1], longer] if len(longer) <= room else [*made, word]
    return [line for line in made if line]


def _order(rows: pd.DataFrame, without: set[str]) -> list[str]:
    """What names the row first."""
    names = [str(c) for c in rows.columns if c not in without]
    first = [c for c in names if c == "network"] or [c for c in ROW_NAMES if c in names][:1]
    return [*first, *(n for n in names if n not in first)]


def _grouped(cells: list[Cells]) -> list[Cells]:
    """The columns of one group side by side."""
    groups: dict[str, list[Cells]] = {}
    for c in cells:
        groups.setdefault(c.meta.group or f"\0{c.name}", []).append(c)
    return [c for group in groups.values() for c in group]


def _is_same(values: pd.Series[Any]) -> bool:
    first = plain(values.iloc[0])
    return all(plain(v) == first for v in values)


def _fitting(cells: list[Cells]) -> set[str]:
    """The names of the columns that fit: in order, paragraphs after all others."""
    room = ROOM
    kept: set[str] = set()
    for c in sorted(cells, key=lambda c: c.align == "p"):
        head = [c.meta.label] if c.meta.group else c.head
        width = max(c.width, *map(len, head)) + GAP
        if width <= room or not kept:
            room -= width
            kept.add(c.name)
    return kept


def _cells(values: pd.Series[Any], name: str, meta: Column) -> Cells:
    if types.is_numeric_dtype(values) and not types.is_bool_dtype(values):
        show, _ = numbers.column(float(v) for v in values if not missing(v))
        shown = ["" if missing(v) else show(float(v)) for v in values]
        texts = [_tex.number(s) if s else "--" for s in shown]
        return Cells(name, meta, texts, max(map(_width, shown)), "r")
    said = [plain(v) for v in values]
    if any(len(text) > MOST_TEXT and " " in text.strip() for text in said):
        return Cells(name, meta, _escaped(map(_broken, said), MOST_SENTENCE), PARAGRAPH, "p")
    width = min(max(map(len, said)), MOST_TEXT)
    return Cells(name, meta, _escaped(said, MOST_TEXT), width, "l")


def _broken(text: str) -> str:
    """A paragraph's words, of which none is wider than the column."""
    return " ".join(word if len(word) <= PARAGRAPH else f"{word[:20]}..." for word in text.split())


def _escaped(said: Iterable[str], length: int) -> list[str]:
    return [_tex.escaped(text, length) if text else "--" for text in said]


def plain(value: Any) -> str:
    """A value in a sentence or a cell of text.

    >>> import numpy as np
    >>> [plain(v) for v in (np.True_, 0.1 + 0.2, None, "add")]
    ['yes', '0.3', '', 'add']
    """
    if missing(value):
        return ""
    if types.is_bool(value):
        return "yes" if value else "no"
    return f"{value:.6g}" if types.is_float(value) else str(value)


def _width(shown: str) -> float:
    """Of a number, in digits: narrow spaces and superscripts are smaller."""
    return sum(0.3 if c == numbers.NARROW else 0.7 if _is_small(c) else 1.0 for c in shown)


def _is_small(c: str) -> bool:
    return "SUPERSCRIPT" in unicodedata.name(c, "")
