"""SNL508: channels whose activation is 0 on all samples."""

from __future__ import annotations

import pytest

from snnlens.checks.dead_channel import DeadChannel
from snnlens.recording.record import Record
from tests.unit.checks.converted import NO_LAYERS, OTHER, relu, sited, ungiven
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, change, record

CHECK = DeadChannel()


def dead(**channels: int) -> Record:
    """So many of ten channels of each named layer, and none of the others."""
    made = change(record(relu()), "conversion_layers", {}, dead_channels=0, threshold_min=0.001)
    for layer, number in channels.items():
        change(made, "conversion_layers", {"layer": layer}, dead_channels=number)
    return made


def test_the_worst_layer_and_the_others() -> None:
    finding = only(CHECK, dead(act1=3, act2=4, act3=1))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "mlp-4x10-s0: 4 of 10 channels of act2 are 0 on all samples, and the least theta there is "
        "0.001 (N = 200 samples; another sample wakes such a channel with a probability of at most "
        "0.015, 95 %); also act1, act3"
    )


def test_a_layer_that_is_a_site_is_named() -> None:
    assert only(CHECK, sited(dead(act1=1), "act1")).site == "act1"


@pytest.mark.parametrize(("channels", "severity"), [(1, "note"), (5, "note"), (6, "warning")])
def test_at_half_of_a_layer(channels: int, severity: str) -> None:
    finding = only(CHECK, dead(act0=channels))
    assert finding.severity == severity
    assert ("(bound 50%)" in finding.evidence) is (severity == "warning")


def test_no_dead_channel() -> None:
    assert passes(CHECK, dead())


def test_without_the_number_of_samples() -> None:
    assert only(CHECK, ungiven(dead(act0=1), "samples")).evidence.endswith("0.001 (N unknown)")


def test_several_networks() -> None:
    """By hand layer 1 has a dead channel; the second network has none, the third learned theta."""
    made = record(relu(), relu(seed=1), Net(seed=2))
    change(made, "conversion_layers", {"network": "mlp-4x10-s1"}, dead_channels=0)
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s0"]
    assert outcome.reason.startswith("mlp-4x10-s2: the thresholds were learned")


def test_learned_thresholds() -> None:
    assert reason(CHECK, record(Net())) == "the thresholds were learned, not read from activations"


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == NO_LAYERS


def test_the_samples_are_those_that_thresholds_were_read_of() -> None:
    made = dead(act0=1)
    made.networks["mlp-4x10-s0"]["calibration_samples"] = 1000
    assert only(CHECK, made).evidence.endswith(
        "(N = 1000 samples that thresholds were read of; another sample wakes such a channel with "
        "a probability of at most 0.003, 95 %)"
    )
