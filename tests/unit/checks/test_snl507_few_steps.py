"""SNL507: so few steps that the accuracy is far below what the ANN has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from snnlens.checks.few_steps import FewSteps
from snnlens.recording.record import Record
from tests.unit.checks.converted import OTHER, ungiven
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, change, record

CHECK = FewSteps()
STEPS = (1, 2, 4, 8)


def accuracies(
    ann: float, *percent: float, samples: int = 10_000, steps: Sequence[int] = STEPS
) -> Record:
    """A parallel network that is right in so many percent of the samples, at each T."""
    made = record(Net(neurons=("parallel",), time_steps=steps[: len(percent)]))
    table = made.tables["conversion_accuracy"]
    table["samples"] = samples
    right = [round(samples * p / 100) for p in (ann, *percent)]
    for (neuron, t), n in zip([("ann", 0), *[("parallel", t) for t in steps]], right, strict=False):
        change(made, "conversion_accuracy", {"neuron": neuron, "time_steps": t}, correct=n)
    return made


def test_a_note_where_a_larger_t_is_enough() -> None:
    finding = only(CHECK, record(Net()))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "mlp-4x10-s0: parallel 30.0% at T = 1, T = 2 is enough (90.0%); sequential 30.0% at T = 1, "
        "79.0% at T = 2, 87.0% at T = 4, T = 8 is enough (91.0%); the ANN has 95.0%, bound 6.5 "
        "points below (N = 200 samples)"
    )


def test_a_warning_where_none_is() -> None:
    finding = only(CHECK, accuracies(90, 10, 20, 40, 70))
    assert finding.severity == "warning"
    assert finding.evidence.startswith(
        "mlp-4x10-s0: parallel 10.0% at T = 1, 20.0% at T = 2, 40.0% at T = 4, 70.0% at T = 8, "
        "and no larger T was run; the ANN has 90.0%, bound 5.0 points below"
    )


def test_one_kind_that_never_gets_there_is_enough_for_a_warning() -> None:
    finding = only(CHECK, record(Net(16)))
    assert finding.severity == "warning"
    assert "parallel 30.0% at T = 1, T = 2 is enough (90.0%)" in finding.evidence
    assert "79.0% at T = 8, and no larger T was run" in finding.evidence


@pytest.mark.parametrize(("below", "issue"), [(5.0, False), (5.01, True)])
@pytest.mark.parametrize("ann", [90.0, 90.01])
def test_at_its_bound(ann: float, below: float, *, issue: bool) -> None:
    """Exactly five points are no issue, whatever they round to; of 10,000 samples chance makes "
    "less."""
    assert passes(CHECK, accuracies(ann, ann - below, ann)) is not issue


@pytest.mark.parametrize(
    ("ann", "least", "issue"),
    [(90, 81.5, False), (90, 80.5, True), (50, 35.5, False), (50, 34.5, True)],
)
def test_few_samples_need_a_larger_gap(ann: float, least: float, *, issue: bool) -> None:
    """3 sqrt(2 x .9 x .1 / 200) = .09; of one half, .15."""
    assert passes(CHECK, accuracies(ann, least, ann, samples=200)) is not issue


def test_its_bound_is_that_of_chance() -> None:
    """Twenty thousand pairs of tests on 200 samples of a network that is right in 90 %."""
    drawn = np.random.default_rng(0).binomial(200, 0.9, size=(2, 20_000)) / 2
    far = np.abs(drawn[0] - drawn[1]) > 9.0  # percentage points
    assert far.mean() == pytest.approx(0.003, abs=0.0015)  # four of its own standard errors


def test_a_network_that_no_longer_rises_lacks_something_else() -> None:
    """It stays at 80 %: T = 8 is not too small; T = 1 is, against what it has come to."""
    finding = only(CHECK, accuracies(95, 40, 78, 80, 80.5))
    assert finding.severity == "note"
    assert finding.evidence.startswith(
        "mlp-4x10-s0: parallel 40.0% at T = 1, then no longer for want of steps (80.5%); the ANN"
    )
    assert passes(CHECK, accuracies(95, 79, 79.5, 80, 80.5))


@pytest.mark.parametrize(("last", "severity"), [(80.9, "note"), (81.0, "warning")])
def test_how_little_is_no_rise(last: float, severity: str) -> None:
    assert only(CHECK, accuracies(95, 40, 78, 80, last)).severity == severity


def test_at_chance_it_does_wait_for_steps() -> None:
    """10 classes: a threshold that nothing reaches gives 10 % at T = 1 and at T = 2."""
    assert only(CHECK, accuracies(95, 10, 10)).severity == "warning"
    assert only(CHECK, accuracies(95, 15, 15)).severity == "warning"
    assert passes(CHECK, accuracies(95, 15.1, 15.1))


def test_one_t_alone() -> None:
    assert only(CHECK, accuracies(95, 60)).severity == "warning"
    assert passes(CHECK, accuracies(95, 95))


def test_steps_in_no_order() -> None:
    finding = only(CHECK, accuracies(95, 95, 60, 94, steps=(16, 2, 8)))
    assert "parallel 60.0% at T = 2, T = 8 is enough (94.0%)" in finding.evidence


def test_a_network_that_is_better_than_the_ann() -> None:
    assert passes(CHECK, accuracies(88, 88, 93))


def test_the_requantised_ann_is_no_spiking_network() -> None:
    made = accuracies(95, 95, 95)
    assert passes(CHECK, change(made, "conversion_accuracy", {"neuron": "requantised"}, correct=0))


def test_without_facts_of_the_data() -> None:
    made = ungiven(accuracies(95, 40, 78, 80, 80.5), "classes", "samples")
    assert only(CHECK, made).evidence.endswith("(N unknown)")


def test_several_networks() -> None:
    made = record(Net(), Net(seed=1, time_steps=(4, 8), neurons=("parallel",)), Net(seed=2))
    table = made.tables["conversion_accuracy"]
    chosen = (table["network"] == "mlp-4x10-s2") & (table["neuron"] == "ann")
    made.tables["conversion_accuracy"] = table[~chosen]
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s0"]
    assert outcome.reason == (
        "mlp-4x10-s2: the accuracies of the ANN and of a spiking network are not both known"
    )


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no conversion_accuracy; `snnlens conversion` makes one that does"
    )


@pytest.mark.parametrize(("least", "issue"), [(80, False), (75, True)])
def test_a_perfect_ann_is_not_known_exactly(least: float, *, issue: bool) -> None:
    """Of 20 samples, all right: 300 sqrt(2 x .95 x .05 / 20) = 20.7 points."""
    assert passes(CHECK, accuracies(100, least, 100, samples=20)) is not issue


def test_what_it_has_come_to_is_that_of_the_largest_t() -> None:
    """75.3 is more than 5 points below 80.5, and less than that below 79.6."""
    finding = only(CHECK, accuracies(95, 75.3, 79.6, 80.5))
    assert "parallel 75.3% at T = 1, then no longer for want of steps (80.5%)" in finding.evidence


def test_kinds_in_the_order_of_the_run() -> None:
    evidence = only(CHECK, record(Net(neurons=("sequential", "parallel")))).evidence
    assert evidence.index("sequential 30.0%") < evidence.index("parallel 30.0%")


def test_exactly_at_the_bound_it_is_there() -> None:
    """85 is five points below 90, which is enough, though it no longer rises."""
    finding = only(CHECK, accuracies(90, 84.9, 85.0))
    assert finding.severity == "note"
    assert "parallel 84.9% at T = 1, T = 2 is enough (85.0%)" in finding.evidence
