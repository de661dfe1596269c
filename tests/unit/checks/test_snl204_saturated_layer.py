"""SNL204: a spiking layer that fires at nearly every step."""

from __future__ import annotations

from typing import Any

import pytest

from snnlens.checks._seen import NO_RATES
from snnlens.checks.saturated_layer import SaturatedLayer
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, layers, made, only, passes, reason

CHECK = SaturatedLayer()


def always(share: float, **numbers: Any) -> Record:
    return made([layer(rate=0.7, saturated_share=share, **numbers)],
                probes={"silence": ["saturated_share"]})  # fmt: skip


def test_the_first_saturated_layer() -> None:
    finding = only(CHECK, made(layers(0.2, 0.95, 0.99)))
    assert (finding.severity, finding.site) == ("warning", "1")
    assert finding.evidence == (
        "net: 1 fires in 95.0% of the neuron-steps (bound 90%) (N = 128 samples, T = 4); also 2"
    )


@pytest.mark.parametrize(("rate", "issue"), [(0.9, False), (0.91, True)])
def test_at_its_bound(rate: float, *, issue: bool) -> None:
    assert passes(CHECK, made(layers(rate))) is not issue


@pytest.mark.parametrize(("share", "issue"), [(0.5, False), (0.51, True)])
def test_neurons_that_always_fire(share: float, *, issue: bool) -> None:
    assert passes(CHECK, always(share)) is not issue
    if issue:
        text = only(CHECK, always(share)).evidence
        assert "51.0% of its 64 neurons at every step (bound 50%)" in text


def test_few_observations_say_nothing_of_single_neurons() -> None:
    """At a rate of 0.7 and 4 steps a quarter of the neurons always fire, by chance."""
    assert passes(CHECK, always(0.9, batch=63))
    assert not passes(CHECK, always(0.9, batch=64))


def test_a_graded_layer_by_its_share_that_fires() -> None:
    assert passes(CHECK, made([layer(rate=3.0, nonzero=0.5, signal="counts")]))
    assert not passes(CHECK, made([layer(rate=0.5, nonzero=0.95, signal="counts")]))


def test_zero_init_and_begins_with_ones() -> None:
    rows = [layer(site="b.input", role="block_input", block=0),
            layer(site="b.sn2", rate=1.0, block=0)]  # fmt: skip
    assert passes(CHECK, made(rows, zero_init=True, residual="sew", connect="and"))
    assert not passes(CHECK, made(rows, zero_init=False, residual="sew", connect="and"))


def test_it_needs_rates() -> None:
    assert "firing_rate" in reason(CHECK, made([{"norm": 1.0}]))


def test_each_layer_by_either_bound() -> None:
    """The first fires at nearly every step, the second has neurons that always do."""
    rows = [layer(rate=0.95, saturated_share=0.1), layer(rate=0.7, saturated_share=0.6),
            layer(rate=0.7, saturated_share=0.1)]  # fmt: skip
    finding = only(CHECK, made(rows, probes={"silence": ["saturated_share"]}))
    assert finding.evidence == (
        "net: 0 fires in 95.0% of the neuron-steps (bound 90%) (N = 128 samples, T = 4); also 1"
    )
    finding = only(CHECK, made(rows[1:], probes={"silence": ["saturated_share"]}))
    assert finding.evidence == (
        "net: 0 fires in 70.0% of the neuron-steps (bound 90%), 60.0% of its 64 neurons at every "
        "step (bound 50%) (N = 128 samples, T = 4)"
    )


def test_a_layer_without_the_map_beside_one_with_it() -> None:
    rows = [layer(rate=0.7), layer(rate=0.7, saturated_share=0.6)]
    assert only(CHECK, made(rows, probes={"silence": ["saturated_share"]})).site == "1"


def test_rates_of_blocks_are_none_of_layers() -> None:
    blocks = [{"site": "b.output", "role": "block_output", "rate": 1.0}]
    assert reason(CHECK, made(blocks)) == NO_RATES


def test_half_of_the_neurons_are_not_named() -> None:
    rows = [layer(rate=0.95, saturated_share=0.5)]
    text = only(CHECK, made(rows, probes={"silence": ["saturated_share"]})).evidence
    assert text == "net: 0 fires in 95.0% of the neuron-steps (bound 90%) (N = 128 samples, T = 4)"
