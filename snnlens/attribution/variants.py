"""The same question asked of something else: permuted weights, another surrogate, other seeds."""

from __future__ import annotations

import zlib
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from snnlens.attribution.methods._base import Options
from snnlens.errors import InputError
from snnlens.neuron.layers import Neuron
from snnlens.neuron.surrogate import ATan, Sigmoid, Surrogate


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of the model whose weights are permuted: what it learned is gone, their sizes are not.

    Every parameter with two axes or more (the weights of convolutions and linear layers) is
    permuted as a whole, by a generator of (seed, its name). Biases, BatchNorm and the neurons stay
    as they are. A map that is the same for the copy shows no more than the architecture and the
    input do. The copy may be silent, and its maps zeros: then nothing was compared.

    Args:
        model: left as it is; outside of a bridge, whose hooks would be copied.
        seed: of the permutations.

    Raises:
        InputError: no such weight, or a model that cannot be copied.

    Source: Adebayo et al. 2018 (sanity checks), the model parameter randomisation test, of all
    layers at once; permuting instead of drawing anew keeps each layer's distribution of weights.

    >>> net = nn.Linear(3, 2)
    >>> other = randomised(net)
    >>> bool((other.weight != net.weight).any()), torch.equal(other.bias, net.bias)
    (True, True)
    >>> torch.equal(other.weight.flatten().sort().values, net.weight.flatten().sort().values)
    True
    """
    copy = _copied(model)
    weights = [(name, p) for name, p in copy.named_parameters() if p.dim() > 1]
    if not weights:
        raise InputError(
            "weights to permute", got="none", wanted="a parameter with two axes or more"
        )
    for name, weight in weights:
        _permute(weight.data, np.random.default_rng([seed, zlib.crc32(name.encode())]))
    return copy


def other_surrogate(model: nn.Module) -> nn.Module:
    """A copy of the model whose neurons have another surrogate of the same slope at the threshold.

    An arctan becomes a sigmoid, any other one an arctan, with sigma'(0) as it was; spikes are the
    same. A map that is another one for the copy shows the surrogate.

    Args:
        model: left as it is; outside of a bridge, whose hooks would be copied.

    Raises:
        InputError: a model without neurons of snnlens, or one that cannot be copied.

    Source: ours; Zenke and Vogels 2021 compare surrogates for learning.

    >>> from snnlens.neuron.layers import IF
    >>> net = nn.Sequential(nn.Linear(3, 2), IF())
    >>> surrogates(net), surrogates(other_surrogate(net))
    ('atan(alpha=2)', 'sigmoid(alpha=4)')
    """
    copy = _copied(model)
    for neuron in _neurons(copy):
        neuron.rule = replace(neuron.rule, surrogate=_other(neuron.rule.surrogate))
    return copy


def surrogates(model: nn.Module) -> str:
    """What the surrogates of a model's neurons are, each kind once, in the order of the layers.

    Raises InputError for a model without neurons of snnlens.

    >>> from snnlens.neuron.layers import IF
    >>> surrogates(nn.Sequential(IF(), IF(surrogate=Sigmoid(2.0)), IF()))
    'atan(alpha=2), sigmoid(alpha=2)'
    """
    return ", ".join(dict.fromkeys(str(n.rule.surrogate) for n in _neurons(model)))


def seeds(options: Options, count: int) -> list[Options]:
    """The options with the next `count` seeds: what a random method draws is another each time.

    >>> [o.seed for o in seeds(Options(seed=3), 2)]
    [4, 5]
    """
    return [replace(options, seed=options.seed + i) for i in range(1, count + 1)]


def _neurons(model: nn.Module) -> list[Neuron]:
    found = [m for m in model.modules() if isinstance(m, Neuron)]
    if not found:
        raise InputError("the spiking layers", got="none of snnlens",
                         wanted="neurons of snnlens, whose surrogate can be exchanged")  # fmt: skip
    return found


def _other(surrogate: Surrogate) -> Surrogate:
    """Another one with sigma'(0) as it was: alpha / 2 of an arctan, alpha / 4 of a sigmoid."""
    slope = surrogate.at(0.0)
    return Sigmoid(4 * slope) if isinstance(surrogate, ATan) else ATan(2 * slope)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return deepcopy(model)
    except (RuntimeError, TypeError, AttributeError) as error:  # a graph, a lock, a file in it
        line = str(error).partition("\n")[0]
        raise InputError("the model", got=f"one that cannot be copied ({line})",
                         wanted="one that copy.deepcopy takes") from None  # fmt: skip


def _permute(weight: Tensor, generator: np.random.Generator) -> None:
    order = torch.from_numpy(generator.permutation(weight.numel())).to(weight.device)
    weight.copy_(weight.flatten()[order].reshape(weight.shape))
