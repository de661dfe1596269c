"""Plain ANNs that are trained or loaded to be converted: MLP, VGG-16, ResNet.

    mlp           h_i = act(BN(W_i h_(i-1)));  residual, i > 1: h_i = act(BN(W_i h_(i-1)) + h_(i-1))
    vgg16         act(BN(conv)) 13 times with 5 pools, then fully connected layers
    cifar_resnet  y = act(F(x) + shortcut(x)), 6n + 2 layers
    resnet        the same with 18 to 152 layers

They take [B, C, H, W] and return logits [B, classes]; B is written down nowhere. torch.fx traces
them. Each activation is a module of its own that a factory makes, `relu`, `relu1`, ..., whatever it
is. A linear layer has a BatchNorm behind it, which can be folded into it; the read-out has none,
nor have the fully connected layers of VGG-16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models import ann_plan
from snnlens.models.ann_layers import (
    Activation,
    at_least_one,
    convolution,
    initialised,
    linear,
    pooling,
)
from snnlens.models.ann_plan import ANNS
from snnlens.models.ann_resnet import ANNResNet, cifar_resnet, resnet

__all__ = [
    "ANNS",
    "MLP",
    "VGG",
    "ANNResNet",
    "Activation",
    "build",
    "cifar_resnet",
    "mlp",
    "resnet",
    "vgg16",
]

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DEPTH = 16  # of an MLP whose width is one number


def build(
    name: str,
    *,
    shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    activation: Activation = nn.ReLU,
    seed: int | None = None,
    **options: Any,
) -> nn.Module:
    """The network of a name in `ann_plan.ANNS`.

    Args:
        name: mlp, vgg16, resnet20, 32, 44, 56, 110 (cifar_resnet), resnet18, 34, 50, 101, 152.
        shape: of the input, [C, H, W].
        classes: outputs.
        activation: makes one activation, anew for each place.
        seed: of the weights; None takes torch's global random state.
        options: those of the family (`ann_plan.OPTIONS`); None is not given. The stem of a
            resnet18 ... is imagenet from 64 pixels on and cifar below, unless it is given.

    Raises:
        InputError: an unknown name, an option that the family does not have, or a wrong value.

    >>> import torch
    >>> build("resnet20", shape=(1, 28, 28), seed=0)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    given = ann_plan.chosen(name, options)
    shape = ann_plan.image_shape(shape)
    common: dict[str, Any] = {"classes": classes, "activation": activation, "seed": seed} | given
    family, channels = ann_plan.FAMILIES[name], shape[0]
    if family == "mlp":
        return mlp(features=math.prod(shape), **common)
    if family == "vgg16":
        return vgg16(shape=shape, **common)
    depth = int(name.removeprefix("resnet"))
    if family == "cifar_resnet":
        return cifar_resnet(depth, channels=channels, **common)
    return resnet(depth, channels=channels, **{"stem": ann_plan.usual_stem(shape)} | common)


# --- MLP -------------------------------------------------------------------------------------


def mlp(
    depth: int | None = None,
    width: int | Sequence[int] = 32,
    *,
    features: int,
    classes: int,
    residual: bool = False,
    batch_norm: bool = True,
    activation: Activation = nn.ReLU,
    seed: int | None = None,
) -> MLP:
    """Flatten, hidden layers Linear-BN-activation, a linear read-out.

    Args:
        depth: hidden layers; 16, or as many as there are widths.
        width: of all hidden layers, or one for each.
        features: of the input, C x H x W.
        classes: outputs.
        residual: each hidden layer but the first adds its input before its activation.
        batch_norm: without it the linear layers have a bias instead.
        activation: makes one activation.
        seed: of the weights; None takes torch's global random state.

    Raises:
        InputError: a size below 1, a depth that is not the number of widths, residual with
            unequal widths.

    >>> [tuple(p.shape) for p in mlp(2, 8, features=64, classes=10, seed=0).parameters()][:3]
    [(8, 64), (8,), (8,)]
    """
    widths = _widths(depth, width)
    at_least_one(features=features, classes=classes, width=min(widths))
    if residual and len(set(widths)) > 1:
        raise InputError("width", got=widths, wanted="the same for all layers of a residual MLP")
    made = MLP(features, widths, classes, residual=residual, batch_norm=batch_norm,
               activation=activation)  # fmt: skip
    return initialised(made, seed)


class MLP(nn.Module):
    """The network that `mlp` builds: fc1, bn1, relu1, ..., fc."""

    def __init__(
        self, features: int, widths: Sequence[int], classes: int, *, residual: bool,
        batch_norm: bool, activation: Activation,
    ) -> None:  # fmt: skip
        super().__init__()
        self.depth, self.residual, self.batch_norm = len(widths), residual, batch_norm
        self.flatten = nn.Flatten()
        for i, (inputs, outputs) in enumerate(zip((features, *widths), widths, strict=False), 1):
            self.add_module(f"fc{i}", linear(inputs, outputs, bias=not batch_norm))
            if batch_norm:
                self.add_module(f"bn{i}", nn.BatchNorm1d(outputs))
            self.add_module(f"relu{i}", activation())
        self.fc = linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [B, ...]."""
        x = self.flatten(x)
        for i in range(1, self.depth + 1):
            current = self.get_submodule(f"fc{i}")(x)
            if self.batch_norm:
                current = self.get_submodule(f"bn{i}")(current)
            if self.residual and i > 1:
                current = current + x
            x = self.get_submodule(f"relu{i}")(current)
        logits: Tensor = self.fc(x)
        return logits


def _widths(depth: int | None, width: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(width, int):
        depth = DEPTH if depth is None else depth
        at_least_one(depth=depth)
        return (width,) * depth
    if not width:
        raise InputError("width", got=(), wanted="a number, or one for each layer")
    if depth not in (None, len(width)):
        raise InputError("depth", got=depth, wanted=f"left out, or {len(width)}, as many as widths")
    return tuple(width)


# --- VGG -------------------------------------------------------------------------------------


def vgg16(
    classes: int,
    *,
    shape: Sequence[int] = (3, 32, 32),
    pool: str = "average",
    hidden: Sequence[int] = (4096, 4096),
    dropout: float = 0.0,
    activation: Activation = nn.ReLU,
    seed: int | None = None,
) -> VGG:
    """VGG-16 with BatchNorm; 33.6 million parameters for ten classes at 32 x 32.

    Args:
        classes: outputs.
        shape: of the input, [C, H, W]; H and W at least 32, which five pools make 1.
        pool: average, or max; each 2 x 2. A sequential neuron's spikes pass a max-pool wrongly,
            so the networks of QCFS are trained with average pools.
        hidden: fully connected layers before the read-out. Two of 4096 are those of the paper and
            of the published QCFS results; () is the compact form, 14.7 million parameters.
        dropout: behind each of these, in [0, 1).
        activation: makes one activation.
        seed: of the weights; None takes torch's global random state.

    Raises:
        InputError: a smaller image, another pool, a dropout outside [0, 1), a size below 1.

    Source: Simonyan & Zisserman 2015, configuration D; names are those of torchvision's
    vgg16_bn, whose state dict fits at 3 x 224 x 224. The read-out is the classifier's last layer.

    >>> import torch
    >>> vgg16(10, hidden=(), seed=0)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    shape = ann_plan.image_shape(shape)
    at_least_one(classes=classes, hidden=min(hidden, default=1))
    if min(shape[1:]) < 32:
        do = "give --image-size 32"
        raise InputError("the image of VGG-16", got=shape, wanted="at least 32 x 32", do=do)
    if not 0 <= dropout < 1:
        raise InputError("dropout", got=dropout, wanted="from 0 to below 1")
    made = VGG(shape, classes, pool=pool, hidden=hidden, dropout=dropout, activation=activation)
    return initialised(made, seed)


class VGG(nn.Module):
    """The network that `vgg16` builds: features, flatten, classifier."""

    def __init__(
        self, shape: tuple[int, int, int], classes: int, *, pool: str, hidden: Sequence[int],
        dropout: float, activation: Activation,
    ) -> None:  # fmt: skip
        super().__init__()
        channels, layers = shape[0], []
        for stage in VGG16:
            for width in stage:
                # a bias before BatchNorm does nothing; torchvision's state dict has it
                layers += [convolution(channels, width, 3, bias=True), nn.BatchNorm2d(width)]
                layers.append(activation())
                channels = width
            layers.append(pooling(pool, 2, 2))
        self.features = nn.Sequential(*layers)
        self.flatten = nn.Flatten()
        inputs, layers = channels * (shape[1] // 32) * (shape[2] // 32), []
        for width in hidden:
            layers += [linear(inputs, width), activation(), nn.Dropout(dropout)]
            inputs = width
        self.classifier = nn.Sequential(*layers, linear(inputs, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [B, C, H, W]."""
        logits: Tensor = self.classifier(self.flatten(self.features(x)))
        return logits
