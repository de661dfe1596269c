"""Plain ResNets to be converted: y = act(F(x) + shortcut(x)), the sum a real `+`.

Names are torchvision's, so its published state dicts fit. B, the batch, is written down nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from snnlens.errors import InputError
from snnlens.models.ann_layers import (
    Activation,
    at_least_one,
    convolution,
    initialised,
    linear,
    pooling,
)
from snnlens.models.plan import CIFAR_MAX_DEPTH, EXPANSION, IMAGENET, BlockPlan, Plan, plan

Shortcut = Callable[[BlockPlan, int], nn.Module]  # of a block that changes the shape, its channels

STEMS = {"imagenet": (7, 2), "cifar": (3, 1)}  # kernel and stride of the first convolution


def cifar_resnet(
    depth: int = 20,
    classes: int = 10,
    *,
    shortcut: str = "A",
    channels: int = 3,
    activation: Activation = nn.ReLU,
    seed: int | None = None,
) -> ANNResNet:
    """The narrow ResNet for 32 x 32 images: 16, 32 and 64 channels.

    Args:
        depth: 6n + 2, from 8 to 1202.
        classes: outputs.
        shortcut: A where the shape changes takes every second position and adds channels of
            zeros, without weights; B is a 1 x 1 convolution with BatchNorm.
        channels: of the input.
        activation: makes one activation, anew for each place.
        seed: of the weights; None takes torch's global random state.

    Raises:
        InputError: another depth or shortcut, a size below 1.

    Source: He et al. 2016, Section 4.2. The names of akamaster/pytorch_resnet_cifar10 fit, whose
    read-out is called `linear` (`ann_weights.load_weights` knows that).

    >>> sum(p.numel() for p in cifar_resnet(20, seed=0).parameters())
    269722
    """
    at_least_one(classes=classes, channels=channels)
    if not (8 <= depth <= CIFAR_MAX_DEPTH and depth % 6 == 2):
        raise InputError("depth", got=depth, wanted=f"6n + 2, from 8 to {CIFAR_MAX_DEPTH}")
    if shortcut not in SHORTCUTS:
        wanted = "A (zero channels) or B (1 x 1 convolution)"
        raise InputError("shortcut", got=shortcut, wanted=wanted)
    made = ANNResNet(
        plan(depth, "cifar"), channels, classes, activation, shortcut=SHORTCUTS[shortcut]
    )
    return initialised(made, seed)


def resnet(
    depth: int,
    classes: int = 1000,
    *,
    stem: str = "imagenet",
    pool: str | None = None,
    channels: int = 3,
    activation: Activation = nn.ReLU,
    seed: int | None = None,
) -> ANNResNet:
    """The wide ResNet: 64 to 512 channels, in bottlenecks from 50 layers on four times as many.

    Args:
        depth: 18, 34, 50, 101 or 152.
        classes: outputs.
        stem: imagenet (7 x 7, stride 2, a 3 x 3 pool of stride 2) or cifar (3 x 3, no pool), for
            images of 32 pixels.
        pool: of the imagenet stem: max (torchvision's, the default) or average.
        channels: of the input.
        activation: makes one activation, anew for each place.
        seed: of the weights; None takes torch's global random state.

    Raises:
        InputError: another depth, stem or pool, a pool for the cifar stem, a size below 1.

    Source: He et al. 2016; torchvision's, with the stride of a bottleneck in its 3 x 3.

    >>> import torch
    >>> resnet(18, 10, stem="cifar", seed=0)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    at_least_one(classes=classes, channels=channels)
    if depth not in IMAGENET:
        do = "a depth of 6n + 2 is a cifar_resnet"
        raise InputError("depth", got=depth, wanted="18, 34, 50, 101 or 152", do=do)
    if stem not in STEMS:
        raise InputError("stem", got=stem, wanted="imagenet or cifar")
    if stem == "cifar" and pool is not None:
        raise InputError("pool", got=pool, wanted="left out: the cifar stem has none")
    made = ANNResNet(plan(depth), channels, classes, activation, stem=stem, pool=pool or "max")
    return initialised(made, seed)


class ANNResNet(nn.Module):
    """The network that `cifar_resnet` and `resnet` build."""

    def __init__(
        self, layout: Plan, channels: int, classes: int, activation: Activation, *,
        stem: str = "cifar", pool: str = "max", shortcut: Shortcut | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        kernel, stride = STEMS[stem]
        self.conv1 = convolution(channels, layout.width, kernel, stride)
        self.bn1 = nn.BatchNorm2d(layout.width)
        self.relu = activation()
        self.pool = pooling(pool, 3, 2, 1) if stem == "imagenet" else None
        self.stages = layout.blocks[-1].stage
        for stage in range(1, self.stages + 1):
            blocks = [b for b in layout.blocks if b.stage == stage]
            made = [Block(layout.block, b, activation, shortcut or projection) for b in blocks]
            self.add_module(f"layer{stage}", nn.Sequential(*made))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = linear(layout.blocks[-1].channels * EXPANSION[layout.block], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of x [B, C, H, W]."""
        x = self.relu(self.bn1(self.conv1(x)))
        if self.pool is not None:
            x = self.pool(x)
        for stage in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


class Block(nn.Module):
    """y = act(F(x) + shortcut(x)), F two convolutions (basic) or three (bottleneck)."""

    def __init__(
        self, kind: str, spec: BlockPlan, activation: Activation, shortcut: Shortcut
    ) -> None:
        super().__init__()
        outputs = spec.channels * EXPANSION[kind]
        layers = _layers(kind, spec, outputs)
        self.count = len(layers)
        for i, sizes in enumerate(layers, start=1):
            self.add_module(f"conv{i}", convolution(*sizes))
            self.add_module(f"bn{i}", nn.BatchNorm2d(sizes[1]))
            self.add_module(f"relu{i}", activation())
        changes = spec.kind == "downsample"
        self.downsample = shortcut(spec, outputs) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """y [B, channels, H / stride, W / stride] of x [B, C, H, W]."""
        current = x
        for i in range(1, self.count + 1):
            current = self.get_submodule(f"conv{i}")(current)
            current = self.get_submodule(f"bn{i}")(current)
            if i < self.count:
                current = self.get_submodule(f"relu{i}")(current)
        current = current + (x if self.downsample is None else self.downsample(x))
        y: Tensor = self.get_submodule(f"relu{self.count}")(current)
        return y


class ZeroChannels(nn.Module):
    """Shortcut A: every `stride`-th row and column, zeros for half of the new channels each side.

    >>> import torch
    >>> ZeroChannels(16, 32, 2)(torch.ones(1, 16, 8, 8)).mean(dim=(2, 3))[0, 7:9].tolist()
    [0.0, 1.0]
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.before = stride, (outputs - inputs) // 2
        self.after = outputs - inputs - self.before

    def forward(self, x: Tensor) -> Tensor:
        """[B, outputs, H / stride, W / stride] of x [B, inputs, H, W]."""
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))


def projection(spec: BlockPlan, outputs: int) -> nn.Module:
    """Shortcut B: a 1 x 1 convolution with the stride of the block, and BatchNorm.

    >>> projection(plan(20, "cifar").blocks[3], 32)[0].stride
    (2, 2)
    """
    conv = convolution(spec.channels_in, outputs, 1, spec.stride)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def zero_channels(spec: BlockPlan, outputs: int) -> nn.Module:
    """Shortcut A of a block, without weights.

    >>> zero_channels(plan(20, "cifar").blocks[3], 32).stride
    2
    """
    return ZeroChannels(spec.channels_in, outputs, spec.stride)


SHORTCUTS: dict[str, Shortcut] = {"A": zero_channels, "B": projection}


def _layers(kind: str, spec: BlockPlan, outputs: int) -> list[tuple[int, int, int, int]]:
    """Inputs, outputs, kernel and stride of each convolution."""
    inputs, width, stride = spec.channels_in, spec.channels, spec.stride
    if kind == "basic":
        return [(inputs, width, 3, stride), (width, outputs, 3, 1)]
    return [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
