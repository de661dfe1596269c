"""The snnTorch adapter where snnTorch is not there; with it: tests/parity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
