"""The figure of an attribution, read back from its artists: the maps, and what surrounds them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from snnlens.analysis import attribution
from snnlens.figures import _attribution_cells as cells
from snnlens.figures import _attribution_maps as maps
from snnlens.figures import style
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from tests.unit.attribution_nets import Net, shown, volume
from tests.unit.attribution_record import change, record, without

EIGHT = ("ig", "gradient_shap", "saliency", "smoothgrad", "occlusion", "layer_ig", "gradcam", "sam")
NINE = (*EIGHT, "tsa")


def drawn(made: Record) -> tuple[Result, Figure]:
    result = attribution.compute(made)
    return result, result.plot()


def named(axes: Axes, gid: str) -> list[str]:
    return [t.get_text() for t in axes.texts if t.get_gid() == gid]


def rows(figure: Figure) -> dict[str, list[Axes]]:
    """The Axes of each cell: frames, bar, sum per step; by the cell's title."""
    found: dict[str, list[Axes]] = {}
    title = ""
    for axes in figure.axes:
        if axes.get_title(loc="left") or named(axes, "title"):
            break  # panel b
        title = next(iter(named(axes, "cell")), title)
        found.setdefault(title, []).append(axes)
    return found


def pictures(row: list[Axes], label: str = "map") -> list[AxesImage]:
    return [i for axes in row for i in axes.get_images() if i.get_label() == label]


def sums(row: list[Axes]) -> np.ndarray:
    """The sum per step, of what lies above the zero line and what below."""
    patches = [p for axes in row for p in axes.patches if isinstance(p, StepPatch)]
    return sum((np.asarray(p.get_data().values) for p in patches), np.zeros(1))


def numbers(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.texts if t.get_gid() == "numbers"]


def letters(figure: Figure) -> str:
    said = [t for a in figure.axes for t in (a.get_title(loc="left"), *named(a, "title"))]
    said += [t.get_text() for t in figure.texts if t.get_gid() == "heading"]
    return "".join(sorted({t[0] for t in said if t[1:3] == "  "}))


def caption(figure: Figure) -> str:
    return " ".join(figure.texts[-1].get_text().split())


@pytest.fixture(scope="module")
def four() -> tuple[Result, Figure]:
    return drawn(record())


# --- a: maps ---------------------------------------------------------------------------------


def test_every_frame_of_every_map_is_the_sum_over_channels(four: tuple[Result, Figure]) -> None:
    found = rows(four[1])
    assert list(found) == ["Input", "Ig", "Saliency", "Gradcam, spikes of layer2",
                           "Sam, spikes of layer2"]  # fmt: skip
    for method, row in zip(Net().methods, list(found.values())[1:], strict=True):
        arrays = [np.asarray(i.get_array()) for i in pictures(row)]
        wanted = volume(Net(), method, 0).sum(1)
        assert len(arrays) == 4
        for array, frame in zip(arrays, wanted, strict=True):
            assert array == pytest.approx(frame, abs=1e-12)


def test_the_input_lies_below_each_map_and_by_itself(four: tuple[Result, Figure]) -> None:
    wanted = shown(Net(), 0).sum(1)
    for row in rows(four[1]).values():
        under = pictures(row, "input")
        assert len(under) == 4
        for image, frame in zip(under, wanted, strict=True):
            assert np.array_equal(np.asarray(image.get_array()), frame)


def test_frames_lie_side_by_side_and_do_not_touch(four: tuple[Result, Figure]) -> None:
    for row in rows(four[1]).values():
        places = [i.get_extent() for i in pictures(row, "input")]
        assert [(b - a, *rest) for a, b, *rest in places] == [(4, 3.5, -0.5)] * 4
        for (_, right, *_), (left, *_) in itertools.pairwise(places):
            assert right < left < right + 0.4
        assert row[0].get_xlim() == (-0.5, pytest.approx(places[-1][1]))


def test_a_map_of_a_layer_is_drawn_at_its_own_resolution_over_the_whole_input(
    four: tuple[Result, Figure],
) -> None:
    row = rows(four[1])["Gradcam, spikes of layer2"]
    for image, under in zip(pictures(row), pictures(row, "input"), strict=True):
        assert np.asarray(image.get_array()).shape == (2, 2)
        assert image.get_extent() == under.get_extent()


def test_one_scale_a_method_and_its_bar_says_how_far(four: tuple[Result, Figure]) -> None:
    found = rows(four[1])
    reach = {"Ig": (0.478125, "±0.48"), "Saliency": (0.375, "0 to 0.38"),
             "Gradcam, spikes of layer2": (1.875, "±1.9"),
             "Sam, spikes of layer2": (1.5, "0 to 1.5")}  # fmt: skip
    for title, (most, said) in reach.items():
        signed = said.startswith("±")
        for image in pictures(found[title]):
            assert image.norm.vmin == pytest.approx(-most if signed else 0)
            assert image.norm.vmax == pytest.approx(most)
        bars = [a for a in found[title] if [t.get_text() for t in a.texts] == [said]]
        assert len(bars) == 1
        ramp = np.asarray(bars[0].get_images()[0].get_array())
        assert ramp[0, [0, -1]] == pytest.approx([-most if signed else 0, most])


def test_the_frames_scale_is_common_to_all_frames() -> None:
    """Of maps whose frames differ a thousandfold the faint ones stay faint."""
    where = {"method": "ig", "sample": 0, "frame": 2}
    _, figure = drawn(change(record(), "attribution_frames", where, value=500.0))
    assert {i.norm.vmax for i in pictures(rows(figure)["Ig"])} == {500.0}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("signed", style.BLUE, style.VERMILION), ("relevance", None, style.VERMILION),
     ("activity", None, style.GREEN)],
)  # fmt: skip
def test_colours_end_in_their_own_and_nothing_is_clear(
    name: str, low: str | None, high: str
) -> None:
    table = maps.colours(name)
    assert to_hex(table(1.0)) == high.lower()
    assert table(1.0)[3] == 1
    zero = table(0.5 if low else 0.0)
    assert zero[3] == pytest.approx(0, abs=0.02)  # 65 levels: the middle one is 1/64 from 0
    assert low is None or to_hex(table(0.0)) == low.lower()


def test_methods_without_relevance_have_their_own_colour(four: tuple[Result, Figure]) -> None:
    found = rows(four[1])
    names = {t: {i.get_cmap().name for i in pictures(found[t])} for t in list(found)[1:]}
    assert list(names.values()) == [{"signed"}, {"relevance"}, {"signed"}, {"activity"}]


def test_sums_per_step_with_a_zero_line(four: tuple[Result, Figure]) -> None:
    found = rows(four[1])
    for method, row in zip(Net().methods, list(found.values())[1:], strict=True):
        assert sums(row) == pytest.approx(volume(Net(), method, 0).sum((1, 2, 3)), abs=1e-12)
        (zero,) = [x for a in row for x in a.get_lines() if x.get_label() == "_zero"]
        assert set(zero.get_ydata()) == {0}
    assert sums(found["Input"]) == pytest.approx(shown(Net(), 0).sum((1, 2, 3)))
    colours = [to_hex(p.get_facecolor()) for a in found["Ig"] for p in a.patches
               if isinstance(p, StepPatch)]  # fmt: skip
    assert colours == [style.VERMILION.lower(), style.BLUE.lower()]


def test_time_is_labelled_once_where_all_maps_have_the_same_steps(
    four: tuple[Result, Figure],
) -> None:
    labels = [a.get_xlabel() for row in rows(four[1]).values() for a in row]
    assert [x for x in labels if x] == ["time step"]


def test_numbers_beside_a_map(four: tuple[Result, Figure]) -> None:
    random = "random 1.3–1.8"
    assert numbers(four[1]) == [
        "f(x) = 2", "f(baseline) = 0.5",
        "delta 2 %", "deletion 0.75", random,
        "deletion 1", random,
        "deletion 1.3", random,
        "activity, no class", "deletion 1.5", random,
    ]  # fmt: skip
    areas = four[0].extra["areas"]
    assert areas.loc[areas["method"] == "gradcam", "mean_area"].iloc[0] == pytest.approx(1.25)


def test_an_interval_of_random_orders_is_split_where_a_line_is_too_short() -> None:
    def said(shift: float, scale: float) -> list[str]:
        made = record(Net(methods=("ig",), samples=1))
        rows = made.tables["attribution_curves"]
        made.tables["attribution_curves"] = rows.assign(score=scale * (rows["score"] + shift))
        return numbers(drawn(made)[1])[4:]

    assert said(0, 1) == ["random 0.98–1.3"]
    assert said(-3, 1) == ["random −2 to −1.7"]
    assert said(0, 1e-5) == ["random 9.8·10⁻⁶–1.3·10⁻⁵"]
    assert said(-3, 1e-5) == ["random −2·10⁻⁵", "  to −1.7·10⁻⁵"]


def test_the_heading_says_which_sample_and_why() -> None:
    def heading(made: Record) -> str:
        return next(t.get_text() for t in drawn(made)[1].texts if t.get_gid() == "heading")

    right = "a  Sample 0 (the first that is classified right): class 0, predicted 0"
    assert heading(record()) == right
    wrong = change(record(), "attribution_maps", {}, label=3)
    assert (
        heading(wrong) == "a  Sample 0 (the first; none is classified right): class 3, predicted 0"
    )
    unknown = change(record(), "attribution_maps", {}, label=pd.NA, target=2)
    assert heading(unknown) == (
        "a  Sample 0 (the first; the labels are not known): predicted 0, explained for 2"
    )


def test_a_map_of_zeros_is_drawn_and_says_so() -> None:
    made = record()
    table = made.tables["attribution_frames"]
    made.tables["attribution_frames"] = table[table["method"] != "ig"]
    _, figure = drawn(made)
    assert numbers(figure).count("all values are 0") == 1
    images = pictures(rows(figure)["Ig"])
    assert len(images) == 4
    assert not any(np.asarray(i.get_array()).any() for i in images)
    _, figure = drawn(without(made, "attribution_frames"))  # a silent network has no rows at all
    assert numbers(figure).count("all values are 0") == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_no_number_is_still_drawn(value: float) -> None:
    made = change(record(), "attribution_frames", {"method": "ig"}, value=value)
    made = change(made, "attribution_time", {"method": "ig", "step": 2}, value=value)
    made = change(made, "attribution_maps", {"method": "ig"}, delta=value, total=value)
    FigureCanvasAgg(drawn(made)[1]).draw()


def test_frames_of_a_long_sequence_say_their_steps() -> None:
    _, figure = drawn(record(Net(time_steps=30, samples=1)))
    row = rows(figure)["Input"]
    said = named(row[0], "steps")
    edges = np.linspace(0, 30, 9).round().astype(int)
    wanted = [f"{a}–{b - 1}" for a, b in itertools.pairwise(edges)]
    assert said == [f"steps {wanted[0]}", *wanted[1:]]
    assert len(pictures(row, "input")) == 8
    whole = np.add.reduceat(shown(Net(time_steps=30), 0).sum(1), edges[:-1])
    for image, frame in zip(pictures(row, "input"), whole, strict=True):
        assert np.array_equal(np.asarray(image.get_array()), frame)


# --- a static image ----------------------------------------------------------------------------


def test_maps_over_pixels_have_one_frame_and_come_first() -> None:
    _, figure = drawn(record(Net(static=True)))
    found = rows(figure)
    assert list(found) == ["Input", "Ig", "Saliency", "Ig, spikes of layer1",
                           "Saliency, spikes of layer1", "Gradcam, spikes of layer2",
                           "Sam, spikes of layer2"]  # fmt: skip
    counts = [len(pictures(row)) for row in list(found.values())[1:]]
    assert counts == [1, 1, 4, 4, 4, 4]
    assert not any(isinstance(p, StepPatch) for a in found["Ig"] for p in a.patches)
    image = pictures(found["Ig"])[0].get_array()
    assert np.asarray(image) == pytest.approx(
        volume(Net(static=True), "ig", 0, "input").sum((0, 1)), abs=1e-12
    )


def test_the_one_image_lies_below_all_frames_over_its_spikes() -> None:
    _, figure = drawn(record(Net(static=True)))
    wanted = shown(Net(static=True), 0).sum((0, 1))
    for image in pictures(rows(figure)["Ig, spikes of layer1"], "input"):
        assert np.array_equal(np.asarray(image.get_array()), wanted)


def test_an_image_is_bright_where_it_is_bright_and_events_are_dark() -> None:
    axes = Figure().subplots()
    ends = []
    for static in (True, False):
        under = maps.Under(np.eye(2)[None], static)
        (image,) = maps.strip(axes, under.frames, None, under)
        ends.append([image.get_cmap()(x)[0] for x in (0.0, 1.0)])
    assert ends[0] == pytest.approx([0.15, 1])
    assert ends[1] == pytest.approx([1, 0.15])


# --- features without space --------------------------------------------------------------------


def features(steps: int = 25, count: int = 12) -> Record:
    """A Record whose input and maps are features in one row."""
    made = record(Net(time_steps=steps, methods=("ig", "saliency"), samples=1))
    shapes = made.tables["attribution_shapes"]
    made.tables["attribution_shapes"] = shapes.assign(height=1, width=count, channels=1, frames=8)
    parts = np.array_split(np.arange(steps), 8)
    lines = [
        {"frame": i, "first_step": p[0], "last_step": p[-1], "y": 0, "x": x,
         "value": float(10 * i + x)}
        for i, p in enumerate(parts) for x in range(count)
    ]  # fmt: skip
    table = pd.DataFrame(lines)
    keys = {"network": "net", "place": "input", "sample": 0}
    made.tables["attribution_frames"] = pd.concat(
        [table.assign(**keys, method=m) for m in ("ig", "saliency")]
    )
    made.tables["attribution_inputs"] = table.assign(network="net", sample=0)
    return made


def test_features_are_a_plane_over_time_whose_frames_keep_their_width() -> None:
    _, figure = drawn(features())
    found = rows(figure)
    for title in ("Input", "Ig", "Saliency"):
        axes = found[title][0]
        (image,) = axes.get_images()
        array = np.asarray(image.get_array())
        assert array.shape == (12, 25)
        wide = [len(p) for p in np.array_split(np.arange(25), 8)]  # 4, 3, 3, ...
        wanted = np.repeat(10 * np.arange(8), wide) + np.arange(12)[:, None]
        assert np.array_equal(array, wanted)
        assert image.get_extent() == [-0.5, 24.5, -0.5, 11.5]
        assert axes.get_ylabel() == "feature"
    assert {i.norm.vmax for i in pictures(found["Ig"])} == {81.0}


def test_many_features_are_drawn_in_blocks_on_their_own_axis() -> None:
    _, figure = drawn(features(count=300))
    image = rows(figure)["Ig"][0].get_images()[0]
    assert np.asarray(image.get_array()).shape == (150, 25)
    assert image.get_extent() == [-0.5, 24.5, -0.5, 299.5]
    assert "; drawn as sums of 2 features" in caption(figure)


# --- sizes -------------------------------------------------------------------------------------


def test_large_maps_are_drawn_as_sums_of_blocks() -> None:
    net = Net(side=100, samples=1, methods=("ig",))
    _, figure = drawn(record(net))
    image = pictures(rows(figure)["Ig"])[2]
    array = np.asarray(image.get_array())
    whole = volume(net, "ig", 0)[2].sum(0)
    padded = np.pad(whole, (0, 2))
    assert array.shape == (34, 34)
    for y, x in itertools.product(range(34), repeat=2):
        wanted = padded[3 * y : 3 * y + 3, 3 * x : 3 * x + 3].sum()
        assert array[y, x] == pytest.approx(wanted, abs=1e-12)
    assert "; drawn as sums of 3 x 3 pixels" in caption(figure)
    assert "drawn as" not in caption(drawn(record())[1])


def test_wide_inputs_keep_their_shape() -> None:
    values = np.zeros((4, 10, 40))
    under = maps.Under(values, static=False)
    scale = maps.scale(values, signed=True, relevance=True)
    cell = cells.Cell("", values, [0, 1, 2, 3, 4], scale, pd.DataFrame(), [], under)
    wide, tall = cell.side
    assert wide == pytest.approx(4 * tall)
    assert tall <= cells.LARGEST
    assert cell.strip <= cells.ROOM - cells.NUMBERS


def test_at_most_eight_methods_are_drawn() -> None:
    result, figure = drawn(record(Net(methods=NINE)))
    assert len(rows(figure)) == 1 + 8
    assert "the first 8 of 9 methods" in caption(figure)
    assert result.extra["summary"]["method"].nunique() == 9
    assert "methods" not in caption(drawn(record(Net(methods=EIGHT)))[1]).split("a: ")[1][:40]


@pytest.mark.parametrize(
    "net",
    [
        Net(), Net(methods=EIGHT, side=12, time_steps=8), Net(static=True), Net(methods=("sam",)),
        Net(time_steps=1), Net(time_steps=300, samples=1, draws=1), Net(draws=1),
        Net(static=True, methods=("ig",)), Net(sites=("a.very.long.name.of.a.spiking.layer",) * 1),
    ],
)  # fmt: skip
def test_every_kind_of_network_is_drawn(net: Net) -> None:
    _, figure = drawn(record(net))
    assert figure.get_figwidth() == 7.1
    for axes in figure.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()
    FigureCanvasAgg(figure).draw()
    assert figure.get_tightbbox().width < 7.3  # inches: nothing sticks out of the page


@pytest.mark.parametrize(
    "made",
    [record, lambda: record(Net(methods=EIGHT, side=12, time_steps=8)),
     lambda: record(Net(static=True)), features],
    ids=["four", "eight", "static", "features"],
)  # fmt: skip
def test_nothing_overlaps_and_no_text_is_tiny(made: object) -> None:
    assert callable(made)
    _, figure = drawn(made())
    FigureCanvasAgg(figure).draw()
    boxes = [legend.get_window_extent() for legend in figure.legends]
    boxes += [a.get_window_extent() for a in figure.axes if a.get_visible()]
    boxes += [t.get_window_extent() for t in figure.texts]
    boxes += [a.xaxis.label.get_window_extent() for a in figure.axes if a.get_xlabel()]
    boxes += [a._left_title.get_window_extent() for a in figure.axes if a.get_title(loc="left")]
    boxes += [t.get_window_extent() for a in figure.axes for t in a.texts
              if t.get_gid() in {"cell", "title"}]  # fmt: skip
    for one, other in itertools.combinations(boxes, 2):
        aside = one.x0 >= other.x1 - 0.5 or other.x0 >= one.x1 - 0.5
        assert aside or one.y0 >= other.y1 - 0.5 or other.y0 >= one.y1 - 0.5, (one, other)
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    assert min(t.get_fontsize() for t in texts) >= 6


# --- what a Record may lack --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ([], "abcdefg"),
        (["attribution_shapes"], "bcdefg"),
        (["attribution_time"], "abcdefg"),
        (["attribution_inputs"], "abcdefg"),
        (["attribution_curves"], "adefg"),
        (["attribution_pairs"], "abcfg"),
        (["attribution_membranes"], "abcdef"),
        (["attribution_rasters"], "abcdefg"),  # its layers are listed, and were silent
        (["attribution_rasters", "attribution_layers"], "abcdeg"),
        (["attribution_curves", "attribution_pairs", "attribution_rasters", "attribution_layers",
          "attribution_membranes", "attribution_trust"], "a"),
    ],
)  # fmt: skip
def test_what_was_not_recorded_is_not_drawn(missing: list[str], found: str) -> None:
    _, figure = drawn(without(record(Net(methods=("ig", "sam"))), *missing))
    assert letters(figure) == found
    for letter in "adefg":
        assert (f". {letter}: " in caption(figure)) == (letter in found)


def test_maps_without_the_input_below() -> None:
    _, figure = drawn(without(record(), "attribution_inputs"))
    found = rows(figure)
    assert "Input" not in found
    assert not pictures(found["Ig"], "input")
    assert len(pictures(found["Ig"])) == 4


def test_numbers_alone() -> None:
    everything = [t for t in record().tables if t != "attribution_maps"]
    _, figure = drawn(without(record(), *everything))
    assert not figure.axes
    assert figure.texts[0].get_text() == "no maps were kept"


# --- captions and files ------------------------------------------------------------------------


def test_caption_of_the_drawing(four: tuple[Result, Figure]) -> None:
    result, figure = four
    said = caption(figure)
    assert said.startswith("Attribution. a: maps of one sample, channels and the steps of a frame")
    assert "green activity that claims no class" in said
    assert said.endswith(result.caption)


def test_the_same_bytes_twice_and_a_small_file(tmp_path: Path) -> None:
    """Of events like N-MNIST's: 300 steps of 34 x 34, the input full of events."""
    six = ("ig", "saliency", "input_x_gradient", "occlusion", "gradcam", "sam")
    net = Net(time_steps=300, side=34, samples=1, draws=2, methods=six)
    result = attribution.compute(record(net))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        style.save(result.plot(), tmp_path / name)
    for file in ("figure.svg", "figure.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "figure.svg").stat().st_size < 800_000  # a page takes 1 MB of one
