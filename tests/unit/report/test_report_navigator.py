"""The depth navigator as it is laid out: every position a second way."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from snnlens.recording.record import Record
from snnlens.recording.result import Finding
from snnlens.report import navigator, rows, scales, view
from snnlens.report.findings import Case
from tests.unit import runs
from tests.unit.report import laid, sample

NONE = Finding("", "note", None, "", "", "", "")


def made(frame: pd.DataFrame, record: Record) -> list[navigator.Navigator]:
    case = Case("", "run-a", "a", NONE, figure="run-a_figure")
    return navigator.navigators("run-a", rows.rows(case, frame, None, record), record)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> view.Run:
    folder = sample.save(tmp_path_factory.mktemp("runs") / "a", laid.result())
    return view.read([folder])[0]


@pytest.fixture(scope="module")
def first(run: view.Run) -> navigator.Navigator:
    return run.navigators[0]


def points(path: str) -> list[tuple[float, float]]:
    """The ends of a path's steps, relative ones added up."""
    found: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([MmlLh])([^MmlLh]*)", path):
        values = [float(v) for v in re.findall(r"-?[\d.]+", numbers)]
        for x, y in zip(values[::2], values[1::2], strict=False):
            absolute = command == "M"
            before = found[-1] if found else (0.0, 0.0)
            found.append((x, y) if absolute else (before[0] + x, before[1] + y))
    return found


def test_one_navigator_for_each_network(run: view.Run) -> None:
    assert [n.network for n in run.navigators] == ["spiking", "spiking-zero"]
    assert [len(n.places) for n in run.navigators] == [12, 12]


def test_it_shows_the_first_quantities_of_the_table_each_with_its_unit(
    first: navigator.Navigator,
) -> None:
    assert [(lane.title, lane.unit, lane.log) for lane in first.lanes] == [
        ("Gradient norm, input", "loss per spike", True),
        ("Factor", "ratio", False),
        ("Firing rate, output", "spikes per neuron and step", False),
        ("Firing rate, residual", "spikes per neuron and step", False),
    ]


def test_heights_are_linear_in_the_logarithm(first: navigator.Navigator) -> None:
    """All points of the line lie on one straight map of log10 of the norm."""
    norms = sample.table(laid.NETWORKS, 12)["gradient_norm"][:12].to_numpy()
    x, y = np.array(points(first.lanes[0].line)).T
    assert list(x) == [2 * b + 1 for b in range(12)]
    slope, start = np.polyfit(np.log10(norms), y, 1)
    assert slope < 0  # up is large
    assert np.abs(slope * np.log10(norms) + start - y).max() <= 0.6  # rounded to whole units
    assert points(first.lanes[0].dots) == points(first.lanes[0].line)


def test_ticks_lie_on_the_same_map(first: navigator.Navigator) -> None:
    rates = sample.table(laid.NETWORKS, 12)["firing_rate_output"][:12].to_numpy()
    _, y = np.array(points(first.lanes[2].line)).T
    slope, start = np.polyfit(rates, y, 1)
    for height, label in first.lanes[2].ticks:
        assert 200 - 2 * height == pytest.approx(slope * float(label) + start, abs=1.5)
    assert first.lanes[2].ticks[0][1] == "0"  # a rate is read from zero


def test_the_numbers_of_a_place_are_those_of_its_row(first: navigator.Navigator) -> None:
    row = sample.table(laid.NETWORKS, 12).iloc[4]
    place = first.places[4]
    assert place.name == "Block 4: layer2.4, stage 2, identity"
    wanted = [row[c] for c in ("gradient_norm", "factor", "firing_rate_output",
                               "firing_rate_residual")]  # fmt: skip
    shown = [float(re.sub("\u202f×\u202f10⁻⁴", "e-4", v)) for v in place.values]
    assert shown == pytest.approx(wanted, rel=5e-4)
    assert place.row == "run-a_t4"
    assert place.said.split("\n") == [place.name, *place.values]


def test_downsample_blocks_are_marked(first: navigator.Navigator) -> None:
    assert first.bands == [(0, 1), (3, 1), (11, 1)]
    assert first.marks == pytest.approx([100 * (b + 0.5) / 12 for b in (0, 3, 11)])


def test_findings_are_flagged_where_they_lie(run: view.Run, first: navigator.Navigator) -> None:
    flags = [(f.x, f.severity, f.target, f.said) for f in first.flags]
    assert flags == [
        (37.5, "error", "run-a_f0", "error SNL201, warning SNL305"),
        (95.833, "error", "run-a_f2", "error SNL201"),
    ]
    assert first.start == 4
    assert [f.target for f in run.navigators[1].flags] == ["run-a_f3"]


def test_flags_that_would_touch_become_one() -> None:
    flags = [navigator.Flag(x, s, f"t{x}", s) for x, s in [(1, "note"), (2, "error"), (6, "note")]]
    merged, after = navigator._apart(flags)
    assert (merged.x, merged.severity, merged.target) == (1, "error", "t2")
    assert merged.said == "note, error"
    assert (merged.near, after.near) == (False, True)


def test_a_block_without_a_row_keeps_its_place() -> None:
    """Of `identity`, whose table has the identity blocks alone."""
    result = runs.answered("identity")
    record = result.record
    case = Case("", "run-a", "a", NONE)
    later = result.table.assign(block=result.table["block"] + 2)
    table = pd.concat([result.table, later], ignore_index=True)
    found = rows.rows(case, table, None, record)
    made = navigator.navigators("run-a", found, record)[0]
    at = sorted(table[table["network"] == made.network]["block"])
    assert [p.x for p in made.places if p.row] == at
    gaps = [p for p in made.places if not p.row]
    assert gaps
    assert all(p.name.endswith("no row here") and set(p.values) == {"–"} for p in gaps)
    assert all(xs % 2 for xs, _ in points(made.lanes[0].line))


def test_layers_are_counted_and_their_downsample_blocks_shaded() -> None:
    result = runs.answered("checkup")
    (nav,) = made(result.table, result.record)
    frame = result.table
    assert nav.noun == "layer"
    assert [p.name.partition(": ")[2].split(",")[0] for p in nav.places] == frame["site"].tolist()
    inside = [x for first, count in nav.bands for x in range(first, first + count)]
    assert inside == np.flatnonzero(frame["block_kind"] == "downsample").tolist()


def test_a_hostile_site_is_one_short_line() -> None:
    names = ["<script>alert(1)</script>", "x" * 300, "two\nlines", "a|b"]
    frame = pd.DataFrame({"network": "m", "site": names, "firing_rate": [0.1, 0.2, 0.3, 0.4]})
    sites = pd.DataFrame({"network": "m", "site": names})
    (nav,) = made(frame, Record(sites, {}, {}, {"m": {}}, {}))
    assert [len(p.said.split("\n")) for p in nav.places] == [2] * 4
    assert max(len(p.name) for p in nav.places) < 80


def test_a_run_without_a_depth_has_none(tmp_path: Path) -> None:
    frame = pd.DataFrame({"network": "m", "epoch": [0, 1], "train_loss": [2.0, 1.0]})
    assert made(frame, Record(pd.DataFrame({"network": [], "site": []}), {}, {}, {}, {})) == []


@pytest.mark.parametrize("kind", ["zero", "free", "log"])
@pytest.mark.parametrize(
    "values", [[0.0], [0.0, 0.0], [5.0], [1e-26, 3.0, 0.0], [-2.0, 4.0], [math.nan], [math.inf, 1]]
)
def test_every_finite_value_lies_inside_and_in_order(
    kind: scales.Kind, values: list[float]
) -> None:
    axis = scales.scale(values, kind)
    heights = [axis.at(v) for v in sorted(abs(v) if kind == "log" else v for v in values)]
    known = [h for h in heights if h is not None]
    assert all(scales.LOW <= h <= scales.HIGH for h in known)
    assert known == sorted(known)
    assert all(scales.LOW <= h <= scales.HIGH for h, _ in axis.ticks)
    assert len(axis.ticks) <= 6


def test_an_exact_zero_is_told_from_a_small_number() -> None:
    axis = scales.scale([0.0, 1e-26, 1.0], "log")
    zero, small = axis.at(0.0), axis.at(1e-26)
    assert zero is not None
    assert small is not None
    assert small - zero > 10
    assert (zero, "0") in axis.ticks


def test_noise_is_no_slope_on_a_log_axis() -> None:
    axis = scales.scale([1.0, 1.01], "log")
    low, high = axis.at(1.0), axis.at(1.01)
    assert low is not None
    assert high is not None
    assert high - low < 1
