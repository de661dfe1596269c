"""The overview of one table of a comparison: each quantity where it changed most, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from markupsafe import Markup

from snnlens.report.columns import column
from snnlens.report.compare import numbers
from snnlens.report.numbers import number
from snnlens.report.tables import Head
from snnlens.report.text import cut


def heads(*, several: bool) -> list[Head]:
    """The headings of an overview; the run has a column where there are more than two."""
    names = ["Quantity", *(["Run"] if several else []), "Differs", "Largest change", "A",
             "there" if several else "B", "Change", "95 % interval"]  # fmt: skip
    words = {"Quantity", "Run", "Largest change", "95 % interval"}
    units = {"Differs": "places", "Change": "difference or factor"}
    return [
        Head(name, units.get(name, ""), "t" if name in words else "", i)
        for i, name in enumerate(names)
    ]


def overview(
    rows: pd.DataFrame, quantity: str, units: dict[str, str], anchor: str | None, *, runs: bool
) -> Iterator[Markup]:
    """A row per other run: the largest change of a quantity and where it is."""
    what = column(quantity, units)
    name = cut(what.full)
    if anchor:
        name = Markup('<a href="#{}">{}</a>').format(anchor, name)
    unit = Markup(' <span class="unit">{}</span>').format(what.unit) if what.unit else ""
    for run, mine in rows[rows["quantity"] == quantity].groupby("run", sort=False):
        if mine["differs"].any():
            letter = Markup("<td class=t>{}</td>").format(run) if runs else ""
            head = Markup("<tr><th scope=row class=t>{}{}</th>{}").format(name, unit, letter)
            yield head + _largest(mine) + Markup("</tr>")


def _largest(mine: pd.DataFrame) -> Markup:
    """The cells of the largest change."""
    first, differ = ranked(mine).iloc[0], int(mine["differs"].sum())
    return Markup("").join([
        Markup('<td data-v="{}">{} of {}</td>').format(differ, differ, len(mine)),
        Markup("<td class=t>{}</td>").format(cut(where(first), 80)),
        _cell(first["a"]), _cell(first["b"]),
        _cell(first["change"], changed(first["scale"], first["change"], first["a"])),
        Markup("<td class=t>{}</td>").format(
            interval(first["scale"], first["low"], first["high"]) or "–"
        ),
    ])  # fmt: skip


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """What differs, the largest change first; then what has a value in one run alone."""
    differ = rows[rows["differs"]]
    order = numbers.size(differ).fillna(-1.0).sort_values(ascending=False, kind="stable")
    return differ.loc[order.index]


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one table; the name of an only network says nothing of where a number is."""
    if len(rows) and rows["network"].nunique() == 1:
        return rows.assign(network="", other_network="")
    return rows


def where(row: pd.Series[Any]) -> str:
    """Where a number is: in A, and in the other run if it is called otherwise there."""
    a, b = place(row["network"], row["a_at"]), place(row["other_network"], row["b_at"])
    return pair(a, row["b_at"] if a != b and row["network"] == row["other_network"] else b)


def place(network: str, at: str, none: str = "the run") -> str:
    """A network and a place in it, in words."""
    return ", ".join(part for part in (network, at) if part) or none


def changed(scale: str, change: float, a: float = math.nan) -> str:
    """A change in words: a signed difference, or a factor of what was `a`.

    >>> changed("ratio", 0.5), changed("difference", 0.25), changed("difference", -1.0)
    ('× 0.5', '+0.25', '−1')
    >>> changed("ratio", math.inf, 0.0), changed("ratio", math.inf, 1.0)
    ('from 0', 'to ∞')
    """
    if math.isnan(change):
        return "–"
    if scale == numbers.RATIO and (change == 0 or math.isinf(change)):
        if change:
            return "from 0" if a == 0 else "to ∞"
        return "from ∞" if math.isinf(a) else "to 0"
    if scale == numbers.RATIO:
        return f"×\u202f{number(change)}".replace("\u202f", " ", 1)
    return f"+{number(change)}" if change > 0 else number(change)


def interval(scale: str, low: float, high: float) -> str:
    """The ends of an interval; nothing where there is none.

    >>> interval("difference", -0.5, 1.0), interval("ratio", float("nan"), 1.0)
    ('−0.5 to +1', '')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{changed(scale, low)} to {changed(scale, high)}"


def _cell(value: float, text: str = "") -> Markup:
    if math.isnan(value):
        return Markup('<td data-v=""><i role="img" aria-label="no value">–</i></td>')
    key = f"{value:.9g}" if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    return Markup('<td data-v="{}">{}</td>').format(key, text or number(value))


def pair(a: str, b: str) -> str:
    """What is called a in A and b in the other run."""
    return a if a == b else f"{a} | {b}"
