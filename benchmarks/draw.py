"""The figures of the benchmark: one neuron layer beside its peers, and the parallel neuron.

python benchmarks/draw.py        reads neurons.json and conversion.json of reports/benchmarks,
                                 writes .svg and .png of each
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snnlens.figures import style

PEERS = {"SpikingJelly": (style.VERMILION, "o"), "snnTorch": (style.BLUE, "s"),
         "Norse": (style.GREEN, "^"), "sinabs": (style.PURPLE, "D")}  # fmt: skip
PANELS = [("lif", False, "LIF, hard reset"), ("lif", True, "LIF, hard reset, detached"),
          ("if", False, "IF, soft reset")]  # fmt: skip
FORMS = {"count, C": (style.BLUE, "o", "-"), "count": (style.BLUE, "o", ":"),
         "train, C": (style.GREEN, "s", "-"), "train": (style.GREEN, "s", ":"),
         "sequential, C": (style.VERMILION, "^", "-"), "rows": (style.PURPLE, "D", "-"),
         "search": (style.SKY, "P", "-"), "matrix": (style.ORANGE, "v", "-")}  # fmt: skip
ORDERS = {"sum first": (style.BLUE, "o", "-"), "folded": (style.GREEN, "s", "-"),
          "sequential, folded, C": (style.VERMILION, "^", "-")}  # fmt: skip
Styles = dict[str, tuple[str, str, str]]


def draw(folder: Path) -> None:
    """One panel per neuron, one row per T and size, a point per peer with its quartiles."""
    document = json.loads((folder / "neurons.json").read_text(encoding="utf-8"))
    table = _table(document["rows"])
    with style.styled():
        figure = Figure(figsize=(7.1, 3.1), layout="constrained")
        panels = figure.subplots(1, len(PANELS), sharex=True, sharey=True)
        for axes, (kind, detach, title) in zip(panels, PANELS, strict=False):
            rows = table[(table["kind"] == kind) & (table["detach_reset"] == detach)]
            _panel(axes, rows, title)
        marks = [Line2D([], [], color=c, marker=m, ls="", label=n) for n, (c, m) in PEERS.items()]
        figure.legend(handles=marks, ncols=4, loc="outside upper center")
        style.caption_below(figure, _caption(document))
        style.save(figure, folder, "neurons")


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    chosen = [r for r in rows if r["pass"] == "both" and r["threads"] == 1
              and r["allocator"] == "keep" and r["what"] in PEERS]  # fmt: skip
    return pd.DataFrame([r | r["over_snnlens"] for r in chosen])


def _panel(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    cases = sorted({(t, mb) for t, mb in zip(rows["T"], rows["megabytes"], strict=True)})
    place = {case: -k for k, case in enumerate(cases)}
    for shift, (name, (color, marker)) in enumerate(PEERS.items()):
        one = rows[rows["what"] == name]
        cells = zip(one["T"], one["megabytes"], strict=True)
        y = [place[cell] + 0.24 - 0.16 * shift for cell in cells]
        axes.hlines(y, one["low"], one["high"], color=color, lw=1)
        axes.plot(one["median"], y, color=color, marker=marker, ls="", ms=4)
    axes.axvline(1, color=style.INK, lw=0.7)
    axes.set_xscale("log")
    axes.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    axes.set_yticks(list(place.values()), [f"T = {t}, {mb:g} MB" for t, mb in cases])
    axes.grid(axis="x", color=style.GRID, lw=0.5)
    axes.set_title(title)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time / that of snnlens")


def _caption(document: dict[str, Any]) -> str:
    return (
        "Forward and backward pass of one neuron layer, float32, one thread, graph and memory "
        "included, freed memory kept on both sides; median and quartiles over rounds in which all "
        "took their turn. snnTorch, Norse and sinabs index x[t] under autograd, which costs T^2: "
        "at T = 64 that is most of their time, and no gain of the kernel. "
        f"{document['machine']['processor']}, {document['date']}."
    )


def draw_conversion(folder: Path) -> None:
    """Speed against T: the neuron by itself, and behind a linear layer at two batch sizes."""
    document = json.loads((folder / "conversion.json").read_text(encoding="utf-8"))
    table = pd.DataFrame(document["rows"])
    alone = table[(table["layer"] == "neuron") & (table["neurons"] == table["neurons"].max())]
    with style.styled():
        figure = Figure(figsize=(7.1, 3.4), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        _speeds(panels[0], alone, FORMS, f"{alone['neurons'].iloc[0]:,} neurons")
        for axes, batch in zip(panels[1:], (1, 32), strict=True):
            rows = table[(table["layer"] != "neuron") & (table["batch"] == batch)]
            _speeds(axes, rows, ORDERS, f"Linear(2048, 2048), batch {batch}")
        panels[0].set_ylabel("speed / that of the eager loop")
        figure.legend(handles=_lines(FORMS), ncols=4, loc="outside upper left")
        figure.legend(handles=_lines(ORDERS), ncols=1, loc="outside upper right")
        style.caption_below(figure, _conversion_caption(document))
        style.save(figure, folder, "conversion")


def _lines(styles: Styles) -> list[Line2D]:
    return [
        Line2D([], [], color=color, marker=marker, ls=line, ms=3, label=name)
        for name, (color, marker, line) in styles.items()
    ]


def _speeds(axes: Axes, rows: pd.DataFrame, styles: Styles, title: str) -> None:
    for name, (color, marker, line) in styles.items():
        one = rows[rows["what"] == name].sort_values("T")
        speed = pd.DataFrame(list(one["speed"]), index=one["T"])
        axes.vlines(speed.index, speed["low"], speed["high"], color=color, lw=1)
        axes.plot(speed.index, speed["median"], color=color, marker=marker, ls=line, ms=4)
    axes.axhline(1, color=style.INK, lw=0.7)
    steps = sorted(set(rows["T"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(steps, [str(t) for t in steps])
    axes.set_yscale("log")
    marks = (0.2, 0.5, 1, 2, 5, 10, 20, 50)
    axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.grid(axis="y", color=style.GRID, lw=0.5)
    axes.set_title(title)
    axes.set_xlabel("time steps T")


def _conversion_caption(document: dict[str, Any]) -> str:
    return (
        "Inference in float32 on one thread; median and quartiles over rounds in which all took "
        "their turn. The eager loop is the sequential IF neuron in plain PyTorch, one step and one "
        "product with the weights at a time. C: the kernels of snnlens. Of the forms of the "
        "parallel neuron `count` gives no train; `sum first` multiplies the mean of the spikes "
        "once, `folded` all steps at once, as the sequential neuron can too. A parallel layer "
        "needs all T steps of the layer below. "
        f"{document['machine']['processor']}, {document['date']}."
    )


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else "reports/benchmarks")
    draw(place)
    draw_conversion(place)
