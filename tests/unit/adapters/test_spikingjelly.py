"""The SpikingJelly adapter where SpikingJelly is not there; with it: tests/parity."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import Tensor, nn

from snnlens.adapters.spikingjelly import SpikingJelly, surrogate
from snnlens.neuron.surrogate import ByAutograd


class IFNode(nn.Module):
    """A class of that name from somewhere else."""

    v_threshold, v_reset, detach_reset = 1.0, 0.0, True

    def forward(self, x: Tensor) -> Tensor:
        return (x >= 1).to(x.dtype)


def test_claims_by_class_and_not_by_name() -> None:
    adapter = SpikingJelly()
    assert not adapter.claims(IFNode())
    assert adapter.rule(IFNode()) is None
    assert adapter.rate(IFNode()) is None
    assert not adapter.replays(IFNode())
    assert list(adapter.layers(nn.Sequential(IFNode(), nn.Linear(2, 2)))) == []


def test_imports_neither_framework() -> None:
    code = ("import sys, torch; from snnlens.adapters import spikingjelly, snntorch\n"
            "for adapter in (spikingjelly.SpikingJelly(), snntorch.SnnTorch()):\n"
            "    assert not adapter.claims(torch.nn.Linear(2, 2))\n"
            "    adapter.reset(torch.nn.Linear(2, 2))\n"
            "assert not {'spikingjelly', 'snntorch'} & set(sys.modules)")  # fmt: skip
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_a_surrogate_of_ones_own_goes_to_autograd() -> None:
    class ATan(nn.Module):
        """SpikingJelly's name, another slope."""

        alpha = 2.0

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.alpha * x)

    function = ATan()
    found = surrogate(function)
    assert found == ByAutograd("", function)
    assert str(found) == "ATan(alpha=2)"
    assert found.at(0.0) == 2.0
    assert surrogate(None) is None
