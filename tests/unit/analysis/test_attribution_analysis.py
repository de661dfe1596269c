"""The tables of `attribution`: a hand-made Record whose answers are on paper."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snnlens import api
from snnlens.analysis import _attribution_tables as tables
from snnlens.analysis import attribution
from snnlens.errors import InputError
from snnlens.recording.record import Record
from tests.unit.attribution_nets import BASELINE, Net, score
from tests.unit.attribution_record import change, record, without

METHODS = ("ig", "saliency", "gradcam", "sam")
T_OF_4 = 3.182446305284263  # Student's t, 95 % of both sides, three degrees of freedom
CURVES = "attribution_curves"


def row(table: pd.DataFrame, **where: Any) -> pd.Series:
    """The one row where every column has the given value."""
    found = table[np.logical_and.reduce([table[c] == v for c, v in where.items()])]
    assert len(found) == 1, (where, len(found))
    return found.iloc[0]


def trapezoids(rows: pd.DataFrame) -> float:
    """The area under score(share), step by step."""
    points = sorted(zip(rows["share"], rows["score"], strict=True))
    total = 0.0
    for (x, y), (after, z) in pairwise(points):
        total += (after - x) * (y + z) / 2
    return total


# --- the main table ------------------------------------------------------------------------------


def test_its_columns() -> None:
    table = attribution.compute(record()).table
    areas = [f"{kind}_{over}" for over in ("pixels", "steps", "events")
             for kind in ("deletion", "insertion")]  # fmt: skip
    assert list(table) == [
        "network", "method", "place", "sample", "label", "target", "predicted", "score", "baseline",
        "total", "delta", "relative_delta", "nonzero_share", *areas,
        *(f"random_{a}{end}" for a in areas for end in ("", "_low", "_high")),
        "infidelity", "sensitivity",
    ]  # fmt: skip
    assert len(table) == 4 * 3
    assert str(table["label"].dtype) == "Int64"


@pytest.mark.parametrize("sample", range(3))
@pytest.mark.parametrize("number", range(4))
def test_numbers_of_a_method_and_a_sample(number: int, sample: int) -> None:
    found = row(attribution.compute(record()).table, method=METHODS[number], sample=sample)
    gain = score(sample) - BASELINE
    for over in ("pixels", "steps", "events"):
        below = gain * (number + 1) / 10
        assert found[f"deletion_{over}"] == pytest.approx(BASELINE + below, rel=1e-12)
        assert found[f"insertion_{over}"] == pytest.approx(score(sample) - below, rel=1e-12)
    assert found["infidelity"] == 0.01 * (number + 1)
    assert found["sensitivity"] == 0.1 * (number + 1)
    complete = METHODS[number] == "ig"
    assert found["total"] == pytest.approx(gain * (1.02 if complete else 1), rel=1e-12)
    assert math.isnan(found["relative_delta"]) != complete
    assert not complete or found["relative_delta"] == pytest.approx(0.02, rel=1e-9)


@pytest.mark.parametrize("sample", range(3))
def test_random_orders_of_a_sample(sample: int) -> None:
    """Areas of .35, .4, .45 and .5 D: their mean, and Student's interval by its formula."""
    found = row(attribution.compute(record()).table, method="sam", sample=sample)
    gain = score(sample) - BASELINE
    areas = BASELINE + gain * np.array([0.35, 0.4, 0.45, 0.5])
    half = T_OF_4 * math.sqrt(sum((areas - areas.mean()) ** 2) / 3) / 2
    assert found["random_deletion_events"] == pytest.approx(areas.mean(), rel=1e-12)
    assert found["random_deletion_events_low"] == pytest.approx(areas.mean() - half, rel=1e-9)
    assert found["random_deletion_events_high"] == pytest.approx(areas.mean() + half, rel=1e-9)


def test_areas_are_those_of_a_loop_over_the_curve() -> None:
    """Curves of no shape at all: each area against trapezoids added one by one."""
    made = record()
    rows = made.tables[CURVES]
    rows["score"] = np.random.default_rng(0).normal(size=len(rows))
    made.tables[CURVES] = rows.sample(frac=1, random_state=0)  # their order says nothing
    table = attribution.compute(made).table
    for kind, over in (("deletion", "pixels"), ("insertion", "steps")):
        for _, own in table.iterrows():
            where = {"method": own["method"], "sample": own["sample"], "kind": kind, "over": over}
            curve = rows[(rows[list(where)] == list(where.values())).all(axis=1)]
            assert own[f"{kind}_{over}"] == pytest.approx(trapezoids(curve), rel=1e-12)


def test_what_was_not_measured_has_no_number() -> None:
    made = without(record(), CURVES, "attribution_trust")
    table = attribution.compute(made).table
    assert list(table) == list(attribution.compute(record()).table)
    for name in [c for c in table if "deletion" in c or "insertion" in c or "tivity" in c]:
        assert table[name].isna().all()
        assert table[name].dtype == float


def test_one_random_order_has_no_interval() -> None:
    table = attribution.compute(record(Net(draws=1))).table
    assert table["random_deletion_pixels"].notna().all()
    assert table["random_deletion_pixels_low"].isna().all()


def test_without_a_change_of_the_score_there_is_no_relative_delta() -> None:
    made = change(record(), "attribution_maps", {"method": "ig", "sample": 1}, score=BASELINE)
    table = attribution.compute(made).table
    assert math.isnan(row(table, method="ig", sample=1)["relative_delta"])
    assert row(table, method="ig", sample=0)["relative_delta"] == pytest.approx(0.02, rel=1e-9)


def test_a_record_of_another_question_is_refused() -> None:
    made = without(record(), "attribution_maps")
    with pytest.raises(InputError, match=r"^this record must be one that holds attribution_maps"):
        attribution.compute(made)


# --- over samples ---------------------------------------------------------------------------------


def test_summary() -> None:
    made = change(record(), "attribution_maps", {"method": "ig", "sample": 2}, delta=3.5)
    found = row(attribution.compute(made).extra["summary"], method="ig")
    assert found["relative_delta"] == pytest.approx(0.02, rel=1e-9)  # the median of .02, .02, 1
    assert found["samples"] == 3
    gains = [score(s) - BASELINE for s in range(3)]
    assert found["deletion_steps"] == pytest.approx(BASELINE + np.mean(gains) / 10, rel=1e-12)
    assert (found["title"], found["place"], found["ground"]) == ("Ig", "input", "input")
    assert [found[c] for c in ("signed", "relevance", "complete")] == [True, True, True]
    assert [found[f"rank_correlation_{v}"] for v in ("surrogate", "seed", "weights")] == [
        0.9, 0.8, 0.1,
    ]  # fmt: skip


def test_facts_that_are_missing_claim_nothing_and_take_nothing_away() -> None:
    facts = {"names": None, "complete": None, "claims_relevance": None}
    summary = attribution.compute(record(Net(facts=facts))).extra["summary"]
    assert summary["title"].tolist() == ["Ig", "Saliency", "Gradcam", "Sam"]
    assert summary["relevance"].all()
    assert not summary["complete"].any()


def test_mean_areas_beside_random_orders() -> None:
    """The mean over samples of D is 2.5: each random order is averaged over the samples first."""
    found = row(
        attribution.compute(record()).extra["areas"],
        method="saliency", over="events", kind="deletion",
    )  # fmt: skip
    areas = BASELINE + 2.5 * np.array([0.35, 0.4, 0.45, 0.5])
    half = T_OF_4 * areas.std(ddof=1) / 2
    assert found["mean_area"] == pytest.approx(1.0, rel=1e-12)
    assert found["random_area"] == pytest.approx(areas.mean(), rel=1e-12)
    assert (found["low"], found["high"]) == pytest.approx(
        (areas.mean() - half, areas.mean() + half), rel=1e-9
    )
    assert (found["draws"], found["samples"], found["samples_better"]) == (4, 3, 3)


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_samples_that_random_orders_beat(kind: str) -> None:
    """A flat curve at f(x) of one sample is the worst deletion, and the best insertion."""
    where = {"method": "ig", "sample": 1, "over": "pixels", "kind": kind}
    made = change(record(), CURVES, where, score=score(1))
    found = row(attribution.compute(made).extra["areas"], method="ig", over="pixels", kind=kind)
    assert found["samples_better"] == (2 if kind == "deletion" else 3)


def test_random_orders_of_the_same_samples() -> None:
    """A method that has curves of one sample is beside that sample's random orders alone."""
    made = record()
    rows = made.tables[CURVES]
    made.tables[CURVES] = rows[(rows["method"] != "ig") | (rows["sample"] == 2)]
    areas = attribution.compute(made).extra["areas"]
    found = row(areas, method="ig", over="pixels", kind="deletion")
    assert found["random_area"] == pytest.approx(BASELINE + 3.5 * 0.425, rel=1e-12)
    assert found["samples"] == 1


def test_curves_are_means_over_samples_and_random_ones_have_a_band() -> None:
    made = record()
    rows = made.tables[CURVES]
    curves = attribution.compute(made).extra["curves"]
    where = {"method": "gradcam", "over": "pixels", "kind": "deletion", "share": 0.2}
    own = rows[np.logical_and.reduce([rows[c] == v for c, v in where.items()])]
    found = row(curves, **where)
    assert found["score"] == pytest.approx(sum(own["score"]) / 3, rel=1e-12)
    assert math.isnan(found["low"])
    found = row(curves, **where | {"method": "random"})
    draws = BASELINE + 2.5 * (1 - 0.2 / np.array([0.7, 0.8, 0.9, 1.0]))
    half = T_OF_4 * draws.std(ddof=1) / 2
    assert found["score"] == pytest.approx(draws.mean(), rel=1e-12)
    assert found["high"] - found["score"] == pytest.approx(half, rel=1e-9)
    assert found["samples"] == 3


def test_agreement_is_a_symmetric_matrix_with_1_on_its_diagonal() -> None:
    made = change(record(), "attribution_pairs", {"method": "ig", "other": "sam", "sample": 0},
                  rank_correlation=-0.6)  # fmt: skip
    rows = attribution.compute(made).extra["agreement"]
    square = rows.pivot(index="method", columns="other", values="rank_correlation")
    square = square.loc[list(METHODS), list(METHODS)].to_numpy(float)
    assert np.array_equal(square, square.T)
    assert np.array_equal(np.diag(square), np.ones(4))
    assert square[0, 3] == pytest.approx((-0.6 + 0.3 + 0.3) / 3, abs=1e-12)


def test_a_constant_map_agrees_with_none_not_even_itself() -> None:
    made = change(record(), "attribution_pairs", {"kind": "method", "other": "sam"},
                  rank_correlation=math.nan)  # fmt: skip
    rows = attribution.compute(made).extra["agreement"]
    own = rows[(rows["method"] == "sam") | (rows["other"] == "sam")]
    assert own["rank_correlation"].isna().all()
    assert (own["samples"] == 0).all()
    assert row(rows, method="ig", other="gradcam")["rank_correlation"] == pytest.approx(0.5)


def test_samples_without_ranks_are_not_counted() -> None:
    made = change(record(), "attribution_pairs", {"kind": "method", "sample": 1},
                  rank_correlation=math.nan)  # fmt: skip
    found = row(attribution.compute(made).extra["agreement"], method="ig", other="saliency")
    assert found["rank_correlation"] == pytest.approx(0.7)
    assert found["samples"] == 2


def test_robustness_is_every_variant_of_every_sample() -> None:
    rows = attribution.compute(record()).extra["robustness"]
    assert len(rows) == 3 * 4 * 3
    assert set(rows["kind"]) == {"surrogate", "seed", "weights"}


# --- a static image: two places a method ----------------------------------------------------------


def test_maps_over_an_image_and_over_its_spikes_are_rows_of_their_own() -> None:
    result = attribution.compute(record(Net(static=True)))
    places = result.extra["summary"][["method", "place", "ground"]].to_numpy().tolist()
    assert places == [
        ["ig", "layer1", "spikes"], ["ig", "input", "image"],
        ["saliency", "layer1", "spikes"], ["saliency", "input", "image"],
        ["gradcam", "layer2", "spikes"], ["sam", "layer2", "spikes"],
    ]  # fmt: skip
    assert len(result.table) == 6 * 3
    image = result.table[result.table["place"] == "input"]
    assert image["deletion_steps"].isna().all()  # an image has one step
    assert image["deletion_pixels"].notna().all()


def test_each_place_has_its_own_random_orders() -> None:
    where = {"method": "random", "place": "input"}
    made = change(record(Net(static=True)), CURVES, where, score=7.0)
    table = attribution.compute(made).table
    over_image = table["place"] == "input"
    assert table.loc[over_image, "random_deletion_pixels"].to_numpy() == pytest.approx(7.0)
    assert (table.loc[~over_image, "random_deletion_pixels"] < 4).all()
    areas = attribution.compute(made).extra["areas"]
    assert set(areas.loc[areas["ground"] == "image", "random_area"].round(9)) == {7.0}


def test_the_random_orders_of_a_sequence_may_be_named_by_any_place() -> None:
    """They are of the input, whichever map's place the run wrote beside them."""
    plain = attribution.compute(record())
    made = change(record(), CURVES, {"method": "random"}, place="layer2")
    found = attribution.compute(made)
    pd.testing.assert_frame_equal(found.table, plain.table)
    pd.testing.assert_frame_equal(found.extra["areas"], plain.extra["areas"])


# --- the sample that is drawn ---------------------------------------------------------------------


def labels(made: Record, values: list[int | None]) -> Record:
    for sample, value in enumerate(values):
        made = change(made, "attribution_maps", {"sample": sample},
                      label=pd.NA if value is None else value)  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("given", "sample", "why"),
    [
        ([0, 1, 2], 0, "the first that is classified right"),
        ([3, 1, 2], 1, "the first that is classified right"),
        ([None, 3, 2], 2, "the first that is classified right"),
        ([3, 3, 3], 0, "the first; none is classified right"),
        ([None, None, None], 0, "the first; the labels are not known"),
    ],
)
def test_the_first_that_is_classified_right_is_drawn(
    given: list[int | None], sample: int, why: str
) -> None:
    extra = attribution.compute(labels(record(), given)).extra
    chosen = extra["shown"].iloc[0]
    assert (chosen["sample"], chosen["why"]) == (sample, why)
    for name in ("time", "frames", "inputs"):
        assert set(extra[name]["sample"]) == {sample}
    for name in ("rasters", "membranes"):
        assert set(extra[name]["sample"]) == {0}  # recorded of the first one alone


def test_every_number_of_the_maps_is_in_a_table() -> None:
    made = record()
    extra = attribution.compute(made).extra
    for name in ("time", "frames", "inputs"):
        rows = made.tables[f"attribution_{name}"]
        own = rows[rows["sample"] == 0].reset_index(drop=True)
        pd.testing.assert_frame_equal(extra[name], own)
    pd.testing.assert_frame_equal(extra["shapes"], made.tables["attribution_shapes"])


def test_two_networks_are_kept_apart() -> None:
    made = record(Net("one"), Net("two", methods=("sam", "ig"), samples=2))
    result = attribution.compute(made)
    assert result.table.groupby("network").size().to_dict() == {"one": 12, "two": 4}
    own = row(result.extra["areas"], network="two", method="sam", over="pixels", kind="deletion")
    assert own["samples"] == 2
    assert own["mean_area"] == pytest.approx(BASELINE + 2.0 / 10, rel=1e-12)
    assert len(result.extra["shown"]) == 2


# --- words and files ------------------------------------------------------------------------------


def test_headline_is_a_line_per_method() -> None:
    assert attribution.compute(record()).headline == [
        "ig: deletion over pixels 0.75 (random 1.31 .. 1.82), delta 2 % of f(x) - f(0)",
        "saliency: deletion over pixels 1 (random 1.31 .. 1.82)",
        "gradcam over layer2: deletion over pixels 1.25 (random 1.31 .. 1.82)",
        ("sam over layer2: deletion over pixels 1.5 (random 1.31 .. 1.82), activity, no relevance "
         "for the class"),
    ]  # fmt: skip


def test_headline_of_an_image_of_another_baseline_of_one_order_and_without_curves() -> None:
    lines = attribution.compute(record(Net(static=True, facts={"baseline": "blurred"}))).headline
    said = "deletion over pixels 0.75 (random 1.31 .. 1.82), delta 2 % of f(x) - f(baseline)"
    assert lines[:2] == [f"ig over layer1: {said}", f"ig over the image: {said}"]
    one = attribution.compute(record(Net(draws=1))).headline
    assert one[1] == "saliency: deletion over pixels 1 (random 1.38)"
    bare = attribution.compute(without(record(), CURVES)).headline
    assert bare[:2] == ["ig: delta 2 % of f(x) - f(0)", "saliency: not judged"]


@pytest.mark.parametrize(
    ("overs", "said"), [(("steps", "events"), "events"), (("steps",), "steps")]
)
def test_what_speaks_for_a_method_where_pixels_were_not_deleted(
    overs: tuple[str, ...], said: str
) -> None:
    made = record()
    rows = made.tables[CURVES]
    made.tables[CURVES] = rows[rows["over"].isin(overs)]
    assert attribution.compute(made).headline[1].startswith(f"saliency: deletion over {said} 1 ")


def test_caption() -> None:
    assert attribution.compute(record()).caption == (
        "net; planted events; T = 4; sequence of 4 x 2 x 4 x 4; n = 3 samples; score: the output "
        "averaged over its time axis; baseline: zeros; paths of 64 points; 4 random orders; first "
        "spiking layer: layer1; float32; seed 0."
    )
    static = attribution.compute(without(record(Net(static=True)), CURVES)).caption
    named = record(Net(facts={"network": "net.py:build", "model": "/srv/secret/net.py:build"}))
    assert attribution.compute(named).caption.startswith("net.py:build; ")
    assert "static image of 1 x 2 x 4 x 4" in static
    assert "random orders" not in static


def test_notes_say_what_a_map_is_not() -> None:
    notes = attribution.compute(record()).notes
    assert [n.partition(":")[0] for n in notes] == ["Shown", "Good", "Bad", "What to do"]
    assert "activity" in notes[0]
    assert "no relevance" in notes[0]
    assert "not the difference of a step function" in notes[2]


def test_numbers_come_back_from_a_folder(tmp_path: Path) -> None:
    result = api.analyse("attribution", record())
    api.save(result, tmp_path / "run")
    again = api.analyse("attribution", api.load(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert list(again.extra) == list(result.extra)
    assert (tmp_path / "run" / "figure.svg").is_file()


@pytest.mark.parametrize("static", [False, True])
def test_nothing_changes_the_record(static: bool) -> None:
    made = record(Net(static=static))
    before = {name: table.copy() for name, table in made.tables.items()}
    attribution.compute(made).plot()
    assert all(table.equals(made.tables[name]) for name, table in before.items())


def test_no_table_is_empty_whatever_is_missing() -> None:
    for name in [t for t in record().tables if t != "attribution_maps"]:
        extra = attribution.compute(without(record(), name)).extra
        assert all(len(table) for table in extra.values())
    everything = [t for t in record().tables if t != "attribution_maps"]
    assert list(attribution.compute(without(record(), *everything)).extra) == ["summary", "shown"]


def test_areas_of_no_curves() -> None:
    assert list(tables.areas(without(record(), CURVES))) == tables.AREA


def test_it_works_where_torch_does_not() -> None:
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['captum'] = None\n"
        "from snnlens.analysis import attribution\n"
        "from tests.unit.attribution_record import record\n"
        "attribution.compute(record()).plot()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
