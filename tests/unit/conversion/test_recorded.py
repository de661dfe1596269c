"""Converted networks under the recorder and in a check-up: counts against the anatomy's."""

from __future__ import annotations

import pytest
import torch

import snnlens
from snnlens.conversion.anatomy import Anatomy
from snnlens.conversion.convert import convert
from snnlens.conversion.looks import Run
from snnlens.conversion.prepare import prepare
from tests.unit.conversion.nets import branches


@pytest.mark.parametrize("method", ["parallel", "sequential"])
def test_spikes_are_the_anatomys(method: str) -> None:
    ann, x = branches()
    prepared = prepare(ann)
    net = convert(prepared, method, 4)  # type: ignore[arg-type]
    with snnlens.record(net, probes=["firing_rate"]) as rec:
        net(x)
    rows = rec.frame()
    rows = rows[rows["role"] == "neuron"].set_index("site")
    anatomy = Anatomy(prepared, [Run(method, net, (4,), local=False)])
    anatomy.add(x)
    layers = anatomy.tables()["conversion_layers"].set_index("layer")
    for name in prepared.activations:
        row = rows.loc[f"network.{name}.neuron"]
        spikes = row["firing_rate"] * row["neurons"] * 4 * len(x)
        assert spikes == pytest.approx(layers.loc[name, "spikes"], rel=1e-12)
        assert row["time_steps"] == 4


@pytest.mark.parametrize("method", ["parallel", "sequential"])
def test_checkup(method: str) -> None:
    ann, x = branches()
    net = convert(ann.float(), method, 4)  # type: ignore[arg-type]
    before = net(x.float())
    result = snnlens.checkup(net, x.float(), torch.arange(5))
    assert not [f for f in result.findings if f.severity == "error"]
    checks = result.extra["checks"].set_index("code")
    assert checks.loc["SNL209", "outcome"] == "not applicable"
    assert "carry theta" in checks.loc["SNL209", "reason"]
    assert torch.equal(net(x.float()), before)


def test_audit() -> None:
    ann, x = branches()
    net = convert(ann.float(), "sequential", 4)
    assert snnlens.audit(net, x.float(), torch.arange(5)).table["equal"].all()
