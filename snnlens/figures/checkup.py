"""Every spiking layer on one axis: rate, gradient, membrane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style

NAMED = 24  # so many layers are called by name, more by number
PANELS = ("rate", "gradient", "membrane")


def checkup_figure(table: pd.DataFrame, marks: Sequence[tuple[str, str]], caption: str) -> Figure:
    """Panels one above the other for one network; a panel without numbers is left out.

    `marks` are codes of findings and their sites: a triangle above the layer.
    """
    rows = table[table["network"] == table["network"].iloc[0]]
    panels = [p for p in PANELS if _has(rows, p)]
    with style.styled():
        figure = style.Drawing(figsize=(7.1, 1.75 * len(panels) + 1.2))
        axes = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False).flat)
        for ax, panel in zip(axes, panels, strict=True):
            {"rate": _rate, "gradient": _gradient, "membrane": _membrane}[panel](ax, rows)
            if starts := _starts_of_stages(rows):
                style.downsample_lines(ax, starts)
        _mark(axes[0], rows, marks)
        _name_layers(axes[-1], rows)
        figure.tight_layout(h_pad=0.9)
        style.caption_below(figure, caption)
    return figure


def _has(rows: pd.DataFrame, panel: str) -> bool:
    column = {"rate": "firing_rate", "gradient": "gradient_norm", "membrane": "membrane_median"}
    name = column[panel]
    return panel == "rate" or (name in rows and bool(rows[name].notna().any()))


def _rate(ax: Axes, rows: pd.DataFrame) -> None:
    rates = rows["firing_rate"].to_numpy(float)
    silent = rates == 0
    ax.plot(rows["layer"], rates, "o-", color=style.BLUE, markersize=style.MEASURED_SIZE,
            label="firing rate")  # fmt: skip
    highest = [rates]
    if silent.any():
        ax.plot(rows["layer"][silent], rates[silent], "o", color=style.VERMILION,
                markersize=style.MEASURED_SIZE + 1.2, clip_on=False,
                label="silent layer")  # fmt: skip
    if "silent_share" in rows:
        highest.append(rows["silent_share"].to_numpy(float))
        ax.bar(rows["layer"], rows["silent_share"].to_numpy(float), color=style.GRID, width=0.82,
               zorder=0, label="share of silent neurons")  # fmt: skip
    ax.set_ylim(0, max(0.05, 1.18 * float(np.nanmax(np.concatenate(highest), initial=0.0))))
    ax.set_ylabel("share, spikes per\nneuron and step")
    ax.set_title("Firing rate and silent neurons", pad=14)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)


def _gradient(ax: Axes, rows: pd.DataFrame) -> None:
    norms = rows["gradient_norm"].to_numpy(float)
    style.log_axis(ax)
    positive = norms[np.isfinite(norms) & (norms > 0)]
    floor = float(positive.min()) / 3 if len(positive) else 1e-3
    ax.plot(rows["layer"], np.where(norms == 0, floor, norms), "s-", color=style.PURPLE,
            markersize=style.MEASURED_SIZE)  # fmt: skip
    if (norms == 0).any():
        style.zero_floor(ax, floor)
    else:
        style.label_short_range(ax)
    ax.set_ylabel("norm of dL/dS")
    ax.set_title("Gradient at the spikes")


def _membrane(ax: Axes, rows: pd.DataFrame) -> None:
    ax.fill_between(rows["layer"], rows["membrane_p05"].to_numpy(float),
                    rows["membrane_p95"].to_numpy(float), color=style.SKY, alpha=0.35,
                    linewidth=0, label="5 to 95 %")  # fmt: skip
    ax.plot(rows["layer"], rows["membrane_median"].to_numpy(float), "o-", color=style.GREEN,
            markersize=style.MEASURED_SIZE, label="median")  # fmt: skip
    ax.axhline(1.0, color=style.INK, linewidth=0.8, linestyle="--")
    ax.annotate("threshold", (1.0, 1.0), xycoords=ax.get_yaxis_transform(), xytext=(2, 2),
                textcoords="offset points", ha="right", va="bottom", fontsize=6.8)  # fmt: skip
    ax.set_ylabel("membrane before\nreset (thresholds)")
    ax.set_title("Membrane potential")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)


def _mark(ax: Axes, rows: pd.DataFrame, marks: Sequence[tuple[str, str]]) -> None:
    """The codes of findings above their layers, those of one layer under each other."""
    layer = dict(zip(rows["site"], rows["layer"], strict=True))
    by_layer: dict[int, list[str]] = {}
    for code, site in marks:
        if site in layer:
            by_layer.setdefault(int(layer[site]), []).append(code)
    for at, codes in by_layer.items():
        ax.annotate("\n".join(dict.fromkeys(codes)), (at, 1.0), xycoords=ax.get_xaxis_transform(),
                    xytext=(0, -3), textcoords="offset points", ha="center", va="top",
                    fontsize=6.2, color=style.VERMILION, fontweight="bold")  # fmt: skip


def _starts_of_stages(rows: pd.DataFrame) -> list[int]:
    """The first layer of each downsample block."""
    if "block_kind" not in rows:
        return []
    down = rows[rows["block_kind"] == "downsample"]
    return [int(part["layer"].iloc[0]) for _, part in down.groupby("block", sort=False)]


def _name_layers(ax: Axes, rows: pd.DataFrame) -> None:
    ax.set_xlim(-0.7, float(rows["layer"].max()) + 0.7)
    if len(rows) <= NAMED:
        short = rows["site"].str.len().max() * len(rows) < 90
        ax.set_xticks(rows["layer"], rows["site"])
        if not short:
            for label in ax.get_xticklabels():
                label.set(rotation=40, ha="right", rotation_mode="anchor")
        ax.set_xlabel("spiking layer (input on the left)")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("spiking layer, by number (input on the left)")
