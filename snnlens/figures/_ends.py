"""Where trainings ended against the depth of their networks: loss, and test accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from snnlens.figures import style
from snnlens.figures.gradients import LABELS
from snnlens.figures.rates import COLOURS, MARKERS

SIDES = (
    ("train_loss_final", "final training loss (nats)"),
    ("top1_final", "final test accuracy (%)"),
)
PRINTED: dict[str, Any] = {
    "color": style.INK, "marker": "o", "markersize": 6.5, "markerfacecolor": "none",
    "markeredgewidth": 0.7,
}  # fmt: skip


def ends(panels: NDArray[np.object_], table: pd.DataFrame, statistic: pd.DataFrame) -> None:
    """Each run that ended is a point, an open diamond if at chance; the lines join the means."""
    runs = table[table["kind"].notna() & table["complete"]]
    for axes, (column, label) in zip(panels, SIDES, strict=True):
        for kind, rows in runs.groupby("kind", sort=False):
            _kind(axes, rows, str(kind), column)
        _chance(axes, runs, column)
        depth_axis(axes, sorted({int(d) for d in table.loc[table["kind"].notna(), "depth"]}))
        axes.set_ylabel(label)
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])  # a marker on the line of chance is not cut
    handles = _legend(runs, statistic)
    panels[0].legend(handles=handles, loc="lower left", ncols=_columns(handles), borderaxespad=0,
                     borderpad=0, bbox_to_anchor=(0, 1.06), handlelength=1.4,
                     columnspacing=1.2)  # fmt: skip


def head(table: pd.DataFrame, statistic: pd.DataFrame) -> float:
    """Inches that the legend needs above the panels."""
    handles = _legend(table[table["kind"].notna() & table["complete"]], statistic)
    return 0.29 + 0.15 * -(-len(handles) // _columns(handles))


def _columns(handles: list[Line2D]) -> int:
    """As many as fit side by side; a name with its slope takes half a page."""
    return max(1, len(handles)) if len(handles) <= 3 else 2


def kind_label(kind: str) -> str:
    """A kind in words.

    >>> kind_label("sew-add"), kind_label("spiking-zero, digits")
    ('SEW ResNet, ADD', 'Spiking ResNet, zero-init, digits')
    """
    name, comma, rest = kind.partition(", ")
    bare = base(kind)
    zero = ", zero-init" if name != bare else ""
    return LABELS.get(bare, bare) + zero + comma + rest


def base(kind: str) -> str:
    """A kind without its zero-init and its data.

    >>> base("spiking-zero, digits")
    'spiking'
    """
    return kind.partition(",")[0].removesuffix("-zero")


def _kind(axes: Axes, rows: pd.DataFrame, kind: str, column: str) -> None:
    colour, marker = look(kind)
    mean = rows.groupby("depth")[column].mean().sort_index()
    axes.plot(mean.index.to_numpy(float), mean, color=colour, linewidth=1.0,
              linestyle=line_style(kind), label=f"_mean {kind}")  # fmt: skip
    for chance, of in rows.groupby("at_chance"):
        axes.plot(
            of["depth"].to_numpy(float), of[column], linestyle="none", label=(
                f"_at chance {kind}" if chance else f"_trained {kind}"
            ), **(_open(colour) if chance else _filled(colour, marker)),
        )  # fmt: skip
    if column == "top1_final" and rows["published_top1"].notna().any():
        axes.plot(rows["depth"].to_numpy(float), rows["published_top1"], linestyle="none",
                  label=f"_printed {kind}", **PRINTED)  # fmt: skip


def _open(colour: str) -> dict[str, Any]:
    return {"color": colour, "marker": "D", "markersize": 4.6, "markerfacecolor": "none",
            "markeredgewidth": 0.9}  # fmt: skip


def _filled(colour: str, marker: str) -> dict[str, Any]:
    """Small, and with a rim of paper: seeds that lie close stay apart."""
    return {"color": colour, "marker": marker, "markersize": style.MEASURED_SIZE,
            "markeredgecolor": "#ffffff", "markeredgewidth": 0.4}  # fmt: skip


def line_style(kind: str) -> Any:
    """Dashed for zero-init, where a kind was trained without it too."""
    return (0, (4, 1.5)) if "-zero" in kind else "-"


def look(kind: str) -> tuple[str, str]:
    """The colour and the marker of a kind."""
    bare = base(kind)
    marker = MARKERS.get(bare, "o")
    return COLOURS.get(bare, style.INK), "P" if marker == "x" else marker  # a cross has no inside


def _chance(axes: Axes, runs: pd.DataFrame, column: str) -> None:
    """What equal probabilities for all classes give."""
    for classes in sorted(runs["classes"].dropna().unique()):
        loss = column == "train_loss_final"
        value = math.log(classes) if loss else 100 / classes
        axes.axhline(value, color="#8c8c8c", linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=0,
                     label="_chance")  # fmt: skip
        axes.annotate(f"chance, ln {classes}" if loss else "chance", (0, value),
                      xycoords=("axes fraction", "data"), xytext=(3, 2), va="bottom",
                      textcoords="offset points", fontsize=6.8, color="#6b6b6b")  # fmt: skip


def depth_axis(axes: Axes, depths: list[int]) -> None:
    """A log axis with a tick at each depth that was trained."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(depths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_xlim(depths[0] / 1.12, depths[-1] * 1.12)
    axes.set_xlabel("depth (layers, log axis)")


def _legend(runs: pd.DataFrame, statistic: pd.DataFrame) -> list[Line2D]:
    def line(**kw: Any) -> Line2D:
        return Line2D([], [], **kw)

    handles = []
    for _, row in statistic.iterrows():
        slope = "" if math.isnan(row["slope"]) else f", {row['slope']:+.2f} nats per doubling"
        kind = row["kind"]
        shown = _filled(*look(kind)) | {"linewidth": 1.0, "linestyle": line_style(kind)}
        handles.append(line(**shown, label=kind_label(kind) + slope))
    if runs["at_chance"].any():
        handles.append(line(**_open(style.INK), linestyle="none", label="at chance"))
    if runs["published_top1"].notna().any():
        handles.append(line(**PRINTED, linestyle="none", label="as printed, best epoch"))
    return handles
