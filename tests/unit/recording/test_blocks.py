"""The blocks of a Record: S^l, A^l and O^l side by side, areas, S^L."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnlens.errors import NothingToRecord
from snnlens.models.plan import plan
from snnlens.recording import blocks
from snnlens.recording.blocks import last_stage_samples, spiking_first
from tests.unit.analysis.handmade import Net, record

SHAPES = [(18, "imagenet"), (50, "imagenet"), (152, "imagenet"), (8, "cifar"), (20, "cifar")]


@pytest.mark.parametrize(("depth", "layout"), SHAPES)
def test_areas_are_the_plans(depth: int, layout: str) -> None:
    """Counted here from the sites of a Record, there from the plan."""
    (network,) = blocks.networks(record(Net(), depth=depth, layout=layout))
    assert network.areas == plan(depth, layout).areas()


def test_areas_at_152_layers_as_the_issue_says() -> None:
    (network,) = blocks.networks(record(Net()))
    ends = {area: (members[0], members[-1]) for area, members in network.areas.items()}
    assert ends == {0: (0, 0), 1: (1, 3), 2: (4, 11), 3: (12, 47), 4: (48, 50)}
    assert all(m == list(range(m[0], m[-1] + 1)) for m in network.areas.values())
    # 2 and 7 and 35 and 2 identity blocks
    assert list(network.long_areas(6)) == [2, 3]
    assert list(network.long_areas(7)) == [2, 3]
    assert list(network.long_areas(8)) == [3]


def test_inputs_go_from_the_first_input_to_the_last_output() -> None:
    norms = np.arange(1.0, 10.0)
    (network,) = blocks.networks(record(Net(norms=norms), depth=18))
    np.testing.assert_allclose(network.inputs("gradient_norm"), norms, rtol=1e-15)  # a square root
    assert network.sites[0] == "layer1.0.input"
    assert network.sites[8] == "layer4.1.output"
    with pytest.raises(KeyError):
        network.inputs("identity_error")


def test_networks_in_the_order_of_the_run_and_blocks_in_depth() -> None:
    made = record(Net("sew", "iand"), Net(), Net("ms"), depth=50)
    shuffled = replace(made, sites=made.sites.sample(frac=1, random_state=1))
    assert [n.name for n in blocks.networks(made)] == ["sew-iand", "spiking", "ms"]
    for network in blocks.networks(shuffled):
        assert network.blocks.index.tolist() == list(range(16))


def test_a_network_without_blocks_is_left_out() -> None:
    made = record(Net(), Net("sew", "add"), depth=18)
    role = made.sites["role"].where(made.sites["network"] == "spiking", "neuron")
    assert [n.name for n in blocks.networks(replace(made, sites=made.sites.assign(role=role)))] == [
        "spiking"
    ]


def test_no_blocks_at_all() -> None:
    made = record(Net(), depth=18)
    with pytest.raises(NothingToRecord) as error:
        blocks.networks(replace(made, sites=made.sites.assign(role="neuron")))
    assert str(error.value) == (
        "the record must hold residual blocks; got none; record a model whose sites() list block "
        "inputs and outputs"
    )
    assert error.value.exit_code == 5


def test_last_stage_samples() -> None:
    (network,) = blocks.networks(record(Net(), depth=18, batch=7, positions=9))
    assert last_stage_samples(network) == 63


def test_spiking_first() -> None:
    networks = blocks.networks(record(Net("ann", neuron=None), Net(), Net("ms"), depth=18))
    assert spiking_first(networks).name == "spiking"
    assert spiking_first(networks[:1]).name == "ann"
