"""SNL503: a layer of sequential neurons whose spikes come too unevenly."""

from __future__ import annotations

import numpy as np
import pytest

from snnlens.checks.uneven_layer import UnevenLayer
from tests.unit.checks.converted import (
    NO_LAYERS,
    OTHER,
    SIGNAL,
    counted,
    one_layer,
    relu,
    sited,
    sized,
)
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, change, record

CHECK = UnevenLayer()
FINE = {"unevenness_squares": 0.0, "residual_more": 0, "residual_less": 0}


def test_a_note_where_more_steps_cure_it() -> None:
    """.16 / T of a signal of .354: above a tenth up to T = 4."""
    finding = only(CHECK, record(Net()))
    assert (finding.severity, finding.site) == ("note", None)
    assert finding.evidence == (
        "mlp-4x10-s0: the unevenness of act1 is 0.04 theta rms, 11.3% of its signal (bound 10%), "
        "at T = 4 with sequential neurons; by their residual potential 5.00% of 2000 values have a "
        "spike too many and 1.00% one too few; quantisation 0, clipping 0 (N = 200 samples); also "
        "act2, act3; below the bound from T = 8 on"
    )


def test_a_warning_where_none_of_the_run_does() -> None:
    made = sited(sized(record(Net()), "act2", at={"neuron": "sequential"}, unevenness=0.1), "act2")
    finding = only(CHECK, made)
    assert (finding.severity, finding.site) == ("warning", "act2")
    assert finding.evidence.startswith(
        "mlp-4x10-s0: the unevenness of act2 is 0.1 theta rms, 28.3% of its signal (bound 10%), at "
        "T = 8 with sequential neurons"
    )
    assert finding.evidence.endswith("(N = 200 samples)")  # the other layers are fine at T = 8


@pytest.mark.parametrize(("part", "issue"), [(0.0999, False), (0.1001, True)])
def test_at_its_bound(part: float, *, issue: bool) -> None:
    made = change(record(Net()), "conversion_layers", {}, **FINE)
    change(made, "conversion_layers", {"layer": "act2"}, residual_less=1)
    assert passes(CHECK, sized(made, "act2", unevenness=part * SIGNAL)) is not issue


def test_only_where_the_residual_potential_says_so() -> None:
    made = change(record(Net()), "conversion_layers", {}, residual_more=0, residual_less=0)
    assert passes(CHECK, made)


def test_values_that_the_two_tests_judge_otherwise_are_said() -> None:
    made = change(record(Net()), "conversion_layers", {"neuron": "sequential"}, residual_wrong=3.0)
    assert "and 1.00% one too few, 3 of them not by their count;" in only(CHECK, made).evidence


def test_what_the_network_ran_counts() -> None:
    made = change(record(Net()), "conversion_layers", {"view": "accumulated"}, **FINE)
    assert passes(CHECK, made)


def test_a_silent_layer_is_not_judged() -> None:
    assert passes(CHECK, change(record(Net()), "conversion_layers", {}, activation_squares=0.0))


def test_several_networks() -> None:
    """One that ran parallel neurons alone, one with a layer that sees constant currents only."""
    made = record(Net(), Net(1, seed=1), Net(seed=2, neurons=("parallel",)))
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s0"]
    assert outcome.reason.startswith("mlp-4x10-s2: no sequential neuron was run")


def test_parallel_neurons_see_the_sum() -> None:
    assert reason(CHECK, record(Net(neurons=("parallel", "calibrated")))) == (
        "no sequential neuron was run; parallel ones see the sum of their currents alone"
    )


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == NO_LAYERS


# --- neurons run step by step --------------------------------------------------------------------


def trains(order: str, steps: int) -> np.ndarray:
    """Currents [T, 500] of 64 inputs that fire at a rate of 1/4, in some order."""
    rng = np.random.default_rng(1)
    k = rng.binomial(steps, 0.25, size=64)
    at = np.arange(steps)[:, None]
    spikes = {
        "late": at >= steps - k,
        "even": np.floor((at + 1) * k / steps + 0.5) > np.floor(at * k / steps + 0.5),
    }.get(order, np.broadcast_to(k / steps, (steps, 64)))
    found: np.ndarray = spikes @ rng.normal(0.05, 0.25, size=(64, 500))
    return found


@pytest.mark.parametrize(
    ("order", "steps", "issue"),
    [("constant", 4, False), ("constant", 64, False), ("late", 64, True), ("even", 64, False)],
)
def test_the_order_of_the_spikes(order: str, steps: int, *, issue: bool) -> None:
    """64 steps cure trains that are spread evenly, and not those that are sorted."""
    currents = trains(order, steps)
    columns = counted(currents.mean(0), steps, currents)
    made = one_layer(steps, columns, neurons=("sequential",))
    assert passes(CHECK, made) is not issue
    found = columns["residual_more"] + columns["residual_less"]
    assert (found == 0) is (order == "constant")


def test_the_residual_test_counts_what_differs() -> None:
    """By the definition of the count: no value is missed, and none is found wrongly."""
    currents = trains("late", 16)
    columns = counted(currents.mean(0), 16, currents)
    k = np.zeros(500)
    for neuron in range(500):  # one by one, in plain numbers
        v = 0.5
        for current in currents[:, neuron]:
            v += current
            if v >= 1:
                v, k[neuron] = v - 1, k[neuron] + 1
    total = currents.sum(0)
    exact = np.array([sum(s + 0.5 >= j for j in range(1, 17)) for s in total])
    assert columns["residual_more"] == (k > exact).sum() > 0
    assert columns["residual_less"] == (k < exact).sum() > 0


def test_a_relu_network_too() -> None:
    assert not passes(CHECK, record(relu()))
