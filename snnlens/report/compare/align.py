"""Rows of two runs' tables set against each other, row by row, each with all its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from snnlens.report.compare import names, places
from snnlens.report.compare.keys import (
    AXES,
    CLASSES,
    PLACES,
    ROW,
    Row,
    at,
    called,
    chosen,
    given,
    key_of,
    number,
    numbered,
    place_first,
    plain,
    ranges,
    shared,
    unique,
)  # fmt: skip
from snnlens.report.compare.names import GROUP, SEED, Match
from snnlens.report.compare.places import Layout, Paired
from snnlens.report.compare.read import Side


class Pair(NamedTuple):
    """One row of A against one of B: their keys, and per seed the index in the table."""

    match: Match
    a: Row
    b: Row
    rows_a: dict[int, int]
    rows_b: dict[int, int]


@dataclass(frozen=True)
class Aligned:
    """Two tables of one name, row against row.

    Attributes:
        table: its name.
        a: the table of A, labelled with networks without seeds; b: that of the other run.
        keys: what tells the rows of a network apart.
        pairs: rows that were set against each other.
        how: per way in which they were, in words, the networks it was used for.
        only_a, only_b: what has no counterpart: the network and, in words, the places.
        staged: whether blocks were paired by their position in the stage.
        layouts: the blocks of each network, by (letter, network).
    """

    table: str
    side_a: Side
    side_b: Side
    a: pd.DataFrame
    b: pd.DataFrame
    keys: list[str]
    pairs: list[Pair] = field(default_factory=list)
    how: dict[str, list[str]] = field(default_factory=dict)
    only_a: list[tuple[str, str]] = field(default_factory=list)
    only_b: list[tuple[str, str]] = field(default_factory=list)
    staged: bool = False
    layouts: dict[tuple[str, str], Layout] = field(default_factory=dict)

    @property
    def place(self) -> str | None:
        """The key that is a place in the network: site, block or none."""
        return self.keys[0] if self.keys and self.keys[0] in PLACES else None

    @property
    def axis(self) -> str | None:
        """The key along which a curve goes; None where there is no order among the rows."""
        return next((key for key in AXES if key in self.keys), None)

    def series(self, row: Row) -> Row:
        """The keys of a row but for the axis; nothing where there is no axis."""
        axis = self.axis
        return tuple(v for k, v in zip(self.keys, row, strict=True) if axis and k != axis)

    def series_said(self, row: Row) -> str:
        """The series of a row in words, empty where a network is one."""
        axis = self.axis
        return at(self.series(row), [k for k in self.keys if axis and k != axis])

    @property
    def quantities(self) -> list[str]:
        """The measured numbers that both tables have."""
        return [c for c in shared(self.a, self.b) if self._is_number(c) and not given(c, self.a)]

    @property
    def words(self) -> list[str]:
        """The columns of text, and of yes and no, that both have."""
        return [
            c for c in shared(self.a, self.b)
            if c not in {*self.keys, "network", "kind", "recorded"}
            and (c in CLASSES or not self._is_number(c))
        ]  # fmt: skip

    def _is_number(self, column: str) -> bool:
        return column not in self.keys and all(number(t[column]) for t in (self.a, self.b))


def align(table: str, a: Side, b: Side) -> Aligned:
    """The rows of one table of two runs, set against each other."""
    frames = [names.labelled(side.tables[table]) for side in (a, b)]
    keys = chosen(frames)
    first, second = (numbered(frame, keys) for frame in frames)
    keys = keys if all(unique(frame, keys) for frame in frames) else [*keys, ROW]
    return _matched(Aligned(table, a, b, first, second, place_first(keys, frames)))


def _matched(made: Aligned) -> Aligned:
    depth_a, depth_b = names.depths(made.side_a), names.depths(made.side_b)
    groups_a = {g: depth_a.get(g) for g in made.a[GROUP].unique()}
    groups_b = {g: depth_b.get(g) for g in made.b[GROUP].unique()}
    matches = names.match(groups_a, groups_b)
    made.only_a.extend((g, "the whole network") for g in matches.only_a)
    made.only_b.extend((g, "the whole network") for g in matches.only_b)
    staged = [_network(made, match) for match in matches.found]
    return Aligned(**{**made.__dict__, "staged": any(staged)})


def _network(made: Aligned, match: Match) -> bool:
    """Pair the rows of one network; whether that was by stage."""
    rows_a, rows_b = _rows(made.a, match.a, made.keys), _rows(made.b, match.b, made.keys)
    if made.place is None:
        paired = Paired([], _by_keys(made.keys))
        to_b = {key: key for key in rows_a}
    else:
        paired = _paired(made, match, rows_a, rows_b)
        partner = dict(paired.pairs)
        to_b = {k: (partner[k[0]], *k[1:]) for k in rows_a if k[0] in partner}
    pairs = [Pair(match, x, y, rows_a[x], rows_b[y]) for x, y in to_b.items() if y in rows_b]
    made.pairs.extend(pairs)
    how = paired.how + (f"; networks matched by {match.how}" if match.how else "")
    if how:
        both = match.a if match.a == match.b else f"{match.a} against {match.b}"
        made.how.setdefault(how.removeprefix("; "), []).append(both)
    _left(made, match, [*rows_a], [*rows_b], pairs)
    return paired.staged


def _paired(
    made: Aligned,
    match: Match,
    rows_a: dict[Row, dict[int, int]],
    rows_b: dict[Row, dict[int, int]],
) -> Paired:
    have_a, have_b = _unique_places(rows_a), _unique_places(rows_b)
    at_a = _layout(made, made.side_a, made.a, match.a)
    at_b = _layout(made, made.side_b, made.b, match.b)
    if made.place == "block":
        return places.blocks(at_a, at_b, have_a, have_b)
    return places.sites(at_a, at_b, have_a, have_b)


def _layout(made: Aligned, side: Side, table: pd.DataFrame, group: str) -> Layout:
    sites, rows = side.record.sites, table[table[GROUP] == group]
    own = sites[sites["network"].isin(rows["network"].unique())] if "network" in rows else sites
    found = places.layout(own.drop_duplicates("site"), rows)
    made.layouts[side.letter, group] = found
    return found


def _left(
    made: Aligned, match: Match, rows_a: list[Row], rows_b: list[Row], pairs: Sequence[Pair]
) -> None:
    """Note the rows without a counterpart: what lies at one place together."""
    used_a, used_b = {p.a for p in pairs}, {p.b for p in pairs}
    alone_a = [key for key in rows_a if key not in used_a]
    alone_b = [key for key in rows_b if key not in used_b]
    made.only_a.extend((match.a, what) for what in _said(alone_a, used_a, made.keys))
    made.only_b.extend((match.b, what) for what in _said(alone_b, used_b, made.keys))


def _said(alone: list[Row], used: set[Row], keys: list[str]) -> list[str]:
    """Rows without a counterpart in words: values that none of the others has, then the rest."""
    said = []
    for i, key in enumerate(keys):
        present = {row[i] for row in used}
        missing = list(dict.fromkeys(row[i] for row in alone if row[i] not in present))
        alone = [row for row in alone if row[i] in present]
        if missing and key != "site":
            said.append(f"{called(key)} {_list(missing)}")
        else:
            said += map(plain, missing)
    return said + [at(row, keys) for row in alone]


def _list(values: list[Any]) -> str:
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return ranges(sorted(values))
    return ", ".join(map(plain, values))


def _rows(table: pd.DataFrame, group: str, keys: list[str]) -> dict[Row, dict[int, int]]:
    """Of one network: the key of each row, and by seed its index."""
    found: dict[Row, dict[int, int]] = {}
    mine = table[table[GROUP] == group]
    columns = [mine[key].tolist() for key in keys]
    values = zip(*columns, strict=True) if columns else iter([()] * len(mine))
    for index, seed, row in zip(mine.index, mine[SEED], values, strict=True):
        found.setdefault(tuple(map(key_of, row)), {})[int(seed)] = int(index)
    return found


def _by_keys(keys: Sequence[str]) -> str:
    """How the rows of a table without places are paired.

    >>> _by_keys(["neuron", "time_steps"]), _by_keys([])
    ('rows of the same neuron, time steps', 'a row per network')
    """
    return f"rows of the same {', '.join(map(called, keys))}" if keys else "a row per network"


def _unique_places(rows: dict[Row, dict[int, int]]) -> list[Any]:
    return [p for p in dict.fromkeys(key[0] for key in rows) if p is not None]
