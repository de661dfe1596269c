"""SNL202: a spiking layer without a single spike; the first one of them."""

from __future__ import annotations

import pytest

from snnlens.checks.silent_layer import SilentLayer
from tests.unit.checks.handmade import layer, layers, made, only, passes, reason, weight

CHECK = SilentLayer()


def test_the_first_silent_layer_speaks_for_all() -> None:
    finding = only(CHECK, made(layers(0.2, 0.0, 0.1, 0.0, 0.0)))
    assert (finding.severity, finding.site) == ("error", "1")
    assert finding.evidence == (
        "net: 1 is the first silent layer of 5: 0 spikes of 64 neurons in 32768 neuron-steps (N = "
        "128 samples, T = 4); 95 % bound on a neuron's rate 3/(N T) = 0.0059; 2 more layers are "
        "silent"
    )


def test_one_spike_is_not_silence() -> None:
    assert passes(CHECK, made(layers(0.2, 1 / (64 * 128 * 4))))


@pytest.mark.parametrize(("neurons", "severity"), [(63, "warning"), (64, "error")])
def test_few_neuron_steps_prove_less(neurons: int, severity: str) -> None:
    """256 neuron-steps: 64 neurons, one sample, T = 4."""
    silent = made([layer(rate=0.0, neurons=neurons, batch=1)])
    assert only(CHECK, silent).severity == severity


def test_a_layer_of_an_ann_has_no_spikes() -> None:
    assert "no spiking layer" in reason(CHECK, made([layer(rate=0.0, signal="activation")]))


def test_zero_init_holds_the_end_of_a_branch_silent() -> None:
    """By design, in SEW: add and iand begin with A = 0. The layer before it is not meant to be."""
    rows = [layer(site="b.input", role="block_input", block=0), layer(site="b.sn1", block=0),
            layer(site="b.sn2", rate=0.0, block=0),
            layer(site="b.downsample.2", block=0)]  # fmt: skip
    assert passes(CHECK, made(rows, zero_init=True, residual="sew"))
    assert only(CHECK, made(rows, zero_init=True, residual="spiking")).site == "b.sn2"
    assert only(CHECK, made(rows, residual="sew")).site == "b.sn2"
    rows[1]["rate"] = 0.0
    assert only(CHECK, made(rows, zero_init=True, residual="sew")).site == "b.sn1"


def test_zero_init_is_seen_by_a_weight_of_zero() -> None:
    """A foreign model does not say it; its last BatchNorm weight has the norm 0."""
    rows = [layer(site="b.input", role="block_input", block=0),
            layer(site="b.sn2", rate=0.0, block=0), weight("b.bn2.weight"),
            weight("b.bn2.bias", norm=0.0)]  # fmt: skip
    assert not passes(CHECK, made(rows))  # the bias alone is 0, as biases are
    rows[2] = weight("b.bn2.weight", norm=0.0)
    assert passes(CHECK, made(rows))


def test_it_needs_rates() -> None:
    assert "firing_rate" in reason(CHECK, made([{"norm": 1.0}]))


def test_an_auxiliary_network_is_not_judged() -> None:
    assert "auxiliary" in reason(CHECK, made(layers(0.0), auxiliary=True))
