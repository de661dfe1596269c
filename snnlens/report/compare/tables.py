"""The numbers of a comparison as the page shows them: overview, figure, largest changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from snnlens.report.columns import column
from snnlens.report.compare import curves, numbers
from snnlens.report.compare.align import Aligned
from snnlens.report.compare.found import Comparison
from snnlens.report.compare.keys import key_of
from snnlens.report.compare.overview import heads, named, overview, pair, place, ranked, where
from snnlens.report.tables import Head, Part, table
from snnlens.report.text import plural, slug

LARGEST = 10  # changes of one quantity, and networks
WORDS = 50  # changed texts of one table
FIGURES = 16  # of one page, the result's own first: it stays below 2 MB
NO_INTERVAL = "no interval"


@dataclass(frozen=True)
class Quantity:
    """One column that differs somewhere: its figure, its largest changes, its means."""

    id: str
    label: str
    unit: str
    says: str
    figure: Markup | None
    caption: str
    largest: Part
    means: Part | None


class Word(NamedTuple):
    """A text that changed from a to b, and all places where it did so."""

    run: str
    column: str
    where: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Section:
    """One table of the runs: an overview, the quantities that differ, the others' names."""

    id: str
    name: str
    heads: list[Head]
    rows: list[Markup]
    quantities: list[Quantity]
    equal: list[str]
    words: list[Word]
    more_words: int
    intervals: str
    undrawn: bool


def sections(found: Comparison) -> list[Section]:
    """A section for each table that any two of the runs have in common."""
    names = list(dict.fromkeys(one.table for one in found.aligned))
    left = [FIGURES]
    return [_section(found, name, id_, left) for name, id_ in ids("numbers", names).items()]


def ids(before: str, names: Sequence[str]) -> dict[str, str]:
    """An id for each name, made of it; a number behind it where two would be one.

    >>> ids("of", ["a<b", "a>b"])
    {'a<b': 'of-a-b', 'a>b': 'of-a-b-2'}
    """
    made: dict[str, str] = {}
    for name in names:
        wanted = free = f"{before}-{slug(name)}"
        number = 2
        while free in made.values():
            free, number = f"{wanted}-{number}", number + 1
        made[name] = free
    return made


def _section(found: Comparison, name: str, id_: str, left: list[int]) -> Section:
    mine = [one for one in found.aligned if one.table == name]
    rows = found.numbers[found.numbers["table"] == name]
    order = list(dict.fromkeys(rows["quantity"]))
    differ = [q for q in order if rows.loc[rows["quantity"] == q, "differs"].any()]
    several = [q for q in differ if (rows["quantity"] == q).sum() > len(mine)]
    words = _words(found.words[found.words["table"] == name])
    shown = named(rows)
    units, runs = found.sides[0].units, len(found.sides) > 2
    anchors = ids(id_, several)
    quantities = [_quantity(found, mine, q, anchors[q], left) for q in several]
    return Section(
        id=id_,
        name=name,
        heads=heads(several=runs),
        rows=[r for q in differ for r in overview(shown, q, units, anchors.get(q), runs=runs)],
        quantities=quantities,
        equal=[column(q, units).full for q in order if q not in differ],
        words=words[:WORDS],
        more_words=max(len(words) - WORDS, 0),
        intervals=_intervals(rows),
        undrawn=bool(several) and not left[0] and any(q.figure is None for q in quantities),
    )


def _words(rows: pd.DataFrame) -> list[Word]:
    """Equal changes of one network together."""
    merged: dict[Any, list[str]] = {}
    for row in rows.itertuples():
        texts = (key_of(row.a), key_of(row.b))  # pandas may make NaN of None
        key = (row.run, row.column, row.network, row.other_network, *texts)
        merged.setdefault(key, []).append(pair(str(row.a_at), str(row.b_at)))
    return [
        Word(run, what, place(pair(mine, other), "; ".join(filter(None, places))), a, b)
        for (run, what, mine, other, a, b), places in merged.items()
    ]


def _intervals(rows: pd.DataFrame) -> str:
    """How the intervals were made, or that there are none and why."""
    kinds = list(dict.fromkeys(rows["interval"]))
    made = [kind for kind in kinds if NO_INTERVAL not in kind]
    if made:
        return (
            f"Intervals are of 95 %, by {' and '.join(made)}, each for one row by itself: of "
            "twenty rows without a difference, one is expected to leave out no change."
        )
    why = "one seed" if any(k.startswith("one seed") for k in kinds) else "no seeds"
    return (
        f"No intervals: there {'is' if why == 'one seed' else 'are'} {why} "
        "to tell a change from chance by."
    )


# --- one quantity -----------------------------------------------------------------------------


def _quantity(
    found: Comparison, tables: Sequence[Aligned], quantity: str, id_: str, left: list[int]
) -> Quantity:
    name = tables[0].table
    whole, means = (f[f["table"] == name] for f in (found.numbers, found.summary))
    rows, means = (f[f["quantity"] == quantity] for f in (whole, means))
    what = column(quantity, found.sides[0].units)
    first, shown = ranked(rows), ranked(named(whole).loc[rows.index])
    figure, caption = _figure(found, tables, quantity, first, left)
    return Quantity(
        id=id_,
        label=what.full[:1].upper() + what.full[1:],
        unit=what.unit,
        says=_says(first, rows),
        figure=figure,
        caption=caption,
        largest=_part(shown.head(LARGEST), what.unit, found, at=True),
        means=_part(_most_changed(means), what.unit, found, at=False)
        if (means["places"] > 1).any()
        else None,
    )


def _says(differ: pd.DataFrame, rows: pd.DataFrame) -> str:
    one = int(differ["change"].isna().sum())
    alone = f"; at {one} only one of the runs has a value" if one else ""
    zero = int(((differ["a"] == 0) != (differ["b"] == 0)).sum())
    zeros = f"; at {zero} it is 0 in one run and not in the other" if zero else ""
    ratio = (rows["scale"] == numbers.RATIO).any() and max(
        rows["seeds_a"].max(), rows["seeds_b"].max()
    ) > 1
    means = " A and B are geometric means over the seeds, arithmetic where one is 0." * bool(ratio)
    return f"Differs at {len(differ)} of {plural(len(rows), 'place')}{zeros}{alone}.{means}"


def _most_changed(means: pd.DataFrame) -> pd.DataFrame:
    order = numbers.size(means).fillna(-1.0).sort_values(ascending=False, kind="stable")
    return means.loc[order.index].head(LARGEST)


def _part(rows: pd.DataFrame, unit: str, found: Comparison, *, at: bool) -> Part:
    """A table of changes; ratio and difference never share one: a quantity has one scale."""
    ratio = bool((rows["scale"] == numbers.RATIO).any())
    several = len(found.sides) > 2
    b = "there" if several else found.sides[1].letter
    change = f"{b} / A" if ratio else f"{b} − A"
    if at:
        places = {"where": [where(r) for _, r in rows.iterrows()]}
    else:
        joined = zip(rows["network"], rows["series"], strict=True)
        kind = "geometric mean of" if ratio else "mean of"
        places = {kind: [place(n, s) for n, s in joined]}
        places |= {"places": (rows["places"] - rows["missing"]).tolist()}
    ends = ["low", "high"] if rows["low"].notna().any() else []
    made = pd.DataFrame(
        places | ({"run": rows["run"].tolist()} if several else {})
        | {"A": rows["a"].to_numpy(), b: rows["b"].to_numpy(), change: rows["change"].to_numpy()}
        | {end: rows[end].to_numpy() for end in ends}
    )  # fmt: skip
    units = {"A": unit, b: unit, change: "" if ratio else unit}
    return table(made, units).parts[0]


# --- the figure -------------------------------------------------------------------------------


def _figure(
    found: Comparison, tables: Sequence[Aligned], quantity: str, changed: pd.DataFrame,
    left: list[int],
) -> tuple[Markup | None, str]:  # fmt: skip
    from snnlens.report.compare import figures

    if not left[0]:
        return None, ""
    what = column(quantity, found.sides[0].units)
    label = f"{what.full} ({what.unit})" if what.unit else what.full
    drawn = curves.drawing(tables, quantity, label, _titles(changed))
    if sum(len(c.x) for p in drawn.panels for c in p.curves) <= len(found.sides):
        return None, ""  # one number a run: nothing to draw
    left[0] -= 1
    names = {side.letter: side.name for side in found.sides}
    title = curves.clean(f"{what.full}, {' against '.join(names)}", 120)
    made = figures.figure(drawn, names)
    return figures.markup(made, f"c{left[0]}-", title), _caption(drawn, found)


def _titles(rows: pd.DataFrame) -> list[str]:
    """Panels, the one with the largest change first."""
    pairs = zip(rows["network"], rows["series"], strict=True)
    return list(dict.fromkeys(place(*pair, none="") for pair in pairs))


def _caption(drawn: curves.Drawing, found: Comparison) -> str:
    others = ", ".join(side.letter for side in found.sides[1:])
    line = f"A is the broad pale line, {others} the thin one{'s' if ',' in others else ''}."
    said = [line if drawn.joined else f"A is the circle, {others} beside it."]
    if drawn.seeds:
        kind = "geometric mean" if drawn.log else "mean"
        said.append(
            f"What is drawn is the {kind} over seeds; bars go from the smallest to the largest."
        )
    if drawn.left_out:
        said.append(
            f"Shown are the {len(drawn.panels)} of {len(drawn.panels) + drawn.left_out} panels "
            "with the largest changes."
        )
    return " ".join(said)
