"""Per spiking layer: the error, its sources, and by how many spikes counts are off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from snnlens.figures import style
from snnlens.figures._conversion_layout import layer_axis, line, look, step_colours

SOURCES = {  # a layer's own first: they stand on one line and compare from layer to layer
    "unevenness": style.ORANGE,
    "quantisation": style.GREEN,
    "clip": style.PURPLE,
    "inherited": "#b5b5b5",
}
DASHES: dict[str, Any] = {
    "sequential": "-",
    "parallel": (0, (3, 1.4)),
    "calibrated": (0, (1, 1)),
    "calibrated-zero-mean": (0, (5, 1, 1, 1)),
}
OTHER_DASHES = (0, (1, 2))
SIDES = ("sequential", "parallel")
NAME = 0.16  # of the bars' reach: room for the name of a side


def errors(axes: Axes, layers: pd.DataFrame, steps: Sequence[int]) -> None:
    """rms error of the rate by layer: a colour per T, solid sequential, dashed parallel."""
    colours = step_colours(steps)
    for neuron, of in layers.groupby("neuron", sort=False):
        for t in steps:
            rows = of[of["time_steps"] == t].sort_values("order")
            if len(rows):
                axes.plot(rows["order"], rows["rms_total"], color=colours[t], linewidth=1.1,
                          linestyle=DASHES.get(str(neuron), OTHER_DASHES),
                          marker="o" if len(rows) < 6 else None, markersize=2.2,
                          label=f"{neuron} T={t}", clip_on=False)  # fmt: skip
    layer_axis(axes, int(layers["order"].max()) + 1)


def error_handles(neurons: Sequence[str], steps: Sequence[int]) -> list[Line2D]:
    """The legend of `errors`: a colour per T, a dash per kind of neuron."""
    made = [line(color=c, linewidth=1.6, label=f"T = {t}") for t, c in step_colours(steps).items()]
    return made + [
        line(color=style.INK, linewidth=1.1, label=look(neuron)[2],
             linestyle=DASHES.get(neuron, OTHER_DASHES))
        for neuron in neurons
    ]  # fmt: skip


def sources(axes: Axes, layers: pd.DataFrame, up: Mapping[str, int]) -> None:
    """rms of the four sources, stacked; `up`: the side of each neuron, from `sides`.

    rms values do not add up: a tick marks that of the whole error, which is shorter than its bar
    unless sources point the same way. Stacked mean squares would, and would hide all but the
    largest: an own error of .03 theta beside an inherited one of .2 is 2 % of the squares.
    """
    axes.axhline(0, color=style.INK, linewidth=0.7, zorder=3, label="_zero")
    for neuron, side in up.items():
        rows = layers[layers["neuron"] == neuron].sort_values("order")
        order, base = rows["order"].to_numpy(float), np.zeros(len(rows))
        for source, colour in SOURCES.items():
            size = side * rows[f"rms_{source}"].to_numpy(float)
            axes.bar(order, size, bottom=base, width=0.78, color=colour, label=f"{neuron} {source}",
                     linewidth=0)  # fmt: skip
            base += size
        axes.plot(order, side * rows["rms_total"].to_numpy(float), linestyle="none", marker="_",
                  color=style.INK, markersize=min(9.0, 60 / max(1, len(rows))), markeredgewidth=1.1,
                  label=f"_total {neuron}", zorder=4)  # fmt: skip
    layer_axis(axes, int(layers["order"].max()) + 1 if len(layers) else 1)


def sides(layers: pd.DataFrame) -> dict[str, int]:
    """Sequential upwards and parallel downwards; one alone upwards.

    >>> sides(pd.DataFrame({"neuron": ["parallel", "parallel"]}))
    {'parallel': 1}
    """
    there = [n for n in SIDES if (layers["neuron"] == n).any()]
    return {n: 1 - 2 * place for place, n in enumerate(there)}


def name_sides(
    panels: Sequence[Axes], layers: Sequence[pd.DataFrame], up: Mapping[str, int]
) -> None:
    """One scale for all panels; who is up and who is down, and who is exactly 0."""
    every = pd.concat(list(layers))
    reach = {up[n]: float(_heights(every[every["neuron"] == n]).max(initial=0)) for n in up}
    room = NAME * (sum(reach.values()) or 1.0)
    ends = sorted([0.0, *(side * (length + room) for side, length in reach.items())])
    for axes, of in zip(panels, layers, strict=True):
        axes.set_ylim(ends[0], ends[-1])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: style.number(abs(round(y, 9)))))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        for neuron, side in up.items():
            _name(axes, neuron, of[of["neuron"] == neuron], top=side > 0)


def source_handles(layers: pd.DataFrame) -> list[Patch | Line2D]:
    """The legend of `sources`; a source that is nowhere is left out."""
    there = [s for s in SOURCES if (layers[f"rms_{s}"] > 0).any()]
    made: list[Patch | Line2D] = [Patch(color=SOURCES[s], label=s, linewidth=0) for s in there]
    return [*made, line(color=style.INK, marker="_", linestyle="none", markeredgewidth=1.1,
                        label="whole error")]  # fmt: skip


def offsets(axes: Axes, shares: pd.DataFrame, steps: Sequence[int]) -> None:
    """Share of values by how many spikes a sequential count is off its own mean current's QCFS.

    A share of 0 is no point.
    """
    colours = step_colours(steps)
    style.log_axis(axes)
    for t in steps:
        rows = shares[shares["time_steps"] == t].sort_values("offset")
        y = rows["share"].to_numpy(float)
        axes.plot(rows["offset"], np.where(y > 0, y, np.nan), color=colours[t], linewidth=0.8,
                  marker="o", markersize=3, label=f"T = {t}")  # fmt: skip
    low = axes.dataLim.y0 if np.isfinite(axes.dataLim.y0) else 0.1
    axes.set_ylim(min(low, 0.1) / 2, 1.6)
    axes.set_xlim(-3.4, 3.4)
    axes.set_xticks(range(-3, 4), ["≤−3", "−2", "−1", "0", "+1", "+2", "≥3"])
    axes.set_xlabel("offset of the count (spikes)")
    axes.set_ylabel("share of values (log axis)")
    axes.legend(loc="upper left", fontsize=6.3, handlelength=1.0, borderpad=0, borderaxespad=0.5,
                labelspacing=0.2, handletextpad=0.5)  # fmt: skip


def _heights(layers: pd.DataFrame) -> np.ndarray:
    stacked = layers[[f"rms_{s}" for s in SOURCES]].to_numpy(float).sum(axis=1)
    return np.concatenate([stacked, layers["rms_total"].to_numpy(float)])


def _name(axes: Axes, neuron: str, layers: pd.DataFrame, *, top: bool) -> None:
    zero = bool((_heights(layers) == 0).all())
    text = look(neuron)[2] + (": exactly 0 in every layer" if zero else "")
    axes.annotate(text, (0.02, float(top)), xycoords="axes fraction",
                  xytext=(0, -2 if top else 3), textcoords="offset points", fontsize=7,
                  va="top" if top else "bottom", color=look(neuron)[0])  # fmt: skip
