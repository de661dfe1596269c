"""The figure of one quantity: A against the others, drawn when the page is made."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style
from snnlens.report import svg
from snnlens.report.compare.curves import Curve, Drawing, Panel, clean
from snnlens.report.compare.read import LETTERS

COLOURS = (
    style.BLUE,
    style.VERMILION,
    style.GREEN,
    style.PURPLE,
    style.ORANGE,
    style.SKY,
    style.INK,
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MARKED = 10  # points of a curve that have a marker, at equal distances in the row of points
LINE = 0.2  # inches of a line of the legend
LEVEL = 1e-4  # of the largest value: a panel's range below it is drawn as level
ASIDE = 0.08  # of two places side by side, between the runs at one place


def figure(drawing: Drawing, names: dict[str, str]) -> Figure:
    """Panels two by two; A is the broad pale line below the others.

    Args:
        drawing: what is drawn.
        names: what a letter stands for.
    """
    with style.styled():
        made, axes = style.panel_grid(len(drawing.panels))
        for panel, one in zip(axes, drawing.panels, strict=True):
            _panel(panel, one, drawing)
        _labels(axes, drawing)
        made.supylabel(clean(drawing.label, 60), fontsize=style.RC["axes.labelsize"])
        handles = _legend(names)
        columns = 2 if len(axes) == 1 else 4
        made.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=columns,
                    columnspacing=1.4, borderaxespad=0)  # fmt: skip
        above = LINE * -(-len(handles) // columns)
        made.set_figheight(made.get_figheight() + above)
        for _ in range(2):  # the first one changes the ticks, whose labels need room
            made.tight_layout(
                h_pad=1.2, w_pad=1.6, rect=(0, 0, 1, 1 - above / made.get_figheight())
            )
    return made


def markup(made: Figure, prefix: str, title: str) -> Markup:
    """The figure as part of a page; the same figure gives the same bytes."""
    with (
        tempfile.TemporaryDirectory() as folder, style.styled(), warnings.catch_warnings(),
        mpl.rc_context({"svg.hashsalt": "compare"}),
    ):  # fmt: skip
        warnings.filterwarnings("ignore", message="Glyph")  # a browser has other fonts
        path = Path(folder) / "figure.svg"
        plain: dict[str, Any] = {"Date": None, "Creator": None}
        made.savefig(path, metadata=plain)
        return svg.figure(path, prefix, title)


def _panel(axes: Axes, panel: Panel, drawing: Drawing) -> None:
    axes.set_title(clean(panel.title), pad=6)
    for wall in drawing.walls:
        axes.axvline(wall, color=style.GRID, linewidth=0.8, zorder=0)
    values = np.array([v for c in panel.curves for v in (*c.low, *c.high)], float)
    positive = values[np.isfinite(values) & (values > 0)]
    log = drawing.log and len(positive) > 0
    floor = float(positive.min()) / 10 if log else 0.0
    if log:
        style.log_axis(axes)
    for curve in panel.curves:
        _curve(axes, curve, floor if log else -math.inf, joined=drawing.joined)
    if log:
        _log_limits(axes, positive, floor, zeros=bool((values == 0).any()))
    else:
        _limits(axes, values[np.isfinite(values)])


def _curve(axes: Axes, curve: Curve, floor: float, *, joined: bool) -> None:
    """Values at or below 0 of a log axis stand on its floor."""
    index = LETTERS.index(curve.letter)
    first, colour = index == 0, COLOURS[index]
    x = np.array(curve.x) + (0.0 if joined else ASIDE * index)
    y, low, high = (np.maximum(np.array(v), floor) for v in (curve.y, curve.low, curve.high))
    if joined:
        axes.plot(x, y, color=colour, linewidth=2.6 if first else 1.0, zorder=2 + index,
                  alpha=0.45 if first else 1.0, solid_capstyle="butt")  # fmt: skip
    axes.plot(x, y, color=colour, linestyle="none", marker=MARKERS[index], zorder=2 + index,
              markersize=4.6 if first else 2.8, markeredgewidth=0.9,
              markerfacecolor="none" if first else colour,
              markevery=max(1, round(len(x) / MARKED)) if joined else 1)  # fmt: skip
    ranging = high > low
    if ranging.any():
        axes.vlines(x[ranging], low[ranging], high[ranging], color=colour, linewidth=0.8,
                    alpha=0.8, zorder=2 + index)  # fmt: skip


def _limits(axes: Axes, values: Any) -> None:
    """Room around values that are all but equal: their ticks would differ in the tenth digit."""
    middle = float(np.abs(values).max()) if len(values) else 0.0
    if middle and np.ptp(values) < LEVEL * middle:
        axes.set_ylim(values.mean() - 0.05 * middle, values.mean() + 0.05 * middle)


def _log_limits(axes: Axes, positive: Any, floor: float, *, zeros: bool) -> None:
    low, high = (floor if zeros else positive.min()), positive.max()
    room = max((high / low) ** 0.06, 1.25)
    axes.set_ylim(low / room, high * room)
    if zeros:
        style.zero_floor(axes, floor)
    style.label_short_range(axes)


def _labels(axes: Sequence[Axes], drawing: Drawing) -> None:
    columns = min(2, len(axes))
    for index, panel in enumerate(axes):
        if drawing.ticks:
            panel.set_xticks([x for x, _ in drawing.ticks], [name for _, name in drawing.ticks])
            if max(len(name) for _, name in drawing.ticks) * len(drawing.ticks) > 44:
                panel.tick_params(axis="x", labelrotation=30)
        else:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if index >= len(axes) - columns:
            panel.set_xlabel(drawing.x_label)
            panel.tick_params(labelbottom=True)


def _legend(names: dict[str, str]) -> list[Line2D]:
    return [
        Line2D([], [], color=COLOURS[i], marker=MARKERS[i], linewidth=2.6 if i == 0 else 1.0,
               markerfacecolor="none" if i == 0 else COLOURS[i], markersize=4,
               label=f"{letter}  {clean(name, 34)}")
        for letter, name in names.items() for i in [LETTERS.index(letter)]
    ]  # fmt: skip
