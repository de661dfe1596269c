"""The claims on conversion, each with a Record for which it holds and others for which it fails."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from snnlens.analysis import conversion
from snnlens.recording.record import Record
from snnlens.recording.result import Claim
from tests.unit.conversion_record import Net, change, record, three_depths

IDS = [
    "thm41-lossless", "thm41-expectation", "sorted", "parallel-is-requantised",
    "sequential-not-lossless", "unevenness-slope", "depth-widens-gap",
]  # fmt: skip
LAYERS, ACCURACY = "conversion_layers", "conversion_accuracy"
PARALLEL = {"neuron": "parallel", "view": "accumulated", "order": 2}


def claim(name: str, made: Record) -> Claim:
    (found,) = [c for c in conversion.compute(made).claims if c.id == name]
    return found


def said(made: Claim) -> tuple[float | None, str, str]:
    return made.measured, made.verdict, made.reason


def without(made: Record, table: str, **where: Any) -> Record:
    """The Record without the rows that have these values."""
    rows = made.tables[table]
    for column, value in where.items():
        made.tables[table] = rows = rows[rows[column] != value].reset_index(drop=True)
    return made


def test_all_hold_on_paper() -> None:
    claims = conversion.compute(three_depths()).claims
    assert [c.id for c in claims] == IDS
    assert [c.verdict for c in claims] == ["holds"] * 7
    assert all(c.statement.endswith(".") and c.bound and c.reason for c in claims)
    assert all("Hao et al. 2025" in c.source for c in claims)


def test_sources_tell_what_the_paper_says_from_what_is_derived() -> None:
    sources = {c.id: c.source for c in conversion.compute(record(Net())).claims}
    theorem = [name for name, source in sources.items() if "Theorem 4.1" in source]
    assert theorem == ["thm41-lossless", "thm41-expectation"]
    assert all("for snnlens" in s for name, s in sources.items() if name not in theorem)


# --- lossless ----------------------------------------------------------------------------------


def test_lossless() -> None:
    assert said(claim("thm41-lossless", three_depths(seeds=1))) == (
        0.0, "holds", ("56,000 values of 28 layers in 3 networks in float64; top 1 95.00 %, 0.00 "
        "points below the ANN, mean of 3"),
    )  # fmt: skip


def test_one_count_that_differs_at_the_level_is_a_loss() -> None:
    made = claim(
        "thm41-lossless",
        change(record(Net()), LAYERS, PARALLEL | {"time_steps": 4}, differs=1),
    )
    assert (made.measured, made.verdict) == (1.0, "fails")


@pytest.mark.parametrize("steps", [2, 8])
def test_at_another_T_a_difference_is_no_loss(steps: int) -> None:
    made = change(record(Net()), LAYERS, PARALLEL | {"time_steps": steps}, differs=1)
    assert claim("thm41-lossless", made).verdict == "holds"


def test_the_local_view_is_not_the_networks() -> None:
    made = change(record(Net()), LAYERS, PARALLEL | {"view": "local"}, differs=9)
    assert claim("thm41-lossless", made).verdict == "holds"


def test_the_networks_own_level_counts() -> None:
    """Two networks, L = 4 and L = 8: what differs at T = 8 is a loss of the second alone."""
    where = PARALLEL | {"time_steps": 8, "network": "eight"}
    made = change(record(Net(), Net(levels=8, name="eight")), LAYERS, where, differs=5)
    assert claim("thm41-lossless", made).measured == 5.0
    other = change(record(Net(), Net(levels=8, name="eight")), LAYERS,
                   where | {"network": "mlp-4x10-s0"}, differs=5)  # fmt: skip
    assert claim("thm41-lossless", other).measured == 0.0


@pytest.mark.parametrize("name", ["thm41-lossless", "sequential-not-lossless", "depth-widens-gap"])
def test_relu_has_no_level(name: str) -> None:
    assert said(claim(name, record(Net(levels=None), Net(8, levels=None)))) == (
        None, "not-testable", ("the ANN has no levels (ReLU): there is no T at which it should be "
        "met"),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["thm41-lossless", "sequential-not-lossless", "depth-widens-gap"])
def test_the_level_was_not_run(name: str) -> None:
    assert said(claim(name, record(Net(time_steps=(2, 8)), Net(8, levels=16)))) == (
        None, "not-testable", "T = L was not run: L is 4, 16",
    )  # fmt: skip


def test_a_relu_network_beside_qcfs_is_passed_over() -> None:
    made = claim("thm41-lossless", record(Net(), Net(levels=None, name="relu")))
    assert made.verdict == "holds"
    assert made.reason.startswith("8,000 values of 4 layers in 1 network in float64;")


# --- parallel is requantised, and sorted -------------------------------------------------------


def test_requantised() -> None:
    assert said(claim("parallel-is-requantised", record(Net()))) == (
        0.0, "holds", ("32,000 values of 4 layers in 1 network at T = 1, 2, 4, 8 in float64; the "
        "number of right answers differs in 0 of 4 runs"),
    )  # fmt: skip


def test_requantised_fails_by_one_count_at_any_T() -> None:
    made = change(record(Net()), LAYERS, PARALLEL | {"time_steps": 8}, differs=3)
    found = claim("parallel-is-requantised", made)
    assert (found.measured, found.verdict) == (3.0, "fails")


def test_requantised_fails_by_one_right_answer() -> None:
    where = {"neuron": "requantised", "time_steps": 2}
    found = claim("parallel-is-requantised", change(record(Net()), ACCURACY, where, correct=181))
    assert (found.measured, found.verdict) == (0.0, "fails")
    assert found.reason.endswith("the number of right answers differs in 1 of 4 runs")


def test_requantised_needs_both() -> None:
    """Equal counts alone do not show it where the requantised ANN was not run."""
    made = without(record(Net()), ACCURACY, neuron="requantised")
    assert claim("parallel-is-requantised", made).verdict == "fails"


@pytest.mark.parametrize("name", ["thm41-lossless", "parallel-is-requantised"])
@pytest.mark.parametrize(
    ("precision", "each", "verdict"),
    [
        ("float32", 4, "not-testable"),  # of 8,000 counts
        ("float32", 8, "fails"),  # 1e-3: rounding does not do that
        ("float64", 1, "fails"),
        ("float32", 0, "holds"),
    ],
)
def test_float32_is_no_exact_arithmetic(name: str, precision: str, each: int, verdict: str) -> None:
    nets = Net(facts={"precision": precision}, time_steps=(4,))
    made = change(record(nets), LAYERS, PARALLEL | {"time_steps": 4}, differs=each)
    found = claim(name, made)
    assert found.verdict == verdict
    if verdict == "not-testable":
        assert found.reason.startswith("4 of 8000 counts (0.0005) differ in float32, where")


def test_sorted() -> None:
    found = claim("sorted", record(Net(neurons=("parallel", "sequential", "calibrated"))))
    assert said(found) == (
        0.0, "holds", "64,000 values of 4 layers in 1 network of parallel and calibrated neurons",
    )  # fmt: skip
    made = change(record(Net()), LAYERS, PARALLEL | {"time_steps": 1}, unsorted=2.0)
    assert claim("sorted", made).measured == 2.0
    assert claim("sorted", made).verdict == "fails"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("thm41-lossless", "no parallel neuron was run"),
        ("sorted", "no parallel neuron was run"),
        ("parallel-is-requantised", "the layers of no parallel neuron were recorded"),
    ],
)
def test_without_parallel_neurons(name: str, reason: str) -> None:
    found = claim(name, record(Net(neurons=("sequential",))))
    assert said(found) == (None, "not-testable", reason)


# --- expectation -------------------------------------------------------------------------------


def test_expectation() -> None:
    assert said(claim("thm41-expectation", record(Net()))) == (
        0.0, "holds", ("12 pairs of L and T; not so of half-normal inputs: up to -0.154 theta (L = "
        "4, T = 1); nor at shift 0: up to -0.438 theta (L = 8, T = 1), within 0 of (1/L - 1/T) / "
        "2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "verdict"), [(1e-6, "holds"), (-1e-6, "holds"), (1.1e-6, "fails"), (-2e-6, "fails")]
)
def test_expectation_has_a_bound(error: float, verdict: str) -> None:
    where = {"inputs": "uniform", "shift": 0.5, "levels": 8, "time_steps": 2}
    found = claim(
        "thm41-expectation", change(record(Net()), "conversion_expectation", where, error=error)
    )
    assert (found.measured, found.verdict) == (abs(error), verdict)


def test_expectation_that_is_no_number_fails() -> None:
    where = {"inputs": "uniform", "shift": 0.5, "levels": 8, "time_steps": 2}
    made = change(record(Net()), "conversion_expectation", where, error=math.nan)
    found = claim("thm41-expectation", made)
    assert (found.measured, found.verdict) == (None, "fails")


def test_the_bias_at_shift_0_is_said_against_its_closed_form() -> None:
    where = {"inputs": "uniform", "shift": 0.0, "levels": 4, "time_steps": 2}
    made = change(record(Net()), "conversion_expectation", where, error=-0.125 + 0.03)
    assert "within 0.03 of (1/L - 1/T) / 2" in claim("thm41-expectation", made).reason


def test_expectation_without_its_trials() -> None:
    assert said(claim("thm41-expectation", record(Net(), trials=False))) == (
        None, "not-testable", "the record holds no conversion_expectation",
    )  # fmt: skip
    made = without(record(Net()), "conversion_expectation", inputs="uniform")
    assert claim("thm41-expectation", made).reason == "no uniform inputs at shift 1/2 were run"


# --- the sequential neuron ---------------------------------------------------------------------


def test_not_lossless() -> None:
    """Three of four layers, 6 % of their counts; 8 points of 200 answers."""
    assert said(claim("sequential-not-lossless", record(Net()))) == (
        pytest.approx(0.045, rel=1e-12), "holds", ("8,000 values of 4 layers in 1 network differ "
        "in 360; top 1 87.00 %, 8.00 points below the ANN, mean of 1"),
    )  # fmt: skip


def test_a_sequential_network_without_loss_fails_the_claim() -> None:
    made = change(record(Net()), LAYERS, {"neuron": "sequential", "time_steps": 4}, differs=0)
    found = claim("sequential-not-lossless", made)
    assert (found.measured, found.verdict) == (0.0, "fails")


def test_one_layer_is_exact_always() -> None:
    assert said(claim("sequential-not-lossless", record(Net(1)))) == (
        None, "not-testable", ("one spiking layer only, whose current is constant: it is exact "
        "always"),
    )  # fmt: skip


# --- unevenness --------------------------------------------------------------------------------


def trials(**exponents: float) -> Record:
    """Unevenness that falls as T to these exponents."""
    made = record(Net())
    rows = made.tables["conversion_unevenness"]
    for inputs, exponent in exponents.items():
        at = rows["inputs"] == inputs
        rows.loc[at, "rmse"] = 0.1 * rows.loc[at, "time_steps"].astype(float) ** exponent
    return made


@pytest.mark.parametrize(
    ("inputs", "exponent", "off", "verdict"),
    [
        ("regular", -0.92, 0.08, "holds"),
        ("regular", -0.89, 0.11, "fails"),
        ("regular", -1.11, 0.11, "fails"),
        ("shuffled", -0.61, 0.09, "holds"),
        ("shuffled", -0.5, 0.2, "fails"),
        ("shuffled", -0.81, 0.11, "fails"),
        ("late", -0.09, 0.09, "holds"),
        ("late", -0.2, 0.2, "fails"),
        ("early", 0.12, 0.12, "fails"),
    ],
)
def test_slopes(inputs: str, exponent: float, off: float, verdict: str) -> None:
    found = claim("unevenness-slope", trials(**{inputs: exponent}))
    assert (found.measured, found.verdict) == (pytest.approx(off, abs=1e-9), verdict)
    assert f"{inputs} {exponent:+.3f}" in found.reason


def test_slopes_need_every_order_of_inputs_and_the_whole_range() -> None:
    made = without(record(Net()), "conversion_unevenness", inputs="late")
    assert claim("unevenness-slope", made).reason == "not run: late"
    made = without(record(Net()), "conversion_unevenness", time_steps=256)
    assert said(claim("unevenness-slope", made)) == (
        None, "not-testable", "needs T from 8 to 256",
    )  # fmt: skip
    assert said(claim("unevenness-slope", record(Net(), trials=False))) == (
        None, "not-testable", "the record holds no conversion_unevenness",
    )  # fmt: skip


# --- depth -------------------------------------------------------------------------------------


def test_depth_widens_the_gap() -> None:
    assert said(claim("depth-widens-gap", three_depths())) == (
        8.0, "holds", ("points below the ANN, mlp, mean of 3 seeds: 4 layers 9.00, 8 layers 17.00, "
        "16 layers 33.00"),
    )  # fmt: skip


def test_every_step_of_depth_has_to_widen_it() -> None:
    """8 layers as good as 4: the step 4 to 8 is 0 points, that to 16 larger."""
    made = three_depths(seeds=1)
    where = {"network": "mlp-8x10-s0", "neuron": "sequential", "time_steps": 4}
    found = claim("depth-widens-gap", change(made, ACCURACY, where, correct=174))
    assert (found.measured, found.verdict) == (0.0, "fails")
    better = claim("depth-widens-gap", change(made, ACCURACY, where, correct=180))
    assert (better.measured, better.verdict) == (pytest.approx(-3.0, abs=1e-12), "fails")


def test_seeds_that_every_depth_has() -> None:
    """Seed 1 was not run at 16 layers: its gaps, a point larger, are in no mean."""
    nets = [Net(d, seed=s) for d in (4, 8, 16) for s in (0, 1) if (d, s) != (16, 1)]
    found = claim("depth-widens-gap", record(*nets))
    assert found.reason == (
        "points below the ANN, mlp, mean of 1 seed: 4 layers 8.00, 8 layers 16.00, 16 layers 32.00"
    )
    apart = record(Net(4, seed=0), Net(8, seed=1))
    assert said(claim("depth-widens-gap", apart)) == (
        None, "not-testable", "mlp: no seed was run at every depth",
    )  # fmt: skip


def test_networks_without_a_seed_are_one() -> None:
    nets = [Net(d, facts={"seed": None}) for d in (4, 8)]
    assert claim("depth-widens-gap", record(*nets)).measured == 8.0


def test_depths_are_compared_in_one_family_and_width() -> None:
    other = Net(8, width=20)
    assert claim("depth-widens-gap", record(Net(4), other)).reason == (
        "no family was run at two depths"
    )
    nets = [Net(d, family=f, residual=f == "resnet") for f in ("mlp", "resnet") for d in (4, 8)]
    made = record(*nets)
    where = {"network": "resnet-8x10-s0", "neuron": "sequential", "time_steps": 4}
    found = claim("depth-widens-gap", change(made, ACCURACY, where, correct=172))
    assert found.measured == pytest.approx(1.0, abs=1e-12)  # the smaller of two steps
    assert found.reason.count("mean of 1 seed") == 2


def test_claims_do_not_depend_on_the_order_of_rows() -> None:
    made = three_depths()
    shuffled = three_depths()
    for name, rows in shuffled.tables.items():
        shuffled.tables[name] = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    one, other = (conversion.compute(m).claims for m in (made, shuffled))
    numbers = [pd.Series([c.measured for c in claims]) for claims in (one, other)]
    assert numbers[0].to_list() == pytest.approx(numbers[1].to_list(), abs=1e-12)
    assert [c.verdict for c in one] == [c.verdict for c in other]
