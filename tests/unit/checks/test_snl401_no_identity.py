"""SNL401: the neuron of a Spiking ResNet cannot be the identity."""

from __future__ import annotations

import pytest

from snnlens.checks.no_identity import NoIdentity
from snnlens.neuron.layers import IF, LIF, Neuron
from tests.unit.analysis.handmade import Net, record

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
