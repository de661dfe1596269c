"""How many streamed numbers a brute-force count repeats."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from snnlens.figures import style


def audit_figure(table: pd.DataFrame, caption: str) -> Figure:
    """A bar per quantity: equal numbers, and those that differ behind them."""
    counts = table.assign(equal=table["equal"].astype(bool)).groupby("quantity", sort=False)
    equal, whole = counts["equal"].sum(), counts["equal"].size()
    with style.styled():
        figure = style.Drawing(figsize=(7.1, 0.24 * len(whole) + 1.0))
        ax = figure.subplots()
        rows = range(len(whole))
        ax.barh(rows, whole - equal, left=equal, color=style.VERMILION, label="differ")
        ax.barh(rows, equal, color=style.GREEN, label="equal")
        for row, (good, all_) in enumerate(zip(equal, whole, strict=True)):
            ax.annotate(f"{good} of {all_}", (all_, row), xytext=(4, 0), va="center",
                        textcoords="offset points", fontsize=7)  # fmt: skip
        ax.set_yticks(rows, list(whole.index))
        ax.invert_yaxis()
        ax.set_xlim(0, 1.18 * whole.max())
        ax.set_xlabel("numbers (one per site)")
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)
        figure.tight_layout()
        style.caption_below(figure, caption)
    return figure
