"""SNL505: a max-pool over the spikes of sequential neurons."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from snnlens.checks.max_pool import MaxPool
from tests.unit.checks.converted import OTHER, covered, sited
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, record

CHECK = MaxPool()
ACT0, ACT1 = ("act0", "QCFS", "replaced"), ("act1", "QCFS", "replaced")
POOL = ("pool", "MaxPool2d", "analog")


def test_between_sequential_layers() -> None:
    """Layer 1 inherits .03 with sequential and .02 with parallel neurons."""
    finding = only(
        CHECK, covered(record(Net()), ACT0, POOL, ACT1, ("pool2", "max_pool2d", "analog"))
    )
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "mlp-4x10-s0: pool (MaxPool2d) takes the maximum of single spikes of act0 (QCFS), "
        "sequential, and not of their counts; the error that act1 inherits, in theta rms, is 0.03 "
        "with sequential neurons at T = 8, 0.02 with parallel neurons at T = 8 (N = 200 samples); "
        "also pool2"
    )


def test_behind_the_last_spiking_layer() -> None:
    finding = only(CHECK, sited(covered(record(Net()), ACT0, POOL), "pool"))
    assert finding.site == "pool"
    assert "; no spiking layer is behind it, and the output has the error (" in finding.evidence


def test_a_layer_that_was_not_measured() -> None:
    made = covered(record(Net()), ACT0, POOL, ("other", "QCFS", "replaced"))
    assert (
        "the error that other inherits, in theta rms, is not measured" in only(CHECK, made).evidence
    )


def test_a_record_without_the_errors_of_layers() -> None:
    made = covered(record(Net()), ACT0, POOL, ACT1)
    del made.tables["conversion_layers"], made.schemas["conversion_layers"]
    assert "that act1 inherits, in theta rms, is not measured" in only(CHECK, made).evidence


def test_before_the_first_spiking_layer_it_sees_constants() -> None:
    assert passes(CHECK, covered(record(Net()), POOL, ACT0, ACT1))


@pytest.mark.parametrize("pool", [("pool", "MaxPool2d", "kept"), ("pool", "AvgPool2d", "kept")])
def test_pools_that_are_none(pool: tuple[str, str, str]) -> None:
    """A max-pool that became an average pool, as was asked, is kept."""
    assert passes(CHECK, covered(record(Net()), ACT0, pool, ACT1))


@pytest.mark.parametrize(("kind", "issue"), [("IF", True), ("ParallelIF", False)])
def test_layers_that_spiked_before(kind: str, *, issue: bool) -> None:
    """Neurons of the ANN's own before the pool, whatever stands for its activations."""
    own = ("sn", kind, "spiking")
    made = covered(record(Net(neurons=("parallel",))), own, POOL, ACT1)
    if issue:
        assert "single spikes of sn (IF), sequential" in only(CHECK, made).evidence
    else:
        assert "no sequential neuron was run" in reason(CHECK, made)


def test_a_parallel_layer_of_the_ann_before_the_pool() -> None:
    assert passes(CHECK, covered(record(Net()), ACT0, ("sn", "ParallelIF", "spiking"), POOL, ACT1))


def test_several_networks() -> None:
    made = record(Net(), Net(seed=1), Net(seed=2, neurons=("parallel",)))
    outcome = CHECK.outcome(covered(made, ACT0, POOL, ACT1))
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s0"]
    assert outcome.reason.startswith("mlp-4x10-s2: no sequential neuron was run")


def test_parallel_trains_are_sorted() -> None:
    made = covered(record(Net(neurons=("parallel",))), ACT0, POOL, ACT1)
    assert reason(CHECK, made) == (
        "no sequential neuron was run; the maximum at each step is exact on the sorted trains of "
        "parallel ones"
    )


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no conversion_coverage, conversion_accuracy; `snnlens conversion` makes "
        "one that does"
    )


# --- why -----------------------------------------------------------------------------------------


def test_its_formula_over_all_trains_of_two_neurons() -> None:
    """4 steps: the pooled train has never fewer spikes than the larger count, and just as many if
    both are sorted."""
    all_trains = np.array(list(product([0, 1], repeat=4)))
    gaps = {(tuple(a), tuple(b)): np.maximum(a, b).sum() - max(a.sum(), b.sum())
            for a, b in product(all_trains, repeat=2)}  # fmt: skip
    assert min(gaps.values()) == 0
    assert max(gaps.values()) == 2  # two that fire in turn count as one that fires always
    in_order = [(a, b) for a, b in gaps if a == tuple(sorted(a)) and b == tuple(sorted(b))]
    assert len(in_order) == 25
    assert {gaps[pair] for pair in in_order} == {0}


def test_one_pool_alone() -> None:
    assert only(CHECK, covered(record(Net()), ACT0, POOL, ACT1)).evidence.endswith(
        "0.02 with parallel neurons at T = 8 (N = 200 samples)"
    )


def test_what_is_analog_and_no_pool_is_another_finding() -> None:
    assert passes(CHECK, covered(record(Net()), ACT0, ("act", "GELU", "analog"), ACT1))
