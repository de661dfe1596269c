"""The conversion figure, read back from its artists."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snnlens.analysis import conversion
from snnlens.figures import style
from snnlens.figures._conversion_layers import SOURCES
from snnlens.figures._conversion_layout import Legend, line, step_colours
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from tests.unit.conversion_record import Net, change, plausible, record, three_depths

T = (1, 2, 4, 8, 16, 32, 64)
FOUR = ("parallel", "sequential", "calibrated", "calibrated-zero-mean")


def drawn(made: Record) -> tuple[Result, Figure]:
    result = conversion.compute(made)
    return result, result.plot()


def panels(figure: Figure, letter: str) -> list[Axes]:
    """The panels of a row: from its letter to the next one."""
    begin, found = "", []
    for axes in figure.axes:
        first = axes.get_title(loc="left").partition("  ")[0]
        begin = first if len(first) == 1 else begin
        found += [axes] * (begin == letter and axes.get_visible())
    return found


def lines(axes: Axes) -> dict[str, Line2D]:
    return {str(x.get_label()): x for x in axes.get_lines()}


def xy(one: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in one.get_xdata()], [float(y) for y in one.get_ydata()]


def notes(axes: Axes) -> list[str]:
    return [t.get_text() for t in axes.texts if t.get_text()]


def bars(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """Where the bars of a source begin, and how long they are."""
    (found,) = [c for c in axes.containers if c.get_label() == label]
    return [b.get_y() for b in found], [b.get_height() for b in found]


def accumulated(rows: pd.DataFrame, kind: str, neuron: str, time_steps: int) -> pd.DataFrame:
    """Of a table by kind the rows of the running network."""
    wanted = {"kind": kind, "neuron": neuron, "time_steps": time_steps, "view": "accumulated"}
    return rows[(rows[list(wanted)] == list(wanted.values())).all(axis=1)]


def caption(figure: Figure) -> str:
    return " ".join(figure.texts[-1].get_text().split())


@pytest.fixture(scope="module")
def three() -> tuple[Result, Figure]:
    made = plausible(three_depths(time_steps=T), np.random.default_rng(0))
    return drawn(made)


@pytest.fixture(scope="module")
def one() -> tuple[Result, Figure]:
    return drawn(record(Net(time_steps=T)))


# --- what is there -----------------------------------------------------------------------------


def test_panels_of_three_depths(three: tuple[Result, Figure]) -> None:
    _, figure = three
    assert {k: len(panels(figure, k)) for k in "abcdef"} == {
        "a": 3, "b": 3, "c": 2, "d": 1, "e": 6, "f": 1,
    }  # fmt: skip
    assert figure.get_figwidth() == 7.1
    names = ["mlp 4 x 10, L = 4", "mlp 8 x 10, L = 4", "mlp 16 x 10, L = 4"]
    for letter in "ab":
        titles = [a.get_title(loc="left") for a in panels(figure, letter)]
        assert titles == [f"{letter}  {names[0]}", *names[1:]]


def test_kinds_are_in_order_of_depth() -> None:
    _, figure = drawn(record(Net(16), Net(4), Net(8)))
    titles = [a.get_title(loc="left").removeprefix("a  ") for a in panels(figure, "a")]
    assert titles == [f"mlp {depth} x 10, L = 4" for depth in (4, 8, 16)]


@pytest.mark.parametrize("letter", list("abcdef"))
def test_every_axis_has_its_unit(letter: str, three: tuple[Result, Figure]) -> None:
    _, figure = three
    units = {
        "a": ("time steps T (log axis)", "accuracy, top 1 (%)"),
        "b": ("spiking layer (input on the left)", "rms error of the rate (θ)"),
        "c": ("spiking layer (input on the left)", "rms by source, stacked (θ)"),
        "d": ("offset of the count (spikes)", "share of values (log axis)"),
        "e": ("activation (θ)", "rate (θ)"),
        "f": ("time steps T (log axis)", "rms error (θ)"),
    }
    shown = panels(figure, letter)
    assert shown[-1].get_xlabel() == units[letter][0]
    assert shown[0].get_ylabel() == units[letter][1]


# --- a: accuracy -------------------------------------------------------------------------------


def test_accuracy_is_the_mean_over_seeds_in_its_band(three: tuple[Result, Figure]) -> None:
    result, figure = three
    table = result.table
    for depth, axes in zip((4, 8, 16), panels(figure, "a"), strict=True):
        bands = {str(c.get_label()): c for c in axes.collections}
        for neuron in ("parallel", "sequential"):
            own = table[(table["depth"] == depth) & (table["neuron"] == neuron)]
            by_seed = np.array([of["top1"].to_numpy(float) for _, of in own.groupby("seed")])
            x, y = xy(lines(axes)[neuron])
            assert x == list(T)
            assert y == pytest.approx(by_seed.mean(0), rel=1e-12)
            edge = bands[f"_band {neuron}"].get_paths()[0].vertices
            low, high = (
                [f(edge[edge[:, 0] == t, 1]) for t in T] for f in (np.min, np.max)
            )  # fmt: skip
            assert low == pytest.approx(by_seed.min(0), rel=1e-12)
            assert high == pytest.approx(by_seed.max(0), rel=1e-12)


def test_requantised_is_a_wide_line_under_parallel(one: tuple[Result, Figure]) -> None:
    _, figure = one
    (axes,) = panels(figure, "a")
    under, over = (lines(axes)[n] for n in ("requantised", "parallel"))
    assert xy(under) == xy(over)  # as the hand-made Record says
    assert under.get_linewidth() > 3 * over.get_linewidth()
    assert under.get_zorder() < over.get_zorder()
    assert to_hex(under.get_color()) != to_hex(over.get_color())


def test_the_ann_is_a_line_across(three: tuple[Result, Figure]) -> None:
    _, figure = three
    for axes in panels(figure, "a"):
        assert set(lines(axes)["ann"].get_ydata()) == {94.0}
        (band,) = [p for p in axes.patches if p.get_label() == "_band ann"]
        assert (band.get_y(), band.get_height()) == (93.0, 2.0)


def test_one_scale_from_0_where_accuracy_falls_below_40(three: tuple[Result, Figure]) -> None:
    _, figure = three
    assert {a.get_ylim() for a in panels(figure, "a")} == {(0.0, 101.5)}
    _, high = drawn(record(Net(4, time_steps=(4, 8))))
    assert panels(high, "a")[0].get_ylim() == (80.0, 101.5)  # 87 is the lowest


def test_T_has_a_log_axis_with_its_values(three: tuple[Result, Figure]) -> None:
    _, figure = three
    for axes in panels(figure, "a"):
        assert axes.get_xscale() == "log"
        assert [t.get_text() for t in axes.get_xticklabels()] == [str(t) for t in T]


def test_the_gap_at_the_level_is_written(three: tuple[Result, Figure]) -> None:
    _, figure = three
    said = [notes(a) for a in panels(figure, "a")]
    assert said == [["T = L", "9.0 points"], ["T = L", "17.0 points"], ["T = L", "33.0 points"]]
    for axes in panels(figure, "a"):
        assert set(lines(axes)["_level"].get_xdata()) == {4}


def test_a_small_gap_has_no_number() -> None:
    where = {"neuron": "sequential", "time_steps": 4}
    _, figure = drawn(change(record(Net()), "conversion_accuracy", where, correct=188))
    assert notes(panels(figure, "a")[0]) == ["T = L"]


def test_one_T_is_drawn_as_points() -> None:
    _, figure = drawn(record(Net(time_steps=(4,)), trials=False))
    (axes,) = panels(figure, "a")
    assert lines(axes)["requantised"].get_marker() == "o"
    assert lines(axes)["requantised"].get_markersize() > lines(axes)["parallel"].get_markersize()
    assert len(panels(figure, "c")) == 1
    assert len(panels(figure, "e")) == 3
    assert not panels(figure, "f")


# --- b: error by layer -------------------------------------------------------------------------


def test_error_by_layer_has_a_colour_per_T(three: tuple[Result, Figure]) -> None:
    result, figure = three
    layers, colours = result.extra["layers_by_kind"], step_colours([2, 4, 16, 64])
    for depth, axes in zip((4, 8, 16), panels(figure, "b"), strict=True):
        assert len(axes.get_lines()) == 8
        for neuron, t in itertools.product(("sequential", "parallel"), colours):
            own = accumulated(layers, f"mlp {depth} x 10, L = 4", neuron, t)
            drawn_line = lines(axes)[f"{neuron} T={t}"]
            assert xy(drawn_line) == (list(range(depth)), list(own["rms_total"]))
            assert to_hex(drawn_line.get_color()) == colours[t]
            assert (drawn_line.get_linestyle() == "-") == (neuron == "sequential")
    assert len({a.get_ylim() for a in panels(figure, "b")}) == 1
    assert panels(figure, "b")[0].get_ylim()[0] == 0


def test_more_steps_are_darker() -> None:
    shades = [to_rgb(c) for c in step_colours([64, 1, 8, 4]).values()]
    luminance = [float(np.dot([0.2126, 0.7152, 0.0722], np.power(rgb, 2.2))) for rgb in shades]
    assert list(step_colours([64, 1, 8, 4])) == [1, 4, 8, 64]
    assert luminance == sorted(luminance, reverse=True)


# --- c: sources --------------------------------------------------------------------------------


def test_sources_are_stacked_sequential_up_and_parallel_down(three: tuple[Result, Figure]) -> None:
    result, figure = three
    layers = result.extra["layers_by_kind"]
    for t, axes in zip((4, 32), panels(figure, "c"), strict=True):
        assert axes.get_title(loc="left").endswith(f"Sources, T = {t}")
        for neuron, side in (("sequential", 1), ("parallel", -1)):
            own = accumulated(layers, "mlp 16 x 10, L = 4", neuron, t)
            base = np.zeros(16)
            for source in SOURCES:
                start, length = bars(axes, f"{neuron} {source}")
                wanted = side * own[f"rms_{source}"].to_numpy()
                assert length == pytest.approx(wanted, abs=1e-15)
                assert start == pytest.approx(base, abs=1e-15)
                base += wanted
            whole = lines(axes)[f"_total {neuron}"].get_ydata()
            assert list(whole) == list(side * own["rms_total"].to_numpy())
            assert (np.abs(base) <= max(np.abs(axes.get_ylim()))).all()


def test_no_minus_on_the_way_down(three: tuple[Result, Figure]) -> None:
    _, figure = three
    labels = [t.get_text() for t in panels(figure, "c")[0].get_yticklabels()]
    assert labels
    assert not any("-" in text or "−" in text for text in labels)


def test_exactly_0_is_said(three: tuple[Result, Figure]) -> None:
    _, figure = three
    level, later = panels(figure, "c")
    assert notes(level) == ["sequential IF", "parallel: exactly 0 in every layer"]
    assert notes(later) == ["sequential IF", "parallel"]
    where = {"neuron": "parallel", "time_steps": 4, "order": 3}
    made = change(record(Net()), "conversion_layers", where, total_squares=1e-20)
    assert notes(panels(drawn(made)[1], "c")[0])[1] == "parallel"


def test_one_kind_of_neuron_goes_up() -> None:
    _, figure = drawn(record(Net(neurons=("parallel",))))
    for axes in panels(figure, "c"):
        assert axes.get_ylim()[0] == 0
        assert min(bars(axes, "parallel quantisation")[1]) >= 0
    assert not panels(figure, "d")
    assert "upwards" not in caption(figure)
    assert "d: by how many" not in caption(figure)


# --- d: offsets --------------------------------------------------------------------------------


def test_offsets_of_the_sequential_neuron(one: tuple[Result, Figure]) -> None:
    result, figure = one
    (axes,) = panels(figure, "d")
    offsets = result.extra["offsets"]
    assert list(lines(axes)) == ["T = 2", "T = 4", "T = 16", "T = 64"]
    for t in (2, 4, 16, 64):
        own = accumulated(offsets, "mlp 4 x 10, L = 4", "sequential", t).sort_values("offset")
        x, y = xy(lines(axes)[f"T = {t}"])
        assert x == [-3, -2, -1, 0, 1, 2, 3]
        there = own["share"].to_numpy() > 0
        assert np.array(y)[there].tolist() == own["share"][there].tolist()
        assert np.isnan(np.array(y)[~there]).all()  # a share of 0 is no point
    assert axes.get_yscale() == "log"
    ends = [t.get_text() for t in axes.get_xticklabels()]
    assert (ends[0], ends[-1]) == ("≤−3", "≥3")


# --- e: activation against rate ----------------------------------------------------------------


def test_pairs_are_drawn_by_how_often(three: tuple[Result, Figure]) -> None:
    result, figure = three
    pairs = result.extra["pairs"]
    shown = panels(figure, "e")
    places = list(itertools.product((4, 32), (0, 8, 15)))
    for (t, order), axes in zip(places, shown, strict=True):
        assert axes.get_title() == f"layer {order}, T = {t}"
        for neuron in ("parallel", "sequential"):
            own = pairs[(pairs["time_steps"] == t) & (pairs["order"] == order)
                        & (pairs["neuron"] == neuron)]  # fmt: skip
            found = {}
            for name, marks in lines(axes).items():
                if name.startswith(neuron):
                    for point in zip(*xy(marks), strict=True):
                        found[point] = (int(name.split()[1]), marks.get_markersize())
            wanted = {(r["activation"], r["rate"]): r["pairs"] for _, r in own.iterrows()}
            assert set(found) == set(wanted)
            for point, count in wanted.items():
                often, size = found[point]
                assert often <= count < 2 * often
                assert size == 2 + np.log2(often)


def test_identity_saturation_and_its_share(three: tuple[Result, Figure]) -> None:
    result, figure = three
    layers = result.extra["layers"]
    for axes in panels(figure, "e"):
        assert xy(lines(axes)["_identity"]) == ([0, 1], [0, 1])
        assert set(lines(axes)["_one"].get_ydata()) == {1}
        assert notes(axes) == ["above θ: 2.0 %", "2.0 %"]
    assert set(layers["saturated_share"]) == {0.02}


def test_the_share_is_of_that_layer_and_neuron() -> None:
    where = {"neuron": "sequential", "time_steps": 8, "order": 2, "view": "accumulated"}
    _, figure = drawn(change(record(Net()), "conversion_layers", where, saturated=246))
    said = [notes(a)[1] for a in panels(figure, "e")]
    assert said == ["2.0 %"] * 4 + ["12.3 %", "2.0 %"]


# --- f: unevenness -----------------------------------------------------------------------------


def test_unevenness_in_log_log_with_the_line_1_over_T(one: tuple[Result, Figure]) -> None:
    result, figure = one
    (axes,) = panels(figure, "f")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    trials = result.extra["unevenness"]
    names = {"regular": "−1.00", "shuffled": "−0.70", "late": "0.00", "early": "0.00"}
    for inputs, slope in names.items():
        own = trials[trials["inputs"] == inputs]
        curve = lines(axes)[f"{inputs}, slope {slope}"]
        assert xy(curve) == (list(own["time_steps"]), list(own["rmse"]))
    steps, guide = (np.array(v) for v in xy(lines(axes)["_1/T"]))
    assert guide * steps == pytest.approx(guide[0] * steps[0], rel=1e-12)
    assert "1/T" in notes(axes)


# --- what a Record may lack --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "letters"),
    [
        (Net(levels=None), "abcdef"),
        (Net(neurons=("sequential",)), "abcdef"),
        (Net(neurons=("parallel",)), "abcef"),
        (Net(1), "abcdef"),
        (Net(1, levels=None, time_steps=(8,)), "abcdef"),
        (Net(neurons=FOUR), "abcdef"),
        (Net(facts={"depth": None, "width": None, "family": "mine:build"}), "abcdef"),
        (Net(neurons=("parallel", "sequential", "someone's own")), "abcdef"),
        (Net(time_steps=(1,)), "abcdef"),
    ],
)
def test_every_kind_of_network_is_drawn(net: Net, letters: str) -> None:
    _, figure = drawn(record(net))
    assert "".join(k for k in "abcdef" if panels(figure, k)) == letters
    for axes in figure.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()
    assert figure.get_tightbbox().width < 7.3  # inches: nothing sticks out of the page


@pytest.mark.parametrize(
    ("missing", "letters"),
    [
        (["conversion_layers"], "aef"),
        (["conversion_pairs"], "abcdf"),
        (["conversion_unevenness"], "abcde"),
        (["conversion_layers", "conversion_pairs", "conversion_unevenness"], "a"),
        (["conversion_expectation", "conversion_coverage"], "abcdef"),
    ],
)
def test_what_was_not_recorded_is_not_drawn(missing: list[str], letters: str) -> None:
    made = record(Net(), Net(8))
    for name in missing:
        del made.tables[name]
    _, figure = drawn(made)
    assert "".join(k for k in "abcdef" if panels(figure, k)) == letters
    for letter in "bcdef":
        assert (f" {letter}: " in caption(figure)) == (letter in letters)


def test_calibrated_networks_have_their_own_colours() -> None:
    _, figure = drawn(record(Net(neurons=FOUR)))
    (axes,) = panels(figure, "a")
    assert len({to_hex(lines(axes)[n].get_color()) for n in FOUR}) == 4
    dashes = {str(x._unscaled_dash_pattern) for x in panels(figure, "b")[0].get_lines()}
    assert len(dashes) == 4


# --- legends, captions and files ---------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        lambda: three_depths(seeds=1, time_steps=T),
        lambda: record(Net(neurons=FOUR)),
        lambda: record(*(Net(d, family=f) for f in ("mlp", "vgg") for d in (4, 8, 16))),
    ],
    ids=["three", "calibrated", "six"],
)  # fmt: skip
def test_nothing_overlaps(made: object) -> None:
    """Legends, titles and panels, as they are laid out."""
    assert callable(made)
    _, figure = drawn(made())
    FigureCanvasAgg(figure).draw()
    titles = [a._left_title for a in figure.axes if a.get_title(loc="left") and a.get_visible()]
    boxes = [legend.get_window_extent() for legend in figure.legends]
    boxes += [t.get_window_extent() for t in titles]
    boxes += [a.get_window_extent() for a in figure.axes if a.get_visible()]
    boxes += [a.xaxis.label.get_window_extent() for a in figure.axes if a.get_xlabel()]
    for a, b in itertools.combinations(boxes, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1), (a, b)
    assert figure.get_tightbbox().width < 7.3


def test_a_legend_takes_the_lines_that_it_needs() -> None:
    handles = [line(label="x" * 20) for _ in range(4)]
    assert [Legend(handles, 0, width).lines for width in (6.0, 3.0, 1.5, 0.1)] == [1, 2, 4, 4]
    assert Legend([]).lines == 1


def test_the_legends_name_what_is_there(one: tuple[Result, Figure]) -> None:
    _, figure = one
    said = [[t.get_text() for t in legend.get_texts()] for legend in figure.legends]
    assert said == [
        ["ANN", "requantised ANN", "parallel", "sequential IF"],
        ["T = 2", "T = 4", "T = 16", "T = 64", "parallel", "sequential IF"],
        ["unevenness", "quantisation", "inherited", "whole error"],  # QCFS clips nothing
        ["parallel", "sequential IF"],
    ]


def test_caption_of_the_drawing(three: tuple[Result, Figure], one: tuple[Result, Figure]) -> None:
    result, figure = three
    said = caption(figure)
    assert said.startswith(
        "Conversion. a: accuracy, the mean over seeds in a band of their range; requantised: the "
        "ANN whose quantisers have T levels. b: error of the rate"
    )
    assert "c: its sources, of mlp 16 x 10, L = 4, sequential upwards" in said
    assert said.endswith(result.caption)
    assert "band" not in caption(one[1])


def test_the_same_bytes_twice_and_a_small_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made = plausible(three_depths(1, time_steps=T), np.random.default_rng(1))
        style.save(conversion.compute(made).plot(), tmp_path / name)
    for file in ("figure.svg", "figure.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "figure.svg").stat().st_size < 400_000  # a page holds several
