"""SNL502: thresholds far above what is used."""

from __future__ import annotations

import numpy as np
import pytest

from snnlens.checks.threshold_large import ThresholdLarge
from snnlens.recording.record import Record
from tests.unit.checks.converted import NO_LAYERS, OTHER, counted, one_layer, relu, sited
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, change, record

CHECK = ThresholdLarge()


def used(made: Record, layer: str, share: float, saturated: int = 0) -> Record:
    """A uniform activation on [0, share theta]: a^2 is share^2 / 3 and a share / 2 on average."""
    return change(
        made, "conversion_layers", {"layer": layer}, activation_sum=2000 * share / 2,
        activation_squares=2000 * share**2 / 3, saturated=saturated,
    )  # fmt: skip


def test_the_least_used_layer_and_the_others() -> None:
    finding = only(CHECK, used(used(record(relu()), "act1", 0.125), "act3", 0.2, saturated=1))
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "mlp-4x10-s0: the activations of act1 use 12.5% of its theta (bound 25%) (thresholds: "
        "max), and 0.00% of 2000 values are above it; quantisation is 0.05 theta rms, 69.3% of the "
        "signal, at T = 8 (N = 200 samples); also act3"
    )


@pytest.mark.parametrize(("share", "issue"), [(0.251, False), (0.249, True)])
def test_at_its_used_range(share: float, *, issue: bool) -> None:
    assert passes(CHECK, used(record(relu()), "act2", share)) is not issue


@pytest.mark.parametrize(("saturated", "issue"), [(3, False), (2, True)])
def test_at_its_share_of_saturated_values(saturated: int, *, issue: bool) -> None:
    """2 of 2000 values are the share of the usual quantile."""
    assert passes(CHECK, used(record(relu()), "act2", 0.2, saturated)) is not issue


@pytest.mark.parametrize(("part", "severity"), [(0.0999, "note"), (0.1001, "warning")])
def test_a_note_where_the_run_had_enough_steps(part: float, severity: str) -> None:
    made = used(record(relu()), "act2", 0.2)
    squares = 2000 * (part * 0.2) ** 2 / 3
    where = {"layer": "act2", "time_steps": 8}
    change(made, "conversion_layers", where, quantisation_squares=squares)
    assert only(CHECK, made).severity == severity


def test_zeros_do_not_count() -> None:
    """However sparse a layer is, what it uses is what its other values use."""
    z = np.concatenate([np.random.default_rng(0).uniform(size=2000), np.full(200_000, -1.0)])
    assert passes(CHECK, one_layer(8, counted(z, 8)))
    assert not passes(CHECK, one_layer(8, counted(z / 5, 8)))


def test_a_silent_layer_is_not_judged() -> None:
    assert passes(CHECK, change(record(relu()), "conversion_layers", {}, saturated=0,
                                activation_sum=0.0, activation_squares=0.0))  # fmt: skip


def test_several_networks() -> None:
    made = record(relu(), relu(seed=1), Net(seed=2))
    where = {"network": "mlp-4x10-s1", "layer": "act2"}
    change(made, "conversion_layers", where, activation_squares=20.0, saturated=0)
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s1"]
    assert outcome.reason.startswith("mlp-4x10-s2: the ANN has 4 levels")


@pytest.mark.parametrize(("levels", "applies"), [(6, False), (7, True)])
def test_levels_of_the_ann(levels: int, *, applies: bool) -> None:
    """With all activations at the least level u is 1.5 / L: of 6 levels exactly the bound."""
    assert (CHECK.applies(record(Net(levels=levels))) == "") is applies


def test_a_qcfs_network_that_never_learned_its_threshold() -> None:
    """Levels of 1/8 theta, and no activation above the first one."""
    made = record(Net(levels=8))
    change(made, "conversion_layers", {"layer": "act0"}, saturated=0, activation_sum=1000 / 8,
           activation_squares=1000 / 64)  # fmt: skip
    finding = only(CHECK, made)
    assert "act0 use 18.8% of its theta (bound 25%) (thresholds: learned)" in finding.evidence
    assert finding.severity == "note"  # the levels of T = 8 are its own


def test_few_levels_say_nothing() -> None:
    assert reason(CHECK, record(Net())) == (
        "the ANN has 4 levels: its smallest activation above 0, theta / 4, is no small part of "
        "theta"
    )


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == NO_LAYERS


# --- layers whose currents have a known distribution, counted neuron by neuron ------------------


@pytest.mark.parametrize(
    ("kind", "factor", "issue"),
    [
        ("normal", 1.0, False),
        ("normal", 4.0, True),
        ("uniform", 1.0, False),
        ("outlier", 1.0, True),
    ],
)
@pytest.mark.parametrize("steps", [4, 16])
def test_theta_at_the_maximum(kind: str, factor: float, steps: int, *, issue: bool) -> None:
    """At the maximum normal and uniform currents use enough; four times it, or one outlier, not."""
    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, 100_000) if kind == "uniform" else rng.normal(size=100_000)
    z[0] = 30.0 if kind == "outlier" else z[0]
    assert passes(CHECK, one_layer(steps, counted(z / (factor * z.max()), steps))) is not issue


def test_what_its_bound_says_of_normal_currents() -> None:
    """The reason names .4 for the maximum of a million values."""
    z = np.maximum(np.random.default_rng(0).normal(size=1_000_000), 0)
    assert 1.5 * (z**2).sum() / z.sum() / z.max() == pytest.approx(0.4, abs=0.05)


def test_a_layer_that_is_a_site_is_named() -> None:
    assert only(CHECK, sited(used(record(relu()), "act2", 0.2), "act2")).site == "act2"
