"""The gradients figure, read back from its artists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snnlens.analysis import gradients
from snnlens.figures import style
from snnlens.figures.gradients import gradient_figure, kind_of, main_networks
from tests.unit.analysis.handmade import Net, geometric, record, same_step_net
from tests.unit.runs import answered

PANELS = ["Spiking ResNet", "SEW ResNet, ADD", "SEW ResNet, AND", "SEW ResNet, IAND"]
KINDS = ["spiking", "sew-add", "sew-and", "sew-iand"]
PAIRS = list(zip(PANELS, KINDS, strict=True))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return answered("gradients", base="DEPTH_18").table


@pytest.fixture(scope="module")
def figure() -> Figure:
    result = answered("gradients", base="DEPTH_18")
    drawn: Figure = result.plot()
    return drawn


def panel(figure: Figure, title: str) -> Axes:
    (found,) = [a for a in figure.axes if a.get_visible() and a.get_title(loc="left") == title]
    return found


def points(axes: Axes) -> dict[str, Line2D]:
    """The measured curves by their network."""
    return {str(line.get_label()): line for line in axes.get_lines()
            if not str(line.get_label()).startswith("_")}  # fmt: skip


def theory(axes: Axes, kind: str) -> list[Line2D]:
    return [line for line in axes.get_lines() if str(line.get_label()).startswith(f"_{kind} ")]


def test_panels_in_the_papers_order(figure: Figure) -> None:
    assert [a.get_title(loc="left") for a in figure.axes] == PANELS


@pytest.mark.parametrize(("title", "kind"), PAIRS)
def test_points_are_the_tables_numbers(
    figure: Figure, table: pd.DataFrame, title: str, kind: str
) -> None:
    curves = points(panel(figure, title))
    assert list(curves) == [kind, f"{kind}-zero"]
    for name, line in curves.items():
        rows = table[table["network"] == name]
        np.testing.assert_array_equal(line.get_xdata(), rows["block"])
        norms = rows["gradient_norm"].to_numpy()
        np.testing.assert_array_equal(np.asarray(line.get_ydata())[norms > 0], norms[norms > 0])
        zero = name.endswith("-zero")
        assert to_hex(line.get_color()) == (style.WITH if zero else style.WITHOUT).lower()
        assert (line.get_markerfacecolor() == "none") == (not zero)  # open without, filled with


def test_the_extra_pass_is_in_no_panel(figure: Figure) -> None:
    assert all("t1" not in name for a in figure.axes for name in points(a))


@pytest.mark.parametrize(("title", "kind"), PAIRS)
def test_theory_is_the_tables_prediction_area_by_area(
    figure: Figure, table: pd.DataFrame, title: str, kind: str
) -> None:
    rows = table[table["network"] == f"{kind}-zero"]
    lines = theory(panel(figure, title), "exact")
    assert len(lines) == 4
    for (_, area), line in zip(rows.groupby("area"), lines, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), area["block"])
        np.testing.assert_array_equal(line.get_ydata(), area["predicted_norm"])
        assert line.get_linestyle() == "--"


def test_the_rate_only_curve_is_thinner_dotted_and_spikings_alone(
    figure: Figure, table: pd.DataFrame
) -> None:
    lines = theory(panel(figure, PANELS[0]), "rate")
    rows = table[table["network"] == "spiking-zero"]
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines])
    np.testing.assert_array_equal(drawn, rows["predicted_norm_rate_only"])
    exact = theory(panel(figure, PANELS[0]), "exact")
    assert {line.get_linestyle() for line in lines} == {":"}
    assert max(line.get_linewidth() for line in lines) < min(x.get_linewidth() for x in exact)
    assert not any(theory(panel(figure, title), "rate") for title in PANELS[1:])


def test_log_axis_labels_and_units(figure: Figure) -> None:
    for axes in figure.axes:
        assert axes.get_yscale() == "log"
    assert [a.get_ylabel() for a in figure.axes] == ["||dL/dS||  (loss per spike)", ""] * 2
    xlabel = "residual block l (input on the left)"
    assert [a.get_xlabel() for a in figure.axes] == ["", "", xlabel, xlabel]


def test_downsample_blocks_are_marked(figure: Figure) -> None:
    for axes in figure.axes:
        (marks,) = [x for x in axes.get_lines() if x.get_label() == "_downsample"]
        assert list(marks.get_xdata()) == [2, 4, 6]  # depth 18: the first block of stages 2 to 4


def test_every_point_lies_inside_the_panel(figure: Figure) -> None:
    for axes in figure.axes:
        low, high = axes.get_ylim()
        left, right = axes.get_xlim()
        for line in points(axes).values():
            y, x = np.asarray(line.get_ydata(), float), np.asarray(line.get_xdata(), float)
            assert ((low < y) & (y < high)).all()
            assert ((left < x) & (x < right)).all()


def test_legend_says_what_is_there(figure: Figure) -> None:
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "downsample block", "without zero-init", "with zero-init", "exact law",
        "from the rate alone",
    ]  # fmt: skip


def test_caption_is_drawn(figure: Figure) -> None:
    result = answered("gradients", base="DEPTH_18")
    text = " ".join(figure.texts[-1].get_text().split())
    assert text == "Gradient norm at initialisation. " + result.caption
    for said in ("T = 2", "batch 4", "digits", "seed 3", "V_th = 1", "alpha = 2", "cpu", "n = 4"):
        assert said in text


# --- by hand -----------------------------------------------------------------------------------


def drawn(*nets: Net, **options: Any) -> Figure:
    result = gradients.compute(record(*nets, **({"depth": 50} | options)))
    return gradient_figure(result.table, "caption")


def test_exact_zeros_lie_on_a_floor_labelled_0() -> None:
    norms = geometric(1.0, depth=50)
    norms[:5] = 0
    norms[7] = 1e-5
    axes = drawn(Net("sew", "and", norms=norms)).axes[0]
    (line,) = points(axes).values()
    y = np.asarray(line.get_ydata(), float)
    # a decade below the smallest positive norm; norms are square roots of squares: rounded once
    np.testing.assert_allclose(y[:5], 1e-6, rtol=1e-15)
    np.testing.assert_allclose(y[5:], norms[5:-1], rtol=1e-15)
    assert [t.get_text() for t in axes.texts] == ["0", "exactly 0"]
    assert axes.get_ylim()[0] < 1e-6


def test_without_a_zero_there_is_no_floor() -> None:
    assert list(drawn(Net(norms=geometric(0.5, depth=50))).axes[0].texts) == []


def test_all_zero() -> None:
    axes = drawn(Net("sew", "and", norms=0.0)).axes[0]
    (line,) = points(axes).values()
    low, high = axes.get_ylim()
    assert (np.asarray(line.get_ydata()) > low).all()
    assert high > low
    assert "0" in [t.get_text() for t in axes.texts]


def test_norms_that_are_no_numbers_are_gaps() -> None:
    norms = geometric(0.9, depth=50)
    norms[3], norms[4] = np.nan, np.inf
    axes = drawn(Net(norms=norms)).axes[0]
    (line,) = points(axes).values()
    assert np.isfinite(np.asarray(line.get_ydata(), float)).sum() == 14
    assert np.isfinite(axes.get_ylim()).all()


def test_one_panel_is_labelled_on_both_axes() -> None:
    figure = drawn(Net())
    (axes,) = figure.axes
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_five_panels() -> None:
    nets = [Net(), Net("sew", "add"), Net("sew", "and"), Net("sew", "iand"), Net("ms")]
    figure = drawn(*nets)
    shown = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title(loc="left") for a in shown] == [*PANELS, "MS-ResNet"]
    # the lowest panel of each column has the axis' name
    assert [bool(a.get_xlabel()) for a in shown] == [False, False, False, True, True]
    assert [bool(a.get_ylabel()) for a in shown] == [True, False, True, False, True]


def test_the_extra_pass_alone_is_drawn() -> None:
    figure = drawn(same_step_net(depth=50))
    assert list(points(figure.axes[0])) == ["spiking-zero-t1"]


def test_a_network_of_ones_own_has_its_name_as_title() -> None:
    net = Net(name="mine", facts={"residual": None, "zero_init": None})
    assert [a.get_title(loc="left") for a in drawn(net).axes] == ["mine"]


def test_main_networks_and_kinds(table: pd.DataFrame) -> None:
    assert "spiking-zero-t1" not in set(main_networks(table)["network"])
    assert len(main_networks(table)) == len(table) - 8
    kinds = list(dict.fromkeys(kind_of(row) for _, row in main_networks(table).iterrows()))
    assert kinds == KINDS
