"""How far maps can be believed: deletion and insertion, agreement of methods, robustness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from snnlens.figures import style
from snnlens.figures._attribution_maps import SMALL
from snnlens.figures._conversion_layout import GREY, line

RANDOM = "random"
COLOURS = (
    style.BLUE,
    style.VERMILION,
    style.GREEN,
    style.PURPLE,
    style.ORANGE,
    style.SKY,
    style.INK,
)
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)))  # of a second round of colours
SHARE = {"deletion": "share set to the baseline", "insertion": "share put into the baseline"}
VARIANTS = {
    "surrogate": (style.GREEN, "o", "surrogate"),
    "seed": (style.BLUE, "s", "seed"),
    "weights": (style.VERMILION, "D", "permuted weights"),
}
APART = 0.24  # rows between the dots of two variants
ON_LIGHT = "#1f1f1f"  # stays dark in dark mode, as its cell stays light
MATRIX = LinearSegmentedColormap.from_list("agreement", [style.ORANGE, "#ffffff", style.SKY])


def looks(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour and dashes for each method, the same in every panel."""
    return {
        m: {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i // len(COLOURS) % 2]}
        for i, m in enumerate(methods)
    }


def curve_handles(curves: pd.DataFrame, titles: dict[str, str]) -> list[Line2D | Patch]:
    """The legend: methods in their order, random orders last."""
    there = set(curves["method"])
    own = looks(list(titles))
    made: list[Line2D | Patch] = [
        line(label=titles[m], linewidth=1.2, **own[m]) for m in titles if m in there
    ]
    if RANDOM in there:
        made.append(Patch(facecolor=GREY, alpha=0.45, linewidth=0, label="random orders"))
    return made


def curves(axes: Axes, rows: pd.DataFrame, methods: Sequence[str], kind: str) -> list[Line2D]:
    """Mean score against the share that was changed; random orders in a band of their interval."""
    made = []
    random = rows[rows["method"] == RANDOM].sort_values("share")
    if len(random):
        share = random["share"].to_numpy(float)
        low, high = (random[c].fillna(random["score"]).to_numpy(float) for c in ("low", "high"))
        axes.fill_between(share, low, high, color=GREY, alpha=0.45, linewidth=0, label="_band",
                          zorder=1)  # fmt: skip
        made += axes.plot(share, random["score"], color=GREY, linewidth=0.8, label=RANDOM, zorder=1)
    for method, look in looks(methods).items():
        own = rows[rows["method"] == method].sort_values("share")
        if len(own):
            made += axes.plot(
                own["share"], own["score"], linewidth=1.2, label=method, zorder=2, **look
            )
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set_xlabel(SHARE[kind])
    return made


def agreement(
    axes: Axes, rows: pd.DataFrame, titles: dict[str, str]
) -> tuple[AxesImage, list[Text]]:
    """The matrix of methods, each cell with its rank correlation."""
    square = rows.pivot(index="method", columns="other", values="rank_correlation")
    values = square.reindex(index=list(titles), columns=list(titles)).to_numpy(float)
    image = axes.imshow(values, cmap=MATRIX, norm=Normalize(-1, 1), aspect="auto",
                        interpolation="none", label="agreement")  # fmt: skip
    texts = [
        axes.text(
            x, y, coefficient(values[y, x]), ha="center", va="center", fontsize=6.4, color=ON_LIGHT
        )
        for y in range(len(values))
        for x in range(len(values))
    ]
    axes.set_xticks(range(len(titles)), list(titles.values()), rotation=38, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(range(len(titles)), list(titles.values()))
    axes.tick_params(length=0, pad=3, labelsize=SMALL)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image, texts


def robustness(axes: Axes, rows: pd.DataFrame, titles: dict[str, str]) -> list[Line2D]:
    """Rank correlation with a variant's map: a small dot a sample, a large one their median."""
    made = []
    there = [k for k in VARIANTS if (rows["kind"] == k).any()]
    for number, kind in enumerate(there):
        colour, marker, _ = VARIANTS[kind]
        own = rows[(rows["kind"] == kind) & rows["method"].isin(list(titles))]
        off = APART * (number - (len(there) - 1) / 2)
        at = own["method"].map({m: i for i, m in enumerate(titles)}).to_numpy(float) + off
        value = own["rank_correlation"].to_numpy(float)
        made += axes.plot(value, at, marker=marker, linestyle="none", markersize=2.4, color=colour,
                          alpha=0.35, markeredgewidth=0, label=f"_{kind}", zorder=2)  # fmt: skip
        median = own.assign(at=at).groupby("at")["rank_correlation"].median()
        made += axes.plot(median.to_numpy(float), median.index.to_numpy(float), marker=marker,
                          linestyle="none", markersize=4.6, color=colour, label=kind, zorder=3,
                          markeredgecolor="#ffffff", markeredgewidth=0.5)  # fmt: skip
    lowest = float(rows["rank_correlation"].min())
    axes.set_xlim(-0.06 if not lowest < 0 else max(-1.05, lowest - 0.1), 1.06)
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.set_yticks(range(len(titles)), list(titles.values()))
    axes.tick_params(axis="y", labelsize=SMALL, length=0)
    for border in np.arange(len(titles) - 1) + 0.5:
        axes.axhline(border, color=style.GRID, linewidth=0.6, zorder=0, label="_row")
    axes.axvline(0, color=GREY, linewidth=0.7, zorder=0, label="_zero")
    axes.set_xlabel("rank correlation with the map of the other one")
    return made


def robustness_handles(rows: pd.DataFrame) -> list[Line2D]:
    """The variants that were run."""
    return [
        line(color=c, marker=m, linestyle="none", markersize=4.6, label=said)
        for kind, (c, m, said) in VARIANTS.items()
        if (rows["kind"] == kind).any()
    ]


def coefficient(value: float) -> str:
    """Two digits without the 0 before them; a dash for one that is not defined.

    >>> coefficient(0.724), coefficient(-0.05), coefficient(1.0), coefficient(float("nan"))
    ('.72', '−.05', '1', '–')
    """
    if np.isnan(value):
        return "–"
    said = f"{abs(value):.2f}"
    said = "1" if said == "1.00" else said.removeprefix("0") if said != "0.00" else "0"
    return ("−" if value < 0 and said != "0" else "") + said
