"""The maps of one sample as cells: frames, sum per step and numbers of each method, in lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnlens.figures import _attribution_maps as maps
from snnlens.figures._attribution_maps import Scale, Under
from snnlens.figures._conversion_layout import WIDTH, Box

EDGE = 0.1  # inches, all of them
ROOM = WIDTH - 2 * EDGE
TITLE, STEPS_ABOVE, BETWEEN, LABELS = 0.19, 0.12, 0.12, 0.2
LARGEST, CLOSE = 0.8, 0.03  # a frame's side, and between two
NUMBERS, GAP, TICKS = 1.2, 0.12, 0.42
MARGINAL = (1.3, 2.2)
PLANE = (3.4, 0.8)
APART = 0.25  # between two cells of a line
BAR = (0.36, 0.055)
LETTER = 0.066  # of a title
NOTHING = "all values are 0"
SCORES = (("f(x)", "score"), ("f(baseline)", "baseline_score"))


class Cell(NamedTuple):
    """One method, or the input: what is drawn of it and how much room that takes."""

    title: str
    values: np.ndarray  # [frames, height, width]
    at: list[int]  # the first step of each frame, and behind the last
    scale: Scale | None  # None: the input
    time: pd.DataFrame  # empty: one step has no sum per step
    numbers: list[str]
    under: Under | None
    block: int = 1  # pixels or features that a drawn one is the sum of

    @property
    def flat(self) -> bool:
        """Whether it is features without space."""
        return self.under is None and is_flat(self.values)

    @property
    def side(self) -> tuple[float, float]:
        """Width and height of a frame."""
        if self.flat:
            return PLANE
        frames, height, width = self.values.shape
        if self.under is not None:
            height, width = self.under.size
        room = ROOM - NUMBERS - GAP - TICKS - MARGINAL[0]
        wide = min(LARGEST * max(1, width / height), (room - (frames - 1) * CLOSE) / frames)
        tall = wide * height / width
        return (wide, tall) if tall <= LARGEST else (wide * LARGEST / tall, LARGEST)

    @property
    def strip(self) -> float:
        """Width of all frames."""
        frames = 1 if self.flat else len(self.values)
        return frames * self.side[0] + (frames - 1) * CLOSE

    @property
    def width(self) -> float:
        """Of the whole cell."""
        return ROOM if len(self.time) else self.strip + GAP + NUMBERS

    @property
    def height(self) -> float:
        """Of the frames; the numbers need theirs."""
        return max(self.side[1], maps.LINE * len(self.numbers) + (0.12 if self.scale else 0))


def is_flat(values: np.ndarray) -> bool:
    """Whether [frames, height, width] is features in one row.

    >>> is_flat(np.zeros((8, 1, 64))), is_flat(np.zeros((8, 1, 1))), is_flat(np.zeros((8, 2, 2)))
    (True, True, False)
    """
    return bool(values.shape[1] == 1)


def missed(delta: float) -> str:
    """What a map's sum misses, in percent or as a multiple.

    >>> missed(0.43), missed(1.5e6)
    ('delta 43 %', 'delta 1.5·10⁶ times')
    """
    return (
        f"delta {maps.short(100 * delta)} %" if delta < 10 else f"delta {maps.short(delta)} times"
    )


def of_arrays(given: dict[str, Any], most: int) -> Cell:
    """The cell of one map [T, ...] that is not in a table, over what it lies over."""
    at = np.cumsum([0, *map(len, np.array_split(np.arange(len(given["values"])), most))])
    values, shown = (_summed(given[name], at) for name in ("values", "shown"))
    signed, relevance = given["signed"], given.get("relevance", True)
    flat = given["values"].reshape(len(given["values"]), -1)
    time = pd.DataFrame({"step": np.arange(len(flat)), "value": flat.sum(1, dtype=float)})
    gain = given["score"] - given["baseline_score"]
    delta = abs(given["delta"] / gain) if gain else math.nan
    numbers = [] if math.isnan(delta) else [missed(delta)]
    numbers += [f"{said} = {maps.short(given[name])}" for said, name in SCORES]
    numbers += [] if values.any() else [NOTHING]
    over = "" if given["place"] == "input" else f", spikes of {given['place']}"
    return Cell(
        f"{given.get('title', given['method'])}{over}", values, list(map(int, np.unique(at))),
        maps.scale(values, signed=signed, relevance=relevance),
        time if len(flat) > 1 else time.iloc[:0], numbers,
        None if is_flat(values) else Under(shown, static=len(flat) == 1),
        maps.block(1, flat.shape[1]) if is_flat(values) else 1,
    )  # fmt: skip


def _summed(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Sums over channels and the steps of a frame, [frames, height, width]."""
    values = np.asarray(values, float)
    values = values.reshape(len(values), 1, -1) if values.ndim <= 2 else values
    plane = values.reshape(len(values), -1, *values.shape[-2:]).sum(1)
    return maps.coarse(np.stack([plane[a:b].sum(0) for a, b in pairwise(np.unique(at))]))


def lines(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells one after the other, as many on a line as its width takes."""
    made: list[list[Cell]] = []
    left = 0.0
    for cell in cells:
        if made and left + APART + cell.width <= ROOM + 1e-9:
            made[-1].append(cell)
            left += APART + cell.width
        else:
            made.append([cell])
            left = cell.width
    return made


def height(cells: Sequence[Cell]) -> float:
    """Of all lines together."""
    rows = lines(cells)
    return sum(_tall(row, rows[i + 1 :]) for i, row in enumerate(rows))


def draw(cells: Sequence[Cell], figure: Figure, box: Box) -> None:
    """All lines, downwards from the box's top; the first sums per step say what they are."""
    rows, top = lines(cells), box.top
    timed = [cell for cell in cells if len(cell.time)]
    named = [timed[0], next((c for c in timed if c.scale is not None), timed[0])] if timed else []
    for number, row in enumerate(rows):
        left, after = EDGE, rows[number + 1 :]
        for cell in row:
            axes = _cell(figure, cell, left, top + _head(row), labelled=_labelled(row, after))
            if axes is not None and any(cell is one for one in named):
                _name(axes, "input" if cell.scale is None else "map")
            left += cell.width + APART
        top += _tall(row, after)


def place(figure: Figure, left: float, top: float, width: float, tall: float) -> Axes:
    """Axes at so many inches from the left and from the top."""
    whole = figure.get_figheight()
    return figure.add_axes((left / WIDTH, 1 - (top + tall) / whole, width / WIDTH, tall / whole))


# --- one cell ----------------------------------------------------------------------------------


def _cell(figure: Figure, cell: Cell, left: float, top: float, *, labelled: bool) -> Axes | None:
    """Draw it; the Axes of its sum per step."""
    wide, tall = cell.side
    if cell.flat:
        first = place(figure, left + TICKS, top, wide - TICKS, tall)
        maps.plane(first, cell.values[:, 0], cell.scale, cell.at, cell.block)
        first.tick_params(labelbottom=labelled)
        first.set_ylabel("feature", fontsize=maps.SMALL, labelpad=1)
        _step_label(first, labelled)
    else:
        first = _frames(figure, cell, left, top)
    _title(first, cell, cut=_letters(cell))
    _numbers(figure, cell, left + cell.width - NUMBERS, top)
    return _marginal(figure, cell, left, top, labelled=labelled) if len(cell.time) else None


def _frames(figure: Figure, cell: Cell, left: float, top: float) -> Axes:
    wide, tall = cell.side
    axes = place(figure, left, top, cell.strip, tall)
    maps.strip(axes, cell.values, cell.scale, cell.under, CLOSE / wide)
    if _numbered(cell):
        for number in range(len(cell.values)):
            x = (number * (wide + CLOSE) + wide / 2) / cell.strip
            axes.annotate(_steps(cell, number), (x, 1), xycoords="axes fraction", xytext=(0, 2),
                          textcoords="offset points", ha="center", fontsize=maps.TINY,
                          gid="steps")  # fmt: skip
    return axes


def _steps(cell: Cell, number: int) -> str:
    """Which steps a frame is the sum of."""
    first, last = cell.at[number], cell.at[number + 1] - 1
    said = f"{first}–{last}" if last > first else f"{first}"
    return said if number else f"step{'s' * (last > first)} {said}"


def _title(axes: Axes, cell: Cell, cut: int) -> None:
    title = cell.title if len(cell.title) <= cut else cell.title[: cut - 1] + "…"
    lift = 4 + 72 * (STEPS_ABOVE if _numbered(cell) else 0)
    axes.annotate(title, (0, 1), xycoords="axes fraction", xytext=(0, lift),
                  textcoords="offset points", fontsize=7.6, fontweight="bold",
                  gid="cell")  # fmt: skip


def _letters(cell: Cell) -> int:
    room = cell.strip if len(cell.time) else cell.width
    return max(12, math.floor(max(room, 2.0) / LETTER))


def _marginal(figure: Figure, cell: Cell, left: float, top: float, *, labelled: bool) -> Axes:
    strip = cell.strip
    wide = min(ROOM - strip - TICKS - GAP - NUMBERS, MARGINAL[1])
    axes = place(figure, left + strip + TICKS, top, wide, cell.side[1])
    maps.marginal(axes, cell.time, "value" if cell.scale else "shown", cell.scale)
    axes.tick_params(labelbottom=labelled)
    _step_label(axes, labelled)
    return axes


def _name(axes: Axes, of: str) -> None:
    axes.annotate(f"sum of the {of} per step", (0, 1), xycoords="axes fraction", xytext=(0, 3),
                  textcoords="offset points", fontsize=maps.TINY, color="#6b6b6b")  # fmt: skip


def _step_label(axes: Axes, labelled: bool) -> None:
    if labelled:
        axes.set_xlabel("time step", fontsize=maps.SMALL, labelpad=1)


def _numbers(figure: Figure, cell: Cell, left: float, top: float) -> None:
    """The numbers one below the other, the scale's bar below them."""
    tall, x = figure.get_figheight(), left / WIDTH
    for number, said in enumerate(cell.numbers):
        y = 1 - (top + maps.LINE * number) / tall
        figure.text(x, y, said, fontsize=maps.SMALL, va="top", gid="numbers")
    if cell.scale is not None:
        down = top + maps.LINE * len(cell.numbers) + 0.05
        maps.bar(place(figure, left, down, *BAR), cell.scale)


# --- lines -------------------------------------------------------------------------------------


def _numbered(cell: Cell) -> bool:
    return cell.scale is None and not cell.flat and cell.at[-1] > 1


def _head(row: Sequence[Cell]) -> float:
    return TITLE + (STEPS_ABOVE if any(map(_numbered, row)) else 0)


def _labelled(row: Sequence[Cell], after: Sequence[Sequence[Cell]]) -> bool:
    """Whether time is labelled below a line: where the next one with time has other steps."""
    own = [c.at[-1] for c in row if len(c.time)]
    following = [c.at[-1] for line in after for c in line if len(c.time)]
    return bool(own) and (not following or own[0] != following[0])


def _tall(row: Sequence[Cell], after: Sequence[Sequence[Cell]]) -> float:
    labels = LABELS + 0.1 if _labelled(row, after) and after else 0.0
    return _head(row) + max(c.height for c in row) + (BETWEEN if after else 0.0) + labels
