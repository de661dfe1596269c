"""Conversion: accuracy and layer errors by kind of network, and one network's errors in detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnlens.figures import _conversion_curves as curves
from snnlens.figures import _conversion_layers as by_layer
from snnlens.figures import _conversion_pairs as pairs
from snnlens.figures import style
from snnlens.figures._conversion_layout import (
    LEFT,
    RIGHT,
    WIDTH,
    Box,
    Legend,
    Section,
    panels,
    stacked,
)

TALL, SQUARE = 1.55, 1.2  # heights of panels, inches
WIDE = 0.66  # between panels whose axes both have labels
TITLES = 0.72  # between rows of panels that have titles above and axes below
CLOSE = 0.28  # between rows of small ones
ACROSS = 4  # panels side by side, at most
ROOM = WIDTH - LEFT - RIGHT
HALF, THIRD = (ROOM - WIDE) / 2, (ROOM - 2 * WIDE) / 3
Tables = dict[str, pd.DataFrame]
Draw = Callable[[Figure, Box], None]


def conversion_figure(
    table: pd.DataFrame, extra: Tables, caption: str, *, kind: str, at: Sequence[int],
    steps: Sequence[int],
) -> Figure:  # fmt: skip
    """The figure of a conversion Result; what the Record did not hold is left out.

    `kind` is the network shown in detail, `at` the one or two T of its sources and rates, `steps`
    the T of the curves over layers.
    """
    kinds = _ordered(table)
    with style.styled():
        sections = _of_kinds(table, extra, kinds, steps)
        sections += _of_one(extra, kind, at, steps)
        sections += _of_values(extra)
        figure = stacked(sections)
        style.caption_below(figure, _drawn(extra, kinds, kind) + caption)
    return figure


# --- a column per kind -------------------------------------------------------------------------


def _ordered(table: pd.DataFrame) -> list[str]:
    """Kinds by family, shallow to deep."""
    first = table.drop_duplicates("kind")
    place = {f: i for i, f in enumerate(dict.fromkeys(first["family"]))}
    order = first.assign(at=first["family"].map(place), deep=first["depth"].fillna(0))
    return [str(k) for k in order.sort_values(["at", "deep"], kind="stable")["kind"]]


def _of_kinds(
    table: pd.DataFrame, extra: Tables, kinds: list[str], steps: Sequence[int]
) -> list[Section]:
    """Accuracy above, layer errors below; side by side where there is one kind."""
    levels = {k: _level(table, k) for k in kinds}
    answers = curves.handles(extra["summary"])
    above: Draw = partial(_accuracies, extra["summary"], kinds, levels)
    rows = -(-len(kinds) // ACROSS)
    tall = rows * TALL + (rows - 1) * TITLES
    layers = _accumulated(extra)
    if layers is None:
        return [Section(tall, above, [Legend(answers)])]
    of_layers = by_layer.error_handles(list(dict.fromkeys(layers["neuron"])), steps)
    below: Draw = partial(_errors, layers, kinds, steps)
    if len(kinds) > 1:
        return [
            Section(tall, above, [Legend(answers)]),
            Section(tall, below, [Legend(of_layers)]),
        ]
    left, right = Legend(answers, LEFT, HALF), Legend(of_layers, LEFT + HALF + WIDE, HALF)
    return [Section(tall, partial(_beside, above, below), [left, right])]


def _beside(one: Draw, other: Draw, figure: Figure, box: Box) -> None:
    one(figure, box._replace(width=HALF))
    other(figure, box._replace(left=LEFT + HALF + WIDE, width=HALF))


def _accuracies(
    summary: pd.DataFrame, kinds: list[str], levels: dict[str, int | None], figure: Figure, box: Box
) -> None:
    shown = _grid(figure, box, len(kinds))
    for axes, kind in zip(shown, kinds, strict=True):
        curves.accuracy(axes, summary[summary["kind"] == kind], levels[kind])
    curves.percent_axis(shown, summary)
    _titles(shown, kinds, "a")
    _outer(shown, "accuracy, top 1 (%)")


def _errors(
    layers: pd.DataFrame, kinds: list[str], steps: Sequence[int], figure: Figure, box: Box
) -> None:
    shown = _grid(figure, box, len(kinds))
    for axes, kind in zip(shown, kinds, strict=True):
        of = layers[layers["kind"] == kind]
        if len(of):
            by_layer.errors(axes, of, steps)
    high = max(axes.dataLim.y1 for axes in shown)
    for axes in shown:
        axes.set_ylim(0, 1.06 * high if high > 0 else 1)
    _titles(shown, kinds if len(kinds) > 1 else ["Error of each layer"], "b")
    _outer(shown, "rms error of the rate (θ)")


def _grid(figure: Figure, box: Box, count: int) -> list[Axes]:
    """So many panels, in rows of `ACROSS`."""
    columns, rows = min(count, ACROSS), -(-count // ACROSS)
    flat: list[Axes] = [
        axes for row in panels(figure, box, rows, columns, gap=TITLES) for axes in row
    ]
    for spare in flat[count:]:
        spare.set_visible(False)
    return flat[:count]


def _titles(shown: list[Axes], names: Sequence[str], letter: str) -> None:
    size = 7.0 if len(shown) > 3 else style.RC["axes.titlesize"]
    for axes, name in zip(shown, names, strict=True):
        axes.set_title(f"{letter}  {name}" if axes is shown[0] else name, pad=5, fontsize=size)


def _outer(shown: list[Axes], label: str) -> None:
    for index, axes in enumerate(shown):
        axes.tick_params(labelleft=index % ACROSS == 0)
        axes.set_ylabel(label if index % ACROSS == 0 else "")


# --- one kind in detail ------------------------------------------------------------------------


def _of_one(extra: Tables, kind: str, at: Sequence[int], steps: Sequence[int]) -> list[Section]:
    """The sources of its errors at one or two T, and the offsets of its counts."""
    layers = _accumulated(extra)
    if layers is None:
        return []
    of = {t: layers[(layers["kind"] == kind) & (layers["time_steps"] == t)] for t in at}
    own = {t: rows for t, rows in of.items() if len(rows)}
    if not own:
        return []
    shares = extra["offsets"]
    shown = shares[(shares["kind"] == kind) & (shares["neuron"] == "sequential")
                   & (shares["view"] == "accumulated")]  # fmt: skip
    handles = by_layer.source_handles(pd.concat(own.values()))
    return [Section(TALL, partial(_sources, own, shown, steps), [Legend(handles)])]


def _sources(
    layers: dict[int, pd.DataFrame], shares: pd.DataFrame, steps: Sequence[int], figure: Figure,
    box: Box,
) -> None:  # fmt: skip
    wide = ROOM if shares.empty else ROOM - THIRD - WIDE
    shown = list(panels(figure, box._replace(width=wide), 1, len(layers))[0])
    up = by_layer.sides(pd.concat(layers.values()))
    for axes, rows in zip(shown, layers.values(), strict=True):
        by_layer.sources(axes, rows, up)
    by_layer.name_sides(shown, list(layers.values()), up)
    _titles(shown, [f"Sources, T = {t}" for t in layers], "c")
    _outer(shown, "rms by source, stacked (θ)")
    if len(shares):
        axes = _last(figure, box)
        by_layer.offsets(axes, shares, steps)
        axes.set_title("d  Offset, sequential IF", pad=5)


def _of_values(extra: Tables) -> list[Section]:
    """Rates of single neurons against their activations, and the trials of one neuron."""
    rates, trials = extra.get("pairs"), extra.get("unevenness")
    if rates is None and trials is None:
        return []
    rows = 1 if rates is None else rates["time_steps"].nunique()
    height = max(rows * SQUARE + (rows - 1) * CLOSE, TALL)
    handles = [] if rates is None else pairs.handles(rates)
    return [Section(height, partial(_values, extra), [Legend(handles)])]


def _values(extra: Tables, figure: Figure, box: Box) -> None:
    rates, trials = extra.get("pairs"), extra.get("unevenness")
    if rates is not None:
        wide = ROOM - THIRD - WIDE
        rows, columns = rates["time_steps"].nunique(), rates["order"].nunique()
        grid = panels(figure, box._replace(width=wide), rows, columns, between=0.14, gap=CLOSE)
        pairs.scatter(grid, rates, extra.get("layers"))
    if trials is not None:
        axes = _last(figure, box) if rates is not None else panels(
            figure, box._replace(width=HALF), 1, 1)[0, 0]  # fmt: skip
        curves.unevenness(axes, trials, extra["unevenness_slopes"])
        axes.set_title("f  Unevenness alone", pad=5)


def _last(figure: Figure, box: Box) -> Axes:
    """The panel at the right of three."""
    axes: Axes = panels(figure, box._replace(left=WIDTH - RIGHT - THIRD, width=THIRD), 1, 1)[0, 0]
    return axes


# --- words -------------------------------------------------------------------------------------


def _accumulated(extra: Tables) -> pd.DataFrame | None:
    layers = extra.get("layers_by_kind")
    return None if layers is None else layers[layers["view"] == "accumulated"]


def _level(table: pd.DataFrame, kind: str) -> int | None:
    level = table.loc[table["kind"] == kind, "levels"].iloc[0]
    return None if pd.isna(level) else int(level)


def _drawn(extra: Tables, kinds: list[str], kind: str) -> str:
    """What the caption says of the drawing itself."""
    several = bool((extra["summary"]["seeds"] > 1).any())
    parts = ["Conversion. a: accuracy", ", the mean over seeds in a band of their range" * several]
    parts += [REQUANTISED] if (extra["summary"]["neuron"] == "requantised").any() else []
    if (layers := _accumulated(extra)) is not None:
        both = set(by_layer.SIDES) <= set(layers["neuron"])
        parts += [ERRORS, ", seeds pooled" * several, SOURCES]
        parts += [f", of {kind}" * (len(kinds) > 1), SIDES * both, NO_SUM]
        parts += [OFFSETS] if (layers["neuron"] == "sequential").any() else []
    parts += [PAIRS] if "pairs" in extra else []
    parts += [UNEVENNESS] if "unevenness" in extra else []
    return "".join(parts) + ". "


REQUANTISED = "; requantised: the ANN whose quantisers have T levels"
ERRORS = ". b: error of the rate in the running network (accumulated)"
SOURCES = ". c: its sources"
SIDES = ", sequential upwards and parallel downwards"
NO_SUM = "; their rms values do not add up to that of the whole error, which is the tick"
OFFSETS = (
    ". d: by how many spikes a count is off that of its own mean current, all layers; no point: "
    "none"
)
PAIRS = (
    ". e: activation and rate of neurons, a marker larger by a step where a pair is twice as "
    "often, the identity and (dotted) the largest rate; written in: the share of values whose mean "
    "current is above θ"
)
UNEVENNESS = ". f: one neuron, by the order of its input spikes; slopes over T = 8 to 256"
