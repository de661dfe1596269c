"""Spike activation map: where a layer's neurons fire in quick succession, and when."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options


class SAM(Method):
    r"""Spike activation map of a layer (by default the last one with positions in space).

    A spike counts for the more, the sooner it follows earlier ones of the same neuron:

        N_kij(t) = sum over earlier spikes t' < t of exp(-gamma (t - t'))
        M_ij(t)  = sum over channels k of N_kij(t) S_kij(t)

    with S the spikes. So the first spike of a neuron scores 0, a layer in which no neuron fires
    twice has a map of zeros, and a neuron that fires at every step is brightest. No class and no
    gradient enters: the map shows activity and claims no relevance. The paper's value of gamma
    could not be checked; 0.5 is ours (a public implementation takes 0.4). The formula is held by
    `test_against_the_double_sum` and `test_on_paper` of tests/unit/attribution/test_sam.py.

    Source: Kim and Panda 2021 (Scientific Reports 11:19037), temporal spike contribution score,
    neuronal contribution score and SAM.
    """

    name = "sam"
    title = "spike activation map"
    source = "Kim and Panda 2021"
    place = "layer"
    signed = False
    relevance = False
    gradient = False
    options = ("at", "gamma")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        """[N, T, 1, H, W]; of a layer without positions [N, T, neurons]. The target is not read."""
        return spike_activation_map(bridge.spikes(x)[self.site(bridge, options)], options.gamma)


def spike_activation_map(spikes: Tensor, gamma: float) -> Tensor:
    r"""M(t) of a layer, by the recursion N(t) = exp(-gamma) (N(t - 1) + S(t - 1)).

    A neuron that gives an integer gives so many spikes at once: each counts, and each is counted.

    Args:
        spikes: [N, T, channels, ...], or [N, T, neurons].
        gamma: decay per time step, at least 0.

    Returns:
        [N, T, 1, ...], the sum over channels; of [N, T, neurons] no sum, each neuron by itself.
        Unit: spikes squared.

    >>> train = torch.tensor([1.0, 0.0, 1.0, 1.0]).reshape(1, 4, 1)
    >>> spike_activation_map(train, gamma=math.log(2)).flatten().tolist()
    [0.0, 0.0, 0.25, 0.625]
    """
    fade, earlier, maps = math.exp(-gamma), torch.zeros_like(spikes[:, 0]), []
    for now in spikes.unbind(1):
        maps.append(earlier * now)
        earlier = fade * (earlier + now)
    found = torch.stack(maps, 1)
    return found.sum(2, keepdim=True) if found.dim() > 3 else found
