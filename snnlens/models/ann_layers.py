"""What the ANNs of `ann` and `ann_resnet` are made of, and how their weights are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import skip_init

from snnlens.errors import InputError

Activation = Callable[[], nn.Module]
Net = TypeVar("Net", bound=nn.Module)

POOLS: dict[str, Callable[..., nn.Module]] = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = False
) -> nn.Module:
    """A convolution that keeps H and W at stride 1; its weights are not drawn yet.

    >>> convolution(3, 16, 3).weight.shape
    torch.Size([16, 3, 3, 3])
    """
    made: nn.Module = skip_init(
        nn.Conv2d, inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias
    )
    return made


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
    """A linear layer; its weights are not drawn yet.

    >>> linear(4, 2).weight.shape
    torch.Size([2, 4])
    """
    made: nn.Module = skip_init(nn.Linear, inputs, outputs, bias=bias)
    return made


def pooling(kind: str, kernel: int, stride: int, padding: int = 0) -> nn.Module:
    """A pool by its name: average (the zeros around the image count) or max.

    Raises InputError for another name.

    >>> pooling("average", 2, 2)
    AvgPool2d(kernel_size=2, stride=2, padding=0)
    """
    if kind not in POOLS:
        raise InputError("pool", got=kind, wanted="average or max")
    return POOLS[kind](kernel, stride, padding=padding)


def at_least_one(**sizes: int) -> None:
    """Raise InputError for a size below 1.

    >>> at_least_one(classes=0)
    Traceback (most recent call last):
    snnlens.errors.InputError: classes must be at least 1; got 0
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(name, got=size, wanted="at least 1")


@torch.no_grad()
def initialised(model: Net, seed: int | None) -> Net:
    """Draw the weights: He's normal before an activation, torch's uniform for the read-out.

        convolution   N(0, 2 / (outputs kernel^2))    bias 0
        linear        N(0, 2 / inputs)                bias 0
        read-out      U(-1, 1) / sqrt(inputs), bias too: the last linear layer

    Equal seeds give equal weights, and leave torch's global random state as it is; None takes the
    global one.

    Source: He et al. 2015, as in torchvision's ResNet (fan out) and the QCFS code.

    >>> bool(initialised(nn.Sequential(linear(4, 2)), 0)[0].weight.abs().max() <= 0.5)
    True
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers[:-1]:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", generator=generator)
        else:
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    read_out = layers[-1]
    bound = read_out.weight[0].numel() ** -0.5
    for tensor in read_out.parameters():
        nn.init.uniform_(tensor, -bound, bound, generator=generator)
    return model
