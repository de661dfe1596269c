"""Curves over epochs, and what was recorded inside over depth, one line per recorded epoch."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnlens.figures import style

LIGHTEST = 0.18  # of the colour map: the first record is still seen on white
MAP = "viridis_r"
ALONG = "residual block l (input on the left)"
ALONG_LAYERS = "spiking layer, in order (input on the left)"
BLOCKS = {
    "firing_rate_output": ("Firing rate of O", "spikes per neuron and step"),
    "gradient_norm_input": ("Gradient norm at S", "norm of dL/dS"),
    "identity_error_output": ("Identity error of O", "||O - S|| / ||S||"),
}
LAYERS = {
    "firing_rate": ("Firing rate", "spikes per neuron and step"),
    "gradient_norm": ("Gradient norm", "norm of dL/dS"),
}


def training_figure(
    curves: pd.DataFrame, blocks: pd.DataFrame | None, layers: pd.DataFrame | None, caption: str
) -> Figure:
    """Loss and accuracy above; rates, gradients and identity errors below, where recorded."""
    panels = BLOCKS if blocks is not None and len(blocks) else LAYERS
    inside = blocks if panels is BLOCKS else layers
    shown = [c for c in panels if inside is not None and c in inside and inside[c].notna().any()]
    with style.styled():
        rows = 1 + -(-len(shown) // 2)
        room = 0.3 if len(shown) % 2 else 0.75  # the scale of the epochs lies below the panels
        figure = style.Drawing(figsize=(7.1, 2.25 * rows + room))
        axes = list(figure.subplots(rows, 2, squeeze=False).flat)
        _curve(axes[0], curves, "loss", "Loss", "cross-entropy")
        _curve(axes[1], curves, "top1", "Accuracy", "top-1 (%)")
        axes[0].legend(loc="upper right")
        for place, column in zip(axes[2:], shown, strict=False):
            assert inside is not None
            _depth(place, inside, column, *panels[column], by_block=panels is BLOCKS)
        for spare in axes[2 + len(shown) :]:
            spare.set_visible(False)
        low = 0.0 if len(shown) % 2 or not shown else 0.6 / figure.get_figheight()
        figure.tight_layout(w_pad=1.8, h_pad=1.4, rect=(0, low, 1, 1))
        if inside is not None and shown:
            _epochs(figure, axes, inside, len(shown))
        style.caption_below(figure, caption)
    return figure


def _curve(axes: Axes, curves: pd.DataFrame, what: str, title: str, label: str) -> None:
    x = curves["epoch"].to_numpy() + 1
    marker: dict[str, Any] = {"marker": "o", "markersize": 2.4} if len(x) <= 60 else {}
    for part, colour, words in (
        ("train", style.BLUE, "training"),
        ("test", style.VERMILION, "test"),
    ):
        axes.plot(x, curves[f"{part}_{what}"], color=colour, label=words, **marker)
    axes.set_title(title, pad=7)
    axes.set_xlabel("whole epochs done")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0, top=102 if what == "top1" else None)
    axes.xaxis.set_major_locator(
        MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )


def _depth(
    axes: Axes, inside: pd.DataFrame, column: str, title: str, label: str, *, by_block: bool
) -> None:
    """One line per recorded epoch; exact zeros on a floor of their own."""
    place = "block" if by_block else "layer"
    if by_block:
        kinds = inside["block_kind"] == "downsample"
        style.downsample_lines(axes, sorted({int(b) for b in inside.loc[kinds, "block"]}))
    floor = None
    if column.startswith("gradient"):
        style.log_axis(axes)
        floor = _floor(inside[column])
    colours = _colours(inside)
    for epoch, rows in inside.groupby("epoch", sort=True):
        y = rows[column].to_numpy(float)
        y = np.where(y == 0, floor, y) if floor is not None else y
        axes.plot(rows[place], y, color=colours[int(str(epoch))], linewidth=1.0, marker="o",
                  markersize=2.2, label=f"epoch {epoch}")  # fmt: skip
    if floor is not None and (inside[column] == 0).any():
        style.zero_floor(axes, floor)
    elif floor is None:
        axes.set_ylim(bottom=0)
    else:
        style.label_short_range(axes)
    axes.set_title(title, pad=7)
    axes.set_xlabel(ALONG if by_block else ALONG_LAYERS)
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(
        MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )


def _floor(values: pd.Series) -> float:
    positive = values[values > 0]
    return float(positive.min()) / 3 if len(positive) else 1e-3


def _colours(inside: pd.DataFrame) -> dict[int, Any]:
    """Light at initialisation, dark at the last epoch."""
    epochs = sorted({int(e) for e in inside["epoch"]})
    last = max(epochs[-1], 1)
    return {e: mpl.colormaps[MAP](LIGHTEST + (1 - LIGHTEST) * e / last) for e in epochs}


def _epochs(figure: Figure, axes: list[Axes], inside: pd.DataFrame, shown: int) -> None:
    """A scale of the recorded epochs: in the empty panel, or below the last one."""
    colours = _colours(inside)
    epochs = list(colours)
    shades = ListedColormap([colours[e] for e in epochs])
    marks = mpl.cm.ScalarMappable(Normalize(-0.5, len(epochs) - 0.5), shades)
    place = axes[2 + shown].get_position() if shown % 2 else axes[1 + shown].get_position()
    if shown % 2:
        spot = figure.add_axes((place.x0, place.y0 + 0.5 * place.height, 0.9 * place.width, 0.018))
    else:
        spot = figure.add_axes((0.3, 0.22 / figure.get_figheight(), 0.4, 0.012))
    bar = figure.colorbar(marks, cax=spot, orientation="horizontal")
    every = max(1, -(-len(epochs) // 8))
    bar.set_ticks(list(range(0, len(epochs), every)), labels=[str(e) for e in epochs[::every]])
    bar.outline.set_visible(False)
    spot.tick_params(length=0)
    spot.set_title("whole epochs done when it was recorded", fontsize=style.RC["font.size"],
                   fontweight="normal", loc="left")  # fmt: skip
