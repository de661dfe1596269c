"""A map over its input, frame by frame, its sum per step and its scale; each takes an Axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from snnlens.figures import style

Floats = NDArray[np.float64]
GREY = "#8c8c8c"
DARKEST, FAINT = 0.85, 0.26  # how dark the input's largest value is, alone and below a map
MOST_PIXELS = 48  # of a side: a frame is half an inch, and a page takes 1 MB of a figure
MOST_FEATURES = 256  # of those without space
LEVELS, GREYS = 65, 33  # colours of a scale: few, so that a picture takes few bytes
SMALL, TINY = 6.8, 6.2
LINE = 0.112  # inches from one line of numbers to the next


class Scale(NamedTuple):
    """One scale of a sample and method: a signed map's is symmetric around 0."""

    low: float
    high: float
    colours: str  # signed, relevance, activity

    @property
    def norm(self) -> Normalize:
        """From a value to [0, 1]."""
        return Normalize(self.low, self.high)


class Under(NamedTuple):
    """The input below the maps: its frames [frames, height, width], and which grey is its least."""

    frames: Floats
    static: bool  # an image: bright is white; else counts: none is white

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.frames.shape[1], self.frames.shape[2]


def scale(values: Floats, *, signed: bool, relevance: bool) -> Scale:
    """The scale of all frames of a map.

    >>> scale(np.array([-3.0, 1.0]), signed=True, relevance=True)
    Scale(low=-3.0, high=3.0, colours='signed')
    """
    most = float(np.abs(values[np.isfinite(values)]).max(initial=0)) or 1.0
    colours = "signed" if signed else "relevance" if relevance else "activity"
    return Scale(-most if signed else 0.0, most, colours)


def dense(rows: pd.DataFrame, frames: int, height: int, width: int) -> Floats:
    """[frames, height, width] of the rows that are not 0, in blocks where a side is long."""
    made = np.zeros((frames, height, width))
    at = tuple(rows[c].to_numpy(int) for c in ("frame", "y", "x"))
    made[at] = rows["value"].to_numpy(float)
    return coarse(made)


def block(height: int, width: int) -> int:
    """How many pixels wide a drawn one is, so that a side has at most 48; of features at most 256.

    >>> block(34, 34), block(128, 128), block(180, 240), block(1, 300)
    (1, 3, 5, 2)
    """
    most = MOST_PIXELS if height > 1 else MOST_FEATURES
    return math.ceil(max(height, width) / most)


def coarse(values: Floats) -> Floats:
    """The sums over blocks of pixels; the last ones of a side may be smaller.

    >>> coarse(np.ones((1, 49, 49)))[0, 0, -2:].tolist()
    [4.0, 2.0]
    """
    frames, height, width = values.shape
    wide = block(height, width)
    tall = min(wide, height)
    padded = np.pad(values, ((0, 0), (0, -height % tall), (0, -width % wide)))
    shape = (frames, padded.shape[1] // tall, tall, padded.shape[2] // wide, wide)
    made: Floats = padded.reshape(shape).sum((2, 4))
    return made


def edges(rows: pd.DataFrame, frames: int, steps: int) -> list[int]:
    """The first step of each frame, and behind the last one: as recorded, where a frame has rows.

    >>> edges(pd.DataFrame({"frame": [1], "first_step": [3], "last_step": [5]}), 3, 8)
    [0, 3, 6, 8]
    """
    parts = [len(part) for part in np.array_split(np.arange(steps), frames)]
    made = np.cumsum([0, *parts])
    for frame, first, last in (
        rows[["frame", "first_step", "last_step"]].drop_duplicates().to_numpy()
    ):
        made[int(frame)], made[int(frame) + 1] = int(first), int(last) + 1
    return [int(e) for e in made]


@cache
def colours(name: str) -> LinearSegmentedColormap:
    """A scale whose 0 is clear, so that the input shows through."""
    ends = {
        "signed": [style.BLUE, f"{style.BLUE}00", f"{style.VERMILION}00", style.VERMILION],
        "relevance": [f"{style.VERMILION}00", style.VERMILION],
        "activity": [f"{style.GREEN}00", style.GREEN],
    }[name]
    at = [0.0, 0.5, 0.5, 1.0] if name == "signed" else [0.0, 1.0]
    return LinearSegmentedColormap.from_list(name, list(zip(at, ends, strict=True)), N=LEVELS)


def strip(
    axes: Axes, values: Floats, of: Scale | None, under: Under | None, gap: float = 0.0
) -> list[AxesImage]:
    """The frames of a map side by side, each over one of the input and drawn over its size.

    Without a scale the input alone. `gap` lies between two frames, in widths of one.
    """
    height, width = under.size if under is not None else values.shape[1:]
    made = []
    for number, frame in enumerate(values):
        left = number * width * (1 + gap) - 0.5
        over = (left, left + width, height - 0.5, -0.5)
        if under is not None:
            darkest = DARKEST if of is None else FAINT
            made.append(_grey(axes, under, number * len(under.frames) // len(values), darkest))
            made[-1].set_extent(over)
        if of is not None:
            made.append(axes.imshow(frame, cmap=colours(of.colours), norm=of.norm, extent=over,
                                    interpolation="none", aspect="auto", label="map"))  # fmt: skip
        axes.add_patch(Rectangle((left, -0.5), width, height, fill=False, edgecolor=GREY,
                                 linewidth=0.4, clip_on=False))  # fmt: skip
    axes.set_xlim(-0.5, (len(values) * (1 + gap) - gap) * width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_axis_off()
    return made


def _grey(axes: Axes, under: Under, at: int, darkest: float) -> AxesImage:
    """One frame of the input; all of them have one scale."""
    low, high = float(under.frames.min()), float(under.frames.max())
    low = low if under.static else min(low, 0.0)
    dark, light = (1 - darkest) * np.ones(3), np.ones(3)
    ends = (dark, light) if under.static else (light, dark)
    return axes.imshow(
        under.frames[at], cmap=LinearSegmentedColormap.from_list("grey", ends, N=GREYS),
        norm=Normalize(low, high if high > low else low + 1), interpolation="none", aspect="auto",
        label="input",
    )  # fmt: skip


def plane(
    axes: Axes, values: Floats, of: Scale | None, at: Sequence[int], wide: int = 1
) -> AxesImage:
    """Features without space, [frames, features]: upwards over time; without a scale in grey.

    `at` are the first steps of the frames and the end, `wide` says how many features a row is.
    """
    look = (
        (colours(of.colours), of.norm)
        if of is not None
        else (LinearSegmentedColormap.from_list("grey", [(1, 1, 1), (0.15, 0.15, 0.15)], N=GREYS),
              Normalize(min(values.min(), 0.0), max(values.max(), 1e-300)))
    )  # fmt: skip
    steps = np.repeat(values, np.diff(at), axis=0)  # frames may differ by a step
    made = axes.imshow(
        steps.T, cmap=look[0], norm=look[1], interpolation="none", aspect="auto", origin="lower",
        extent=(at[0] - 0.5, at[-1] - 0.5, -0.5, values.shape[1] * wide - 0.5),
        label="input" if of is None else "map",
    )  # fmt: skip
    axes.tick_params(labelsize=TINY, length=2, pad=1.5)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return made


def marginal(axes: Axes, time: pd.DataFrame, column: str, of: Scale | None) -> list[StepPatch]:
    """What a map says per step, above and below a zero line; of the input in grey."""
    time = time.sort_values("step")
    steps, values = time["step"].to_numpy(float), time[column].to_numpy(float)
    values = np.where(np.isfinite(values), values, 0)
    borders = np.append(steps, steps[-1] + 1) - 0.5
    above, below = _sides(of)
    made = []
    for part, colour in ((np.clip(values, 0, None), above), (np.clip(values, None, 0), below)):
        if part.any():
            made.append(axes.stairs(part, borders, fill=True, color=colour, linewidth=0))
    axes.axhline(0, color=style.INK, linewidth=0.6, label="_zero")
    axes.set_xlim(borders[0], borders[-1])
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    room = 0.08 * ((high - low) or 1.0)
    axes.set_ylim(low - (room if low else 0), high + room)
    axes.tick_params(labelsize=TINY, length=2, pad=1.5)
    axes.yaxis.set_major_locator(MaxNLocator(2, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: short(y)))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return made


def bar(axes: Axes, of: Scale) -> tuple[AxesImage, Text]:
    """The scale as a bar on white, and how far it reaches."""
    ramp = np.linspace(of.low, of.high, 65)[None]
    rgba = colours(of.colours)(of.norm(ramp))
    opaque = 1 - rgba[..., 3:] * (1 - rgba[..., :3])
    image = axes.imshow(
        ramp, cmap=ListedColormap(opaque[0]), norm=of.norm, interpolation="none", aspect="auto"
    )
    _bare(axes)
    reach = f"±{short(of.high)}" if of.low < 0 else f"0 to {short(of.high)}"
    text = axes.annotate(reach, (1, 0.5), xycoords="axes fraction", xytext=(3, 0), fontsize=TINY,
                         textcoords="offset points", va="center_baseline")  # fmt: skip
    return image, text


def short(value: float) -> str:
    """Two digits, and a real minus; a dash for what is no number.

    >>> short(-0.0123), short(0.0), short(1234.0), short(4e-7), short(math.nan)
    ('−0.012', '0', '1200', '4·10⁻⁷', '–')
    """
    if not math.isfinite(value):
        return "–"
    return style.number(float(f"{value:.2g}")).replace("-", "−")


def _sides(of: Scale | None) -> tuple[str, str]:
    if of is None:
        return GREY, GREY
    activity = of.colours == "activity"
    return style.GREEN if activity else style.VERMILION, style.GREEN if activity else style.BLUE


def _bare(axes: Axes) -> None:
    """A thin frame and nothing else."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
        spine.set_color(GREY)
