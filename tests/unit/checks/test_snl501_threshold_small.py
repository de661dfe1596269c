"""SNL501: thresholds so small that clipping is the largest error of a layer."""

from __future__ import annotations

import re

import numpy as np
import pytest

from snnlens.checks.threshold_small import ThresholdSmall
from tests.unit.checks.converted import (
    NO_LAYERS,
    OTHER,
    SIGNAL,
    counted,
    one_layer,
    quantised,
    relu,
    sited,
    sized,
)
from tests.unit.checks.handmade import only, passes, reason
from tests.unit.conversion_record import Net, change, record

CHECK = ThresholdSmall()


def test_the_worst_layer_and_the_others() -> None:
    """.05 of quantisation at T = 8 is as large as .1 of clipping at T = 4."""
    made = sized(sized(record(relu()), "act2", clip=0.1), "act3", clip=0.06)
    finding = only(CHECK, made)
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "mlp-4x10-s0: clipping takes 0.1 theta rms at act2, 28.3% of its signal (bound 10%), "
        "quantisation 0.05 at T = 8; 2.00% of 2000 values are above theta; steps beyond T = 4 gain "
        "less than clipping costs (N = 200 samples); also act3"
    )


def test_a_layer_that_is_a_site_is_named() -> None:
    assert only(CHECK, sited(sized(record(relu()), "act2", clip=0.1), "act2")).site == "act2"


@pytest.mark.parametrize(("part", "issue"), [(0.0999, False), (0.1001, True)])
def test_at_its_share_of_the_signal(part: float, *, issue: bool) -> None:
    made = sized(record(relu()), "act2", clip=part * SIGNAL, quantisation=0.01)
    assert passes(CHECK, made) is not issue


@pytest.mark.parametrize(("clip", "issue"), [(0.0499, False), (0.0501, True)])
def test_quantisation_is_as_large(clip: float, *, issue: bool) -> None:
    assert passes(CHECK, sized(record(relu()), "act2", clip=clip)) is not issue


def test_the_largest_t_counts() -> None:
    """More steps may still help: at T = 4 clipping is the smaller error, at T = 8 it is not."""
    small, large = {"time_steps": 4}, {"time_steps": 8}
    made = sized(record(relu()), "act2", clip=0.1)
    assert not passes(CHECK, sized(made, "act2", at=small, quantisation=0.2))
    assert passes(CHECK, sized(made, "act2", at=large, quantisation=0.2))


def test_what_the_network_ran_counts() -> None:
    """Not what each layer does to the ANN's own activations, and parallel before sequential."""
    for elsewhere in ({"view": "local"}, {"neuron": "sequential"}):
        assert passes(CHECK, sized(record(relu()), "act2", at=elsewhere, clip=0.1))
    alone = record(relu(neurons=("sequential",)))
    assert not passes(CHECK, sized(alone, "act2", clip=0.1))


@pytest.mark.parametrize(("saturated", "severity"), [(200, "note"), (201, "warning")])
def test_a_dead_channel_may_hold_all_that_is_clipped(saturated: int, severity: str) -> None:
    """Layer 1 has one dead channel of ten: 200 of its 2000 values."""
    made = sized(record(relu()), "act1", clip=0.1)
    change(made, "conversion_layers", {"layer": "act1"}, saturated=saturated)
    finding = only(CHECK, made)
    assert finding.severity == severity
    said = "values are above theta, maybe in 1 dead channel alone, whose theta is a guess (SNL508);"
    assert (said in finding.evidence) is (severity == "note")


def test_a_layer_that_is_sure_goes_first() -> None:
    made = sized(sized(record(relu()), "act1", clip=0.3), "act2", clip=0.1)
    finding = only(CHECK, made)
    assert finding.severity == "warning"
    assert "theta rms at act2" in finding.evidence
    assert finding.evidence.endswith("; also act1")


def test_one_finding_per_network() -> None:
    made = record(relu(), relu(seed=1), Net(seed=2))
    of = {"network": "mlp-4x10-s1", "layer": "act2"}
    change(made, "conversion_layers", of, clip_squares=2000 * 0.1**2)
    outcome = CHECK.outcome(made)
    assert [f.evidence.split(":")[0] for f in outcome.findings] == ["mlp-4x10-s1"]
    assert outcome.reason.startswith("mlp-4x10-s2: the ANN clips at the same thresholds itself")


def test_a_silent_layer_is_not_judged() -> None:
    made = sized(record(relu()), "act2", clip=0.1)
    assert passes(
        CHECK, change(made, "conversion_layers", {"layer": "act2"}, activation_squares=0.0)
    )


def test_the_ann_clips_itself() -> None:
    assert reason(CHECK, record(Net())) == (
        "the ANN clips at the same thresholds itself (QCFS), so that the conversion clips nothing"
    )


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == NO_LAYERS


# --- a layer of normal currents, counted neuron by neuron ----------------------------------------


@pytest.mark.parametrize(
    ("quantile", "steps", "issue"),
    [(0.9, 64, True), (0.9, 4, True), (0.9999, 64, False), (1.0, 64, False), (1.0, 4, False)],
)
def test_a_quantile_of_normal_currents(quantile: float, steps: int, *, issue: bool) -> None:
    """Theta at a quantile of the positive part: .9 clips more than 10 % of the signal at any T."""
    z = np.random.default_rng(0).normal(size=20_000)
    theta = np.quantile(z[z > 0], quantile)
    columns = counted(z / theta, steps)
    assert passes(CHECK, one_layer(steps, columns)) is not issue


def test_beyond_the_t_it_names_clipping_is_larger() -> None:
    """Named from one run at T = 4; counted anew at many."""
    z = np.random.default_rng(0).normal(size=20_000)
    z /= np.quantile(z[z > 0], 0.95)
    clip = np.sqrt((np.maximum(z - 1, 0) ** 2).mean())
    inside = np.clip(z, 0, 1)
    errors = {t: np.sqrt(((quantised(z, t) - inside) ** 2).mean()) for t in range(1, 65)}
    last = max(t for t, error in errors.items() if error > clip)
    said = re.search(
        r"steps beyond T = (\d+) gain", only(CHECK, one_layer(16, counted(z, 16))).evidence
    )
    assert said
    assert int(said[1]) - last in {0, 1}  # it names the T at which both are equal, rounded


def test_the_reason_for_its_bound() -> None:
    """Rounding to five levels takes 1 / (2 T) = .1 of a uniform signal on [0, theta]."""
    z = (np.arange(100_000) + 0.5) / 100_000
    part = np.sqrt(((quantised(z, 5) - z) ** 2).mean() / (z**2).mean())
    assert part == pytest.approx(0.1, abs=1e-4)  # of a sum for an integral


def test_two_dead_channels_may_hold_more() -> None:
    """400 of the 2000 values of layer 1."""
    made = sized(record(relu()), "act1", clip=0.1)
    change(made, "conversion_layers", {"layer": "act1"}, saturated=400, dead_channels=2)
    finding = only(CHECK, made)
    assert finding.severity == "note"
    assert "maybe in 2 dead channels alone, whose theta is a guess" in finding.evidence


@pytest.mark.parametrize(("quantisation", "steps"), [(0.012, 1), (0.015, 1), (0.02, 2)])
def test_the_steps_that_are_worth_it_are_one_at_least(quantisation: float, steps: int) -> None:
    """T = 8: as large as .1 of clipping at 8 x quantisation / .1, rounded."""
    made = sized(record(relu()), "act2", clip=0.1, quantisation=quantisation)
    assert f"steps beyond T = {steps} gain less" in only(CHECK, made).evidence
