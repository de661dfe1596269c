"""What surrounds the maps: curves, agreement, robustness, spikes, membranes; and one map alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

from snnlens.analysis import attribution
from snnlens.figures import _attribution_curves as trust
from snnlens.figures import _attribution_maps as maps
from snnlens.figures import _attribution_spikes as spikes
from snnlens.figures import style
from snnlens.figures.attribution import map_figure
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from tests.unit.attribution_nets import Net
from tests.unit.attribution_record import change, record, without

METHODS = ("ig", "saliency", "gradcam", "sam")
LAYER = {"neurons": 2312, "shown": 200}


def drawn(made: Record) -> tuple[Result, Figure]:
    result = attribution.compute(made)
    return result, result.plot()


def titled(figure: Figure) -> dict[str, list[Axes]]:
    """Panels by letter: of a row the one that bears it, and those that follow."""
    found: dict[str, list[Axes]] = {}
    letter = "a"
    for axes in figure.axes:
        own = [t.get_text() for t in axes.texts if t.get_gid() == "title"]
        said = next((t for t in (*own, axes.get_title(loc="left")) if t[1:3] == "  "), "")
        letter = said[:1] or letter
        found.setdefault(letter, []).append(axes)
    return found


def lines(axes: Axes) -> dict[str, Line2D]:
    return {str(x.get_label()): x for x in axes.get_lines()}


def xy(one: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in one.get_xdata()], [float(y) for y in one.get_ydata()]


@pytest.fixture(scope="module")
def four() -> tuple[Result, dict[str, list[Axes]], Figure]:
    result, figure = drawn(record())
    return result, titled(figure), figure


# --- b, c: curves ------------------------------------------------------------------------------


@pytest.mark.parametrize(("letter", "kind"), [("b", "deletion"), ("c", "insertion")])
def test_curves_are_those_of_the_table(letter: str, kind: str, four: Any) -> None:
    result, found, _ = four
    table = result.extra["curves"]
    assert [a.get_title(loc="left") for a in found[letter]] == ["pixels", "steps", "events"]
    for axes in found[letter]:
        over = axes.get_title(loc="left")
        here = table[(table["kind"] == kind) & (table["over"] == over)]
        for method in (*METHODS, "random"):
            own = here[here["method"] == method]
            assert xy(lines(axes)[method]) == (list(own["share"]), list(own["score"]))
        (band,) = axes.collections
        random = here[here["method"] == "random"]
        edge = {(x, y) for x, y in band.get_paths()[0].vertices.tolist()}
        for end in ("low", "high"):
            assert set(zip(random["share"], random[end], strict=True)) <= edge
    assert found[letter][0].get_ylabel() == "score of the class"
    assert {a.get_xlabel() for a in found[letter]} == {trust.SHARE[kind]}


def test_all_curves_share_one_scale(four: Any) -> None:
    _, found, _ = four
    assert len({a.get_ylim() for a in [*found["b"], *found["c"]]}) == 1


def test_a_method_has_one_colour_and_nine_methods_can_be_told_apart() -> None:
    looks = trust.looks([str(i) for i in range(9)])
    assert len({(v["color"], str(v["linestyle"])) for v in looks.values()}) == 9
    two = trust.looks(["a", "b"]), trust.looks(["a", "b", "c"])
    assert two[0]["b"] == two[1]["b"]


def test_the_legend_names_what_is_there(four: Any) -> None:
    _, _, figure = four
    said = [[t.get_text() for t in legend.get_texts()] for legend in figure.legends]
    assert said == [["Ig", "Saliency", "Gradcam", "Sam", "random orders"],
                    ["surrogate", "seed", "permuted weights"]]  # fmt: skip


def test_one_random_order_is_a_line_without_a_width() -> None:
    _, figure = drawn(record(Net(draws=1, methods=("ig",))))
    axes = titled(figure)["b"][0]
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices
    assert set(map(tuple, heights.tolist())) == set(zip(*xy(lines(axes)["random"]), strict=True))


def test_curves_of_a_static_image_are_told_apart() -> None:
    result, figure = drawn(record(Net(static=True)))
    found = titled(figure)
    titles = [a.get_title(loc="left") for a in found["b"]]
    assert titles == ["pixels of the image", "pixels of the spikes", "steps of the spikes",
                      "events of the spikes"]  # fmt: skip
    assert set(lines(found["b"][0])) == {"ig", "saliency", "random"}
    assert set(lines(found["b"][1])) == {*METHODS, "random"}
    assert (result.extra["curves"]["over"] == "events").any()


def test_one_kind_of_curve_lies_in_one_row() -> None:
    made = record()
    rows = made.tables["attribution_curves"]
    made.tables["attribution_curves"] = rows[rows["over"] == "events"]
    found = titled(drawn(made)[1])
    assert [len(found[x]) for x in "bc"] == [1, 1]
    tops = {round(found[x][0].get_position().y1, 6) for x in "bc"}
    assert len(tops) == 1


# --- d: agreement ------------------------------------------------------------------------------


def test_the_matrix_and_its_numbers(four: Any) -> None:
    result, found, _ = four
    (axes,) = found["d"]
    (image,) = axes.get_images()
    values = np.asarray(image.get_array())
    rows = result.extra["agreement"]
    for y, one in enumerate(METHODS):
        for x, other in enumerate(METHODS):
            own = rows[(rows["method"] == one) & (rows["other"] == other)]
            assert values[y, x] == own["rank_correlation"].iloc[0]
            said = [t.get_text() for t in axes.texts if t.get_position() == (x, y)]
            assert said == [trust.coefficient(values[y, x])]
    assert (image.norm.vmin, image.norm.vmax) == (-1, 1)
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["Ig", "Saliency", "Gradcam", "Sam"]
    assert [t.get_text() for t in axes.get_xticklabels()] == names


def test_a_method_without_ranks_has_dashes() -> None:
    made = change(record(), "attribution_pairs", {"kind": "method", "other": "sam"},
                  rank_correlation=math.nan)  # fmt: skip
    (axes,) = titled(drawn(made)[1])["d"]
    said = [t.get_text() for t in axes.texts if 3 in t.get_position()]
    assert said == ["–"] * 7


# --- e: robustness -----------------------------------------------------------------------------


def test_dots_of_samples_and_their_median() -> None:
    made = record()
    for sample, value in enumerate((0.2, 0.4, 0.9)):
        where = {"kind": "weights", "method": "saliency", "sample": sample}
        made = change(made, "attribution_pairs", where, rank_correlation=value)
    result, figure = drawn(made)
    (axes,) = titled(figure)["e"]
    for kind, off in (("surrogate", -trust.APART), ("seed", 0.0), ("weights", trust.APART)):
        value, at = xy(lines(axes)[kind])
        assert at == pytest.approx([i + off for i in range(4)])
        column = f"rank_correlation_{kind}"
        assert value == result.extra["summary"][column].tolist()
        small = xy(lines(axes)[f"_{kind}"])
        assert sorted(small[0]) == sorted(
            result.extra["robustness"].query("kind == @kind")["rank_correlation"]
        )
    assert xy(lines(axes)["weights"])[0][1] == 0.4
    assert axes.get_ylim() == (3.5, -0.5)  # in the rows of the matrix beside it
    assert axes.get_xlabel().startswith("rank correlation")


def test_negative_correlations_are_inside() -> None:
    made = change(record(), "attribution_pairs", {"kind": "weights"}, rank_correlation=-0.7)
    (axes,) = titled(drawn(made)[1])["e"]
    assert axes.get_xlim()[0] == pytest.approx(-0.8)
    made = change(record(), "attribution_pairs", {}, rank_correlation=math.nan)
    assert np.isfinite(titled(drawn(made)[1])["e"][0].get_xlim()).all()


def test_robustness_alone_names_its_rows() -> None:
    made = record(Net(methods=("ig",)))
    found = titled(drawn(made)[1])
    assert "d" not in found
    (axes,) = found["e"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Ig"]
    assert axes.yaxis.get_tick_params()["labelleft"]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.724, ".72"), (-0.05, "−.05"), (1.0, "1"), (-1.0, "−1"), (0.0, "0"), (-0.001, "0"),
     (0.999, "1"), (math.nan, "–")],
)  # fmt: skip
def test_coefficients(value: float, said: str) -> None:
    assert trust.coefficient(value) == said


# --- f, g: spikes and membranes ------------------------------------------------------------------


def test_a_mark_for_every_spike(four: Any) -> None:
    result, found, _ = four
    rows = result.extra["rasters"]
    for axes, site in zip(found["f"], ("layer1", "layer2"), strict=True):
        own = rows[rows["site"] == site]
        assert xy(lines(axes)["spikes"]) == (list(own["step"]), list(own["neuron"]))
        assert axes.get_xlim() == (-0.5, 3.5)
        assert axes.get_ylim() == (-0.5, 15.5)  # all neurons of the layer
        assert axes.get_title(loc="left") == f"site {site}: 6 of 16 neurons"
        assert axes.get_ylabel() == "neuron"
    assert [a.get_xlabel() for a in found["f"]] == ["", "time step"]


def sparse(count: int, steps: int = 300) -> pd.DataFrame:
    """So many spikes of neurons that are evenly chosen in a layer of 2312."""
    ids = np.linspace(0, 2311, 200).round().astype(int)
    at = np.random.default_rng(0).choice(200 * steps, count, replace=False)
    return pd.DataFrame({"step": at % steps, "neuron": ids[at // steps]})


def test_many_spikes_are_a_picture_with_a_pixel_each() -> None:
    rows = sparse(spikes.MOST + 1)
    axes = Figure().subplots()
    made = spikes.raster(axes, rows, LAYER, 300)
    assert isinstance(made, AxesImage)
    array = np.asarray(made.get_array())
    assert array.shape == (200, 300)
    assert array.sum() == spikes.MOST + 1
    ids = np.linspace(0, 2311, 200).round().astype(int).tolist()
    found = {(int(t), ids[n]) for n, t in np.argwhere(array)}
    assert found == set(zip(rows["step"], rows["neuron"], strict=True))
    assert made.get_extent() == [-0.5, 299.5, -0.5, 2311.5]
    assert axes.get_ylim() == (-0.5, 2311.5)


def test_few_spikes_are_marks() -> None:
    rows = sparse(spikes.MOST)
    made = spikes.raster(Figure().subplots(), rows, LAYER, 300)
    assert isinstance(made, Line2D)
    assert len(made.get_xdata()) == spikes.MOST
    assert made.get_marker() == "|"
    few = spikes.raster(Figure().subplots(), sparse(20, 4), LAYER, 4)
    assert few.get_marker() == "_"  # over four steps an upright mark would not be seen


def test_one_neuron_that_fires_always_is_a_picture_too() -> None:
    rows = pd.DataFrame({"step": np.arange(3000), "neuron": 0})
    made = spikes.raster(Figure().subplots(), rows, {"neurons": 1, "shown": 1}, 3000)
    assert np.asarray(made.get_array()).sum() == 3000


def test_silent_layers_are_shown_as_such() -> None:
    made = record()
    rows = made.tables["attribution_rasters"]
    made.tables["attribution_rasters"] = rows[rows["site"] == "layer2"]
    titles = [a.get_title(loc="left") for a in titled(drawn(made)[1])["f"]]
    assert titles == ["site layer1: 6 of 16 neurons, no spike", "site layer2: 6 of 16 neurons"]
    titles = [a.get_title(loc="left")
              for a in titled(drawn(without(made, "attribution_rasters"))[1])["f"]]  # fmt: skip
    assert all(t.endswith("no spike") for t in titles)


def test_membranes_their_threshold_and_their_spikes(four: Any) -> None:
    result, found, _ = four
    rows = result.extra["membranes"]
    assert len(found["g"]) == 3
    for neuron, axes in enumerate(found["g"]):
        own = rows[rows["neuron"] == neuron]
        assert xy(lines(axes)["membrane"]) == (list(own["step"]), list(own["membrane"]))
        assert set(lines(axes)["threshold"].get_ydata()) == {1.0}
        fired, height = xy(lines(axes)["spike"])
        assert fired == list(own.loc[own["spike"], "step"])
        assert all(own["membrane"].max() < h < axes.get_ylim()[1] for h in height)
        assert axes.get_title(loc="left") == f"site layer1, neuron {neuron}"
        assert axes.get_ylabel() == "H"


def test_membranes_far_below_rest_are_inside() -> None:
    made = change(record(), "attribution_membranes", {"step": 1}, membrane=-20.0)
    for axes in titled(drawn(made)[1])["g"]:
        assert axes.get_ylim()[0] < -20


def test_spikes_of_another_sample_say_so() -> None:
    """The first sample that is right is number 1; spikes were recorded of number 0."""
    made = change(record(), "attribution_maps", {"sample": 0}, label=3)
    said = [t.get_text() for x in "fg" for a in titled(drawn(made)[1])[x] for t in a.texts
            if t.get_gid() == "title"]  # fmt: skip
    assert said == ["f  Spikes of sample 0", "g  Membranes of sample 0"]


# --- a map by itself -----------------------------------------------------------------------------


def given(values: np.ndarray, **more: Any) -> dict[str, Any]:
    return {
        "values": values, "shown": np.ones_like(values), "method": "ig", "place": "input",
        "signed": True, "target": 3, "predicted": 5, "score": 0.9, "baseline_score": 0.1,
        "delta": -0.2,
    } | more  # fmt: skip


def pictures(figure: Figure, label: str = "map") -> list[np.ndarray]:
    return [np.asarray(i.get_array()) for a in figure.axes for i in a.get_images()
            if i.get_label() == label]  # fmt: skip


def said(figure: Figure, gid: str) -> list[str]:
    return [t.get_text() for t in figure.texts if t.get_gid() == gid]


def test_a_map_by_itself_is_drawn_in_eight_frames() -> None:
    values = np.random.default_rng(0).normal(size=(19, 2, 5, 6))
    figure = map_figure(given(values))
    frames = [values[p].sum((0, 1)) for p in np.array_split(np.arange(19), 8)]
    assert pictures(figure) == [pytest.approx(f, abs=1e-12) for f in frames]
    assert [p.max() for p in pictures(figure, "input")] == [6, 6, 6, 4, 4, 4, 4, 4]
    sums = [p.get_data().values for a in figure.axes for p in a.patches
            if isinstance(p, StepPatch)]  # fmt: skip
    assert sum(sums) == pytest.approx(values.sum((1, 2, 3)), abs=1e-12)
    assert said(figure, "heading") == ["Map for class 3, predicted 5"]
    assert said(figure, "numbers") == ["delta 25 %", "f(x) = 0.9", "f(baseline) = 0.1"]


def test_a_map_of_an_image_has_one_frame() -> None:
    values = np.random.default_rng(0).normal(size=(1, 3, 8, 8))
    figure = map_figure(given(values, delta=math.nan))
    assert pictures(figure) == [pytest.approx(values.sum((0, 1)), abs=1e-12)]
    assert not [a for a in figure.axes if a.get_xlabel()]
    assert said(figure, "numbers") == ["f(x) = 0.9", "f(baseline) = 0.1"]


@pytest.mark.parametrize("shape", [(10, 7), (10, 1, 1, 7)])
def test_a_map_of_features_is_a_plane(shape: tuple[int, ...]) -> None:
    values = np.arange(70.0).reshape(shape)
    (array,) = pictures(map_figure(given(values)))
    assert array.shape == (7, 10)
    parts = np.array_split(np.arange(10), 8)
    wanted = np.concatenate([np.tile(values.reshape(10, 7)[p].sum(0), (len(p), 1)) for p in parts])
    assert np.array_equal(array.T, wanted)


def test_a_map_without_channels_and_one_without_change_of_the_score() -> None:
    figure = map_figure(given(np.ones((2, 4, 4)), score=0.1))
    assert [p.shape for p in pictures(figure)] == [(4, 4)] * 2
    assert said(figure, "numbers") == ["f(x) = 0.1", "f(baseline) = 0.1"]


def test_a_map_of_zeros_says_so() -> None:
    assert said(map_figure(given(np.zeros((2, 1, 4, 4)))), "numbers")[-1] == "all values are 0"


def test_a_map_of_activity_over_a_layer() -> None:
    figure = map_figure(given(np.ones((3, 1, 4, 4)), place="sn1", signed=False, relevance=False,
                              title="Spike activation map"))  # fmt: skip
    (title,) = [t.get_text() for a in figure.axes for t in a.texts if t.get_gid() == "cell"]
    assert title == "Spike activation map, spikes of sn1"
    colours = {to_hex(i.get_cmap()(1.0)) for a in figure.axes for i in a.get_images()
               if i.get_label() == "map"}  # fmt: skip
    assert colours == {style.GREEN.lower()}


# --- pieces --------------------------------------------------------------------------------------


def test_frames_of_which_some_are_all_zero_keep_their_steps() -> None:
    rows = pd.DataFrame({"frame": [0, 2], "first_step": [0, 6], "last_step": [3, 7]})
    assert maps.edges(rows, 3, 8) == [0, 4, 6, 8]
    assert maps.edges(rows.iloc[:0], 3, 8) == [0, 3, 6, 8]
    assert maps.edges(rows.iloc[:0], 1, 1) == [0, 1]


def test_a_dense_map_is_the_sparse_one() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5)) * (np.arange(60).reshape(3, 4, 5) % 2)
    frame, y, x = np.nonzero(values)
    rows = pd.DataFrame({"frame": frame, "y": y, "x": x, "value": values[frame, y, x]})
    assert np.array_equal(maps.dense(rows, 3, 4, 5), values)
