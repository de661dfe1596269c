"""SNL504: an activation that was left analog."""

from __future__ import annotations

import pytest

from snnlens.checks.functional_relu import FunctionalRelu
from tests.unit.checks.converted import OTHER, covered, sited
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, record

CHECK = FunctionalRelu()
SPIKES = ("act0", "ReLU", "replaced")


def test_the_first_one_and_the_others() -> None:
    finding = only(CHECK, covered(
        record(Net()), ("stem.relu", "relu", "analog"), SPIKES, ("act1", "GELU", "analog"),
        ("fc", "Linear", "kept"), ("act2", "IF", "spiking"),
    ))  # fmt: skip
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "mlp-4x10-s0: stem.relu (relu) is left analog: it is so; 2 of 4 layers that are not linear "
        "are analog; also act1"
    )


def test_one_alone_that_is_a_site() -> None:
    made = sited(covered(record(Net()), SPIKES, ("act1", "GELU", "analog")), "act1")
    finding = only(CHECK, made)
    assert finding.site == "act1"
    assert finding.evidence.endswith("1 of 2 layers that are not linear is analog")


@pytest.mark.parametrize("outcome", ["replaced", "kept", "folded", "spiking"])
def test_what_is_not_analog_passes(outcome: str) -> None:
    assert passes(CHECK, covered(record(Net()), SPIKES, ("act1", "ReLU", outcome)))


@pytest.mark.parametrize(
    "kind", ["MaxPool1d", "MaxPool2d", "max_pool2d", "AdaptiveMaxPool2d", "adaptive_max_pool2d"]
)
def test_max_pools_have_their_own_code(kind: str) -> None:
    assert passes(CHECK, covered(record(Net()), SPIKES, ("pool", kind, "analog")))


def test_a_forward_function_that_was_not_read() -> None:
    finding = only(CHECK, covered(record(Net()), SPIKES, ("(forward)", "Net", "kept")))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == "mlp-4x10-s0: it is so"


def test_several_networks() -> None:
    made = record(Net(), Net(seed=1), Net(seed=2))
    table = made.tables["conversion_coverage"]
    first = (table["network"] == "mlp-4x10-s1") & (table["module"] == "act2")
    table.loc[first, "outcome"] = "analog"
    made.tables["conversion_coverage"] = table[table["network"] != "mlp-4x10-s2"]
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s1"]
    assert outcome.reason.startswith("mlp-4x10-s2: the record holds no conversion_coverage")


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no conversion_coverage; `snnlens conversion` makes one that does"
    )
