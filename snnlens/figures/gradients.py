"""Gradient norm against block, one panel per kind of network."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style

LABELS = {
    "ann": "ANN ResNet",
    "plain": "Plain spiking",
    "spiking": "Spiking ResNet",
    "ms": "MS-ResNet",
    "sew-add": "SEW ResNet, ADD",
    "sew-and": "SEW ResNet, AND",
    "sew-iand": "SEW ResNet, IAND",
}
FLOOR_DECADES = 1.0  # exact zeros lie this far below the smallest positive norm


def gradient_figure(
    table: pd.DataFrame, caption: str, *, weights: str = "at initialisation"
) -> Figure:
    """Panels with and without zero-init, theory on top; the table is a gradients Result's."""
    with style.styled():
        main = main_networks(table)
        kinds = list(dict.fromkeys(kind_of(r) for _, r in main.iterrows()))
        figure, axes = style.panel_grid(len(kinds))
        for panel, kind in zip(axes, kinds, strict=True):
            _panel(panel, main[[kind_of(r) == kind for _, r in main.iterrows()]], kind)
        _label_outer(axes)
        above = (0.5, 1.0 + 0.16 / figure.get_figheight())
        handles = _legend(table, weights)
        figure.legend(handles=handles, loc="upper center", bbox_to_anchor=above, ncols=5,
                      handlelength=1.8, columnspacing=1.2)  # fmt: skip
        figure.tight_layout(h_pad=1.2, w_pad=1.6)
        style.caption_below(figure, f"Gradient norm {weights}. " + caption)
    return figure


def main_networks(table: pd.DataFrame) -> pd.DataFrame:
    """Without the extra pass at T = 1, whose numbers are in the claims."""
    extra = table["network"].str.endswith("-t1")
    return table[~extra] if (~extra).any() else table


def kind_of(row: pd.Series) -> str:
    """`sew-add`, `spiking`, or the network's own name."""
    if not isinstance(row["residual"], str):
        return str(row["network"])
    return f"{row['residual']}-{row['connect']}" if row["residual"] == "sew" else row["residual"]


def _panel(axes: Axes, rows: pd.DataFrame, kind: str) -> None:
    downsample = sorted(set(rows.loc[rows["block_kind"] == "downsample", "block"]))
    style.downsample_lines(axes, downsample)
    axes.set_title(LABELS.get(kind, kind), pad=7)
    norms = rows["gradient_norm"].to_numpy(float)
    positive = norms[np.isfinite(norms) & (norms > 0)]
    style.log_axis(axes)
    floor = _floor(positive)
    for _, one in rows.groupby("network", sort=False):
        _curve(axes, one, floor)
    if (norms == 0).any():
        style.zero_floor(axes, floor)
    _limits(axes, positive, floor, zeros=bool((norms == 0).any()))
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_xlim(-0.7, rows["block"].max() + 0.7)


def _curve(axes: Axes, one: pd.DataFrame, floor: float) -> None:
    zero_init = bool(one["zero_init"].iloc[0])
    colour = style.WITH if zero_init else style.WITHOUT
    norms = one["gradient_norm"].to_numpy(float)
    shown = np.where(norms == 0, floor, norms)
    axes.plot(one["block"], shown, color=colour, linewidth=0.7, alpha=0.6, zorder=2)
    axes.plot(
        one["block"], shown, linestyle="none", marker="o", markersize=style.MEASURED_SIZE,
        color=colour, markerfacecolor=colour if zero_init else "none", markeredgewidth=0.8,
        label=str(one["network"].iloc[0]), zorder=3,
    )  # fmt: skip
    _theory(axes, one)


def _theory(axes: Axes, one: pd.DataFrame) -> None:
    for area, rows in one.groupby("area"):
        if rows["predicted_norm"].notna().any():
            axes.plot(rows["block"], rows["predicted_norm"], color=style.INK, linewidth=1.1,
                      linestyle=(0, (4, 2)), zorder=4, label=f"_exact {area}")  # fmt: skip
        if rows["predicted_norm_rate_only"].notna().any():
            axes.plot(rows["block"], rows["predicted_norm_rate_only"], color=style.INK,
                      linewidth=0.6, linestyle=":", zorder=4, label=f"_rate {area}")  # fmt: skip


def _floor(positive: np.ndarray) -> float:
    return float(positive.min()) / 10**FLOOR_DECADES if len(positive) else 1e-3


def _limits(axes: Axes, positive: np.ndarray, floor: float, *, zeros: bool) -> None:
    if not len(positive):
        axes.set_ylim(floor / 3, 1)
        return
    low, high = (floor if zeros else positive.min()), positive.max()
    room = max((high / low) ** 0.06, 1.25)
    axes.set_ylim(low / room, high * room)
    style.label_short_range(axes)


def _label_outer(axes: list[Axes]) -> None:
    for index, panel in enumerate(axes):
        if index % 2 == 0:
            panel.set_ylabel("||dL/dS||  (loss per spike)")
        if index >= len(axes) - 2:
            panel.set_xlabel("residual block l (input on the left)")
            panel.tick_params(labelbottom=True)


def _legend(table: pd.DataFrame, weights: str) -> list[Line2D]:
    def line(**kw: object) -> Line2D:
        return Line2D([], [], **kw)  # type: ignore[arg-type]

    size = style.MEASURED_SIZE
    without = "without zero-init" if weights == "at initialisation" else weights
    handles = [line(color="#8c8c8c", marker=7, markersize=3.5, linestyle="none",
                    label="downsample block")]  # fmt: skip
    if (~table["zero_init"].astype(bool)).any():
        handles.append(line(color=style.WITHOUT, marker="o", markersize=size, linewidth=0.7,
                            markerfacecolor="none", label=without))  # fmt: skip
    if table["zero_init"].astype(bool).any():
        handles.append(line(color=style.WITH, marker="o", markersize=size, linewidth=0.7,
                            label="with zero-init"))  # fmt: skip
    if table["predicted_norm"].notna().any():
        handles.append(line(color=style.INK, linewidth=1.1, linestyle=(0, (4, 2)),
                            label="exact law"))  # fmt: skip
    if table["predicted_norm_rate_only"].notna().any():
        handles.append(line(color=style.INK, linewidth=0.6, linestyle=":",
                            label="from the rate alone"))  # fmt: skip
    return handles
