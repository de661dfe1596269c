"""Training by epoch with a colour per depth (Fig. 3), and where it ended against depth."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from snnlens.figures import _ends, _inside, style
from snnlens.figures._ends import kind_label

Floats = NDArray[np.float64]

# Shallow to deep: lighter to darker, and from yellow to blue, which every common colour vision
# tells apart; each at least 2.3 to 1 against white and against the report's dark page.
DEPTHS = ("#d78e29", "#e66844", "#dc4c69", "#ba458a", "#834ba0", "#2751a5")
ROWS = (
    ("train_loss", "training loss (nats)"),
    ("train_top1", "training accuracy (%)"),
    ("test_top1", "test accuracy (%)"),
)
POINTS = 10_000  # of all curves and bands together: an SVG of some 200 kB
OTHERS = (style.GREEN, style.PURPLE, style.BLUE, style.ORANGE, style.VERMILION, style.SKY)
WIDTH = 7.1  # of a page; all lengths below in inches
LEFT, RIGHT, TOP, BOTTOM = 0.52, 0.36, 0.24, 0.38
NARROW, WIDE = 0.42, 0.66  # between panels; with the labels of an axis between them
CURVE, GAP, ENDS, ALONE, HEAD, LINE = 1.32, 0.13, 1.75, 1.35, 0.44, 0.15


class Block(NamedTuple):
    """Rows and columns of panels of one size, below the blocks before it."""

    rows: int
    columns: int
    height: float  # of one panel
    head: float  # room above, for titles or a legend
    between: float = WIDE


def degradation_figure(
    table: pd.DataFrame,
    curves: pd.DataFrame,
    statistic: pd.DataFrame,
    caption: str,
    recorded: pd.DataFrame | None = None,
) -> Figure:
    """A column per kind with Fig. 3's three rows; the ends against depth; what was recorded inside;
    networks of one depth.

    The tables are a degradation Result's: one row per run, per run and epoch, per kind, and two per
    run that was recorded.
    """
    kinds = list(statistic["kind"])
    stride = _stride(table, curves)
    alone = table[table["kind"].isna() & (table["epochs"] > 0)]
    ends_head = _ends.head(table, statistic)
    blocks = [Block(3, len(kinds), CURVE, TOP, NARROW), Block(1, 2, ENDS, ends_head)] * bool(kinds)
    within = recorded is not None and bool(kinds) and bool(recorded["kind"].notna().any())
    blocks += [Block(1, 2, ENDS, _inside.LEGEND)] * within
    blocks += [Block(1, 3, ALONE, HEAD + LINE * ((len(alone) - 1) // 2))] * bool(len(alone))
    with style.styled():
        figure, panels = _panels(blocks or [Block(1, 1, ENDS, HEAD)])
        if kinds:
            _by_epoch(panels.pop(0), table, _thinned(curves, stride), kinds)
            _ends.ends(panels.pop(0)[0], table, statistic)
        if within:
            assert recorded is not None
            _inside.inside(panels.pop(0)[0], recorded)
        if len(alone):
            _alone(panels.pop(0)[0], alone, curves)
        if not blocks:
            panels[0][0, 0].text(0.5, 0.5, "no training has begun", ha="center")
        style.caption_below(figure, "Degradation. " + _drawn(table, stride) + caption)
    return figure


def spread(wanted: Floats, gap: float) -> Floats:
    """Move labels apart, as little as possible: at least `gap` between any two, order kept.

    Least squares under that condition: isotonic regression of wanted - i gap, by pooling.

    >>> spread(np.array([0.0, 1.0, 1.0]), 0.5).tolist()
    [0.0, 0.75, 1.25]
    """
    order = np.argsort(wanted, kind="stable")
    pools: list[list[float]] = []
    for index, value in enumerate(wanted[order]):
        pools.append([value - index * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    level = np.concatenate([np.full(len(p), np.mean(p)) for p in pools]) if pools else wanted
    placed = np.empty(len(wanted))
    placed[order] = level + gap * np.arange(len(wanted))
    return placed


def _panels(blocks: list[Block]) -> tuple[Figure, list[NDArray[np.object_]]]:
    """The figure, and per block its axes [rows, columns]."""
    tall = [b.head + b.rows * b.height + (b.rows - 1) * GAP + BOTTOM for b in blocks]
    figure = style.Drawing(figsize=(WIDTH, sum(tall)))
    made, top = [], sum(tall)
    for block, height in zip(blocks, tall, strict=True):
        room = WIDTH - LEFT - RIGHT
        each = (room - (block.columns - 1) * block.between) / block.columns
        grid = figure.add_gridspec(
            block.rows, block.columns, left=LEFT / WIDTH, right=1 - RIGHT / WIDTH,
            top=(top - block.head) / sum(tall), bottom=(top - height + BOTTOM) / sum(tall),
            wspace=block.between / each, hspace=GAP / block.height,
        )  # fmt: skip
        made.append(grid.subplots(squeeze=False))
        top -= height
    return figure, made


# --- Fig. 3 ------------------------------------------------------------------------------------


def _by_epoch(
    panels: NDArray[np.object_], table: pd.DataFrame, curves: pd.DataFrame, kinds: list[str]
) -> None:
    colours = depth_colours(table.loc[table["kind"].notna(), "depth"])
    for at, kind in enumerate(kinds):
        runs = table[table["kind"] == kind]
        for (column, label), axes in zip(ROWS, panels[:, at], strict=True):
            for depth, group in runs.groupby("depth"):
                _one_depth(axes, curves, _whole(group), column, colours[int(str(depth))])
            axes.tick_params(labelbottom=column == ROWS[-1][0], labelleft=at == 0)
            if at == 0:
                axes.set_ylabel(label)
        title = kind_label(kind)
        small = {"fontsize": 7.0} if len(kinds) > 3 else {}
        panels[0, at].set_title(title.replace(" ResNet", "") if small else title, pad=7, **small)
        panels[-1, at].set_xlabel("epoch")
    for row in panels:
        _shared(list(row))
        for axes in row:
            _label_ends(axes)
    panels[0, -1].annotate("layers", (1, 1), xycoords="axes fraction", xytext=(3, 7), va="bottom",
                           textcoords="offset points", fontsize=6.8)  # fmt: skip


def _whole(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that ended, if any did: a mean of all jumps where one stops early."""
    ended = runs[runs["complete"]]
    return ended if len(ended) else runs


def depth_colours(depths: pd.Series[int]) -> dict[int, str]:
    """A colour for each depth, the same in every panel; more than six depths share the six."""
    levels = sorted({int(d) for d in depths})
    at = np.linspace(0, len(DEPTHS) - 1, max(len(levels), 2)).round().astype(int)
    return {depth: DEPTHS[i] for depth, i in zip(levels, at, strict=False)}


def _one_depth(
    axes: Axes, curves: pd.DataFrame, runs: pd.DataFrame, column: str, colour: str
) -> None:
    """One run as a line; several seeds as their mean in a band from the lowest to the highest."""
    own = curves[curves["network"].isin(list(runs["network"]))]
    own = own[own[column].notna()]
    by_epoch = own.groupby("epoch")[column]
    mean = by_epoch.mean()
    if mean.empty:
        return
    label = f"{runs['kind'].iloc[0]} {runs['depth'].iloc[0]}"
    if own["network"].nunique() > 1:
        axes.fill_between(mean.index, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.2,
                          linewidth=0, label=f"_band {label}")  # fmt: skip
    # one epoch has no line
    axes.plot(mean.index, mean, color=colour, linewidth=1.0, label=label,
              marker="o" if len(mean) == 1 else None, markersize=2)  # fmt: skip


def _shared(row: list[Axes]) -> None:
    """The same limits for all panels of a row, from 0."""
    tops = [axes.dataLim.y1 for axes in row if axes.get_lines()]
    tops = [t for t in tops if np.isfinite(t)]
    right = max((axes.dataLim.x1 for axes in row if axes.get_lines()), default=1)
    for axes in row:
        axes.set_ylim(0, 1.05 * max(tops) if tops and max(tops) > 0 else 1)
        axes.set_xlim(0, max(right, 1))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _label_ends(axes: Axes) -> None:
    """The depth of each curve at its end, outside of the panel, moved apart."""
    lines = [x for x in axes.get_lines() if np.isfinite(np.asarray(x.get_ydata(), float)).any()]
    low, high = axes.get_ylim()
    ends = np.array([_last(np.asarray(x.get_ydata(), float)) for x in lines])
    places = spread((ends - low) / (high - low), 0.082)
    places += min(0.0, 1.0 - places.max(initial=0)) + max(0.0, 0.03 - places.min(initial=1))
    for line, place in zip(lines, places, strict=True):
        axes.annotate(
            str(line.get_label()).rpartition(" ")[2], (1, place), xycoords="axes fraction",
            xytext=(3, 0), textcoords="offset points", va="center_baseline", fontsize=6.8,
            color=line.get_color(),
        )  # fmt: skip


def _last(values: Floats) -> float:
    return float(values[np.isfinite(values)][-1])


# --- networks of one depth ---------------------------------------------------------------------


def _alone(panels: NDArray[np.object_], runs: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Fig. 9's three panels: one line per run, what the paper printed as a dashed line."""
    for axes, (column, label) in zip(panels, ROWS, strict=True):
        for (_, run), colour in zip(runs.iterrows(), OTHERS * len(runs), strict=False):
            own = curves[curves["network"] == run["network"]]
            axes.plot(own["epoch"], own[column], color=colour, linewidth=0.9, label=_named(run))
            if column == "test_top1" and np.isfinite(run["published_top1"]):
                _printed(axes, run, colour)
        _shared([axes])
        axes.set_ylabel(label)
        axes.set_xlabel("epoch")
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1.04), ncols=2, handlelength=1.6,
                     borderaxespad=0, borderpad=0)  # fmt: skip


def _printed(axes: Axes, run: pd.Series[Any], colour: str) -> None:
    value = run["published_top1"]
    axes.axhline(value, color=colour, linewidth=0.7, linestyle=(0, (3, 2)), label="_printed")
    axes.annotate(f"{value:g}", (1, value), xycoords=("axes fraction", "data"), xytext=(3, 0),
                  textcoords="offset points", va="center_baseline", fontsize=6.8,
                  color=colour)  # fmt: skip


def _named(run: pd.Series[Any]) -> str:
    residual = str(run["residual"]).replace("sew", "SEW")
    connect = f" {run['connect']}" if isinstance(run["connect"], str) else ""
    first = f"{run['depth']} layers" if pd.notna(run["depth"]) else run["model"]
    data = f" on {run['dataset']}" if isinstance(run["dataset"], str) else ""
    return f"{first}, {residual}{connect}{data}"


def _drawn(table: pd.DataFrame, stride: int) -> str:
    """What the caption says of the drawing itself."""
    seeds = table.loc[table["kind"].notna()].groupby(["kind", "depth"]).size()
    parts = [
        "Lines: mean over seeds; bands: their range. " if (seeds > 1).any() else "",
        f"One of {stride} epochs is drawn. " if stride > 1 else "",
        "Circles and dashed lines: the accuracies that the paper prints, of the best epochs. "
        if table["published_top1"].notna().any() else "",
    ]  # fmt: skip
    return "".join(parts)


def _stride(table: pd.DataFrame, curves: pd.DataFrame) -> int:
    """One of so many epochs is drawn: the file stays small, however long the trainings are."""
    kinds = table[table["kind"].notna()]
    counts = curves["network"].value_counts()
    points = 0
    for _, runs in kinds.groupby(["kind", "depth"]):
        longest = int(max(counts.get(n, 0) for n in runs["network"]))
        points += len(ROWS) * longest * (5 if len(runs) > 1 else 1)  # a band is written whole
    return max(1, -(-points // POINTS))


def _thinned(curves: pd.DataFrame, stride: int) -> pd.DataFrame:
    """Every so many epochs, and the last of each run."""
    ends = curves.groupby("network")["epoch"].transform("max")
    return curves[(curves["epoch"] % stride == 0) | (curves["epoch"] == ends)]
