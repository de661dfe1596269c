"""Activation against rate: one panel per layer and T."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from snnlens.figures._conversion_layout import GREY, line, look

SMALLEST, STEP = 2.0, 1.0  # points: the marker of a single pair, and how much twice as many add
ORDER = ("parallel", "sequential")  # rings, and discs on them through which they are seen


def scatter(grid: NDArray[np.object_], pairs: pd.DataFrame, layers: pd.DataFrame | None) -> None:
    """Rows of T, columns of layers; a marker a pair, larger by a step where twice as often."""
    steps, orders = (sorted(pairs[c].unique()) for c in ("time_steps", "order"))
    end = max(1.0, float(pairs["activation"].max()))
    for t, row in zip(steps, grid, strict=True):
        for order, axes in zip(orders, row, strict=True):
            here = (pairs["time_steps"] == t) & (pairs["order"] == order)
            _panel(axes, pairs[here], end)
            _saturated(axes, pairs[here], layers, int(t))
            _label(axes, row, grid, f"layer {order}, T = {t}")
    grid[0, 0].set_title("e", pad=4, loc="left")


def handles(pairs: pd.DataFrame) -> list[Line2D]:
    """Discs and rings."""
    return [
        line(linestyle="none", markersize=5.5, label=look(n)[2], **_mark(n))
        for n in ORDER if (pairs["neuron"] == n).any()
    ]  # fmt: skip


def _panel(axes: Axes, pairs: pd.DataFrame, end: float) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, zorder=1, label="_identity")
    axes.axhline(1, color=GREY, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=0, label="_one")
    for neuron in ORDER:
        rows = pairs[pairs["neuron"] == neuron]
        if rows.empty:
            continue
        doublings = np.floor(np.log2(rows["pairs"].to_numpy(float)))
        for size in sorted(set(doublings)):  # few sizes: a marker is written once for each
            of = rows[doublings == size]
            axes.plot(of["activation"], of["rate"], linestyle="none", zorder=2,
                      markersize=SMALLEST + STEP * size, label=f"{neuron} {2**size:g}",
                      **_mark(neuron))  # fmt: skip
    axes.set_xlim(-0.12, max(1.12, 1.04 * end))
    axes.set_ylim(-0.12, 1.3)
    axes.set_yticks([0, 0.5, 1])


def _mark(neuron: str) -> dict[str, Any]:
    colour = look(neuron)[0]
    if neuron == "parallel":
        return {"marker": "o", "markerfacecolor": "none", "markeredgecolor": colour,
                "markeredgewidth": 0.7, "alpha": 1.0}  # fmt: skip
    return {"marker": "o", "markerfacecolor": colour, "markeredgecolor": "none",
            "markeredgewidth": 0.0, "alpha": 0.6}  # fmt: skip


def _saturated(axes: Axes, pairs: pd.DataFrame, layers: pd.DataFrame | None, t: int) -> None:
    """The share of values whose mean current is above theta: all rates of them are 1."""
    if layers is None or pairs.empty:
        return
    first = pairs.iloc[0]
    at = layers[(layers["network"] == first["network"]) & (layers["order"] == first["order"])
                & (layers["time_steps"] == t) & (layers["view"] == "accumulated")]  # fmt: skip
    for place, neuron in enumerate(n for n in ORDER if (pairs["neuron"] == n).any()):
        rows = at[at["neuron"] == neuron]
        if len(rows):
            text = f"above θ: {100 * float(rows['saturated_share'].iloc[0]):.1f} %"
            axes.annotate(text.removeprefix("above θ: ") if place else text, (0.62 * place, 1),
                          xycoords="axes fraction", xytext=(3, -1), textcoords="offset points",
                          va="top", fontsize=6.2, color=look(neuron)[0])  # fmt: skip


def _label(axes: Axes, row: NDArray[np.object_], grid: NDArray[np.object_], title: str) -> None:
    axes.set_title(title, pad=4, loc="center", fontsize=7.5, fontweight="normal")
    first, last = axes is row[0], row is grid[-1]
    axes.tick_params(labelleft=first, labelbottom=last)
    if first:
        axes.set_ylabel("rate (θ)")
    if last or np.array_equal(row, grid[-1]):
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("activation (θ)")
