"""What the panels of the conversion figure share: places in inches, colours, axes of T."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from snnlens.figures import style
from snnlens.figures.degradation import DEPTHS

WIDTH = 7.1  # of a page; all lengths in inches
LEFT, RIGHT, BOTTOM = 0.52, 0.1, 0.46
HEAD, LINE, RIM = 0.28, 0.16, 0.06  # above panels: titles, a line of a legend, what is left free
BETWEEN, GAP = 0.3, 0.16
NEURONS = {
    "sequential": (style.VERMILION, "o", "sequential IF"),
    "parallel": (style.BLUE, "s", "parallel"),
    "calibrated": (style.GREEN, "^", "calibrated"),
    "calibrated-zero-mean": (style.PURPLE, "v", "calibrated, zero mean"),
}
OTHERS = (style.ORANGE, style.SKY)
GREY = "#8c8c8c"
HANDLE, LETTER, SPACE = 0.24, 0.053, 0.13  # inches of a legend: a line, a letter, between columns


class Box(NamedTuple):
    """Where panels lie, in inches: from the left edge, and down from the top of the figure."""

    top: float
    height: float
    left: float = LEFT
    width: float = WIDTH - LEFT - RIGHT


class Legend(NamedTuple):
    """What stands above panels: in as many lines as its width asks for."""

    handles: Sequence[Artist]
    left: float = LEFT
    width: float = WIDTH - LEFT - RIGHT

    @property
    def lines(self) -> int:
        """The fewest whose columns are not wider than the legend, by the number of letters."""
        letters = [len(str(h.get_label())) for h in self.handles]
        for lines in range(1, len(letters)):
            columns = [letters[i : i + lines] for i in range(0, len(letters), lines)]
            wide = sum(HANDLE + LETTER * max(of) for of in columns) + SPACE * (len(columns) - 1)
            if wide <= self.width:
                return lines
        return max(1, len(letters))


class Section(NamedTuple):
    """A strip of the figure: the height of its panels, what draws them into a box, its legends."""

    height: float
    draw: Callable[[Figure, Box], None]
    legends: Sequence[Legend]

    @property
    def head(self) -> float:
        """Room for the legends and the titles."""
        return RIM + LINE * max(x.lines for x in self.legends) + HEAD


def stacked(sections: Sequence[Section]) -> Figure:
    """The sections one below the other."""
    figure = style.Drawing(figsize=(WIDTH, sum(s.head + s.height + BOTTOM for s in sections)))
    top = 0.0
    for section in sections:
        for one in section.legends:
            _legend(figure, one, top + RIM)
        section.draw(figure, Box(top + section.head, section.height))
        top += section.head + section.height + BOTTOM
    return figure


def panels(
    figure: Figure, box: Box, rows: int, columns: int, *, between: float = BETWEEN,
    gap: float = GAP, share: bool | str = False,
) -> NDArray[np.object_]:  # fmt: skip
    """Axes [rows, columns] that fill the box; `share`: one y axis, as matplotlib shares it."""
    tall = figure.get_figheight()
    each = (box.width - (columns - 1) * between) / columns
    high = (box.height - (rows - 1) * gap) / rows
    grid = figure.add_gridspec(
        rows, columns, left=box.left / WIDTH, right=(box.left + box.width) / WIDTH,
        top=1 - box.top / tall, bottom=1 - (box.top + box.height) / tall,
        wspace=between / each, hspace=gap / high,
    )  # fmt: skip
    made: NDArray[np.object_] = grid.subplots(squeeze=False, sharey=share)  # type: ignore[call-overload]
    return made


def line(**look: Any) -> Line2D:
    """What a legend shows of a line."""
    return Line2D([], [], **look)


def look(neuron: str) -> tuple[str, str, str]:
    """Colour, marker and name of a kind of neuron.

    >>> look("parallel")
    ('#0072B2', 's', 'parallel')
    """
    return NEURONS.get(neuron, (OTHERS[len(neuron) % 2], "D", neuron))


def step_colours(steps: Sequence[int]) -> dict[int, str]:
    """A colour for each T, from light (few) to dark (many), the same in every panel."""
    ordered = sorted(steps)
    at = np.linspace(0, len(DEPTHS) - 1, max(len(ordered), 2)).round().astype(int)
    return {t: DEPTHS[i] for t, i in zip(ordered, at, strict=False)}


def steps_axis(axes: Axes, steps: Sequence[int]) -> None:
    """T on a log axis, with a tick at each T that was run; of many at every other one."""
    ordered = sorted(steps)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(ordered[:: -(-len(ordered) // 9)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_xlim(ordered[0] / 1.25, ordered[-1] * 1.25)
    axes.set_xlabel("time steps T (log axis)")


def layer_axis(axes: Axes, layers: int) -> None:
    """Spiking layers in the order of the forward pass, from 0."""
    axes.set_xlim(-0.7, layers - 0.3)
    axes.xaxis.set_major_locator(
        MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )  # fmt: skip
    narrow = axes.get_position().width * WIDTH < 1.8
    axes.set_xlabel("spiking layer" if narrow else "spiking layer (input on the left)")


def _legend(figure: Figure, one: Legend, top: float) -> None:
    """The legend's upper edge lies `top` inches below that of the figure."""
    if not one.handles:
        return
    figure.legend(
        handles=list(one.handles), loc="upper left", ncols=-(-len(one.handles) // one.lines),
        bbox_to_anchor=(one.left / WIDTH, 1 - top / figure.get_figheight()), handlelength=1.7,
        columnspacing=1.2, borderaxespad=0, borderpad=0, handletextpad=0.6, labelspacing=0.3,
    )  # fmt: skip
