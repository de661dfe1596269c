"""Firing rates against block (Fig. 5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style
from snnlens.figures.gradients import LABELS, kind_of

COLOURS = {
    "spiking": style.VERMILION,
    "sew-add": style.GREEN,
    "sew-and": style.PURPLE,
    "sew-iand": style.ORANGE,
    "plain": "#7f7f7f",
    "ms": style.SKY,
    "ann": style.INK,
}
MARKERS = {"spiking": "o", "sew-add": "s", "sew-and": "v", "sew-iand": "^", "plain": "x", "ms": "D"}


def rate_figure(table: pd.DataFrame, caption: str, *, weights: str = "at initialisation") -> Figure:
    """Mean of O^l (log axis: ADD grows past 1 and AND falls to 0) and of A^l.

    Blocks of MS-ResNet pass currents, not spikes: alone they are drawn as such, beside others not.
    """
    currents = table["residual"] == "ms"
    if currents.any() and not currents.all():
        names = ", ".join(table.loc[currents, "network"].unique())
        caption = f"Not drawn: {names}, whose blocks pass currents. {caption}"
        table = table[~currents]
    unit = "current" if currents.all() else "spikes"
    without = "without zero-init" if weights == "at initialisation" else weights
    with style.styled():
        figure, (left, right) = style.panel_grid(2, height=2.7)
        for axes, part, title in (
            (left, "output", "Block output O"),
            (right, "residual", f"Residual branch A, {without}"),
        ):
            downsample = sorted(set(table.loc[table["block_kind"] == "downsample", "block"]))
            style.downsample_lines(axes, downsample)
            shown = table if part == "output" else _without_zero_init(table)
            _curves(axes, shown, f"firing_rate_{part}", log=part == "output" and unit == "spikes")
            axes.set_title(title, pad=7)
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
            axes.set_xlim(-0.7, table["block"].max() + 0.7)
            axes.set_xlabel("residual block l (input on the left)")
            axes.set_ylabel(f"mean value ({unit} per neuron and step)")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=5, handlelength=1.8,
                      bbox_to_anchor=(0.5, 1.0 + 0.16 / figure.get_figheight()))  # fmt: skip
        figure.tight_layout(w_pad=1.6)
        style.caption_below(figure, f"Firing rates {weights}. " + caption)
    return figure


def _curves(axes: Axes, table: pd.DataFrame, column: str, *, log: bool) -> None:
    values = table[column].to_numpy(float)
    positive = values[np.isfinite(values) & (values > 0)]
    floor = float(positive.min()) / 3 if len(positive) else 1e-3
    negative = bool((values < 0).any())
    log = log and not negative
    if log:
        style.log_axis(axes)
    for label, rows, colour, marker, filled in _series(table):
        y = rows[column].to_numpy(float)
        shown = np.where(y == 0, floor, y) if log else y
        axes.plot(rows["block"], shown, color=colour, marker=marker, markersize=style.MEASURED_SIZE,
                  markerfacecolor=colour if filled else "none", markeredgewidth=0.8,
                  linewidth=0.7, label=label)  # fmt: skip
    if log and (values == 0).any():
        style.zero_floor(axes, floor)
    elif log:
        style.label_short_range(axes)
    elif negative:
        axes.axhline(0, color=style.GRID, linewidth=0.8, zorder=0)
    else:
        axes.set_ylim(0, 1.08 * positive.max() if len(positive) else 1)


def _series(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str, str, bool]]:
    """Each network without zero-init; those with it once where their outputs agree."""
    series: list[tuple[str, pd.DataFrame, str, str, bool]] = []
    drawn: list[pd.DataFrame] = []
    for _, rows in table.groupby("network", sort=False):
        kind = kind_of(rows.iloc[0])
        colour, marker = COLOURS.get(kind, style.INK), MARKERS.get(kind, "o")
        if not rows["zero_init"].iloc[0]:
            series.append((LABELS.get(kind, kind), rows, colour, marker, False))
        elif not any(_equal(rows, other) for other in drawn):
            drawn.append(rows)
            agree = sum(
                _equal(rows, other)
                for _, other in table[table["zero_init"].astype(bool)].groupby("network")
            )
            label = (
                f"zero-init, all {agree}" if agree > 1 else f"{LABELS.get(kind, kind)}, zero-init"
            )
            series.append((label, rows, style.WITH if agree > 1 else colour, "o", True))
    return series


def _without_zero_init(table: pd.DataFrame) -> pd.DataFrame:
    """With zero-init A is 0 (add, iand), 1 (and) or O (spiking): known, and in the table."""
    without = table[~table["zero_init"].astype(bool)]
    return without if len(without) else table


def _equal(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    x, y = (r["firing_rate_output"].to_numpy(float) for r in (a, b))
    return bool(np.array_equal(x, y, equal_nan=True))
