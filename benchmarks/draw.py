"""The figure of the benchmark: how much longer each peer takes for one neuron layer.

python benchmarks/draw.py        reads reports/benchmarks/neurons.json, writes neurons.svg, .png
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


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "reports/benchmarks"))
