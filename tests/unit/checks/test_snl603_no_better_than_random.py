"""SNL603: deleting what a map ranks highest hurts no more than deleting at random."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from snnlens.checks.no_better_than_random import NoBetterThanRandom
from snnlens.recording.record import Record
from tests.unit.attribution_record import SHARES, Net, change, record
from tests.unit.checks.converted import OTHER, ungiven
from tests.unit.checks.handmade import only, passes, reason

CHECK = NoBetterThanRandom()
LINEAR = (
    "ig",
    "saliency",
    "occlusion",
    "smoothgrad",
)  # areas .1, .2, .3, .4 of D above the baseline


def flat(made: Record, method: str, over: str = "pixels", level: float = 0.4) -> Record:
    """The Record in which a deletion curve of a method is flat: its area is .5 + level x D."""
    for sample in range(3):
        change(made, "attribution_curves",
               {"method": method, "over": over, "kind": "deletion", "sample": sample},
               score=0.5 + level * (1.5 + sample))  # fmt: skip
    return made


def test_better_than_random() -> None:
    assert passes(CHECK, record(Net(methods=LINEAR[:3])))


def test_the_finding() -> None:
    """D is 2.5 in the mean of the samples; random .425 D, its interval .322 D to .528 D."""
    finding = only(CHECK, record(Net(methods=LINEAR)))
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "net: deletion over pixels as smoothgrad says has the area 1.5, random orders 1.56 (95 % "
        "1.31 to 1.82, 4 orders, 3 samples)"
    )


def test_the_interval_is_scipys() -> None:
    areas = [0.5 + 2.5 * (7 + d) / 20 for d in range(4)]
    low, high = stats.t.interval(0.95, 3, np.mean(areas), stats.sem(areas))
    assert (round(low, 2), round(high, 2)) == (1.31, 1.82)


@pytest.mark.parametrize(("level", "issue"), [(0.322, False), (0.3224, True)])
def test_its_bound(level: float, *, issue: bool) -> None:
    """The low end: .425 - 3.1824 x .0645497 / 2 = .32229 of D above the baseline."""
    made = flat(record(Net(methods=("ig",))), "ig", level=level)
    assert passes(CHECK, made) is not issue


def test_the_worst_first() -> None:
    made = flat(flat(record(Net(methods=LINEAR[:3])), "ig", level=0.5), "saliency", level=0.6)
    assert only(CHECK, made).evidence == (
        "net: deletion over pixels as saliency says has the area 2, random orders 1.56 (95 % 1.31 "
        "to 1.82, 4 orders, 3 samples); also ig (1.75)"
    )


def test_pixels_speak_first_then_events_then_steps() -> None:
    made = flat(record(Net(methods=("ig",))), "ig", "events", 0.5)
    assert passes(CHECK, made)
    table = made.tables["attribution_curves"]
    made.tables["attribution_curves"] = table[table["over"] != "pixels"]
    assert "deletion over events as ig says" in only(CHECK, made).evidence
    made.tables["attribution_curves"] = table[table["over"] == "steps"]
    assert passes(CHECK, made)
    assert "over steps" in only(CHECK, flat(made, "ig", "steps", 0.5)).evidence


def test_activity_claims_no_relevance() -> None:
    made = flat(record(Net(methods=("ig", "sam"))), "sam", level=0.9)
    assert passes(CHECK, made)
    made.networks["net"]["claims_relevance"]["sam"] = True
    assert "as sam says" in only(CHECK, made).evidence
    assert "as sam says" in only(CHECK, ungiven(made, "claims_relevance")).evidence


def test_of_a_static_image_each_map_has_its_ground() -> None:
    """Maps over the encoder's spikes and over the pixels, each beside its own random orders."""
    made = record(Net(static=True, methods=("ig", "gradcam")))
    assert passes(CHECK, made)
    worse = {"method": "random", "place": "layer1"}
    change(
        made, "attribution_curves", worse, score=0.5
    )  # random deletion of spikes ends it at once
    finding = only(CHECK, made)
    assert finding.evidence.startswith("net: deletion over pixels as gradcam says has the area 1")
    assert finding.evidence.endswith("; also ig over layer1 (0.75)")  # over pixels it is better


def test_a_score_that_does_not_depend_on_the_input() -> None:
    """All curves are flat, but for rounding: there is nothing that an order could find."""
    made = change(record(Net(methods=("ig",))), "attribution_curves", {}, score=0.7)
    rounded = {"method": "ig", "share": 0.0}
    change(made, "attribution_curves", rounded, score=0.7 - 1e-7)
    outcome = CHECK.outcome(made)
    assert (outcome.outcome, outcome.reason) == (
        "not applicable", "the score is the same in every order: it does not depend on the input",
    )  # fmt: skip
    assert passes(CHECK, change(made, "attribution_curves", rounded, score=0.69))


def test_the_samples_of_the_method_alone() -> None:
    """A method without a curve of sample 2 is compared with random orders of samples 0 and 1."""
    made = flat(record(Net(methods=("ig",))), "ig", level=0.5)
    table = made.tables["attribution_curves"]
    made.tables["attribution_curves"] = table[(table["method"] == "random") | (table["sample"] < 2)]
    assert only(CHECK, made).evidence == (
        "net: deletion over pixels as ig says has the area 1.5, random orders 1.35 (95 % 1.14 to "
        "1.56, 4 orders, 2 samples)"
    )


def test_shares_in_no_order() -> None:
    made = record(Net(methods=LINEAR))
    before = only(CHECK, made).evidence
    table = made.tables["attribution_curves"]
    made.tables["attribution_curves"] = table.sample(frac=1, random_state=0)
    assert only(CHECK, made).evidence == before
    assert len(SHARES) == 11


def test_not_applicable() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no attribution_curves; `snnlens attribution` makes one that does"
    )
    assert reason(CHECK, record(Net(draws=1))) == (
        "fewer than two random orders were run, which have no interval"
    )
    assert reason(CHECK, record(Net(methods=("sam",)))) == (
        "no method that claims relevance has a deletion curve"
    )
