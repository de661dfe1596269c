"""SNL509: the ANN itself says nothing, so that its conversion has nothing to lose."""

from __future__ import annotations

import pytest

from snnlens.checks.ann_at_chance import AnnAtChance
from tests.unit.checks.converted import OTHER, ungiven
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, change, record

CHECK = AnnAtChance()


@pytest.mark.parametrize(("right", "fires"), [(20, True), (32, True), (33, False), (190, False)])
def test_the_bound(right: int, fires: bool) -> None:
    """10 classes, N = 200: 10 + 3 sqrt(.1 x .9 / 200) = 16.4 %, that is 32 of 200."""
    made = change(record(Net()), "conversion_accuracy", {"neuron": "ann"}, correct=right)
    assert bool(CHECK.findings(made)) == fires


def test_the_finding() -> None:
    made = change(record(Net()), "conversion_accuracy", {"neuron": "ann"}, correct=22)
    found = only(CHECK, made)
    assert found.severity == "error"
    assert found.evidence == (
        "mlp-4x10-s0: the ANN has 11.0%, a guess 10.0%, bound 16.4% (N = 200 samples)"
    )


def test_one_that_has_learned() -> None:
    assert passes(CHECK, record(Net()))


def test_not_applicable() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no conversion_accuracy; `snnlens conversion` makes one that does"
    )
    assert reason(CHECK, ungiven(record(Net()), "classes")) == (
        "the ANN's accuracy or the number of classes is not known"
    )


def test_without_the_ann_itself() -> None:
    made = record(Net())
    table = made.tables["conversion_accuracy"]
    made.tables["conversion_accuracy"] = table[table["neuron"] != "ann"]
    assert reason(CHECK, made) == "the ANN's accuracy or the number of classes is not known"
