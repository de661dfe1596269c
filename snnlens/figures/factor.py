"""The factor per block of the Spiking ResNet against n, the samples that BatchNorm sees."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from snnlens.figures import style


def factor_figure(table: pd.DataFrame, caption: str) -> Figure:
    """Columns n, factor, seed; above 1 the gradient grows toward the input, below it decays."""
    with style.styled():
        figure = style.Drawing(figsize=(4.2, 2.9))
        axes = figure.subplots()
        axes.axhline(1.0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 2)))
        for seed, rows in table.groupby("seed"):
            axes.plot(rows["n"], rows["factor"], marker="os^D"[int(str(seed)) % 4], linewidth=0.8,
                      markersize=4, color=style.WITHOUT, markerfacecolor="none",
                      label=f"seed {seed}")  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted(set(table["n"])), [str(n) for n in sorted(set(table["n"]))])
        beside: dict[str, Any] = {
            "xycoords": axes.get_yaxis_transform(),
            "textcoords": "offset points",
            "fontsize": 6.8,
        }
        axes.annotate("grows toward the input", (0.98, 1.0), xytext=(0, 4), ha="right", **beside)
        axes.annotate("decays toward the input", (0.02, 1.0), xytext=(0, -4), va="top", **beside)
        axes.set_xlabel("n = batch x H x W in the last stage (samples per channel and step)")
        axes.set_ylabel("factor of ||dL/dS|| per block")
        axes.legend()
        figure.tight_layout()
        style.caption_below(figure, caption, width=76)
    return figure
