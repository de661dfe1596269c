"""Temporal spike attribution: spike times and weights multiplied through the layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.feedforward import output_layer, weighed
from snnlens.attribution.methods._base import Method, Options
from snnlens.errors import InputError


class TSA(Method):
    r"""Temporal spike attribution of a feed-forward network, of its spikes and its weights only.

    Neuron i of layer l (the input is l = 0) has at step t = 0, ..., T - 1 the spike time component

        n_l(t)_i = d_l^(T - t)               if it fires at t
                   0                         if not: TSA-S
                   - d_l^(T - t) / n_l       if not, with `absent`: TSA-NS (n_l neurons)

    so the last step weighs d_l, not 1, as in the authors' code. The attribution of input i at step
    t to class c is row i, column c of the product over the layers, P the softmax of the scores:

        diag(n_0(t)) W_1 diag(n_1(t)) W_2 ... diag(n_(L-1)(t)) W_L diag(P)

    The spikes of the output layer itself take no part. Each W is whatever lies between two spiking
    layers: linear layers, convolutions, average pools, BatchNorm in evaluation mode, sums; biases
    drop out. A max-pool is the choice that it made, a product of spikes (AND) the other factor.
    d is `decay`, or else each layer's own leak, 1 of IF, and for the input that of the first layer.
    An input counts where it is not 0, and a neuron that gives an integer as one spike.

    Of a static image that the model repeats, the steps are summed. An output without a time axis
    is taken for the mean over T. That this product is what is computed is held by
    `test_against_the_matrix_product`, `test_on_paper` and `test_a_convolution_as_a_matrix` of
    tests/unit/attribution/test_tsa.py.

    Source: Nguyen et al. 2023 (arXiv 2311.02110); ElisaNguyen/tsa-explanations,
    experiments/ExplanationCreation.py at 438e5ab.
    """

    name = "tsa"
    title = "temporal spike attribution"
    source = "Nguyen et al. 2023"
    gradient = False
    options = ("decay", "absent")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        """[N, T, ...]; InputError for a network that is no product of weights at each step."""
        output, outset = output_layer(bridge, x), _decay_of_input(bridge, options)

        def weigh(site: str, step: int, spikes: Tensor) -> Tensor:
            shown = outset ** _left(bridge, step, spikes) if _holds_time(bridge, site) else 1
            if site == output:
                return torch.ones_like(spikes) * shown
            return shown * component(
                spikes, _left(bridge, step, spikes), _decay(bridge, site, options),
                absent=options.absent,
            )  # fmt: skip

        leaf = x.detach().clone().requires_grad_()
        with torch.enable_grad(), weighed(bridge, weigh):
            out = bridge.stepwise(leaf)
            share = out.mean(1).softmax(1).detach().gather(1, target[:, None]).squeeze(1)
            wanted = out.gather(2, target[:, None, None].expand(-1, out.shape[1], 1)).flatten(1)
            whole = wanted.sum(1) * (bridge.steps if out.shape[1] == 1 else 1)
            (product,) = torch.autograd.grad((share * whole).sum(), leaf)
        seen, first = x.transpose(0, 1), 1.0 if bridge.static else outset
        return product * component(
            seen, _left(bridge, 0, seen), first, absent=options.absent
        ).transpose(0, 1)  # fmt: skip


def component(spikes: Tensor, left: Tensor, decay: float, *, absent: bool = False) -> Tensor:
    r"""The spike time component n(t) = decay^(T - t) of each neuron and step.

    Args:
        spikes: [T', N, ...], time first; what is not 0 is a spike.
        left: T - t of each step, broadcast to it.
        decay: per step, from 0 to 1.
        absent: give a neuron that is silent at t -1 / (neurons of the layer) of that (TSA-NS).

    Returns:
        Like spikes, without unit.

    >>> train = torch.tensor([1.0, 0.0, 1.0]).reshape(3, 1, 1)
    >>> left = torch.tensor([3.0, 2.0, 1.0]).reshape(3, 1, 1)
    >>> component(train, left, decay=0.5).flatten().tolist()
    [0.125, 0.0, 0.5]
    >>> component(train, left, decay=0.5, absent=True).flatten().tolist()
    [0.125, -0.25, 0.5]
    """
    silent = -1 / math.prod(spikes.shape[2:]) if absent else 0.0
    return decay**left * torch.ones_like(spikes).masked_fill(spikes == 0, silent)


def _left(bridge: Bridge, step: int, spikes: Tensor) -> Tensor:
    """T - t of the steps of a call [T', 1, ...]."""
    steps = torch.arange(step, step + len(spikes), device=spikes.device)
    return (bridge.steps - steps).to(spikes.dtype).reshape(-1, *[1] * (spikes.dim() - 1))


def _holds_time(bridge: Bridge, site: str) -> bool:
    """Whether a layer stands for the steps of an image that has none."""
    return bridge.static and site == bridge.encoder


def _decay_of_input(bridge: Bridge, options: Options) -> float:
    """The leak of the first layer; of a layer's spikes as input, that layer's own."""
    return _decay(bridge, getattr(bridge, "site", None) or bridge.encoder, options)


def _decay(bridge: Bridge, site: str, options: Options) -> float:
    if options.decay is not None:
        return options.decay
    leak = next(s.leak for s in bridge.survey.neurons() if s.name == site)
    if leak is None:
        raise InputError(f"the leak of {site}", got="not known", wanted="known for tsa",
                         do="give decay, a factor per step from 0 to 1")  # fmt: skip
    return leak
