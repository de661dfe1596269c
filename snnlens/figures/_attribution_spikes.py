"""What happened inside: spikes of chosen layers, membranes of a few neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style
from snnlens.figures._attribution_maps import GREY, SMALL, TINY

FEW = 30  # steps: their marks lie
MOST = 2_000  # spikes that are drawn as marks; more of them are one picture


def raster(axes: Axes, rows: pd.DataFrame, layer: dict[str, int], steps: int) -> Artist:
    """Spikes of one layer: a mark each, or, of many, a picture with a pixel per neuron and step."""
    made: Artist
    if len(rows) > MOST:
        made = axes.imshow(
            _picture(rows, layer, steps), cmap=ListedColormap(["#ffffff00", style.INK]),
            vmin=0, vmax=1, interpolation="none", aspect="auto", origin="lower", label="spikes",
            extent=(-0.5, steps - 0.5, -0.5, layer["neurons"] - 0.5),
        )  # fmt: skip
    else:
        (made,) = axes.plot(rows["step"], rows["neuron"], linestyle="none", color=style.INK,
                            label="spikes", **_mark(axes, layer["shown"], steps))  # fmt: skip
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_ylim(-0.5, layer["neurons"] - 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    _time(axes)
    return made


def membrane(axes: Axes, rows: pd.DataFrame) -> list[Line2D]:
    """H of one neuron before the reset, its threshold, and a mark above where it fires."""
    rows = rows.sort_values("step")
    step, value = rows["step"].to_numpy(float), rows["membrane"].to_numpy(float)
    dots = "o" if len(rows) <= 20 else None
    made = axes.plot(step, value, color=style.BLUE, linewidth=0.9, marker=dots, markersize=2.2,
                     label="membrane", zorder=2)  # fmt: skip
    made += axes.plot(step, rows["threshold"], color=GREY, linewidth=0.8, linestyle=(0, (3, 2)),
                      label="threshold", zorder=1)  # fmt: skip
    low, high = (
        float(f(rows[["membrane", "threshold"]].to_numpy(float))) for f in (np.min, np.max)
    )
    low, room = min(low, 0.0), max(high - min(low, 0.0), 1e-12)
    fired = step[rows["spike"].to_numpy(bool)]
    made += axes.plot(fired, np.full(len(fired), high + 0.22 * room), linestyle="none", marker="|",
                      markersize=4, markeredgewidth=0.7, color=style.VERMILION, label="spike",
                      zorder=3)  # fmt: skip
    axes.set_ylim(low - 0.08 * room, high + 0.38 * room)
    axes.set_xlim(step.min() - 0.5, step.max() + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    _time(axes)
    return made


def _mark(axes: Axes, neurons: int, steps: int) -> dict[str, Any]:
    """Upright over many steps, of a neuron's height; lying over few, of a step's width."""
    box = axes.get_window_extent()
    points = 72 / axes.get_figure().dpi  # type: ignore[union-attr]
    tall = float(np.clip(points * box.height / max(neurons, 1), 0.7, 5.0))
    if steps > FEW:
        return {"marker": "|", "markersize": max(tall, 1.4), "markeredgewidth": 0.6}
    wide = float(min(0.6 * points * box.width / steps, 14.0))
    return {"marker": "_", "markersize": wide, "markeredgewidth": min(tall, 2.0)}


def _picture(rows: pd.DataFrame, layer: dict[str, int], steps: int) -> np.ndarray:
    """[neurons shown, steps], 1 where a neuron fired; those shown lie evenly in the layer."""
    made = np.zeros((layer["shown"], steps), np.uint8)
    apart = (layer["neurons"] - 1) / max(layer["shown"] - 1, 1)
    at = np.rint(rows["neuron"].to_numpy(float) / max(apart, 1e-9)).astype(int)
    made[at, rows["step"].to_numpy(int)] = 1
    return made


def _time(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelsize=TINY, length=2, pad=1.5)
    axes.xaxis.label.set_fontsize(SMALL)
