"""SNL401: the neuron of a Spiking ResNet cannot be the identity."""

from __future__ import annotations

from typing import Any

import pytest

from snnlens.checks.no_identity import NoIdentity
from snnlens.neuron.layers import IF, LIF, Neuron
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import layer, layers, made, only, passes, reason

LEAKY = LIF(2.0, threshold=1.0)


def test_it_fires_once_for_all_networks() -> None:
    nets = [Net(neuron=LEAKY), Net(zero_init=True, neuron=LEAKY), Net("sew", "add", neuron=LEAKY)]
    (finding,) = NoIdentity().findings(record(*nets, depth=18))
    assert (finding.code, finding.severity, finding.site) == ("SNL401", "warning", None)
    assert finding.evidence == ("spiking, spiking-zero: LIF with V_th = 1, dH/dX = 0.5, hard reset")


@pytest.mark.parametrize(
    ("neuron", "fires"),
    [(IF(1.0), False), (IF(1.01), True), (LIF(2.0, threshold=0.5), False),
     (LIF(2.0, threshold=1.0, decay_input=False), False), (IF(0.5, reset="soft"), True)],
    ids=str,
)  # fmt: skip
def test_by_neuron(neuron: Neuron, fires: bool) -> None:
    assert bool(NoIdentity().findings(record(Net(neuron=neuron), depth=18))) == fires


@pytest.mark.parametrize(
    "net",
    [Net("sew", "add", neuron=LEAKY), Net("ms", neuron=LEAKY), Net("ann", neuron=None),
     Net(neuron=LEAKY, name="spiking-zero-t1")],
    ids=lambda net: net.name,
)  # fmt: skip
def test_other_blocks_and_the_extra_pass_are_not_judged(net: Net) -> None:
    """The pass at T = 1 runs even where the user asked for SEW alone."""
    assert NoIdentity().findings(record(net, depth=18)) == []


# --- foreign blocks: nothing says their kind -----------------------------------------------------


def foreign(gain: float, output: float = 0.2, **facts: Any) -> Record:
    """A block whose output fires at some rate behind a last layer that fires at 0.2."""
    rows = [layer(site="b.input", role="block_input", block=0, block_kind="identity"),
            layer(site="b.sn1", block=0, rate=0.4),
            layer(site="b.sn2", block=0, rate=0.2, gain=gain),
            layer(site="b.output", role="block_output", block=0, rate=output)]  # fmt: skip
    return made(rows, **facts)


def test_a_foreign_block_that_ends_in_its_neuron() -> None:
    """Its output has that neuron's sums; LIF with tau = 2 and V_th = 1 does not pass one spike."""
    finding = only(NoIdentity(), foreign(0.5))
    assert (finding.severity, finding.site) == ("warning", "b.sn2")
    assert finding.evidence == (
        "net: 1 of 1 blocks end in a neuron that one spike does not reach: V_th = 1, dH/dX = 0.5"
    )
    assert passes(NoIdentity(), foreign(1.0))


def test_a_foreign_sew_block_adds_behind_its_neuron() -> None:
    assert "no block is seen to end" in reason(NoIdentity(), foreign(0.5, output=0.3))


def test_when_it_does_not_apply() -> None:
    assert "no residual block" in reason(NoIdentity(), made(layers(0.2)))
    assert "kind sew" in reason(NoIdentity(), record(Net("sew", "add"), depth=18))
    assert "kind sew" in reason(NoIdentity(), foreign(0.5, residual="sew"))


def test_a_foreign_block_known_to_be_spiking_is_judged_by_its_neuron() -> None:
    """As SpikingJelly's own spiking_resnet: its kind is known, and nobody tried its neuron."""
    assert only(NoIdentity(), foreign(0.5, residual="spiking")).site == "b.sn2"


def test_the_last_layer_of_a_block_alone_is_its_end() -> None:
    """The one before it fires as often, and cannot pass one spike either."""
    rows = [layer(site="b.input", role="block_input", block=0, block_kind="identity"),
            layer(site="b.sn1", block=0, rate=0.2, gain=0.5),
            layer(site="b.sn2", block=0, rate=0.2, gain=0.5),
            layer(site="b.output", role="block_output", block=0, rate=0.2)]  # fmt: skip
    assert "net: 1 of 1 blocks end in a neuron" in only(NoIdentity(), made(rows)).evidence
