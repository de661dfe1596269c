"""SNL506: parallel and sequential neurons in one network."""

from __future__ import annotations

import pytest

from snnlens.checks.mixed_neurons import MixedNeurons
from snnlens.recording.record import Record
from tests.unit.checks.converted import OTHER, covered, sited
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, record

CHECK = MixedNeurons()
ACT0, ACT1 = ("act0", "QCFS", "replaced"), ("act1", "QCFS", "replaced")
OWN = ("sn", "IF", "spiking")
PARALLEL = ("parallel",)


def alone(*neurons: str, trials: bool = True) -> Record:
    return record(Net(neurons=neurons), trials=trials)


def test_a_sequential_layer_behind_parallel_ones() -> None:
    """.07 of late trains at every T, and .25 / 256 of regular ones."""
    made = covered(alone("parallel"), ACT0, ACT1, OWN, ("sn2", "LIF", "spiking"))
    finding = only(CHECK, sited(made, "sn"))
    assert (finding.severity, finding.site) == ("warning", "sn")
    assert finding.evidence == (
        "mlp-4x10-s0: 2 parallel and 2 sequential layers; sn (IF) is sequential behind parallel "
        "ones; also sn2; 96.0% with parallel neurons at T = 8, the ANN 95.0%, in the trials of one "
        "neuron sorted trains make an error of 0.07 theta rms at T = 256 and regular ones 0.00098 "
        "(N = 200 samples)"
    )


def test_a_parallel_layer_of_the_ann_before_sequential_ones() -> None:
    made = covered(alone("sequential", trials=False), ("sn", "ParallelIF", "spiking"), ACT0)
    finding = only(CHECK, made)
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "mlp-4x10-s0: 1 parallel and 1 sequential layers; act0 (QCFS) is sequential behind "
        "parallel ones; 91.0% with sequential neurons at T = 8, the ANN 95.0% (N = 200 samples)"
    )


def test_a_note_where_parallel_neurons_come_last() -> None:
    finding = only(CHECK, covered(alone("parallel"), OWN, ACT0))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "mlp-4x10-s0: 1 parallel and 1 sequential layers; no sequential one comes behind a "
        "parallel one; 96.0% with parallel neurons at T = 8, the ANN 95.0% (N = 200 samples)"
    )


def test_the_worse_run_is_named() -> None:
    """Both are mixed; only sequential activations come behind the ANN's own parallel layer."""
    made = covered(record(Net()), OWN, ("own", "ParallelIF", "spiking"), ACT0)
    finding = only(CHECK, made)
    assert finding.severity == "warning"
    assert (
        "act0 (QCFS) is sequential behind parallel ones; 91.0% with sequential" in finding.evidence
    )


def test_the_run_that_is_mixed_is_named() -> None:
    made = covered(record(Net()), ACT0, OWN, ACT1)
    assert "sn (IF) is sequential behind parallel ones; 96.0% with p" in only(CHECK, made).evidence


@pytest.mark.parametrize(("neuron", "kind"), [("sequential", "IF"), ("parallel", "ParallelIF")])
def test_one_kind_passes(neuron: str, kind: str) -> None:
    assert passes(CHECK, covered(alone(neuron), ACT0, ("sn", kind, "spiking"), ACT1))


def test_two_runs_of_one_network_are_no_mixture() -> None:
    assert passes(CHECK, record(Net()))


def test_a_calibrated_network_is_parallel() -> None:
    assert not passes(CHECK, covered(alone("calibrated"), ACT0, OWN))
    assert passes(CHECK, covered(alone("calibrated"), ACT0, ("sn", "ParallelIF", "spiking")))


def test_kinds_that_the_coverage_names() -> None:
    """Activations replaced by neurons of two kinds."""
    made = covered(alone("parallel"), ACT0, ACT1)
    assert passes(CHECK, made)
    made.tables["conversion_coverage"].loc[1, "by"] = "SequentialLayer"
    assert "act1 (QCFS) is sequential behind parallel ones" in only(CHECK, made).evidence


def test_several_networks() -> None:
    made = covered(record(Net(neurons=PARALLEL), Net(seed=1), Net(seed=2)), ACT0, OWN)
    table = made.tables["conversion_coverage"]
    made.tables["conversion_coverage"] = table[
        (table["network"] != "mlp-4x10-s2") | (table["outcome"] == "folded")
    ]
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s0"]
    assert outcome.reason == "mlp-4x10-s2: no layer of the network spikes"


def test_without_trials_of_sorted_trains() -> None:
    made = covered(alone("parallel"), ACT0, OWN)
    trials = made.tables["conversion_unevenness"]
    made.tables["conversion_unevenness"] = trials[trials["inputs"] != "late"]
    assert "trials" not in only(CHECK, made).evidence


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no conversion_coverage, conversion_accuracy; `snnlens conversion` makes "
        "one that does"
    )


def test_without_an_ann_to_compare_with() -> None:
    made = covered(alone("parallel"), OWN, ACT0)
    table = made.tables["conversion_accuracy"]
    made.tables["conversion_accuracy"] = table[table["neuron"] != "ann"]
    assert only(CHECK, made).evidence == (
        "mlp-4x10-s0: 1 parallel and 1 sequential layers; no sequential one comes behind a "
        "parallel one (N = 200 samples)"
    )


def test_each_kind_is_counted() -> None:
    made = covered(alone("parallel"), ACT0, ACT1, OWN)
    assert "2 parallel and 1 sequential layers" in only(CHECK, made).evidence
