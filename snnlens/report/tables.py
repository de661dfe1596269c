"""A result's table as the page shows it: per network, typed columns, numbers that align."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup
from pandas.api import types

from snnlens.report import numbers
from snnlens.report.columns import FACTS, Column, column
from snnlens.report.text import cut

ROW_NAMES = ("site", "block")  # the first of these that a table has names its rows
SENTENCES = ("reason",)  # columns whose text is read whole, over several lines
NOTHING = Markup("")
NONE = Markup('<td data-v=""><i role="img" aria-label="no value">–</i></td>')


@dataclass(frozen=True)
class Head:
    """A heading: of one column (`index`), or of a group of columns (`span` of them)."""

    label: str
    unit: str
    style: str = ""
    index: int | None = None
    span: int = 1
    rows: int = 1
    title: str = ""


@dataclass(frozen=True)
class Mark:
    """What a row is besides its cells: where links find it, what stands behind its name."""

    id: str = ""
    said: str = ""
    flag: Markup = NOTHING  # leads to its findings


@dataclass(frozen=True)
class Part:
    """The rows of one network; `empty` names the columns that it has no value of."""

    name: str
    facts: list[tuple[str, str]]
    empty: list[str]
    top: list[Head]
    sub: list[Head]
    rows: list[Markup]
    found: int = 0  # rows with findings

    @property
    def width(self) -> int:
        """Columns."""
        return sum(head.index is not None for head in (*self.top, *self.sub))


@dataclass(frozen=True)
class Table:
    """All rows of a result; `guide` says what each column holds."""

    parts: list[Part]
    guide: list[tuple[str, Column]]
    grouped: bool = True  # False: each network is one row of one part


@dataclass(frozen=True)
class _Shown:
    """One column: how a value of it becomes a cell."""

    name: str
    meta: Column
    style: str
    show: numbers.Show | None

    def head(self, value: Any, mark: Mark | None) -> Markup:
        """The cell that names its row; with a mark it keeps its bare value to sort by."""
        cell = str(self.cell(value)).replace("<td", "<th scope=row", 1)
        inside = cell.removesuffix("</td>")
        if mark is None or not (mark.said or mark.flag):
            return Markup(inside + "</th>")
        if "data-v=" not in inside:
            key = Markup(' data-v="{}">').format(f"{value:.9g}" if self.show else str(value))
            inside = inside.replace(">", str(key), 1)
        said = Markup(" <span class=at>{}</span>").format(cut(mark.said)) if mark.said else ""
        return Markup(inside) + said + mark.flag + Markup("</th>")

    def cell(self, value: Any) -> Markup:
        if _missing(value):
            return NONE
        if isinstance(value, bool):
            return Markup("<td>yes</td>") if value else Markup("<td>no</td>")
        if self.name in SENTENCES:
            return Markup('<td class="t said">{}</td>').format(cut(value, 500))
        if self.show is None:
            return Markup("<td class=t>{}</td>").format(cut(value))
        return self._number(float(value))

    def _number(self, value: float) -> Markup:
        text, key = self.show(value) if self.show else "", f"{value:.9g}"
        style = Markup(" class=s") if self.style == "s" else Markup("")
        if math.isinf(value):
            key = "Infinity" if value > 0 else "-Infinity"  # as JavaScript reads it
        exact = Markup("") if _same(text, key) else Markup(" data-v={}").format(key)
        return Markup("<td{}{}>{}</td>").format(style, exact, text)


def table(
    frame: pd.DataFrame,
    units: dict[str, str] | None = None,
    marks: Mapping[int, Mark] | None = None,
) -> Table:
    """The table of a result, grouped by network; where each network has one row, in one part.

    `marks` are by the row's index in the frame.
    """
    marks = marks or {}
    if _is_list(frame):
        all_columns = {n: column(n, units or {}) for n in _order(frame, set())}
        part = _part("all networks", frame, [], all_columns, marks)
        return Table([part], list(all_columns.items()), grouped=False)
    facts = [name for name in FACTS if name in frame and _constant(frame, name)]
    columns = {n: column(n, units or {}) for n in _order(frame, {"network", *facts})}
    return Table(
        parts=[_part(name, rows, facts, columns, marks) for name, rows in _networks(frame)],
        guide=list(columns.items()),
    )


def _is_list(frame: pd.DataFrame) -> bool:
    """Whether a row is a network, and not a place or a time in one."""
    if "network" not in frame or set(ROW_NAMES) & set(frame):
        return False
    return len(frame) > 1 and bool(frame["network"].is_unique)


def _networks(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if "network" not in frame:
        yield "all rows", frame
        return
    for name, rows in frame.groupby("network", sort=False, dropna=False):
        yield str(name), rows


def _constant(frame: pd.DataFrame, name: str) -> bool:
    if "network" not in frame:
        return False
    counts = frame.groupby("network", sort=False, dropna=False)[name].nunique(dropna=False)
    return bool((counts <= 1).all())


def _order(frame: pd.DataFrame, without: set[str]) -> list[str]:
    """The name of the row first, the columns of one group together."""
    names = [str(c) for c in frame.columns if c not in without]
    first = [c for c in ROW_NAMES if c in names][:1]
    groups: dict[str, list[str]] = {}
    for name in [*first, *(n for n in names if n not in first)]:
        groups.setdefault(column(name, {}).group or f"\0{name}", []).append(name)
    return [name for group in groups.values() for name in group]


def _shown(rows: pd.DataFrame, columns: dict[str, Column]) -> list[_Shown]:
    """The columns of one network; those of one group share one way to show a number."""
    groups: dict[str, list[float]] = {}
    for name, meta in columns.items():
        if _is_number(rows[name]):
            groups.setdefault(meta.group or name, []).extend(map(float, rows[name].dropna()))
    shown = []
    for name, meta in columns.items():
        if not _is_number(rows[name]):
            shown.append(_Shown(name, meta, "t", None))
            continue
        show, powers = numbers.column(groups[meta.group or name])
        shown.append(_Shown(name, meta, "s" if powers else "", show))
    return shown


def _is_number(values: pd.Series[Any]) -> bool:
    return bool(types.is_numeric_dtype(values) and not types.is_bool_dtype(values))


def _heads(shown: list[_Shown]) -> tuple[list[Head], list[Head]]:
    top, sub = [], []
    for index, c in enumerate(shown):
        if not c.meta.group:
            top.append(Head(c.meta.label, c.meta.unit, c.style, index, rows=2, title=c.name))
            continue
        sub.append(Head(c.meta.label, "", c.style, index, title=c.name))
        if index == 0 or shown[index - 1].meta.group != c.meta.group:
            span = sum(o.meta.group == c.meta.group for o in shown)
            top.append(Head(c.meta.group, c.meta.unit, span=span))
    return top, sub


def _part(
    name: str,
    rows: pd.DataFrame,
    facts: list[str],
    columns: dict[str, Column],
    marks: Mapping[int, Mark],
) -> Part:
    first = rows.iloc[0]
    said = [(column(f, {}).label, _plain(first[f])) for f in facts if not _missing(first[f])]
    names = list(columns)
    empty = [c for c in names[1:] if all(map(_missing, rows[c].to_list()))]
    shown = _shown(rows, {c: columns[c] for c in names if c not in empty})
    top, sub = _heads(shown)
    values = [rows[c.name].to_list() for c in shown]
    known = [marks.get(index) for index in rows.index]
    lines = [_row(shown, row, m) for row, m in zip(zip(*values, strict=True), known, strict=True)]
    found = sum(bool(mark and mark.flag) for mark in known)
    return Part(name, said, [columns[c].full for c in empty], top, sub, lines, found)


def _row(shown: list[_Shown], values: tuple[Any, ...], mark: Mark | None) -> Markup:
    cells = [c.cell(v) for c, v in zip(shown[1:], values[1:], strict=True)]
    return Markup("").join([_begin(mark), shown[0].head(values[0], mark), *cells, Markup("</tr>")])


def _begin(mark: Mark | None) -> Markup:
    """A row with an id takes the focus of a link to it."""
    if mark is None or not mark.id:
        return Markup("<tr>")
    style = Markup(" class=found") if mark.flag else ""
    return Markup('<tr id="{}"{}>').format(mark.id, style)


def _plain(value: Any) -> str:
    return {True: "yes", False: "no"}[bool(value)] if types.is_bool(value) else str(value)


def _missing(value: Any) -> bool:
    nothing = value is None or value is pd.NA or value == ""
    return nothing or (isinstance(value, float) and math.isnan(value))


def _same(text: str, key: str) -> bool:
    """Whether the text alone gives the number back."""
    try:
        return f"{float(text):.9g}" == key
    except ValueError:
        return False
