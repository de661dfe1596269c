"""The audit: streamed numbers beside brute force; a wrong probe is caught."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import api, registry
from snnlens.experiments import audit
from snnlens.probes.firing_rate import FiringRate
from snnlens.recording.probe import Probe, Sums
from snnlens.sites import Site

PARAMS = audit.Params(model="net")


def loud(model: nn.Module) -> Any:
    """Weights large enough for spikes everywhere."""
    for weight in model.parameters():
        weight.data.mul_(4)
    return model


class Loop(nn.Module):
    """Called once per step, inside of forward; keeps its state over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.sn = nn.Linear(6, 5), snnlens.LIF(keep_state=True)
        self.out = nn.Linear(5, 3)
        loud(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sn.reset_state()
        return torch.stack([self.out(self.sn(self.fc(step)[None])[0]) for step in x])


def conv() -> nn.Sequential:
    """Multi-step, time first."""
    torch.manual_seed(0)
    return loud(nn.Sequential(nn.Linear(6, 8), snnlens.IF(), nn.Linear(8, 3), snnlens.LIF()))


def data(steps: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 3 * torch.rand(steps, 3, 6, generator=generator), torch.tensor([0, 1, 2])


@pytest.mark.parametrize("make", [conv, Loop])
def test_every_number_is_equal(make: Any) -> None:
    torch.manual_seed(0)
    result = api.analyse("audit", audit.of(make(), *data(), PARAMS))
    assert result.table["equal"].all()
    assert len(result.table) >= 13
    assert set(result.table["quantity"]) >= {
        "firing_rate.total", "gradient_norm.squares", "silence.silent",
        "synaptic_operations.events", "gradient_histogram.zeros",
    }  # fmt: skip
    total = result.table.query("quantity == 'firing_rate.total'")
    assert (total["brute"] > 0).all()
    assert result.claims[0].verdict == "holds"
    assert not [f for f in result.findings if f.code == "SNL902"]


def test_the_brute_force_counts_what_is_there() -> None:
    """By hand: 2 inputs of 1, of which an IF with threshold 1 spikes at each step; one stays 0."""
    net = nn.Sequential(nn.Identity(), snnlens.IF())
    x = torch.tensor([1.0, 1.0, 0.0]).expand(4, 1, 3).clone().requires_grad_()
    table = audit.of(net, x, None, PARAMS).table("audit").set_index("quantity")["brute"]
    assert table["firing_rate.total"] == 8
    assert table["firing_rate.elements"] == 12
    assert (table["silence.silent"], table["silence.saturated"]) == (1, 2)
    assert table["gradient_norm.squares"] == 8 * 2.0**2  # of the sum of squares of the spikes


class FirstSample(FiringRate):
    """A counter that looks at the first sample only, as two published ones did."""

    name = "firing_rate"
    statistics = frozenset()

    def value(self, site: Site, x: Tensor) -> Sums:
        return super().value(site, x[:, :1])


class FirstStep(FiringRate):
    """A counter that looks at the first time step only."""

    name = "firing_rate"
    statistics = frozenset()

    def value(self, site: Site, x: Tensor) -> Sums:
        return super().value(site, x[:1])


class Deaf(FiringRate):
    """A counter that says nothing of one layer."""

    name = "firing_rate"

    def wants(self, site: Site) -> bool:
        return super().wants(site) and site.name != "3"


def test_a_number_that_is_missing_is_not_equal() -> None:
    result = api.analyse("audit", audit.of(conv(), *data(), PARAMS, probes=[Deaf()]))
    table = result.table.set_index(["site", "quantity"])["equal"]
    assert table["1"].all()
    assert not table["3"].any()
    assert [f.code for f in result.findings if f.code == "SNL902"] == ["SNL902"]


def test_operations_of_every_kind_of_convolution() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
            self.sn = snnlens.IF()
            self.second = nn.Conv2d(4, 4, 3, stride=2, dilation=2, padding="valid", groups=2)
            self.up = nn.ConvTranspose2d(4, 2, 2)  # of which no probe speaks

        def forward(self, x: Tensor) -> Tensor:
            steps, batch = x.shape[:2]
            current = self.first(x.flatten(0, 1)).unflatten(0, (steps, batch))
            return self.up(self.second(self.sn(current).flatten(0, 1)))

    torch.manual_seed(0)
    table = audit.of(loud(Net()), torch.rand(3, 2, 1, 9, 9), None, PARAMS).table("audit")
    assert table["equal"].all()
    counted = table[table["quantity"] == "synaptic_operations.events"]
    assert counted["site"].tolist() == ["first", "second"]
    assert (counted["brute"] > 0).all()


@pytest.mark.parametrize("wrong", [FirstSample, FirstStep])
def test_a_planted_wrong_probe_is_caught(wrong: type[Probe]) -> None:
    probes = [wrong(), registry.plugin("probes", "gradient_norm")()]
    result = api.analyse("audit", audit.of(conv(), *data(), PARAMS, probes=probes))
    differ = result.table[~result.table["equal"].astype(bool)]
    assert {"firing_rate.total", "firing_rate.elements"} <= set(differ["quantity"])
    assert result.table.query("quantity == 'gradient_norm.squares'")["equal"].all()
    assert "SNL902" in [f.code for f in result.findings]
    assert result.claims[0].verdict == "fails"


def test_checkpointed_layers_are_counted_once_and_said() -> None:
    from torch.utils.checkpoint import checkpoint

    class Saved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = conv()

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.inner, x, use_reentrant=False)

    record = audit.of(Saved(), *data(), PARAMS)
    streamed = record.table("audit").query("quantity.str.startswith('firing_rate')")
    assert streamed["equal"].all()
    said = [s["where"] for s in record.networks["net"]["special"] if "checkpointing" in s["what"]]
    assert said == ["inner.1"]  # torch stops before the last layer, of which it needs nothing


def test_what_is_shared_or_called_past_its_hooks_is_said() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = snnlens.IF()
            self.b = self.a
            self.c = snnlens.IF()

        def forward(self, x: Tensor) -> Tensor:
            return self.c.forward(self.b(self.a(x)))  # past c's hooks

    special = audit.of(Odd(), data()[0], None, PARAMS).networks["net"]["special"]
    assert [(s["where"], s["treated"]) for s in special] == [
        ("c", "not counted: SNL901"), ("a, b", "one site, its calls together"),
    ]  # fmt: skip


def test_the_model_is_left_as_it_was() -> None:
    net = conv()
    twin = copy.deepcopy(net)
    audit.of(net, *data(), PARAMS)
    assert all(map(torch.equal, net.state_dict().values(), twin.state_dict().values()))
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
