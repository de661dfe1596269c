# ruff: noqa: TID251 - whether rcParams are left alone is what these tests look at
"""The style: log axes, the floor of exact zeros, bytes that do not change, nothing global."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from snnlens.figures import style


def axes_of(figure: Figure | None = None) -> mpl.axes.Axes:
    return (figure or Figure(figsize=(3, 2))).subplots()


def shown_ticks(axes: mpl.axes.Axes) -> list[str]:
    low, high = sorted(axes.get_ylim())
    labels = zip(axes.get_yticks(), axes.yaxis.get_ticklabels(), strict=True)
    return [text.get_text() for at, text in labels if low <= at <= high and text.get_text()]


@pytest.mark.parametrize(
    ("y", "text"),
    [(0, "0"), (1, "1"), (0.02, "0.02"), (0.001, "0.001"), (5000, "5000"), (1e4, "10⁴"),
     (1e-4, "10⁻⁴"), (1e-26, "10⁻²⁶"), (2e-5, "2·10⁻⁵"), (1e10, "10¹⁰"), (-0.5, "-0.5")],
)  # fmt: skip
def test_number(y: float, text: str) -> None:
    assert style.number(y) == text


def test_styled_puts_the_users_settings_back() -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 31.0, "axes.spines.top": True}):
        with style.styled():
            assert mpl.rcParams["font.size"] == 8.0
            assert mpl.rcParams["text.parse_math"] is False
        assert mpl.rcParams["font.size"] == 31.0
    assert dict(mpl.rcParams) == before
    with pytest.raises(ValueError, match="mine"), style.styled():
        raise ValueError("mine")
    assert dict(mpl.rcParams) == before


def test_save_writes_both_files_and_no_date(tmp_path: Path) -> None:
    with style.styled():
        axes = axes_of()
        axes.plot([1, 2], [3, 4])
        axes.set_title("$x$ stays text")
    style.save(axes.figure, tmp_path, "mine")
    text = (tmp_path / "mine.svg").read_text(encoding="utf-8")
    assert "<dc:date>" not in text
    assert "$x$ stays text" in text  # text, not outlines, and no formula
    with Image.open(tmp_path / "mine.png") as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)  # stored in pixels per metre
        assert "Software" not in image.info
        assert image.getpixel((0, 0))[:3] == (255, 255, 255)  # type: ignore[index]


def test_the_same_drawing_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with style.styled():
            axes = axes_of()
            axes.plot(np.arange(9.0), np.arange(9.0) ** 2, marker="o")
            style.downsample_lines(axes, [2, 5])
        style.save(axes.figure, tmp_path / folder)
    for name in ("figure.svg", "figure.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_importing_and_drawing_touches_no_pyplot() -> None:
    """pyplot keeps figures alive and picks a backend: a library has no business there."""
    code = """
import sys
from pathlib import Path
import pandas as pd
from snnlens.figures import factor, gradients, identity, rates, style
table = pd.DataFrame({"n": [16, 32], "factor": [1.1, 0.9], "seed": [0, 0]})
style.save(factor.factor_figure(table, "c"), Path(sys.argv[1]))
print([m for m in ("matplotlib.pyplot", "seaborn", "torch", "tkinter") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "."], capture_output=True, text=True, check=False, cwd="/tmp"
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_log_axis_has_plain_numbers() -> None:
    axes = axes_of()
    axes.plot([0, 1], [0.01, 1000])
    style.log_axis(axes)
    assert axes.get_yscale() == "log"
    assert {"0.01", "0.1", "1", "10", "100", "1000"} <= set(shown_ticks(axes))


def test_a_short_range_is_labelled_at_2_and_5() -> None:
    axes = axes_of()
    style.log_axis(axes)
    axes.set_ylim(0.15, 1.2)
    assert shown_ticks(axes) == ["1"]
    style.label_short_range(axes)
    assert shown_ticks(axes) == ["0.2", "0.5", "1"]


def test_a_long_range_is_not() -> None:
    axes = axes_of()
    style.log_axis(axes)
    axes.set_ylim(1e-3, 10)
    before = shown_ticks(axes)
    style.label_short_range(axes)
    assert shown_ticks(axes) == before


def test_the_floor_says_0_and_no_number_below() -> None:
    axes = axes_of()
    style.log_axis(axes)
    axes.set_ylim(1e-8, 1)
    style.zero_floor(axes, 1e-6)
    assert [t.get_text() for t in axes.texts] == ["0", "exactly 0"]
    assert {t.xy[1] for t in axes.texts} == {1e-6}  # type: ignore[attr-defined]
    line = axes.get_lines()[-1]
    assert list(line.get_ydata()) == [1e-6, 1e-6]
    numbers = {"10⁻⁸", "10⁻⁷", "10⁻⁶"}
    assert not numbers & set(shown_ticks(axes))
    assert shown_ticks(axes) == ["10⁻⁴", "0.01", "1"]


def test_downsample_lines() -> None:
    axes = axes_of()
    style.downsample_lines(axes, [0, 3, 11])
    *lines, marks = axes.get_lines()
    assert [list(line.get_xdata()) for line in lines] == [[0, 0], [3, 3], [11, 11]]
    assert list(marks.get_xdata()) == [0, 3, 11]
    assert marks.get_label() == "_downsample"  # in no legend


@pytest.mark.parametrize(
    ("panels", "columns", "hidden"), [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 2, 0), (5, 2, 1)]
)
def test_panel_grid(panels: int, columns: int, hidden: int) -> None:
    figure, axes = style.panel_grid(panels)
    assert len(axes) == panels
    assert axes[0].get_subplotspec().get_gridspec().ncols == columns  # type: ignore[union-attr]
    assert [a.get_visible() for a in figure.axes].count(False) == hidden
    assert figure.get_figwidth() == (4.2 if panels == 1 else 7.1)  # a page is 7.1 inches


def test_caption_is_wrapped_and_whole() -> None:
    figure = Figure()
    text = "word " * 60
    style.caption_below(figure, text, width=40)
    (drawn,) = figure.texts
    assert max(map(len, drawn.get_text().split("\n"))) <= 40
    assert drawn.get_text().split() == text.split()


def test_a_notebook_shows_a_figure_without_pyplot() -> None:
    """IPython asks the object itself; only after pyplot was imported it knows every Figure."""
    code = (
        "import sys\nfrom snnlens.figures.style import panel_grid\n"
        "figure, _ = panel_grid(2)\n"
        "assert figure._repr_png_()[1:4] == b'PNG'\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("letters", [50, 2000, 20_000])
def test_a_long_name_makes_no_endless_picture(tmp_path: Path, letters: int) -> None:
    """200 dots per inch of a usual figure; the whole name in the SVG, and in the PNG what fits."""
    figure = style.Drawing(figsize=(2, 1))
    with style.styled():
        figure.text(0, 0, "W" * letters)
        style.save(figure, tmp_path)
    assert "W" * letters in (tmp_path / "figure.svg").read_text()
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(tmp_path / "figure.png") as image:
        wide, high = image.size
        dots = image.info["dpi"][0]
    assert max(wide, high) <= 1.01 * style.SIDE
    assert wide * high <= 1.05 * style.PIXELS
    assert (round(dots) == 200) == (letters == 50)
    assert len(figure._repr_png_()) > 100
