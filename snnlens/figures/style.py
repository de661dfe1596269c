"""One style for all figures: colour-blind safe, readable at column width, deterministic SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#262626"
GRID = "#d9d9d9"
# Okabe and Ito 2008: distinguishable with any common colour vision
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY = "#E69F00", "#56B4E9"
WITHOUT, WITH = VERMILION, BLUE  # without and with zero-init, in every figure
MEASURED_SIZE = 3.4
PIXELS, SIDE = 4e7, 30_000  # of a picture at most, and of its longer side
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # shipped with matplotlib: the same bytes everywhere
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a folder's name with a $ is no formula
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw inside this: the style, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", RC))
        yield


def save(figure: Figure, folder: Path, name: str = "figure") -> None:
    """Write name.svg and name.png; the same figure gives the same bytes."""
    with styled(), mpl.rc_context({"svg.hashsalt": name}):
        bounds: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.06}
        plain = {"Date": None, "Creator": None}
        figure.savefig(folder / f"{name}.svg", metadata=plain, **bounds)
        figure.savefig(
            folder / f"{name}.png", dpi=_dpi(figure, 200), facecolor="white",
            metadata={"Software": None}, **bounds,
        )  # fmt: skip


def _dpi(figure: Figure, wanted: float) -> float:
    """As many dots per inch as wanted, or as few as keep the picture within PIXELS and SIDE.

    A name of thousands of letters makes a figure of yards; Agg draws nothing of over 65,535 pixels.
    """
    box = figure.get_tightbbox()
    wide, high = max(box.width, figure.get_figwidth()), max(box.height, figure.get_figheight())
    return min(wanted, math.sqrt(PIXELS / (wide * high)), SIDE / max(wide, high))


class Drawing(Figure):
    """A figure that a notebook shows by itself, whether pyplot was imported or not.

    >>> Drawing(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        """As a notebook asks for it."""
        buffer = BytesIO()
        with styled():
            self.savefig(
                buffer, format="png", dpi=_dpi(self, 110), facecolor="white", bbox_inches="tight"
            )
        return buffer.getvalue()


def downsample_lines(axes: Axes, blocks: list[int]) -> None:
    """Mark the downsample blocks with a thin vertical line and a small triangle at the top."""
    if not blocks:
        return
    for block in blocks:
        axes.axvline(block, color=GRID, linewidth=0.8, zorder=0)
    axes.plot(
        blocks, [1.0] * len(blocks), marker=7, markersize=3.5, color="#8c8c8c", linestyle="none",
        transform=axes.get_xaxis_transform(), clip_on=False, label="_downsample", zorder=3,
    )  # fmt: skip


def log_axis(axes: Axes) -> None:
    """A log axis with plain numbers near 1 and powers of ten elsewhere; 2 and 5 on short ranges."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def label_short_range(axes: Axes) -> None:
    """Under two decades, label 2 and 5 too; call it when the limits stand."""
    low, high = axes.get_ylim()
    if high / low < 100:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def zero_floor(axes: Axes, floor: float) -> None:
    """A floor for exact zeros on a log axis: a line with the tick label 0, no numbers below it."""
    axes.axhline(floor, color=GRID, linewidth=0.8, zorder=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y) if y > 3 * floor else ""))
    side = axes.get_yaxis_transform()
    axes.annotate("0", (0, floor), xycoords=side, xytext=(-5, 0), textcoords="offset points",
                  ha="right", va="center", fontsize=RC["ytick.labelsize"])  # fmt: skip
    axes.annotate("exactly 0", (0.985, floor), xycoords=side, xytext=(0, 3),
                  textcoords="offset points", ha="right", va="bottom", fontsize=6.8)  # fmt: skip


def number(y: float) -> str:
    """A tick label.

    >>> number(0.02), number(1e-12)
    ('0.02', '10⁻¹²')
    """
    if y == 0 or 1e-3 <= abs(y) < 1e4:
        return f"{y:g}"
    exponent = math.floor(math.log10(abs(y)) + 1e-9)
    mantissa = y / 10.0**exponent
    power = "10" + str(exponent).translate(SUPERSCRIPT)
    return power if abs(mantissa - 1) < 1e-6 else f"{mantissa:g}·{power}"


def panel_grid(panels: int, *, height: float = 2.15) -> tuple[Figure, list[Axes]]:
    """Panels two by two at the width of a page (7.1 inches)."""
    columns = min(2, panels)
    rows = -(-panels // columns)
    figure = Drawing(figsize=(7.1 if columns == 2 else 4.2, height * rows + 0.55))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    flat = list(axes.flat)
    for spare in flat[panels:]:
        spare.set_visible(False)
    return figure, flat[:panels]


def caption_below(figure: Figure, text: str, *, width: int = 132) -> None:
    """The caption under the panels, small, wrapped."""
    import textwrap

    figure.text(
        0.01, -0.02, "\n".join(textwrap.wrap(text, width)), ha="left", va="top", fontsize=6.8,
        gid="caption",
    )  # fmt: skip
