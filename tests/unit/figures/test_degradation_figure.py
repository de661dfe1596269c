"""The degradation figure, read back from its artists."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from snnlens.analysis import degradation
from snnlens.experiments._published import record as of_logs
from snnlens.figures import style
from snnlens.figures.degradation import DEPTHS, depth_colours, spread
from snnlens.recording.result import Result
from tests.unit.analysis.trainings import Run, papers, record, sweep, three_seeds

COLUMNS = ["train_loss", "train_top1", "test_top1"]


def drawn(*runs: Run) -> tuple[Result, Figure]:
    result = degradation.compute(record(*runs))
    return result, result.plot()


def lines(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.get_lines()}


def notes(axes: Axes) -> list[str]:
    return [t.get_text() for t in axes.texts]


def xy(line: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()]


@pytest.fixture(scope="module")
def of_sweep() -> tuple[Result, Figure]:
    result = degradation.compute(three_seeds())
    return result, result.plot()


# --- by epoch ----------------------------------------------------------------------------------


def test_panels(of_sweep: tuple[Result, Figure]) -> None:
    _, figure = of_sweep
    assert len(figure.axes) == 3 * 2 + 2
    assert [a.get_title(loc="left") for a in figure.axes[:2]] == [
        "SEW ResNet, ADD", "Spiking ResNet",
    ]  # fmt: skip
    labels = ["training loss (nats)", "training accuracy (%)", "test accuracy (%)"]
    assert [a.get_ylabel() for a in figure.axes[:6:2]] == labels
    assert [a.get_ylabel() for a in figure.axes[1:6:2]] == [""] * 3
    assert {a.get_xlabel() for a in figure.axes[4:6]} == {"epoch"}
    assert figure.get_figwidth() == 7.1


def test_a_row_has_one_scale(of_sweep: tuple[Result, Figure]) -> None:
    _, figure = of_sweep
    for left, right in zip(figure.axes[:6:2], figure.axes[1:6:2], strict=True):
        assert left.get_ylim() == right.get_ylim()
        assert left.get_ylim()[0] == 0
        top = max(line.get_ydata().max() for a in (left, right) for line in a.get_lines())
        assert left.get_ylim()[1] > top


def test_mean_over_seeds_in_the_band_of_all(of_sweep: tuple[Result, Figure]) -> None:
    result, figure = of_sweep
    curves, table = result.extra["curves"], result.table
    for row, column in enumerate(COLUMNS):
        for at, kind in enumerate(("sew-add", "spiking")):
            axes = figure.axes[2 * row + at]
            assert list(lines(axes)) == [f"{kind} {depth}" for depth in (8, 20, 32, 56)]
            bands = {str(b.get_label()): b for b in axes.collections}
            for depth in (8, 20, 32, 56):
                own = table[(table["kind"] == kind) & (table["depth"] == depth)]["network"]
                by_seed = np.array([curves.loc[curves["network"] == n, column] for n in own])
                x, y = xy(lines(axes)[f"{kind} {depth}"])
                assert x == list(range(20))
                assert y == pytest.approx(by_seed.mean(0), rel=1e-12)
                edge = bands[f"_band {kind} {depth}"].get_paths()[0].vertices[:, 1]
                assert edge.min() == by_seed.min()
                assert edge.max() == by_seed.max()


def test_one_seed_has_no_band() -> None:
    _, figure = drawn(*sweep({"sew-add": {8: [0.4], 20: [0.3]}}))
    assert not figure.axes[0].collections
    assert "mean over seeds" not in figure.texts[-1].get_text()


def test_a_run_that_stopped_is_in_no_mean() -> None:
    runs = sweep({"sew-add": {8: [0.4, 0.4], 20: [0.3]}})
    stopped = Run("sew", "add", 20, 1, 5.0, logged=4, state="failed")
    result, figure = drawn(*runs, stopped)
    own = result.extra["curves"].query("network == 'sew-add-20-s0'")
    assert xy(lines(figure.axes[0])["sew-add 20"])[1] == list(own["train_loss"])
    points = [xy(line) for name, line in lines(figure.axes[3]).items() if "trained" in name]
    assert points == [([8.0, 8.0, 20.0], pytest.approx([0.4, 0.4, 0.3], rel=1e-12))]


def test_a_depth_that_only_runs_yet_is_drawn() -> None:
    runs = [Run(depth=8), Run(depth=20, logged=4, state="running")]
    _, figure = drawn(*runs)
    assert len(xy(lines(figure.axes[0])["sew-add 20"])[0]) == 4


def test_one_epoch_is_a_point() -> None:
    _, figure = drawn(*(Run(depth=d, logged=1, state="running") for d in (8, 20)))
    assert {line.get_marker() for line in figure.axes[0].get_lines()} == {"o"}


@pytest.mark.parametrize(
    ("depths", "colours"),
    [
        ([8, 20], [DEPTHS[0], DEPTHS[5]]),
        ([152, 18, 34, 50, 101], [DEPTHS[i] for i in (0, 1, 2, 4, 5)]),
        ([1, 2, 3, 4, 5, 6], list(DEPTHS)),
    ],
)
def test_a_colour_for_each_depth(depths: list[int], colours: list[str]) -> None:
    found = depth_colours(pd.Series(depths))
    assert list(found.items()) == list(zip(sorted(depths), colours, strict=True))


def test_deep_is_darker() -> None:
    """Lightness alone, whatever the colour vision: luminance falls from shallow to deep."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in DEPTHS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) < 0).all()
    assert (1.05 / (luminance + 0.05)).min() > 2.3  # against white, as the file says


def test_a_depth_has_its_colour_in_every_panel(of_sweep: tuple[Result, Figure]) -> None:
    _, figure = of_sweep
    for axes in figure.axes[:6]:
        colours = [to_hex(line.get_color()) for line in axes.get_lines()]
        assert colours == [DEPTHS[i] for i in (0, 2, 3, 5)]


def test_ends_are_labelled_in_order_and_apart(of_sweep: tuple[Result, Figure]) -> None:
    _, figure = of_sweep
    for axes in figure.axes[:6]:
        labels = {t.get_text(): t for t in axes.texts if t.get_text() != "layers"}
        assert set(labels) == {"8", "20", "32", "56"}
        ends = {name.split()[1]: line.get_ydata()[-1] for name, line in lines(axes).items()}
        ordered = sorted(ends, key=lambda depth: ends[depth])
        places = [labels[depth].xy[1] for depth in ordered]  # type: ignore[attr-defined]
        assert (np.diff(places) >= 0.082 - 1e-12).all()
        for name, line in lines(axes).items():
            assert labels[name.split()[1]].get_color() == line.get_color()
    assert [("layers" in notes(a)) for a in figure.axes[:6]] == [False, True, *[False] * 4]


def test_labels_do_not_overlap_when_drawn() -> None:
    _, figure = drawn(*sweep({"spiking": {d: [0.4] for d in (8, 14, 20, 32, 44, 56, 110)}}))
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text() != "layers"]
    boxes.sort(key=lambda box: box.y0)
    assert len(boxes) == 7
    assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(boxes))  # a pixel of rim


# --- moving labels apart -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_spread_is_the_nearest_that_is_far_enough_apart(seed: int) -> None:
    """Against a general solver of the same least squares."""
    from scipy.optimize import minimize

    wanted = np.random.default_rng(seed).uniform(0, 1, 6)
    found = spread(wanted, 0.15)
    order = np.argsort(wanted)
    apart = {"type": "ineq", "fun": lambda p: np.diff(p[order]) - 0.15}
    solved = minimize(lambda p: ((p - wanted) ** 2).sum(), wanted, constraints=[apart])
    assert found == pytest.approx(solved.x, abs=1e-4)  # the solver's own tolerance
    assert (np.diff(found[order]) >= 0.15 - 1e-12).all()


def test_spread_leaves_what_is_apart() -> None:
    assert spread(np.array([0.9, 0.1, 0.5]), 0.2).tolist() == pytest.approx([0.9, 0.1, 0.5])
    assert spread(np.array([]), 0.2).tolist() == []


# --- the ends ----------------------------------------------------------------------------------


def test_each_seed_is_a_point(of_sweep: tuple[Result, Figure]) -> None:
    result, figure = of_sweep
    for axes, column in zip(figure.axes[6:], ("train_loss_final", "top1_final"), strict=True):
        found = lines(axes)
        for kind in ("sew-add", "spiking"):
            rows = result.table[result.table["kind"] == kind]
            for name, chance in (("trained", False), ("at chance", True)):
                of = rows[rows["at_chance"] == chance]
                if len(of):
                    assert xy(found[f"_{name} {kind}"]) == (list(of["depth"]), list(of[column]))
            mean = rows.groupby("depth")[column].mean()
            assert xy(found[f"_mean {kind}"]) == (list(mean.index), list(mean))
    assert "_at chance sew-add" not in found


def test_runs_at_chance_are_open_and_chance_is_a_line(of_sweep: tuple[Result, Figure]) -> None:
    _, figure = of_sweep
    loss, accuracy = figure.axes[6:]
    ring = lines(loss)["_at chance spiking"]
    assert (ring.get_marker(), ring.get_markerfacecolor()) == ("D", "none")
    assert len(xy(ring)[0]) == 2
    assert set(lines(loss)["_chance"].get_ydata()) == {np.log(10)}
    assert set(lines(accuracy)["_chance"].get_ydata()) == {10.0}
    assert (notes(loss), notes(accuracy)) == (["chance, ln 10"], ["chance"])
    legend = loss.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [
        "SEW ResNet, ADD, -0.04 nats per doubling", "Spiking ResNet, +0.57 nats per doubling",
        "at chance",
    ]  # fmt: skip


def test_depth_has_a_log_axis_with_its_depths(of_sweep: tuple[Result, Figure]) -> None:
    _, figure = of_sweep
    for axes in figure.axes[6:]:
        assert axes.get_xscale() == "log"
        assert [t.get_text() for t in axes.get_xticklabels()] == ["8", "20", "32", "56"]
        assert axes.get_ylim()[0] == 0


def test_zero_init_beside_without_is_dashed() -> None:
    runs = []
    for zero_init in (True, False):
        runs += [
            Run(r.residual, None, r.depth, 0, r.loss, facts={"zero_init": zero_init},
                name=f"{r.name}-{zero_init}")
            for r in sweep({"spiking": {8: [0.4], 32: [0.8]}})
        ]  # fmt: skip
    _, figure = drawn(*runs)
    assert [a.get_title(loc="left") for a in figure.axes[:2]] == [
        "Spiking ResNet, zero-init", "Spiking ResNet",
    ]  # fmt: skip
    found = lines(figure.axes[6])
    assert found["_mean spiking-zero"].is_dashed()
    assert not found["_mean spiking"].is_dashed()


# --- networks of one depth, and the paper's ----------------------------------------------------


def test_the_papers_networks() -> None:
    result, figure = drawn(*papers())
    assert len(figure.axes) == 6 + 2 + 3
    printed = lines(figure.axes[7])["_printed sew-add"]
    assert xy(printed) == ([18, 34, 50, 101, 152], [63.18, 67.04, 67.78, 68.76, 69.26])
    loss, train, test = figure.axes[8:]
    names = ["ResNet, SEW add on DVS Gesture", "ResNet, SEW add on CIFAR10-DVS"]
    assert list(lines(loss)) == list(lines(train)) == names
    own = result.extra["curves"].query("network == '7b-net-sew-add'")
    for axes, column in zip((loss, train, test), COLUMNS, strict=True):
        assert xy(lines(axes)[names[0]]) == (list(own["epoch"]), list(own[column]))
    dashed = [x for x in test.get_lines() if x.get_label() == "_printed"]
    assert [set(x.get_ydata()) for x in dashed] == [{97.92}, {74.4}]
    assert notes(test) == ["97.92", "74.4"]
    assert "that the paper prints" in " ".join(figure.texts[-1].get_text().split())


def test_runs_of_one_depth_alone() -> None:
    _, figure = drawn(Run("plain", None, 20, 0), Run("ms", None, 8, 1, logged=0, state="waiting"))
    assert len(figure.axes) == 3
    assert list(lines(figure.axes[0])) == ["20 layers, plain on digits (scikit-learn)"]


@pytest.mark.parametrize("depths", [(8,), (8, 20)])
def test_nothing_has_begun(depths: tuple[int, ...]) -> None:
    _, figure = drawn(*(Run(depth=d, logged=0, state="waiting") for d in depths))
    assert all(np.isfinite(a.get_ylim()).all() for a in figure.axes)
    assert ("no training has begun" in notes(figure.axes[0])) == (len(depths) == 1)


def test_five_kinds_fit_the_page(tmp_path: Path) -> None:
    kinds = ("sew-add", "sew-and", "sew-iand", "spiking", "plain")
    _, figure = drawn(*sweep({k: {8: [0.4, 0.5], 20: [0.6, 0.7]} for k in kinds}))
    assert len(figure.axes) == 3 * 5 + 2
    box = figure.get_tightbbox()
    assert box.width < 7.3  # inches: nothing sticks out of the page
    titles = [a.title for a in figure.axes[:5]] + [a._left_title for a in figure.axes[:5]]
    shown = [t.get_window_extent() for t in titles if isinstance(t, Text) and t.get_text()]
    assert len(shown) == 5
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(shown))


# --- the file ----------------------------------------------------------------------------------


def test_long_sweeps_are_thinned_and_it_is_said(tmp_path: Path) -> None:
    losses = {d: [0.4, 0.5, 0.6] for d in (8, 14, 20, 32, 44, 56)}
    result, figure = drawn(*sweep({"sew-add": losses, "spiking": losses}, epochs=400))
    x, _ = xy(lines(figure.axes[0])["sew-add 8"])
    assert x == [*range(0, 400, 8), 399]  # 2 x 6 x 3 x 400 x 5 points, 10,000 allowed
    assert "One of 8 epochs is drawn." in figure.texts[-1].get_text()
    style.save(figure, tmp_path)
    assert (tmp_path / "figure.svg").stat().st_size < 400_000
    assert len(result.extra["curves"]) == 36 * 400  # the numbers are all there


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        style.save(degradation.compute(three_seeds()).plot(), tmp_path / name)
    for file in ("figure.svg", "figure.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.data
def test_the_published_figure(data_root: Path, tmp_path: Path) -> None:
    """Every epoch of every curve; and small."""
    result = degradation.compute(of_logs(data_root / "logs" / "sew_resnet"))
    figure = result.plot()
    curves = result.extra["curves"]
    for row, column in enumerate(COLUMNS):
        for at, kind in enumerate(("sew-add-{}", "spiking-{}-zero")):
            found = lines(figure.axes[2 * row + at])
            for depth in (18, 34, 50, 101, 152):
                own = curves[curves["network"] == kind.format(depth)]
                label = f"{kind.partition('-{')[0]} {depth}"
                assert xy(found[label]) == (list(range(320)), list(own[column]))
    style.save(figure, tmp_path)
    assert (tmp_path / "figure.svg").stat().st_size < 400_000
