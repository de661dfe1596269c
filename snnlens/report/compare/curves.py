"""What a figure of one quantity shows: the curves of all runs over depth, site order or time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from snnlens.report.compare import numbers
from snnlens.report.compare.align import Aligned
from snnlens.report.compare.keys import Row, called, key_of
from snnlens.report.compare.names import GROUP
from snnlens.report.compare.places import Layout
from snnlens.report.text import shortened

PANELS = 6  # of one figure: those with the largest changes
NAMED = 12  # more places than these are not named on the axis
WIDTH = 0.9  # of a stage that has the width 1 on the axis


class Curve(NamedTuple):
    """One run in one panel: the mean over seeds and what it ranges over."""

    letter: str
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


class Panel(NamedTuple):
    """One network, or one series of it."""

    title: str
    curves: list[Curve]


@dataclass(frozen=True)
class Drawing:
    """All that a figure needs; `ticks` name places on the axis, `walls` stand between stages."""

    panels: list[Panel]
    label: str
    x_label: str
    log: bool
    seeds: bool
    left_out: int
    ticks: list[tuple[float, str]]
    walls: list[float]
    joined: bool = True  # words side by side have no line between them


Position = Callable[[str, str, Row], float]  # of a letter, a network, a row


def drawing(tables: Sequence[Aligned], quantity: str, label: str, most: Sequence[str]) -> Drawing:
    """The curves of A and of each other run; panels in the order of `most`, at most PANELS.

    Args:
        tables: the same table of A against each other run.
        quantity: the column.
        label: what it is, with its unit.
        most: titles of panels, the largest change first.
    """
    place, kind = _placing(tables), numbers.scales(tables)[quantity]
    panels = _panels(tables, quantity, place, kind)
    panels.sort(key=lambda p: most.index(p.title) if p.title in most else len(most))
    spread = any(
        h > low for p in panels for c in p.curves for low, h in zip(c.low, c.high, strict=True)
    )
    return Drawing(
        panels=panels[:PANELS], label=label, x_label=place.label,
        log=kind == numbers.RATIO, seeds=spread,
        left_out=max(len(panels) - PANELS, 0), ticks=place.ticks, walls=place.walls,
        joined=place.joined,
    )  # fmt: skip


class Placing(NamedTuple):
    """Where the rows of a table lie on the axis of its figures."""

    at: Position
    label: str
    ticks: list[tuple[float, str]]
    walls: list[float]
    joined: bool = True


def _placing(tables: Sequence[Aligned]) -> Placing:
    first = tables[0]
    if _single(tables):
        return _by_network(tables)
    if first.place and any(t.staged for t in tables):
        return _by_stage(tables)
    if first.place == "block":
        return Placing(_block(tables), "residual block l (input on the left)", [], [])
    if first.place == "site":
        return Placing(_rank(tables), "site, in the order of the table", [], [])
    return _by_value(tables)


def _single(tables: Sequence[Aligned]) -> bool:
    """Whether each network has one row alone: then the networks are the axis."""
    return not any(t.keys for t in tables)


def _panels(tables: Sequence[Aligned], quantity: str, place: Placing, kind: str) -> list[Panel]:
    found: dict[str, list[Curve]] = {}
    shown = [("A", tables[0], True), *((t.side_b.letter, t, False) for t in tables)]
    for letter, table, is_a in shown:
        points: dict[str, dict[float, list[float]]] = {}
        for network, named, row, value in _rows(table, quantity, is_a=is_a):
            x = place.at(letter, network, row)
            title = panel_title(table, named, row)
            points.setdefault(title, {}).setdefault(x, []).append(value)
        for title, of_x in points.items():
            found.setdefault(title, []).append(_curve(letter, of_x, kind))
    panels = [Panel(title, curves) for title, curves in found.items()]
    return [p for p in panels if any(np.isfinite(c.y).any() for c in p.curves)]


def panel_title(table: Aligned, network: str, row: Row) -> str:
    """What stands above a panel: the network as A calls it, and its series."""
    if not table.keys:
        return ""
    return ", ".join(part for part in (network, table.series_said(row)) if part)


def _rows(table: Aligned, quantity: str, *, is_a: bool) -> list[tuple[str, str, Row, float]]:
    """Network, its name in A, keys and value of each row of a matched network."""
    frame = table.a if is_a else table.b
    names = {m.a if is_a else m.b: m.a for m in dict.fromkeys(p.match for p in table.pairs)}
    values = frame[quantity].to_numpy(dtype=float, na_value=math.nan)
    keys = [frame[key].tolist() for key in table.keys]
    rows = zip(*keys, strict=True) if keys else iter([()] * len(frame))
    return [
        (str(group), names[group], row, float(value))
        for group, row, value in zip(frame[GROUP], map(_keyed, rows), values, strict=True)
        if group in names and not (table.place and row[0] is None)
    ]


def _keyed(row: tuple[Any, ...]) -> Row:
    return tuple(map(key_of, row))


def _curve(letter: str, points: dict[float, list[float]], kind: str) -> Curve:
    xs = sorted(points)
    y = [float(numbers.means(points[x], kind)) for x in xs]
    ends = [(min(points[x]), max(points[x])) for x in xs]
    return Curve(letter, xs, y, [low for low, _ in ends], [high for _, high in ends])


# --- places on the axis ----------------------------------------------------------------------


def _layouts(tables: Sequence[Aligned]) -> dict[tuple[str, str], Layout]:
    return {key: found for t in tables for key, found in t.layouts.items()}


def _block(tables: Sequence[Aligned]) -> Position:
    layouts = _layouts(tables)
    orders = {key: {b: i for i, b in enumerate(v.order)} for key, v in layouts.items()}
    return lambda letter, network, row: float(orders[letter, network].get(row[0], 0))


def _rank(tables: Sequence[Aligned]) -> Position:
    ranks = {key: {n: i for i, n in enumerate(names)} for key, names in _sites(tables).items()}
    return lambda letter, network, row: float(ranks[letter, network][row[0]])


def _sites(tables: Sequence[Aligned]) -> dict[tuple[str, str], list[Any]]:
    """The places of each network in the order of its table."""
    found: dict[tuple[str, str], list[Any]] = {}
    for t in tables:
        for letter, frame in (("A", t.a), (t.side_b.letter, t.b)):
            for group, rows in frame.groupby(GROUP, sort=False):
                places = dict.fromkeys(map(key_of, rows[t.keys[0]].tolist()))
                found[letter, str(group)] = [p for p in places if p is not None]
    return found


def _by_stage(tables: Sequence[Aligned]) -> Placing:
    """Each stage as wide as the others; what lies in no block stands before the first stage."""
    layouts, places = _layouts(tables), _sites(tables)
    stages = sorted({s for v in layouts.values() for s in v.stages})
    sections = {key: _sections(layouts[key], places[key]) for key in layouts if key in places}
    stem = any(s is None for by in sections.values() for s, _ in by.values())
    order: list[int | None] = [*([None] if stem else []), *stages]
    at = {
        key: {place: order.index(stage) + WIDTH * x for place, (stage, x) in by.items()}
        for key, by in sections.items()
    }
    names = ["outside" if s is None else f"stage {s}" if stages != [0] else "blocks" for s in order]
    ticks = [(i + WIDTH / 2, name) for i, name in enumerate(names)]
    walls = [i - (1 - WIDTH) / 2 for i in range(1, len(order))]
    label = "position in the stage, first to last block" if stages != [0] else "first to last block"
    return Placing(lambda letter, network, row: at[letter, network][row[0]], label, ticks, walls)


def _sections(layout: Layout, places: list[Any]) -> dict[Any, tuple[int | None, float]]:
    """The stage of each place, and where in it: of a block by its position, of a site by rank."""
    if not any(isinstance(p, str) for p in places):
        return {p: (layout.stage(int(p)), layout.position(int(p))) for p in places}
    blocks = {p: layout.split(p)[0] for p in places}
    stages = {p: None if b is None else layout.stage(b) for p, b in blocks.items()}
    of = {s: [p for p in places if stages[p] == s] for s in dict.fromkeys(stages.values())}
    return {
        p: (s, i / (len(inside) - 1) if len(inside) > 1 else 0.0)
        for s, inside in of.items()
        for i, p in enumerate(inside)
    }


def _by_network(tables: Sequence[Aligned]) -> Placing:
    """One row per network: the networks side by side."""
    names = list(dict.fromkeys(m.a for t in tables for m in (p.match for p in t.pairs)))
    called = {("A", n): n for n in names} | {
        (t.side_b.letter, p.match.b): p.match.a for t in tables for p in t.pairs
    }
    ticks = _ticks(names)

    def at(letter: str, network: str, _row: Row) -> float:
        return float(names.index(called[letter, network]))

    return Placing(at, "network", ticks, [], joined=False)


def _by_value(tables: Sequence[Aligned]) -> Placing:
    """A number as it is; words side by side, in the order of A."""
    axis = tables[0].axis
    index = tables[0].keys.index(axis) if axis else None
    frames = [f for t in tables for f in (t.a, t.b)]
    if axis and all(pd.api.types.is_numeric_dtype(f[axis]) for f in frames):
        return Placing(lambda _x, _n, row: float(row[index or 0]), called(axis), [], [])
    keys = [axis] if axis else tables[0].keys
    rows = [_keyed(r) for f in frames for r in zip(*(f[k].tolist() for k in keys), strict=True)]
    names = list(dict.fromkeys(rows))

    def at(_letter: str, _network: str, row: Row) -> float:
        return float(names.index((row[index],) if index is not None else row))

    label, ticks = ", ".join(map(called, keys)), _ticks([_joined(n) for n in names])
    return Placing(at, label, ticks, [], joined=False)


def _joined(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values))


def _ticks(names: Sequence[str]) -> list[tuple[float, str]]:
    if len(names) > NAMED:
        return []
    return [(float(i), clean(name, 22)) for i, name in enumerate(names)]


def clean(name: str, length: int = 46) -> str:
    r"""A name that can stand in a drawing: one line, no control characters, cut.

    >>> clean("a\nb\x00c"), clean("x" * 99, 5)
    ('a b c', 'xxxx…')
    """
    line = re.sub(r"[\s\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]+", " ", name).strip()
    return line if len(line) <= length else shortened(line)[: length - 1].rstrip("…") + "…"
