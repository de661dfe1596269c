"""Below the maps of an attribution: curves, agreement and robustness, spikes and membranes."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnlens.figures import _attribution_cells as cells
from snnlens.figures import _attribution_curves as trust
from snnlens.figures import _attribution_maps as maps
from snnlens.figures import _attribution_spikes as spikes
from snnlens.figures._conversion_layout import RIGHT, WIDTH, Box, Legend, Section, panels

OVERS = ("pixels", "steps", "events")
KINDS = {"deletion": "b", "insertion": "c"}
GROUNDS = {"input": "", "image": " of the image", "spikes": " of the spikes"}
MOST_COLUMNS = 4
TALL, BETWEEN, TITLES = 1.2, 0.3, 0.76  # of a panel of curves, and what lies between two
ROW, FEWEST, NAMES, SLANTED = 0.27, 1.0, 1.2, 0.2  # a method's row, names beside it, and below
RIGHT_HALF = WIDTH / 2 + 0.42
RASTER, TRACE, GAP, NAMED = 0.7, 0.5, 0.3, 0.16
NO_SPIKES = pd.DataFrame(columns=["sample", "site", "step", "neuron"])
Tables = dict[str, pd.DataFrame]
Titles = dict[str, str]
Panel = tuple[str, str, str]  # kind, ground, over


# --- b, c: curves ------------------------------------------------------------------------------


def of_curves(shown: Tables, titles: Titles) -> list[Section]:
    """Deletion and insertion, a column for each thing that they are over."""
    if "curves" not in shown:
        return []
    curves = shown["curves"]
    columns = _columns(curves)
    kinds = [k for k in KINDS if (curves["kind"] == k).any()]
    rows = [[(k, *c) for c in columns] for k in kinds]
    rows = [list(chain(*rows))] if len(columns) == 1 else rows
    height = len(rows) * TALL + (len(rows) - 1) * TITLES + NAMED
    draw = partial(_curves, curves, titles, rows)
    return [Section(height, draw, [Legend(trust.curve_handles(curves, titles))])]


def _columns(curves: pd.DataFrame) -> list[tuple[str, str]]:
    """What is taken away, at most four: an image's events are left out where spikes are there."""
    there = set(curves[["ground", "over"]].itertuples(index=False, name=None))
    made = [(g, o) for g in GROUNDS for o in OVERS if (g, o) in there]
    return made if len(made) <= MOST_COLUMNS else [c for c in made if c != ("image", "events")]


def _curves(
    curves: pd.DataFrame, titles: Titles, of: list[list[Panel]], figure: Figure, box: Box
) -> None:
    lower = box._replace(top=box.top + NAMED, height=box.height - NAMED)
    grid = panels(figure, lower, len(of), len(of[0]), between=BETWEEN, gap=TITLES)
    limits = _range(curves[["score", "low", "high"]].to_numpy(float))
    named: set[str] = set()
    for axes, panel in zip([axes for row in grid for axes in row], chain(*of), strict=True):
        kind, ground, over = panel
        here = (curves[["kind", "ground", "over"]] == list(panel)).all(axis=1)
        trust.curves(axes, curves[here], list(titles), kind)
        axes.set_ylim(limits)
        axes.set_title(over + GROUNDS[ground], pad=2.5, fontsize=7.5, fontweight="normal")
        first = axes in grid[:, 0]
        axes.set_ylabel("score of the class" if first else "", labelpad=1)
        axes.tick_params(labelleft=first)  # one scale for all
        if kind not in named:
            _above(axes, f"{KINDS[kind]}  {kind.capitalize()}")
        named.add(kind)


def _range(values: Any) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.05 * ((high - low) or 1.0)
    return low - room, high + room


# --- d, e: agreement and robustness ------------------------------------------------------------


def of_trust(shown: Tables, titles: Titles) -> list[Section]:
    """The matrix of methods, and beside it what other surrogates, seeds and weights do."""
    matrix, robust = shown.get("agreement"), shown.get("robustness")
    if matrix is None and robust is None:
        return []
    handles = [] if robust is None else trust.robustness_handles(robust)
    left = NAMES + 0.1 if matrix is None else RIGHT_HALF
    legend = Legend(handles, left, WIDTH - RIGHT - left)
    below = SLANTED if matrix is not None else 0.0
    draw = partial(_trust, matrix, robust, titles)
    return [Section(_height(titles) + below, draw, [legend])]


def _height(titles: Titles) -> float:
    return max(FEWEST, ROW * len(titles))


def _trust(
    matrix: pd.DataFrame | None,
    robust: pd.DataFrame | None,
    titles: Titles,
    figure: Figure,
    box: Box,
) -> None:
    height = _height(titles)
    short = {m: t if len(t) <= 22 else t[:21] + "…" for m, t in titles.items()}
    if matrix is not None:
        wide = min(WIDTH / 2 - NAMES, 0.36 * len(titles) + 0.5)
        axes = cells.place(figure, NAMES + 0.1, box.top, wide, height)
        trust.agreement(axes, matrix, short)
        axes.set_title("d  Agreement, rank correlation", pad=5, x=-(NAMES / wide), ha="left")
    if robust is not None:
        left = NAMES + 0.1 if matrix is None else RIGHT_HALF
        axes = cells.place(figure, left, box.top, WIDTH - RIGHT - left, height)
        trust.robustness(axes, robust, short)
        axes.tick_params(labelleft=matrix is None)
        axes.set_title("e  Robustness", pad=5)


# --- f, g: spikes and membranes ----------------------------------------------------------------


def of_spikes(shown: Tables) -> list[Section]:
    """Rasters of the chosen layers, silent ones too, and beside them membranes."""
    sites, traces = len(_sites(shown)), len(_traces(shown))
    if not sites + traces:
        return []
    height = max(sites * RASTER + (sites - 1) * GAP, traces * TRACE + (traces - 1) * NAMED) + NAMED
    return [Section(height, partial(_spikes, shown), [Legend([])])]


def _spikes(shown: Tables, figure: Figure, box: Box) -> None:
    both = bool(_sites(shown) and _traces(shown))
    half = (box.width - 0.55) / 2
    wide = half if both else box.width
    if _sites(shown):
        _rasters(shown, figure, box._replace(width=wide))
    if _traces(shown):
        left = box.left + (half + 0.55 if both else 0)
        _membranes(shown, figure, box._replace(left=left, width=wide))


def _rasters(shown: Tables, figure: Figure, box: Box) -> None:
    rows, sites, steps = shown.get("rasters", NO_SPIKES), _sites(shown), _steps(shown)
    lower = box._replace(top=box.top + NAMED, height=box.height - NAMED)
    column = panels(figure, lower, len(sites), 1, gap=GAP)[:, 0]
    for axes, site in zip(column, sites, strict=True):
        own = rows[rows["site"] == site]
        layer = _layer(shown, site, own)
        spikes.raster(axes, own, layer, steps)
        axes.tick_params(labelbottom=axes is column[-1])
        axes.set_ylabel("neuron", fontsize=maps.SMALL)
        silent = "" if len(own) else ", no spike"
        said = f"site {site}: {layer['shown']} of {layer['neurons']} neurons{silent}"
        axes.set_title(said, pad=2.5, fontsize=maps.SMALL, fontweight="normal")
    _above(column[0], f"f  Spikes{_of_sample(shown, rows)}")
    column[-1].set_xlabel("time step", fontsize=maps.SMALL)


def _membranes(shown: Tables, figure: Figure, box: Box) -> None:
    rows = shown["membranes"]
    traces = _traces(shown)
    lower = box._replace(top=box.top + NAMED, height=box.height - NAMED)
    column = panels(figure, lower, len(traces), 1, gap=NAMED)[:, 0]
    for axes, (site, neuron) in zip(column, traces, strict=True):
        spikes.membrane(axes, rows[(rows["site"] == site) & (rows["neuron"] == neuron)])
        axes.tick_params(labelbottom=axes is column[-1])
        axes.set_title(
            f"site {site}, neuron {neuron}", pad=2.5, fontsize=maps.SMALL, fontweight="normal"
        )
        axes.set_ylabel("H", fontsize=maps.SMALL)
    _above(column[0], f"g  Membranes{_of_sample(shown, rows)}")
    column[-1].set_xlabel("time step", fontsize=maps.SMALL)


def _above(axes: Axes, title: str) -> None:
    """A title above the first panel's own."""
    axes.annotate(title, (0, 1), xycoords="axes fraction", xytext=(0, 72 * NAMED + 2.5),
                  textcoords="offset points", fontsize=8.5, fontweight="bold",
                  gid="title")  # fmt: skip


def _sites(shown: Tables) -> list[str]:
    """The layers that were chosen."""
    names = [shown[name]["site"] for name in ("layers", "rasters") if name in shown]
    return [str(site) for site in dict.fromkeys(names[0])] if names else []


def _traces(shown: Tables) -> list[tuple[str, int]]:
    rows = shown.get("membranes", NO_SPIKES)
    pairs = rows[["site", "neuron"]].drop_duplicates()
    return [(str(site), int(neuron)) for site, neuron in pairs.itertuples(index=False)]


def _steps(shown: Tables) -> int:
    """T of the spiking layers."""
    last = [shown[name]["step"].max() + 1 for name in ("rasters", "membranes") if name in shown]
    last += [shown["shapes"]["steps"].max()] if "shapes" in shown else []
    return int(max(last, default=1))


def _layer(shown: Tables, site: str, own: pd.DataFrame) -> dict[str, int]:
    layers = shown.get("layers", pd.DataFrame(columns=["site"]))
    row = layers[layers["site"] == site]
    if len(row):
        return {name: int(row[name].iloc[0]) for name in ("neurons", "shown")}
    return dict.fromkeys(("neurons", "shown"), int(own["neuron"].max()) + 1)


def _of_sample(shown: Tables, rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    sample = rows["sample"].iloc[0]
    return "" if sample == shown["shown"]["sample"].iloc[0] else f" of sample {sample}"
