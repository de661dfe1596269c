"""The claims on attribution, each with a Record where it holds and others where it fails."""

from __future__ import annotations

import math
import re

import pytest

from snnlens.analysis import attribution
from snnlens.analysis._attribution_claims import SLOPE
from snnlens.recording.record import Record
from snnlens.recording.result import Claim
from tests.unit.attribution_nets import BASELINE, Net, score
from tests.unit.attribution_record import change, record, without

MAPS, CURVES, PAIRS = "attribution_maps", "attribution_curves", "attribution_pairs"


def claim(name: str, made: Record) -> Claim:
    (found,) = [c for c in attribution.compute(made).claims if c.id == name]
    return found


def test_which_claims_there_are() -> None:
    claims = attribution.compute(record()).claims
    assert [c.id for c in claims] == [
        "completeness", "deletion-ig", "deletion-saliency", "deletion-gradcam", "weights-matter",
    ]  # fmt: skip
    for one in claims:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.id)
        assert one.verdict == "holds"
        assert one.reason
        assert " et al. 20" in one.source


def test_a_method_of_two_words_and_of_two_places_is_one_claim() -> None:
    made = record(Net(methods=("gradient_shap", "sam"), static=True))
    ids = [c.id for c in attribution.compute(made).claims]
    assert ids == ["completeness", "deletion-gradient-shap", "weights-matter"]


# --- completeness ---------------------------------------------------------------------------------


def test_complete_maps() -> None:
    found = claim("completeness", record())
    assert found.measured == pytest.approx(0.02, rel=1e-9)
    assert found.reason == "missed of f(x) - f(baseline): ig 0.02 (medians over 3 samples)"


def test_maps_of_surrogate_gradients_are_not_complete_and_it_is_said_why() -> None:
    made = record()
    for sample in range(3):
        gain = score(sample) - BASELINE
        made = change(made, MAPS, {"method": "ig", "sample": sample}, delta=-0.4 * gain)
    found = claim("completeness", made)
    assert found.measured == pytest.approx(0.4, rel=1e-9)
    assert found.verdict == "fails"
    assert found.reason.endswith(SLOPE)


def test_the_bound_of_completeness_is_five_percent() -> None:
    verdicts = []
    for delta in (0.05, 0.0501):  # of f(x) - f(baseline) = 1
        made = change(record(), MAPS, {"method": "ig"}, delta=delta, score=1 + BASELINE)
        verdicts.append(claim("completeness", made).verdict)
    assert verdicts == ["holds", "fails"]
    assert claim("completeness", record()).bound.endswith(" <= 0.05")


def test_methods_are_named_with_their_own_medians() -> None:
    made = record(Net(methods=("ig", "layer_ig")))
    made = change(made, MAPS, {"method": "layer_ig"}, delta=0.0)
    found = claim("completeness", made)
    assert found.measured == pytest.approx(0.02, rel=1e-9)
    assert "ig 0.02, layer_ig over layer2 0 (medians over 3 samples)" in found.reason


def test_a_complete_method_does_not_hide_another_one() -> None:
    made = record(Net(methods=("ig", "layer_ig", "layer_conductance")))
    made = change(made, MAPS, {"method": "ig"}, delta=2.0)
    found = claim("completeness", made)
    assert found.verdict == "fails"
    assert found.measured == pytest.approx(2.0 / (score(1) - BASELINE), rel=1e-9)  # the median


def test_maps_over_an_image_and_over_its_spikes_are_told_apart() -> None:
    made = change(record(Net(static=True)), MAPS, {"place": "input", "method": "ig"}, delta=0.0)
    reason = claim("completeness", made).reason
    assert "ig over layer1 0.02, ig over the image 0 " in reason


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: record(Net(methods=("saliency", "sam"))),
         "no method that claims completeness was run"),
        (lambda: change(record(), MAPS, {}, score=BASELINE), "f(x) = f(baseline) of every sample"),
    ],
)  # fmt: skip
def test_completeness_of_nothing(made: object, reason: str) -> None:
    assert callable(made)
    found = claim("completeness", made())
    assert (found.verdict, found.measured, found.reason) == ("not-testable", None, reason)


# --- deletion -------------------------------------------------------------------------------------


def test_deletion_below_random() -> None:
    found = claim("deletion-saliency", record())
    assert found.measured == pytest.approx(1.0, rel=1e-12)
    assert found.reason == (
        "over pixels: 1, random 1.56 (95 % 1.31 to 1.82, 4 orders); below its random orders in 3 "
        "of 3 samples"
    )


@pytest.mark.parametrize(("area", "verdict"), [(1.30, "holds"), (1.31, "fails"), (3.0, "fails")])
def test_an_area_inside_or_above_the_interval_fails(area: float, verdict: str) -> None:
    """Its lower end is .5 + 2.5 x .322 = 1.3057; a flat curve has the area of its height."""
    made = change(record(), CURVES, {"method": "ig", "over": "pixels"}, score=area)
    assert claim("deletion-ig", made).verdict == verdict
    assert claim("deletion-saliency", made).verdict == "holds"  # another method's curve


def test_of_two_places_the_worse_one_counts() -> None:
    where = {"method": "ig", "place": "input", "over": "pixels", "kind": "deletion"}
    made = change(record(Net(static=True)), CURVES, where, score=2.5)
    found = claim("deletion-ig", made)
    assert (found.measured, found.verdict) == (pytest.approx(2.5), "fails")
    assert "over pixels of the spikes: 0.75" in found.reason
    assert "over pixels of the image: 2.5" in found.reason


def test_events_and_steps_stand_in_for_pixels() -> None:
    for kept in ("events", "steps"):
        made = record()
        rows = made.tables[CURVES]
        made.tables[CURVES] = rows[rows["over"] == kept]
        assert claim("deletion-ig", made).reason.startswith(f"over {kept}: ")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: without(record(), CURVES), "the record holds no deletion curve of it"),
        (lambda: record(Net(draws=1)), "one random order has no interval"),
    ],
)
def test_deletion_that_was_not_measured(made: object, reason: str) -> None:
    assert callable(made)
    found = claim("deletion-gradcam", made())
    assert (found.verdict, found.measured) == ("not-testable", None)
    assert found.reason.startswith(reason)


def test_insertion_alone_is_no_deletion() -> None:
    made = record()
    rows = made.tables[CURVES]
    made.tables[CURVES] = rows[rows["kind"] == "insertion"]
    assert claim("deletion-ig", made).verdict == "not-testable"


# --- weights --------------------------------------------------------------------------------------


def test_another_map_of_permuted_weights() -> None:
    found = claim("weights-matter", record())
    assert (found.measured, found.verdict) == (pytest.approx(0.1), "holds")
    assert found.reason == ("ig 0.1, saliency 0.1, gradcam 0.1, sam 0.1 (medians over 3 samples)")


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.5, "holds"), (0.51, "fails"), (-0.5, "holds"), (-0.9, "fails")]
)
def test_a_map_that_outlives_the_weights_whichever_way_round(value: float, verdict: str) -> None:
    made = change(record(), PAIRS, {"kind": "weights"}, rank_correlation=value)
    found = claim("weights-matter", made)
    assert (found.measured, found.verdict) == (pytest.approx(abs(value)), verdict)


def test_one_map_that_outlives_the_weights_is_enough() -> None:
    where = {"kind": "weights", "method": "gradcam"}
    found = claim("weights-matter", change(record(), PAIRS, where, rank_correlation=0.95))
    assert (found.measured, found.verdict) == (0.95, "fails")


def test_constant_maps_are_not_counted_and_said() -> None:
    made = change(record(), PAIRS, {"kind": "weights", "method": "sam"}, rank_correlation=math.nan)
    found = claim("weights-matter", made)
    assert found.verdict == "holds"
    assert found.reason.endswith("; not counted: 3 of 12, whose map is constant")
    made = change(made, PAIRS, {"kind": "weights"}, rank_correlation=math.nan)
    assert claim("weights-matter", made).verdict == "not-testable"


def test_weights_that_were_not_permuted() -> None:
    made = record()
    rows = made.tables[PAIRS]
    made.tables[PAIRS] = rows[rows["kind"] != "weights"]
    for one in (made, without(record(), PAIRS)):
        found = claim("weights-matter", one)
        assert (found.verdict, found.measured) == ("not-testable", None)
        assert found.reason == "no network with permuted weights was run"
