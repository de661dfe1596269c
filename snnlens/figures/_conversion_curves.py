"""Against T: accuracy, one panel per kind of network; the unevenness of one neuron."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style
from snnlens.figures._conversion_layout import GREY, line, look, steps_axis

UNDER: dict[str, Any] = {"color": "#a9cbe3", "linewidth": 5.0, "solid_capstyle": "round"}
ANN: dict[str, Any] = {"color": style.INK, "linewidth": 1.0, "linestyle": (0, (5, 2))}
NO_NEURON = ("ann", "requantised")
INPUTS = {
    "regular": (style.GREEN, "o"),
    "shuffled": (style.ORANGE, "s"),
    "late": (style.PURPLE, "^"),
    "early": (style.BLUE, "v"),
}
FEW = 3.0  # percentage points; a smaller gap has no room for its number


def accuracy(axes: Axes, summary: pd.DataFrame, level: int | None) -> None:
    """One kind: the ANN's line, the requantised ANN's wide one under the spiking networks'."""
    run = sorted({int(t) for t in summary["time_steps"] if t > 0})
    for neuron, rows in summary.groupby("neuron", sort=False):
        if neuron == "ann":
            _ann(axes, rows)
        elif neuron == "requantised":
            alone = "o" if len(rows) == 1 else None  # one T has no line
            axes.plot(rows["time_steps"], rows["top1_mean"], label="requantised", zorder=1,
                      marker=alone, markersize=7, **UNDER)  # fmt: skip
        else:
            _curve(axes, rows, str(neuron))
    if run:
        steps_axis(axes, run)
    if level in run:
        _at_level(axes, summary, int(level or 0))


def percent_axis(panels: Sequence[Axes], summary: pd.DataFrame) -> None:
    """One scale for all panels, up to 100 %; from 0 where a curve goes below 40."""
    lowest = float(np.nanmin(summary["top1_min"].to_numpy(float)))
    for axes in panels:
        axes.set_ylim(0 if lowest < 40 else 10 * math.floor((lowest - 2) / 10), 101.5)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panels[0].set_ylabel("accuracy, top 1 (%)")


def handles(summary: pd.DataFrame) -> list[Line2D]:
    """The legend of the curves that are there."""
    there = list(dict.fromkeys(summary["neuron"]))
    made = [line(label="ANN", **ANN)] if "ann" in there else []
    if "requantised" in there:
        made.append(line(label="requantised ANN", **UNDER))
    for neuron in (n for n in there if n not in NO_NEURON):
        colour, marker, name = look(neuron)
        made.append(line(color=colour, label=name, **_marks(marker)))
    return made


LEGEND_INCHES = 0.75  # height of four lines: below it there has to be room for them


def unevenness(axes: Axes, trials: pd.DataFrame, slopes: pd.DataFrame) -> None:
    """rms error of one sequential neuron by the order of its input spikes; the line 1 / T."""
    exponents = slopes.set_index("inputs")["exponent"]
    for inputs, rows in trials.groupby("inputs", sort=False):
        colour, marker = INPUTS.get(str(inputs), (style.INK, "D"))
        steep = exponents.get(inputs, np.nan)
        text = f"{inputs}, slope {_signed(steep)}" if np.isfinite(steep) else str(inputs)
        above = rows[rows["rmse"] > 0]
        axes.plot(above["time_steps"], above["rmse"], color=colour, label=text, **_marks(marker))
    _guide(axes, trials)
    style.log_axis(axes)
    steps_axis(axes, [int(t) for t in trials["time_steps"].unique()])
    axes.set_ylabel("rms error (θ)")
    low, high = axes.get_ylim()
    tall = axes.get_window_extent().height / axes.get_figure().dpi  # type: ignore[union-attr]
    axes.set_ylim(low * (low / high) ** max(0.0, (LEGEND_INCHES / tall) - 0.1), high)
    axes.legend(loc="lower left", handlelength=1.5, borderaxespad=0.2, labelspacing=0.25,
                fontsize=6.8)  # fmt: skip


def _guide(axes: Axes, trials: pd.DataFrame) -> None:
    """1 / T below the curve of regular trains, and its name."""
    steps = np.sort(trials["time_steps"].unique()).astype(float)
    regular = trials[trials["inputs"] == "regular"]
    of = regular if len(regular) else trials
    lowest = float(np.min((of["rmse"] * of["time_steps"]).to_numpy(float)))
    start = 0.6 * (lowest or 0.1) / steps[0]
    axes.plot(steps, start * steps[0] / steps, color=GREY, linewidth=0.9, linestyle=(0, (1, 1.5)),
              label="_1/T", zorder=0)  # fmt: skip
    axes.annotate("1/T", (steps[-1], start * steps[0] / steps[-1]), xytext=(-9, 0), ha="right",
                  textcoords="offset points", va="top", fontsize=6.8, color="#6b6b6b")  # fmt: skip


def _signed(slope: float) -> str:
    """Two digits, a real minus, and no minus before 0.

    >>> _signed(-0.7), _signed(-0.001)
    ('−0.70', '0.00')
    """
    return f"{round(slope, 2) + 0.0:.2f}".replace("-", "−")


def _ann(axes: Axes, rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    if first["top1_max"] > first["top1_min"]:
        axes.axhspan(first["top1_min"], first["top1_max"], color=style.INK, alpha=0.09, linewidth=0,
                     label="_band ann", zorder=0)  # fmt: skip
    axes.axhline(first["top1_mean"], label="ann", zorder=2, **ANN)


def _curve(axes: Axes, rows: pd.DataFrame, neuron: str) -> None:
    """The mean over seeds, in a band of their range."""
    colour, marker, _ = look(neuron)
    steps = rows["time_steps"].to_numpy(float)
    if (rows["seeds"] > 1).any():
        low, high = rows["top1_min"].to_numpy(float), rows["top1_max"].to_numpy(float)
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0,
                          label=f"_band {neuron}", zorder=1.5)  # fmt: skip
    axes.plot(steps, rows["top1_mean"], color=colour, label=neuron, zorder=3, **_marks(marker))


def _marks(marker: str) -> dict[str, Any]:
    return {"linewidth": 1.1, "marker": marker, "markersize": 3.2, "markeredgecolor": "#ffffff",
            "markeredgewidth": 0.4}  # fmt: skip


def _at_level(axes: Axes, summary: pd.DataFrame, level: int) -> None:
    """Where T = L, and how far the sequential network is below the ANN there."""
    axes.axvline(level, color=style.GRID, linewidth=0.8, zorder=0, label="_level")
    side = axes.get_xaxis_transform()
    axes.annotate("T = L", (level, 0), xycoords=side, xytext=(3, 2), textcoords="offset points",
                  fontsize=6.8, color="#6b6b6b")  # fmt: skip
    at = summary[(summary["neuron"] == "sequential") & (summary["time_steps"] == level)]
    below = float(at["points_below_ann"].iloc[0]) if len(at) else 0.0
    if below < FEW:
        return
    low = float(at["top1_mean"].iloc[0])
    axes.annotate(
        "", (level, low), xytext=(level, low + below), zorder=2,
        arrowprops={"arrowstyle": "<->", "color": style.VERMILION, "linewidth": 0.8,
                    "shrinkA": 0, "shrinkB": 2, "mutation_scale": 6},
    )  # fmt: skip
    axes.annotate(f"{below:.1f} points", (level, low), xytext=(4, -3), textcoords="offset points",
                  va="top", fontsize=6.8, color=style.VERMILION)  # fmt: skip
