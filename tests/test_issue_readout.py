"""A last layer that is read by its membrane is no silent layer; one that is cut off still is."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.recording.result import Result

snntorch = pytest.importorskip("snntorch")
neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
functional = pytest.importorskip("spikingjelly.activation_based.functional")


class Torch(nn.Module):
    """snnTorch: the loss reads `mem` of a Leaky without reset; `read` says what it reads."""

    def __init__(self, read: str = "membrane") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.read, self.first, self.second = read, nn.Linear(20, 30), nn.Linear(30, 5)
        self.l1 = snntorch.Leaky(beta=0.9, threshold=0.3)
        self.out = snntorch.Leaky(beta=0.9, reset_mechanism="none", threshold=10.0)
        self.head = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        m1, m2, kept = self.l1.init_leaky(), self.out.init_leaky(), []
        for _ in range(8):
            spikes, m1 = self.l1(self.first(x), m1)
            last, m2 = self.out(self.second(spikes), m2)
            kept.append(m2 if self.read == "membrane" else self.head(last.detach()))
        return torch.stack(kept).mean(0)


class Jelly(nn.Module):
    """SpikingJelly: a LIFNode without threshold, whose v is read in the end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(20, 30), nn.Linear(30, 5)
        self.l1 = neuron.LIFNode(v_threshold=0.3)
        self.out = neuron.LIFNode(v_threshold=float("inf"), v_reset=0.0)

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        for _ in range(8):
            self.out(self.second(self.l1(self.first(x))))
        found: Tensor = self.out.v
        return found


def examined(net: nn.Module) -> Result:
    torch.manual_seed(1)
    return snnlens.checkup(net, torch.rand(64, 20), torch.arange(64) % 5)


def about_out(found: Result) -> set[str]:
    """What is said of the last layer."""
    return {f.code for f in found.findings if f.site == "out" or re.search(r"\bout\b", f.evidence)}


def test_the_membrane_of_snntorch() -> None:
    net = Torch()
    del net.head  # nothing is left that has no gradient
    found = examined(net)
    assert not about_out(found)
    assert found.table.set_index("site").loc["out", "firing_rate"] == 0  # and it is shown
    assert any("Not judged are the spikes of out" in note for note in found.notes)


def test_the_membrane_of_spikingjelly() -> None:
    found = examined(Jelly())
    assert not about_out(found)
    assert any("Not judged are the spikes of out" in note for note in found.notes)


def test_spikes_that_are_cut_off_are_still_found() -> None:
    found = examined(Torch(read="spikes"))
    assert {"SNL202", "SNL305"} <= about_out(found)
    assert not any("Not judged" in note for note in found.notes)
