"""SNL208: the firing rate falls by a constant factor from layer to layer."""

from __future__ import annotations

import numpy as np
import pytest

from snnlens.checks.rate_collapse import RateCollapse
from snnlens.measures.fit import factor_per_block
from tests.unit.checks.handmade import layer, layers, made, only, passes, reason

CHECK = RateCollapse()


def test_it_fires_and_says_how_deep_it_goes() -> None:
    """0.4 x 0.25^l; of 64 x 128 x 4 = 32,768 elements less than one fires from l = 7 on."""
    finding = only(CHECK, made(layers(*(0.4 * 0.25 ** np.arange(5)))))
    assert (finding.severity, finding.site) == ("warning", "4")
    assert finding.evidence == (
        "net: the rate changes by a factor 0.25 per layer (95 % 0.25 to 0.25, R^2 1.00, 5 layers), "
        "from 0.4 to 0.00156 at 4; over 4 layers 3.9e-03, bound 0.01; below 1 spike in all samples "
        "from layer 7 on (N = 128 samples, T = 4)"
    )
    depths = [layer for layer in range(20) if 0.4 * 0.25**layer * 64 * 128 * 4 < 1]
    assert depths[0] == 7


def test_silent_layers_behind_it_are_left_out_of_the_line() -> None:
    rates = [*(0.4 * 0.25 ** np.arange(5)), 0.0, 0.0]
    assert only(CHECK, made(layers(*rates))).site == "4"


@pytest.mark.parametrize(("total", "issue"), [(0.011, False), (0.009, True)])
def test_at_its_bound(total: float, *, issue: bool) -> None:
    rates = 0.4 * np.geomspace(1, total, 6)
    assert passes(CHECK, made(layers(*rates))) is not issue


def test_noise_is_no_trend() -> None:
    """The line falls by 0.003 over the depth, and its interval holds 1."""
    rates = [0.4, 1e-5, 0.4, 1e-5, 0.4, 1e-5]
    assert passes(CHECK, made(layers(*rates)))


def test_a_rate_that_grows() -> None:
    assert passes(CHECK, made(layers(1e-4, 1e-3, 1e-2, 1e-1)))


def test_fewer_than_four_layers_that_fire() -> None:
    assert "3 spiking layers" in reason(CHECK, made(layers(0.4, 0.04, 0.004, 0.0)))
    assert "firing_rate" in reason(CHECK, made([{"norm": 1.0}]))


def test_graded_layers_with_a_negative_mean_are_left_out() -> None:
    rows = [layer(rate=-0.5, signal="counts"), *layers(0.2, 0.2, 0.2, 0.2)]
    assert passes(CHECK, made(rows))


def test_silent_layers_before_it_are_counted_but_not_fitted() -> None:
    rates = [0.0, *(0.4 * 0.25 ** np.arange(5))]
    finding = only(CHECK, made(layers(*rates)))
    assert finding.site == "5"
    assert "5 layers), from 0.4 to 0.00156 at 5; over 4 layers 3.9e-03" in finding.evidence
    assert "below 1 spike in all samples from layer 8 on" in finding.evidence  # one further


def test_exactly_four_layers_are_enough() -> None:
    assert only(CHECK, made(layers(0.4, 0.04, 0.004, 0.0004))).site == "3"


def test_the_layer_at_which_less_than_one_spike_is_left() -> None:
    """Whatever the factor and the size: the first l with r_l x elements < 1."""
    for factor in (0.05, 0.13, 0.3):
        for neurons in (3, 50, 4000):
            rates = 0.4 * factor ** np.arange(5)
            text = only(CHECK, made(layers(*rates, neurons=neurons))).evidence
            wanted = next(n for n in range(99) if 0.4 * factor**n * neurons * 128 * 4 < 1)
            assert f"from layer {wanted} on" in text


def test_a_fall_whose_interval_ends_just_above_1() -> None:
    """0.3 per layer, 1.0e-2 over the depth; 1.9 is within its 95 %."""
    rates = [0.4, 0.02, 0.3, 0.01, 0.0015]
    fit = factor_per_block(rates)
    assert 1 < fit.high < 2
    assert fit.total(4) < 1e-2
    assert passes(CHECK, made(layers(*rates)))
