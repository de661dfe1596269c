"""The snnTorch adapter where snnTorch is not there; with it: tests/parity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnlens.adapters import snntorch
from snnlens.adapters.snntorch import SnnTorch, surrogate
from snnlens.neuron.surrogate import ByAutograd


class Leaky(nn.Module):
    """A class of that name from somewhere else."""

    def forward(self, x: Tensor, mem: Tensor | None = None) -> Tensor:
        return x


def test_claims_by_class_and_not_by_name() -> None:
    adapter = SnnTorch()
    assert not adapter.claims(Leaky())
    assert adapter.rule(Leaky()) is None
    assert not adapter.replays(Leaky())
    x = torch.ones(2, 3)
    assert adapter.membrane(Leaky(), (x,), {}, x, None) is None


def test_a_function_of_ones_own_goes_to_autograd() -> None:
    def mine(x: Tensor) -> Tensor:
        return torch.tanh(3 * x)

    found = surrogate(mine)
    assert found is not None
    assert found == ByAutograd("", mine)
    assert found.at(0.0) == 3.0


def test_a_number_on_a_device_is_asked_for_once_per_change() -> None:
    """`_remembered` is for tensors on a device; what it does is the same on the CPU."""
    x = nn.Parameter(torch.tensor(0.5))
    assert snntorch._remembered(x) == 0.5
    x.data = torch.tensor(7.0)  # this is no change that a tensor counts: it is not asked again
    assert snntorch._remembered(x) == 0.5
    with torch.no_grad():
        x.add_(0.25)
    assert snntorch._remembered(x) == 7.25
    assert snntorch._number(torch.ones(3)) is None
    assert snntorch._number(torch.full((1,), 0.5)) == 0.5
    assert snntorch._number(2) == 2.0
    kept = len(snntorch.KNOWN)
    del x
    assert len(snntorch.KNOWN) == kept - 1  # and it is forgotten with its tensor
