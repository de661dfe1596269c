"""What was recorded inside trainings against the depth of their networks, before and after."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from snnlens.figures import style
from snnlens.figures._ends import depth_axis, line_style, look

SIDES = (
    ("gradient_ratio", "gradient norm,\nfirst block over last"),
    ("identity_error_mean", "identity error ||O - S|| / ||S||,\nmean over identity blocks"),
)
START, END = "at initialisation", "at the end"
LEGEND = 0.44  # inches above the panels


def inside(panels: NDArray[np.object_], recorded: pd.DataFrame) -> None:
    """Each training is an open point at initialisation and a filled one at the end."""
    shown = recorded[recorded["kind"].notna()]
    for axes, (column, label) in zip(panels, SIDES, strict=True):
        if column == "gradient_ratio":
            style.log_axis(axes)
        for (kind, words), rows in shown.groupby(["kind", "recorded"], sort=False):
            _points(axes, rows, str(kind), str(words), column)
        depth_axis(axes, sorted({int(d) for d in shown["depth"]}))
        axes.set_ylabel(label)
    panels[0].axhline(1, color=style.GRID, linewidth=0.8, zorder=0)
    style.label_short_range(panels[0])
    panels[1].set_ylim(bottom=0)
    panels[0].legend(handles=_legend(shown), loc="lower left", ncols=2, borderaxespad=0,
                     borderpad=0, bbox_to_anchor=(0, 1.06), handlelength=1.4)  # fmt: skip


def _points(axes: Axes, rows: pd.DataFrame, kind: str, words: str, column: str) -> None:
    colour, marker = look(kind)
    values = rows[column].to_numpy(float)
    kept = np.isfinite(values) & ((values > 0) | (column != "gradient_ratio"))
    depth, values = rows["depth"].to_numpy(float)[kept], values[kept]
    filled = words == END
    axes.plot(depth, values, linestyle="none", marker=marker, color=colour,
              markersize=style.MEASURED_SIZE, markerfacecolor=colour if filled else "none",
              markeredgewidth=0.4 if filled else 0.8,
              markeredgecolor="#ffffff" if filled else colour,
              label=f"_{words} {kind}")  # fmt: skip
    mean = pd.Series(values, depth).groupby(level=0).mean()
    axes.plot(mean.index.to_numpy(float), mean, color=colour, linewidth=1.0 if filled else 0.6,
              linestyle=line_style(kind) if filled else (0, (1, 1.5)),
              label=f"_mean {words} {kind}")  # fmt: skip


def _legend(shown: pd.DataFrame) -> list[Line2D]:
    """Open and filled; the colours are those of the panels above."""

    def line(words: str) -> Line2D:
        return Line2D([], [], color=style.INK, marker="o", markersize=style.MEASURED_SIZE,
                      markerfacecolor="none" if words == START else style.INK,
                      linestyle=(0, (1, 1.5)) if words == START else "-", linewidth=0.8,
                      label=words)  # fmt: skip

    return [line(words) for words in (START, END) if (shown["recorded"] == words).any()]
