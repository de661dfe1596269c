"""SAM: the recursion against the double sum over spike times, and numbers from paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snnlens.adapters._survey import survey
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Options
from snnlens.attribution.methods.sam import SAM, spike_activation_map
from snnlens.errors import InputError
from snnlens.neuron.layers import IF, LIF

GAMMAS = (0.0, 0.1, 0.5, 2.0)


def trains(*shape: int, rate: float = 0.4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < rate).double()


def double_sum(spikes: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """M per neuron [T, ...], every pair of steps by itself."""
    found = np.zeros_like(spikes)
    for t in range(len(spikes)):
        for earlier in range(t):
            fade = math.exp(-gamma * abs(t - earlier))
            found[t] += fade * spikes[earlier] * spikes[t]
    return found


@pytest.mark.parametrize("gamma", GAMMAS)
def test_against_the_double_sum(gamma: float) -> None:
    spikes = trains(3, 11, 4, 5, 6)
    found = spike_activation_map(spikes, gamma)
    assert found.shape == (3, 11, 1, 5, 6)
    for n in range(3):
        expected = double_sum(spikes[n].numpy(), gamma).sum(1, keepdims=True)
        # float64: sums of at most 11 x 4 terms below 11
        np.testing.assert_allclose(found[n].numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_neurons_without_a_place_are_not_summed(gamma: float) -> None:
    spikes = trains(2, 9, 7)
    found = spike_activation_map(spikes, gamma)
    for n in range(2):
        expected = double_sum(spikes[n].numpy(), gamma)
        np.testing.assert_allclose(found[n].numpy(), expected, rtol=0, atol=1e-12)


def test_on_paper() -> None:
    """gamma = ln 2, so a step halves. Two channels at one position, S = 1 where stated:

        channel 0 fires at 0, 1, 3:   N(1) = 1/2             N(3) = 1/8 + 1/4 = 3/8
        channel 1 fires at 1, 3:      N(1) = 0 (the first)   N(3) = 1/4

    so M = 0, 1/2, 0, 3/8 + 1/4 = 5/8.
    """
    spikes = torch.zeros(1, 4, 2, 1, 1, dtype=torch.float64)
    spikes[0, [0, 1, 3], 0] = 1
    spikes[0, [1, 3], 1] = 1
    found = spike_activation_map(spikes, math.log(2)).flatten()
    torch.testing.assert_close(found, torch.tensor([0, 0.5, 0, 0.625], dtype=torch.float64))


def test_a_neuron_that_always_fires_follows_the_geometric_series() -> None:
    """N(t) = e^-g + ... + e^-gt = e^-g (1 - e^-gt) / (1 - e^-g)."""
    gamma = 0.3
    found = spike_activation_map(torch.ones(1, 20, 1, dtype=torch.float64), gamma).flatten()
    fade = np.exp(-gamma)
    expected = fade * (1 - fade ** np.arange(20)) / (1 - fade)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)  # float64, 20 additions


def test_where_no_neuron_fires_twice_nothing_is_shown() -> None:
    once = torch.eye(6).reshape(1, 6, 6)  # neuron t fires at step t
    assert not spike_activation_map(once, 0.5).any()


def test_an_integer_counts_as_so_many_spikes() -> None:
    """A neuron that gives 2 and then 3 is two neurons' worth of 2 x 3 pairs, one step apart."""
    found = spike_activation_map(torch.tensor([[[2.0], [3.0]]]).double(), 0.5).flatten()
    assert found.tolist() == [0, pytest.approx(6 * math.exp(-0.5), rel=1e-15)]


def network() -> nn.Module:
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.sn1 = nn.Conv2d(2, 3, 3), IF(0.4)
            self.fc, self.sn2 = nn.Linear(27, 4), LIF(threshold=0.1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.sn1(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
            return self.sn2(self.fc(y.flatten(2)))  # type: ignore[no-any-return]

    return Net().eval()


def bridged() -> tuple[Bridge, Tensor]:
    model, x = network(), trains(7, 3, 2, 5, 5)
    return Bridge(model.double(), survey(model), x, "time first"), x.transpose(0, 1)


def test_the_map_of_a_layer_is_that_of_its_spikes() -> None:
    """By default of the last layer that has positions; `at` another one."""
    bridge, x = bridged()
    target = torch.zeros(3, dtype=torch.int64)
    spikes = bridge.spikes(x)
    found = SAM().values(bridge, x, target, Options())
    assert torch.equal(found, spike_activation_map(spikes["sn1"], 0.5))
    assert found.shape == (3, 7, 1, 3, 3)
    assert found.any()
    other = SAM().values(bridge, x, target, Options(at="sn2", gamma=1.5))
    assert torch.equal(other, spike_activation_map(spikes["sn2"], 1.5))
    assert other.shape == (3, 7, 4)
    assert torch.equal(found, SAM().values(bridge, x, target + 1, Options()))  # knows no class
    with pytest.raises(InputError, match="a spiking layer must be one of sn1, sn2; got 'sn3'"):
        SAM().values(bridge, x, target, Options(at="sn3"))


def test_what_it_says_of_itself() -> None:
    assert (SAM.place, SAM.relevance, SAM.gradient, SAM.signed) == ("layer", False, False, False)
